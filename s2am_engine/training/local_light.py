# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of local light: foregrounds that lack the falling-off or one-sided light of their background, or have none.

Kinds of pairs: `missing` light, the whole photograph is relit by a field of gains, the foreground is not; `uneven`
light, the foreground is relit, the photograph is not; no local difference, in a photograph that is relit as a whole or
not. The mean exposure of the foreground is the same in composite and target, as a color map has matched it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.fit import fit_color_map
from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.image.arrays import bounding_box
from s2am_engine.networks.attention import region_mean
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.degrade import degrade
from s2am_engine.training.pair_source import Batch, resize_square, stack_planes
from s2am_engine.training.recolor import recolor
from s2am_engine.training.recolor_settings import Recoloring
from s2am_engine.training.scene_pairs import Scene, ScenePairs
from s2am_engine.training.synthetic_pairs import PairMaker, given_mask

MISSING, UNEVEN = 0.4, 0.35
OTHER_LIGHT = 0.35  # share of the foregrounds with missing light that have another light instead
RELIT = 0.5  # share of the photographs without local difference that are relit as a whole
EDITED = 0.25  # share of the photographs that are edited first
FAINTEST_LIGHT, STRONGEST_LIGHT = 0.08, 0.8  # standard deviation of the gains in the foreground, in stops
MOST_LIGHT = 2.5  # stops from the mean of the foreground
SMALLEST_CROP, LARGEST_CROP = 1.35, 2.1  # relative to the foreground's box
# Residuals of the global change after a color map: deviations of all stops, of each channel's, and of log gamma.
RESIDUAL_EXPOSURE, RESIDUAL_TINT, RESIDUAL_GAMMA = 0.12, 0.06, 0.05
PLAIN_EDIT = Recoloring(weakest=0.2, strongest=1.0).without("falloff", "patches")
FEWEST_PIXELS = 0.02  # share of the crop that a foreground needs


@dataclass
class LocalLightPairs(PairMaker):
    """Makes pairs of local light from photographs with regions."""

    missing: float = field(default=MISSING, kw_only=True)
    uneven: float = field(default=UNEVEN, kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        rng = np.random.default_rng([self.seed, index])
        chosen = np.arange(count) if self.in_turn else rng.integers(len(self.photographs), size=count)
        cuts = [self.crop_region(int(number), rng) for number in chosen]
        pictures, regions = (stack_planes(column, self.device) for column in zip(*cuts, strict=True))
        batch_rng = BatchRNG.seeded(rng, count, self.device)
        composite, target = self.relit(pictures, regions, batch_rng)
        return Batch(composite, given_mask(regions, batch_rng), target)

    def relit(self, pictures: Tensor, regions: Tensor, rng: BatchRNG) -> tuple[Tensor, Tensor]:
        """Return composites and targets (B, 3, N, N) of photographs with regions (B, 1, N, N)."""
        whole = torch.ones_like(regions)
        rng.apply_to_share(
            pictures, EDITED, lambda some, at, rng: recolor(some, whole[at], rng, PLAIN_EDIT, self.styles)
        )
        light, other = (draw_light(regions, rng) for _ in range(2))
        missing, uneven, same = rng.split(self.missing, self.uneven)
        background, wanted, given = (torch.zeros_like(light) for _ in range(3))  # stops
        background[missing] = wanted[missing] = light[missing]
        given[missing] = other[missing] * rng.subset(missing).bernoulli(OTHER_LIGHT)
        given[uneven] = light[uneven]
        lit = light[same] * rng.subset(same).bernoulli(RELIT)
        background[same] = wanted[same] = given[same] = lit
        # Whole photographs become darker rather than brighter, as their white would be clipped.
        exposure = -(background.amax(dim=(2, 3), keepdim=True) - rng.uniform_between(0, 0.6)).clamp_min(0)
        behind = srgb_tensor_to_linear(pictures) * torch.exp2(exposure)
        foreground = srgb_tensor_to_linear(degrade(pictures, rng, self.degradation)) * torch.exp2(exposure)
        foreground = foreground.pow(torch.exp(RESIDUAL_GAMMA * rng.normal(1, 1, 1)))
        foreground = foreground * torch.exp2(
            RESIDUAL_EXPOSURE * rng.normal(1, 1, 1) + RESIDUAL_TINT * rng.normal(3, 1, 1)
        )
        behind, target, composite = (
            linear_tensor_to_srgb(light * torch.exp2(stops)).clamp(0, 1)
            for light, stops in ((behind, background), (foreground, wanted), (foreground, given))
        )
        target, composite = (torch.lerp(behind, one, regions) for one in (target, composite))
        return ((composite * 255).round() / 255).contiguous(), target.contiguous()

    def crop_region(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], ...]:
        """Return N×N×3 image and N×N region, uint8, of a photograph around one of its regions."""
        photograph = self.photographs[number]
        for _ in range(4):
            region = photograph.regions[int(rng.integers(len(photograph.regions)))]
            found = crop_around(region, rng.uniform(SMALLEST_CROP, LARGEST_CROP), rng)
            if found is not None:
                break
        else:
            found = slice(None), slice(None)
        image, mask = photograph.image[found], region[found].view(np.uint8) * np.uint8(255)
        if rng.random() < 0.5:
            image, mask = image[:, ::-1], mask[:, ::-1]
        return resize_square(image, self.size), resize_square(mask, self.size)


