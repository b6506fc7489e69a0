# SPDX-License-Identifier: GPL-3.0-or-later
"""Training losses: functions of a network's outputs, the ground truth and the mask.

The adversarial term, for recipes that have one, is in `learner.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from s2am_common.errors import TrainingError
from s2am_engine.color.srgb import LUMA
from s2am_engine.finish.shading import GAMMA
from s2am_engine.networks.attention import resize_mask
from s2am_engine.networks.network import TrainingOutput

# TrainingOutput; target, (B, 3, H, W) in [0, 1]; mask, (B, 1, H, W) in [0, 1].
Loss = Callable[[TrainingOutput, Tensor, Tensor], Tensor]

SMALLEST_FOREGROUND = 100.0
ATTENTION_WEIGHT = 90.0
PIXEL_WEIGHT = 100.0
VISIBLE_STOPS = 0.1
DARKEST_LUMA = 0.03  # added to luma before its logarithm


def relative_l1(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """S2CRNet's loss: Σ|out − T| / max(Σ M, A_min) over the foreground, summed over the supervised stages."""
    area = mask.sum(dim=(1, 2, 3)).clamp_min(SMALLEST_FOREGROUND)
    losses = [((stage - target).abs() * mask).sum(dim=(1, 2, 3)) / area for stage in rendered.stages]
    return sum(losses, start=area.new_zeros(())).mean()


def foreground_rmse(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """Root mean square error of the foreground, plus a fraction of its logarithm.

    The root limits the influence of a few very difficult images; the logarithm, which is the PSNR, gives weight to
    images that are nearly right, where errors are most visible. Averaged over the supervised stages.
    """
    losses = [root_and_logarithm((stage - target) ** 2 * mask, mask) for stage in rendered.stages]
    return sum(losses, start=mask.new_zeros(())) / len(losses)


def attention_and_rmse(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """`foreground_rmse` for mask-free networks: over all pixels, plus L_att (eq. 4)."""
    return root_and_logarithm((rendered.stages[-1] - target) ** 2, mask) + attention(rendered, mask)


def root_and_logarithm(squared: Tensor, mask: Tensor) -> Tensor:
    """Reduce squared errors (B, 3, H, W) to the batch mean of √x + 0.05 · log x, x their mean over the foreground."""
    mean = squared.sum(dim=(1, 2, 3)) / (3 * mask.sum(dim=(1, 2, 3)).clamp_min(1.0))
    return ((mean + 1e-6).sqrt() + 0.05 * (mean + 1e-4).log()).mean()


def attention(rendered: TrainingOutput, mask: Tensor) -> Tensor:
    """S2AM's L_att: Σ_i ||M'_i − M_i||² of the predicted masks at their sizes (eq. 4)."""
    losses = [F.mse_loss(found, resize_mask(mask, found)) for found in rendered.masks]
    return sum(losses, start=mask.new_zeros(()))


def found_mask(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """Loss of `Dissonance`: presence of a foreground and, where there is one, its masks.

    Cross entropy of the presence; of the masks, if there is a foreground, cross entropy and the soft Jaccard
    distance (Rahman and Wang, 2016), for which a small region counts as much as a large one. The first, coarse mask
    counts a third.
    """
    fine, coarse, presence = rendered.masks
    there = (mask.amax(dim=(2, 3), keepdim=True) > 0).float()
    where = sum(
        weight * mask_distance(found, resize_mask(mask, found)) for found, weight in ((fine, 1.0), (coarse, 1 / 3))
    )
    return F.binary_cross_entropy(presence, there) + (there.flatten() * where).sum() / there.sum().clamp_min(1.0)


def mask_distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Return cross entropy plus Jaccard distance of (B, 1, h, w) masks in [0, 1]: (B,)."""
    both, either = (found * wanted).sum(dim=(1, 2, 3)), (found + wanted - found * wanted).sum(dim=(1, 2, 3))
    entropy = F.binary_cross_entropy(found.clamp(0, 1), wanted.clamp(0, 1), reduction="none").mean(dim=(1, 2, 3))
    return entropy + 1 - both / either.clamp_min(1.0)


def local_light(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """Error of the light in stops: √(mean square over the foreground + 0.1²), the batch mean.

    Logarithms of luma, so that dark and bright parts count alike; errors well below 0.1 stops are not visible.
    """
    result, wanted = (
        sum((weight * image[:, c] for c, weight in enumerate(LUMA)), start=image.new_zeros(())).clamp_min(0)
        for image in (rendered.stages[-1], target)
    )
    stops = GAMMA * ((result + DARKEST_LUMA) / (wanted + DARKEST_LUMA)).log2()
    mean = (stops**2 * mask[:, 0]).sum(dim=(1, 2)) / mask.sum(dim=(1, 2, 3)).clamp_min(1.0)
    return (mean + VISIBLE_STOPS**2).sqrt().mean()


def pixel_l2(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """S2AM's loss with a mask: mean square over all pixels (section 3.4.1); also DIH's and FMM's here."""
    return F.mse_loss(rendered.stages[-1], target)


def pixel_l1(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """pix2pix's pixel loss: 100 · mean absolute difference over all pixels."""
    return PIXEL_WEIGHT * F.l1_loss(rendered.stages[-1], target)


def attention_and_pixels(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """Mask-free S2AM's loss: 90 · L_att + 100 · L_pixel (section 3.4.2, eqs. 3 and 4)."""
    return ATTENTION_WEIGHT * attention(rendered, mask) + scaled_l2(rendered, target, mask)


def scaled_l2(rendered: TrainingOutput, target: Tensor, mask: Tensor) -> Tensor:
    """Mask-free S2AM's loss without its attention term (section 4.4): 100 · L_pixel."""
    return PIXEL_WEIGHT * pixel_l2(rendered, target, mask)


LOSSES: dict[str, Loss] = {
    loss.__name__: loss
    for loss in (
        foreground_rmse,
        local_light,
        attention_and_rmse,
        found_mask,
        relative_l1,
        pixel_l2,
        pixel_l1,
        attention_and_pixels,
        scaled_l2,
    )
}


def find_loss(name: str) -> Loss:
    """Return a loss by its name.

    Raises:
        EngineError: unknown name.
    """
    if name not in LOSSES:
        raise TrainingError(
            f"This run was made by another version (it has the loss “{name}”): start a new one.",
            code="training.version",
        )
    return LOSSES[name]
