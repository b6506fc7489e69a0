# SPDX-License-Identifier: GPL-3.0-or-later
"""Paste a layer on a background: the composite, and the layer's alpha as its mask."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from s2am_common.errors import ImageError
from s2am_engine.image import icc
from s2am_engine.image.arrays import STRIP_PIXELS, luma, to_depth, to_unit
from s2am_engine.image.data import ImageData
from s2am_engine.shadow.layer import ShadowLayer
from s2am_engine.types import Floats, Mask, Pixels

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Placement:
    """The part of a layer within a background.

    top, left: position on the background, in pixels.
    pixels: h×w×3, in the background's depth and profile. alpha: h×w, in the same depth.
    """

    top: int
    left: int
    pixels: Pixels
    alpha: Mask

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the background below the layer."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def mask(self, height: int, width: int) -> Mask:
        """Return the alpha on an empty H×W mask."""
        whole = np.zeros((height, width), self.alpha.dtype)
        whole[self.window] = self.alpha
        return whole


def limit_alpha(image: ImageData, mask: Mask) -> ImageData:
    """Return an image with a mask, H×W of any mask dtype, as alpha; transparent pixels remain so."""
    alpha = to_depth(mask, image.pixels.dtype)
    if image.alpha is not None:
        alpha = np.minimum(alpha, image.alpha)
    return dataclasses.replace(image, alpha=alpha)


def place_layer(layer: ImageData, background: ImageData, at: tuple[int, int] | None = None) -> Placement:
    """Crop and convert a layer for a position on a background.

    Args:
        layer: a cutout with alpha.
        background: the image to paste it on.
        at: (x, y) of the layer's upper left corner on the background, in pixels; None = centered. Layers that reach
            beyond the edge are cropped; values may be negative.

    Raises:
        ImageError: the layer has no transparency, or lies outside.
    """
    if layer.coverage is None:
        raise ImageError("The layer has no transparency: cut out its subject first.", code="image.no-alpha")
    height, width = background.pixels.shape[:2]
    rows, columns = layer.coverage.shape
    x, y = layer_position(layer.coverage.shape, (height, width), at)
    visible = (
        slice(max(0, -y), max(0, min(rows, height - y))),
        slice(max(0, -x), max(0, min(columns, width - x))),
    )
    alpha = layer.coverage[visible]
    if alpha.size == 0 or alpha.max() == 0:
        raise ImageError(f"At {x},{y} no part of the layer lies on the background.", code="image.outside", x=x, y=y)
    if alpha.size < layer.coverage.size and (share := 1 - np.count_nonzero(alpha) / np.count_nonzero(layer.coverage)):
        percent = "Less than 1" if share < 0.01 else f"{min(99, 100 * share):.0f}"
        logger.warning("%s %% of the layer lies beyond the edge of the background and is cut off.", percent)
    pixels = convert_colors(layer.pixels[visible], layer.profile, background)
    return Placement(max(0, y), max(0, x), pixels, to_depth(alpha, background.pixels.dtype))


def layer_position(
    layer: Sequence[int], background: Sequence[int], at: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Return the position (x, y) of a layer's upper left corner on its background, in pixels; `at`, or centered.

    Args:
        layer: its shape, (H, W, …).
        background: the shape of the background.
        at: a position; None = centered.
    """
    return at if at is not None else ((background[1] - layer[1]) // 2, (background[0] - layer[0]) // 2)


def convert_colors(pixels: Pixels, profile: bytes | None, like: ImageData) -> Pixels:
    """Convert pixels from a profile to the profile and depth of another image, in the deeper of the two depths."""
    dtype = like.pixels.dtype
    if dtype.itemsize > pixels.dtype.itemsize:
        pixels = to_depth(pixels, dtype)
    return to_depth(icc.convert(pixels, profile, like.profile), dtype)


def paste_layer(
    placement: Placement, pixels: Pixels, background: ImageData, shadow: ShadowLayer | None = None
) -> ImageData:
    """Blend a placed layer's pixels over the background ("over", in the background's own encoding, as editors do).

    Args:
        placement: position and alpha.
        pixels: h×w×3, the placed layer's pixels, harmonized or not.
        background: not changed; pixels under alpha 0 and without shadow are bit-identical in the result. A gray one
            stays gray.
        shadow: layer between both; None = no shadow.
    """
    result = background.pixels.copy()
    if shadow is not None:
        shadow.darken(result, gray=background.gray)
    window = result[placement.window]
    alpha = None if background.alpha is None else background.alpha.copy()
    height, width = placement.alpha.shape
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        over = luma(pixels[rows])[..., None] if background.gray else pixels[rows]
        cover = to_unit(placement.alpha[rows])
        if alpha is not None:
            behind = alpha[placement.window][rows]
            cover, together = composite_alpha(cover, to_unit(behind))
            behind[:] = to_depth(together, behind.dtype)
        window[rows] = blend_over(over, window[rows], cover[..., None])
    return dataclasses.replace(background, pixels=result, alpha=alpha)


def composite_alpha(cover: Floats, behind: Floats) -> tuple[Floats, Floats]:
    """Return the layer's share of the color over a translucent background, and the opacity of both.

    Over a fully transparent background the layer's own color counts, not the hidden color below it. Source: Porter &
    Duff, 1984.

    Args:
        cover: the layer's alpha, in [0, 1].
        behind: the background's alpha, in [0, 1].
    """
    together = cover + behind * (1 - cover)
    return np.divide(cover, together, out=np.zeros_like(cover), where=together > 0), together


def blend_over(over: Pixels, under: Pixels, cover: Floats) -> Pixels:
    """Interpolate between two strips; bit-identical to `under` where the cover is 0."""
    mixed = over * cover + under * (1 - cover)
    if np.issubdtype(under.dtype, np.integer):
        mixed = np.rint(mixed)
    return np.where(cover > 0, mixed, under).astype(under.dtype)