def crop_around(
    region: NDArray[np.bool_], factor: float, rng: np.random.Generator | None = None
) -> tuple[slice, slice] | None:
    """Return rows and columns around a region, within the image; None if little of them is foreground or background.

    Args:
        region: H×W.
        factor: side of the crop relative to the region's box.
        rng: moves the crop by up to a tenth of its side; None = the region is in the middle.
    """
    box = bounding_box(region)
    if box is None:
        return None
    parts = []
    for first, last, length in ((box[1], box[3], region.shape[0]), (box[0], box[2], region.shape[1])):
        side = factor * (last - first)
        middle = (first + last) / 2 + (0 if rng is None else rng.uniform(-0.1, 0.1) * side)
        start, stop = math.floor(middle - side / 2), math.ceil(middle + side / 2)
        parts.append(slice(max(0, min(start, int(first))), min(length, max(stop, int(last)))))
    share = region[parts[0], parts[1]].mean()
    return (parts[0], parts[1]) if FEWEST_PIXELS < share < 0.9 else None


def draw_light(regions: Tensor, rng: BatchRNG) -> Tensor:
    """Draw fields of gains in stops, whose mean over each region (B, 1, H, W) is 0: (B, 1, H, W).

    Linear gradients, radial falloff from a point, soft patches and soft edges of shadows, or two of them together.
    """
    grid = [torch.linspace(-1, 1, side, device=rng.device) for side in regions.shape[2:]]
    down, right = grid[0].view(1, 1, -1, 1), grid[1].view(1, 1, 1, -1)
    angle = rng.uniform_between(0, 2 * math.pi)
    along = torch.cos(angle) * right + torch.sin(angle) * down
    place = 1.5 * (2 * rng.uniform(2, 1, 1) - 1)
    squared = (right - place[:, :1]) ** 2 + (down - place[:, 1:]) ** 2
    radial = -torch.log2(1 + squared / rng.uniform_between(0.3, 1.2) ** 2) * (1 - 2 * rng.bernoulli(0.2))
    cloudy = F.interpolate(rng.normal(1, 4, 4), size=regions.shape[2:], mode="bicubic", align_corners=True)
    edge = torch.sigmoid((along - rng.uniform_between(-0.4, 0.4)) / rng.uniform_between(0.06, 0.4))
    kinds = torch.cat([each.expand(len(regions), 1, *regions.shape[2:]) for each in (along, radial, cloudy, edge)], 1)
    kinds = kinds / spread(kinds, regions).clamp_min(0.05)
    first, second = (F.one_hot(rng.integers(4), 4).view(-1, 4, 1, 1) for _ in range(2))
    light = (kinds * (first + second * rng.bernoulli(0.3))).sum(dim=1, keepdim=True)
    light = light - region_mean(light, regions)[:, :, None, None]
    deviation = rng.uniform_between(math.log(FAINTEST_LIGHT), math.log(STRONGEST_LIGHT)).exp()
    light = light * deviation / spread(light, regions).clamp_min(0.05)
    light = MOST_LIGHT * torch.tanh(light / MOST_LIGHT)
    return light - region_mean(light, regions)[:, :, None, None]


def spread(fields: Tensor, regions: Tensor) -> Tensor:
    """Return the standard deviation of fields (B, C, H, W) over regions (B, 1, H, W): (B, C, 1, 1)."""
    mean = region_mean(fields, regions)[:, :, None, None]
    return region_mean((fields - mean) ** 2, regions).sqrt()[:, :, None, None]


@dataclass
class SceneLightPairs(ScenePairs):
    """Pairs of scenes after the best global color map: what remains is local."""

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        batch = super().piece(index, count)
        composite = batch.composite.clone()
        for one, mask, target in zip(composite, batch.mask, batch.target, strict=True):
            before, after = (pixels.permute(1, 2, 0).cpu().numpy() for pixels in (one, target))
            recolored = fit_color_map(before, after, mask[0].cpu().numpy())(before).clip(0, 1)
            one.lerp_(torch.from_numpy(recolored).permute(2, 0, 1).to(one), mask)
        return Batch((composite * 255).round() / 255, batch.mask, batch.target)

    def cut(self, scene: Scene, rng: np.random.Generator) -> tuple[NDArray[np.uint8], ...]:
        """See `ScenePairs.cut`: a crop around the region."""
        one, other = scene.pairs[int(rng.integers(len(scene.pairs)))]
        region = scene.regions[int(rng.integers(len(scene.regions)))]
        part = crop_around(region, rng.uniform(SMALLEST_CROP, LARGEST_CROP), rng) or (slice(None), slice(None))
        step = -1 if rng.random() < 0.5 else 1
        cuts: Sequence[NDArray[np.uint8]] = (
            scene.pictures[one][part],
            scene.pictures[other][part],
            region[part].view(np.uint8) * np.uint8(255),
        )
        return tuple(resize_square(cut[:, ::step], self.size) for cut in cuts)
