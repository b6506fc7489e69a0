# SPDX-License-Identifier: GPL-3.0-or-later
"""Editing of masks and their edges: brush strokes, combination, refinement, and decontamination of edge colors."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import bounding_rect
from s2am_editor.document.model import DocumentError, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_engine.image.arrays import full_scale, to_depth, to_uint8, to_unit
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.image.rect import Rect
from s2am_engine.types import FractionCallback

_BLOCK_SIZE = 512
_BLUR_RADII = (40, 6)  # pixels: a wide estimate first, then a narrow one


@dataclass(frozen=True)
class Brush:
    """A round brush for masks.

    Attributes:
        size: diameter in pixels of the mask, above 0.
        hardness: 1 = sharp edge, 0 = falls off from the center on.
        erase: paint with 0 instead of 255.

    Raises:
        ValueError: size or hardness is out of range.
    """

    size: float = 60.0
    hardness: float = 0.8
    erase: bool = False

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (self.size > 0 and 0 <= self.hardness <= 1):
            raise ValueError(f"a brush needs a size above 0 and a hardness from 0 to 1, not {self}")


def paint_stroke(mask: TiledMask, points: Sequence[tuple[float, float]], brush: Brush) -> TiledMask:
    """Paint along points (x, y), in pixels of the mask; a single point is a dab.

    Painting twice with the same brush has no further effect: a stroke can be given in pieces, each of which starts at
    the end of the previous one.
    """
    segments = list(itertools.pairwise(points)) or [(point, point) for point in points]
    for start, end in segments:
        area = bounding_rect([start, end]).expanded(int(brush.size / 2) + 2).intersection(mask.rect)
        if area.is_empty:
            continue
        painted = np.rint(_stroke_strength(area, start, end, brush) * 255).astype(np.uint8)
        before = mask.read(area)
        after = np.minimum(before, 255 - painted) if brush.erase else np.maximum(before, painted)
        if not np.array_equal(before, after):
            mask = mask.replaced(area.left, area.top, after)
    return mask


def _stroke_strength(
    area: Rect, start: tuple[float, float], end: tuple[float, float], brush: Brush
) -> NDArray[np.float32]:
    """Return the strength of the brush for each pixel of an area: 1 in its core, a smoothstep down to 0 at its edge."""
    x = np.arange(area.left, area.right, dtype=np.float32)[None] + np.float32(0.5 - start[0])
    y = np.arange(area.top, area.bottom, dtype=np.float32)[:, None] + np.float32(0.5 - start[1])
    across, down = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    squared_length = across * across + down * down
    if squared_length > 0:
        position = np.clip((x * across + y * down) / squared_length, 0, 1)
        x, y = x - position * across, y - position * down
    radius = brush.size / 2
    falloff = max(radius * (1 - brush.hardness), 1.0)  # a sharp edge is antialiased over one pixel
    share = np.clip((radius + 0.5 - np.hypot(x, y)) / np.float32(falloff), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


class Combination(Enum):
    """Set operation between a new mask and the mask of a layer."""

    REPLACE = "replace"
    ADD = "add"
    SUBTRACT = "subtract"
    INTERSECT = "intersect"


def combine_masks(before: TiledMask | None, new: TiledMask, combination: Combination) -> TiledMask:
    """Combine a layer's mask with a new one of the same size.

    Args:
        before: the layer's mask; None = it has none yet: parts are added to nothing, and subtracted from all of it.
        new: the marked part.
        combination: the operation.
    """
    match combination:
        case Combination.ADD if before is not None:
            return before.combined(new, np.maximum)
        case Combination.INTERSECT if before is not None:
            return before.combined(new, np.minimum)
        case Combination.SUBTRACT:
            whole = before or TiledMask(new.width, new.height, 255)
            return whole.combined(new, lambda old, part: np.minimum(old, 255 - part))
    return new


def shows_any(layer: Layer, mask: TiledMask) -> bool:
    """Return True if a layer with this mask would show at least one pixel that is more than half opaque."""
    box = mask.box()
    if box.is_empty:
        return False
    alpha = layer.raster.alpha
    covered = mask.read(box) >= 128
    return bool((covered if alpha is None else covered & (to_uint8(alpha[box.slices]) >= 128)).any())


def alpha_to_mask(layer: Layer) -> TiledMask:
    """Return a layer's alpha as an editable mask.

    Raises:
        DocumentError: the layer is opaque.
    """
    alpha = layer.raster.alpha
    if alpha is None or alpha.min() >= full_scale(alpha.dtype):
        raise DocumentError(
            f"“{layer.name}” has no transparency: draw a box around its subject, or paint a mask.",
            code="document.opaque",
        )
    return TiledMask.from_array(to_uint8(alpha))


def refine_mask(
    layer: Layer, mask: TiledMask, settings: EdgeSettings, progress: FractionCallback | None = None
) -> TiledMask:
    """Change the edge of a mask of a layer, see `s2am_engine.image.mask_edges.refine_edges`.

    Args:
        layer: its pixels serve for matting.
        mask: of the layer's size.
        settings: the changes; lengths are in pixels of the layer.
        progress: see `FractionCallback`.
    """
    if mask.is_empty or settings.is_neutral:
        return mask
    area = mask.box().expanded(settings.reach).intersection(mask.rect)
    values = refine_edges(mask.read(area), settings, layer.raster.pixels[area.slices], progress)
    return mask.replaced(area.left, area.top, values)


def decontaminate_edges(layer: Layer, progress: FractionCallback | None = None) -> Raster:
    """Remove the background's color from the translucent edge of a cutout; all other pixels stay bit-identical.

    Foreground and background colors are estimated by weighted means and corrected to explain the observed mixture
    (Forte, “Approximate Fast Foreground Color Estimation”, ICIP 2021). Alpha does not change.

    Args:
        layer: its alpha and mask define the edge; its opacity is ignored.
        progress: see `FractionCallback`.

    Raises:
        DocumentError: the layer has no translucent pixel.
    """
    pixels = layer.raster.pixels.copy()
    width, height = layer.size
    bounds, has_edge = Rect(0, 0, width, height), False
    for top in range(0, height, _BLOCK_SIZE):
        if progress:
            progress(top / height)
        for left in range(0, width, _BLOCK_SIZE):
            block = Rect(left, top, left + _BLOCK_SIZE, top + _BLOCK_SIZE).intersection(bounds)
            coverage = _coverage(layer, block)
            is_edge = (coverage > 0) & (coverage < 1)
            if not is_edge.any():
                continue
            has_edge = True
            context = block.expanded(sum(_BLUR_RADII)).intersection(bounds)
            colors = to_unit(layer.raster.pixels[context.slices])
            foreground = _estimate_foreground(colors, _coverage(layer, context))
            inner = foreground[block.translated(-context.left, -context.top).slices]
            pixels[block.slices][is_edge] = to_depth(inner[is_edge], pixels.dtype)
    if not has_edge:
        raise DocumentError(
            f"“{layer.name}” has no soft edge: cut it out first, or refine its edges.", code="document.no-soft-edge"
        )
    return Raster(pixels, layer.raster.alpha)


def _coverage(layer: Layer, rect: Rect) -> NDArray[np.float32]:
    """Return alpha × mask of a part of a layer's own pixels: h×w in [0, 1]."""
    coverage = np.ones((rect.height, rect.width), np.float32)
    if layer.raster.alpha is not None:
        coverage *= to_unit(layer.raster.alpha[rect.slices])
    if layer.mask is not None:
        coverage *= to_unit(layer.mask.read(rect))
    return coverage


def _estimate_foreground(colors: NDArray[np.float32], coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimate the foreground's colors h×w×3 from their mixture with the background's."""
    foreground, background = colors, colors
    alpha = coverage[..., None]
    for radius in _BLUR_RADII:
        foreground = _weighted_mean(foreground, coverage, radius)
        background = _weighted_mean(background, 1 - coverage, radius)
        # The residual of the mixture is detail of the foreground, in proportion to its opacity.
        foreground = foreground + alpha * (colors - alpha * foreground - (1 - alpha) * background)
        foreground = np.clip(foreground, 0, 1)
    return foreground


def _weighted_mean(colors: NDArray[np.float32], weights: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """Return the weighted means around each pixel; its own color where all weights are 0."""
    size = (2 * radius + 1,) * 2
    total = np.asarray(cv2.blur(weights, size), np.float32)[..., None]
    sums = np.asarray(cv2.blur(colors * weights[..., None], size), np.float32)
    return np.where(total > 1e-5, sums / np.maximum(total, np.float32(1e-5)), colors)
