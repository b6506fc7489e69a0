# SPDX-License-Identifier: GPL-3.0-or-later
"""What training minimises: each loss takes the rendered stages of a map network and gives one number."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

Loss = Callable[[list[Tensor], Tensor, Tensor], Tensor]

SMALLEST_AREA = 100.0


def relative_l1(stages: list[Tensor], truth: Tensor, mask: Tensor) -> Tensor:
    """S2CRNet's loss: Σ|out − T| / max(Σ M, A_min) over the foreground, summed over the supervised stages.

    Args:
        stages: (B, 3, H, W) pictures as `MapNetwork.render` gives them.
        truth: (B, 3, H, W) in [0, 1].
        mask: (B, 1, H, W) in [0, 1].
    """
    area = mask.sum(dim=(1, 2, 3)).clamp_min(SMALLEST_AREA)
    losses = [((stage - truth).abs() * mask).sum(dim=(1, 2, 3)) / area for stage in stages]
    return sum(losses, start=area.new_zeros(())).mean()


def foreground_rmse(stages: list[Tensor], truth: Tensor, mask: Tensor) -> Tensor:
    """Each picture's foreground root mean square error, with a share of its logarithm.

    The root keeps a few hopeless pictures from ruling the batch; the logarithm, which is PSNR, cares for those that
    are nearly right, where doing harm shows most. Shapes as in `relative_l1`.
    """
    area = 3 * mask.sum(dim=(1, 2, 3)).clamp_min(1.0)
    squared = ((stages[-1] - truth) ** 2 * mask).sum(dim=(1, 2, 3)) / area
    return ((squared + 1e-6).sqrt() + 0.05 * (squared + 1e-4).log()).mean()


LOSSES: dict[str, Loss] = {loss.__name__: loss for loss in (foreground_rmse, relative_l1)}
