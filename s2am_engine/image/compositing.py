# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a layer on a background: the composite, and the layer's alpha as its mask."""

from __future__ import annotations

import dataclasses

import numpy as np

from s2am_engine.errors import ImageError
from s2am_engine.image import profiles
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import Pixels, brightness, full_scale
from s2am_engine.inference.network_input import Floats, to_unit

STRIP_PIXELS = 1 << 18


@dataclasses.dataclass(frozen=True)
class Placement:
    """The part of a layer that lies on a background, and where."""

    top: int
    left: int
    pixels: Pixels  # h×w×3, in the background's depth and profile
    alpha: Pixels  # h×w, same depth

    @property
    def window(self) -> tuple[slice, slice]:
        """The background's rows and columns that it covers."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def mask(self, height: int, width: int) -> Pixels:
        """The alpha on an empty H×W mask."""
        whole = np.zeros((height, width), self.alpha.dtype)
        whole[self.window] = self.alpha
        return whole


def place(layer: ImageData, background: ImageData, at: tuple[int, int] | None = None) -> Placement:
    """Place a layer on a background.

    Args:
        layer: a cut-out; its alpha says what of it is there.
        background: what it is pasted on.
        at: (x, y) of the layer's upper left corner on the background, in pixels; None = centered. Negative values and
            layers that reach beyond the edge are cropped.

    Raises:
        ImageError: the layer has no transparency, lies outside, or can't be brought to the background's profile.
    """
    if layer.alpha is None:
        raise ImageError("The layer has no transparency: cut out its subject first.", code="image.no-alpha")
    height, width = background.pixels.shape[:2]
    rows, columns = layer.alpha.shape
    x, y = at if at is not None else ((width - columns) // 2, (height - rows) // 2)
    seen = (
        slice(max(0, -y), max(0, min(rows, height - y))),
        slice(max(0, -x), max(0, min(columns, width - x))),
    )
    alpha = layer.alpha[seen]
    if alpha.size == 0 or alpha.max() == 0:
        raise ImageError(f"At {x},{y} no part of the layer lies on the background.", code="image.outside", x=x, y=y)
    pixels = convert(layer.pixels[seen], layer.profile, background)
    return Placement(max(0, y), max(0, x), pixels, to_depth(alpha, background.pixels.dtype))


def convert(pixels: Pixels, profile: bytes | None, like: ImageData) -> Pixels:
    """Bring pixels to another picture's profile and depth.

    Raises:
        ImageError: different profiles at more than 8 bits, where a conversion would lose depth.
    """
    same = profile == like.profile or (profiles.is_srgb(profile) and profiles.is_srgb(like.profile))
    if not same:
        if pixels.dtype != np.uint8:
            raise ImageError(
                "The layer and the background have different color profiles at more than 8 bits: "
                "convert the layer to the background's profile first.",
                code="image.profile",
            )
        pixels = profiles.from_srgb(profiles.to_srgb(pixels, profile), like.profile)
    return to_depth(pixels, like.pixels.dtype)


def to_depth(array: Pixels, dtype: np.dtype[np.generic]) -> Pixels:
    """Scale values to another depth, rounded where it is an integer one."""
    if array.dtype == dtype:
        return array
    factor = full_scale(dtype) / full_scale(array.dtype)
    scaled: Pixels = array * np.float32(factor)
    if np.issubdtype(dtype, np.integer):
        scaled = np.rint(np.clip(scaled, 0, full_scale(dtype)))
    return scaled.astype(dtype)


def paste(placement: Placement, pixels: Pixels, background: ImageData) -> ImageData:
    """Blend a placed layer's pixels over the background (“over”, in the background's own encoding, as editors do).

    Args:
        placement: where, and with what alpha.
        pixels: h×w×3, the placed layer's pixels, harmonized or not.
        background: not changed; pixels under alpha 0 come out bit-identical. A gray one stays gray.
    """
    result = background.pixels.copy()
    window = result[placement.window]
    alpha = None if background.alpha is None else background.alpha.copy()
    height, width = placement.alpha.shape
    step = max(1, STRIP_PIXELS // width)
    for top in range(0, height, step):
        rows = slice(top, top + step)
        over = brightness(pixels[rows])[..., None] if background.gray else pixels[rows]
        cover = to_unit(placement.alpha[rows])
        if alpha is not None:
            behind = alpha[placement.window][rows]
            cover, together = cover_over(cover, to_unit(behind))
            behind[:] = to_depth(together, behind.dtype)
        window[rows] = mix(over, window[rows], cover[..., None])
    return dataclasses.replace(background, pixels=result, alpha=alpha)


def cover_over(cover: Floats, behind: Floats) -> tuple[Floats, Floats]:
    """The layer's share of the color over something transparent, and the opacity of both (Porter & Duff, 1984).

    Over a wholly transparent background the layer's own color counts, not what hides beneath.
    """
    together = cover + behind * (1 - cover)
    return np.divide(cover, together, out=np.zeros_like(cover), where=together > 0), together


def mix(over: Pixels, under: Pixels, cover: Floats) -> Pixels:
    """Blend two strips; where nothing covers, `under` stays as it is to the bit."""
    mixed = over * cover + under * (1 - cover)
    if np.issubdtype(under.dtype, np.integer):
        mixed = np.rint(mixed)
    return np.where(cover > 0, mixed, under).astype(under.dtype)
