# SPDX-License-Identifier: GPL-3.0-or-later
"""The style of a set of photographs as color maps, and pairs whose foregrounds lack that style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_transfer import square_roots
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recolor import restrain
from s2am_engine.training.synthetic_pairs import AS_PUBLISHED, PairKinds, PairMaker

# Mean and covariance of sRGB, and mean of linear light, over 240 photographs of many photographers, of the training
# split of this project.
AVERAGE_MEAN = (0.4791, 0.4619, 0.4161)
AVERAGE_COVARIANCE = (
    (0.06569, 0.05799, 0.05224),
    (0.05799, 0.06167, 0.05925),
    (0.05224, 0.05925, 0.06891),
)
AVERAGE_LIGHT = (0.2705, 0.2506, 0.2215)
MEASURED_PIXELS = 48  # per side of each photograph
NOISE = 1e-3  # added to the variances

IN_STYLE = replace(AS_PUBLISHED, edits=0.85, transfers=0.15)
"""Ground truths are the photographs themselves; the foregrounds of the edits are those of `StylePairs`."""
OTHER_STYLES = PairKinds(
    renditions=0.2, edits=0.4, transfers=0.4, edited_targets=0.5, mild_targets=0.4, mild_foregrounds=0.4
)
"""For photographs without their style, see `without_style`: ground truths as they are, or edited."""

UNTOUCHED_SHARE, MILD_SHARE = 0.15, 0.15  # of the edits in a style: unchanged, or mildly edited foregrounds
REMOVED_SHARE = 0.35  # of them: without the style
RETOUCHED_SHARE = 0.2  # of them: without the style, then mildly edited; the rest is edited fully
LEAST_REMOVED, MOST_REMOVED = 0.3, 1.15  # of the style; above 1 = beyond average photographs
GAINS_SHARE = 0.5  # of the pictures whose style is removed: by gains instead of the affine map


@dataclass(frozen=True)
class StyleMap:
    """Color maps between average photographs and those of a style, in two forms.

    Neither form is right for all styles: the affine map mixes channels, but lifts the black of photographs
    that are only dark; gains of linear light keep it.
    """

    apply: Tensor  # (3, 4), from average photographs to the style; sRGB in [0, 1]
    remove: Tensor  # (3, 4), the inverse
    gains: Tensor  # (3,) of linear light, from average photographs to the style


def estimate_style(photographs: Sequence[Photograph]) -> StyleMap:
    """Estimate the style of photographs from mean and covariance of their colors.

    The affine map is the linear Monge-Kantorovich map between average photographs and these (Pitié and Kokaram, 2007).
    """
    size = (MEASURED_PIXELS, MEASURED_PIXELS)
    small = [cv2.resize(one.image, size, interpolation=cv2.INTER_AREA) for one in photographs]
    colors = torch.from_numpy(np.stack(small)).double().reshape(-1, 3) / 255
    own = (colors.mean(dim=0), colors.T.cov())
    average = (torch.tensor(AVERAGE_MEAN).double(), torch.tensor(AVERAGE_COVARIANCE).double())
    light = srgb_tensor_to_linear(colors).mean(dim=0).float().clamp_min(NOISE)
    return StyleMap(transport(*average, *own), transport(*own, *average), light / torch.tensor(AVERAGE_LIGHT))


def transport(mean: Tensor, covariance: Tensor, wanted_mean: Tensor, wanted: Tensor) -> Tensor:
    """Return the linear Monge-Kantorovich map (3, 4) between two distributions; see `match_covariance`."""
    noise = NOISE * torch.eye(3, dtype=covariance.dtype)
    root, inverse = (one[0] for one in square_roots((covariance + noise)[None]))
    matrix = inverse @ square_roots((root @ (wanted + noise) @ root)[None])[0][0] @ inverse
    return torch.cat([matrix, (wanted_mean - matrix @ mean)[:, None]], dim=1).float()


def apply_affine(pictures: Tensor, maps: Tensor, degree: Tensor) -> Tensor:
    """Apply an affine map (3, 4) to pictures (B, 3, H, W) to a degree (B, 1, 1, 1): (B, 3, H, W) in [0, 1]."""
    shown = torch.einsum("ij,bjhw->bihw", maps[:, :3], pictures) + maps[:, 3:, None]
    return torch.lerp(pictures, shown, degree).clamp(0, 1)


def apply_gains(pictures: Tensor, gains: Tensor, degree: Tensor) -> Tensor:
    """Apply gains (3,) of linear light to sRGB pictures (B, 3, H, W) to a degree (B, 1, 1, 1), as exponent."""
    light = srgb_tensor_to_linear(pictures) * gains.view(1, 3, 1, 1) ** degree
    return linear_tensor_to_srgb(light.clamp(0, 1))


def remove_style(pictures: Tensor, style: StyleMap, degree: Tensor, by_gains: Tensor) -> Tensor:
    """Remove a style from pictures (B, 3, H, W) to a degree, by gains or the affine map (0 or 1); (B, 1, 1, 1) each."""
    affine = apply_affine(pictures, style.remove.to(pictures), degree)
    return torch.lerp(affine, apply_gains(pictures, 1 / style.gains.to(pictures), degree), by_gains)


def without_style(photographs: Sequence[Photograph], style: StyleMap) -> list[Photograph]:
    """Return photographs whose style is removed, in turn by either form of the map.

    They stand for those of other photographers.
    """
    changed, whole = [], torch.ones(1, 1, 1, 1)
    for number, one in enumerate(photographs):
        unit = torch.from_numpy(np.ascontiguousarray(one.image)).permute(2, 0, 1)[None] / 255
        plain = remove_style(unit, style, whole, whole * (number % 2))
        changed.append(replace(one, image=(plain[0].permute(1, 2, 0) * 255).round().byte().numpy()))
    return changed


@dataclass
class StylePairs(PairMaker):
    """Pairs in a style. The foregrounds of edits lack it to random degrees, have it, or are edited in other ways.

    A network that is trained on strongly edited foregrounds alone corrects too much: on mild film styles, the base
    network doubles the error of foregrounds that lack the style.
    """

    style: StyleMap | None = field(default=None, kw_only=True)  # None = pairs as of `PairMaker`

    def prepare_edits(self, foreground: Tensor, regions: Tensor, edits: Tensor, rng: BatchRNG) -> tuple[Tensor, Tensor]:
        """See `PairMaker.prepare_edits`: the style of some foregrounds is removed."""
        if self.style is None:
            return super().prepare_edits(foreground, regions, edits, rng)
        shares = UNTOUCHED_SHARE, MILD_SHARE, REMOVED_SHARE, RETOUCHED_SHARE
        _, mild, removed, retouched, full = rng.divide(edits, *shares)
        part = torch.cat([removed, retouched])
        own, before = rng.subset(part), foreground[part]
        degree = own.uniform_between(LEAST_REMOVED, MOST_REMOVED)
        changed = remove_style(before, self.style, degree, own.bernoulli(GAINS_SHARE))
        foreground[part] = restrain(before, changed, regions[part])
        return torch.cat([mild, retouched]), full
