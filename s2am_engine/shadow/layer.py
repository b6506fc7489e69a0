# SPDX-License-Identifier: GPL-3.0-or-later
"""The silhouette that casts a shadow, and the layer of the shadow with its blending over the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from s2am_engine.color.srgb import LUMA
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.quarter_turns import turned_array, turned_box
from s2am_engine.shadow.settings import Color
from s2am_engine.types import Floats, Mask, Pixels

INVISIBLE = 24
"""Opacity, of 65535, below which a layer ends: a tenth of an 8-bit level."""

_DITHER_SIDE = 64  # also the rows that are blended at a time
_FULL = 65535


@dataclass(frozen=True, eq=False)
class Silhouette:
    """The alpha of a foreground and its place on the canvas.

    alpha: h×w, any depth; full scale = opaque.
    left, top: position of its upper left corner on the canvas, in pixels; parts may lie outside.
    """

    alpha: Mask
    left: int = 0
    top: int = 0

    def turned(self, turns: int, size: tuple[int, int] = (0, 0)) -> Silhouette:
        """Return the silhouette in an image of `size` (width, height) after quarter turns; see `turned_point`."""
        return Silhouette(turned_array(self.alpha, turns), *_turned_corner(self, turns, size))


@dataclass(frozen=True, eq=False)
class ShadowLayer:
    """A layer to multiply with the background beneath a foreground, no larger than the shadow on the canvas.

    The background's encoded values become value · (1 − a · (1 − color)), with a = alpha / 65535.

    left, top: position on the canvas, in pixels; not negative.
    alpha: h×w uint16, 65535 = opaque; 0×0 if there is no shadow.
    color: of all pixels.
    """

    left: int
    top: int
    alpha: Mask
    color: Color

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the canvas that the layer covers."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)

    def turned(self, turns: int, size: tuple[int, int]) -> ShadowLayer:
        """Return the layer in an image of `size` (width, height) after quarter turns; see `turned_point`."""
        if not self.alpha.size:
            return self
        return ShadowLayer(*_turned_corner(self, turns, size), turned_array(self.alpha, turns), self.color)

    def opacity(self, dtype: np.dtype[Any] | type[Any]) -> Mask:
        """Return the alpha, h×w, as uint8 (dithered, so that soft shadows show no bands), uint16 or float32."""
        if dtype == np.uint16:
            return self.alpha
        if dtype != np.uint8:
            return self.alpha.astype(np.float32) / np.float32(_FULL)
        levels = np.empty(self.alpha.shape, np.uint8)
        pattern = self._pattern()
        for rows in self._strips():
            exact = self.alpha[rows] * np.float32(255 / _FULL)
            # Neither transparent nor opaque pixels change: the pattern lies within (0, 1).
            levels[rows] = exact + pattern[: len(exact)]
        return levels

    def rgba(self, height: int, width: int, dtype: np.dtype[Any] | type[Any] = np.uint8) -> Pixels:
        """Return the layer on a transparent canvas.

        Args:
            height: of the canvas.
            width: of the canvas.
            dtype: uint8, uint16 or float32.

        Returns:
            H×W×4, not premultiplied.
        """
        canvas = np.zeros((height, width, 4), dtype)
        canvas[..., :3] = np.array(_scaled(self.color, canvas.dtype)).astype(dtype)
        canvas[self.window][..., 3] = self.opacity(dtype)
        return canvas

    def darken(self, pixels: Pixels, *, gray: bool = False) -> None:
        """Multiply the canvas with the layer, in place; pixels without shadow keep their bits.

        Args:
            pixels: H×W×3, uint8 (dithered), uint16 or float32.
            gray: keep gray pixels gray, by the color's luma.
        """
        color = np.array(self.color, np.float32)
        if gray:
            color[:] = color @ np.array(LUMA, np.float32)
        if not self.alpha.size:
            return
        window = pixels[self.window]
        pattern = cv2.merge([self._pattern() - np.float32(0.5)] * 3) if pixels.dtype == np.uint8 else None
        depth = cv2.CV_16U if pixels.dtype == np.uint16 else cv2.CV_32F
        for rows in self._strips():
            part = window[rows]
            levels = cv2.multiply(part, _transmittance(self.alpha[rows], color), dtype=depth)
            if pattern is not None:
                levels = cv2.add(levels, pattern[: len(part)], dtype=cv2.CV_8U)
            part[:] = levels

    def _strips(self) -> list[slice]:
        height = len(self.alpha)
        return [slice(top, min(top + _DITHER_SIDE, height)) for top in range(0, height, _DITHER_SIDE)]

    def _pattern(self) -> Floats:
        """Return the dither pattern of each strip; it depends on the place on the canvas only."""
        rows = np.roll(_PATTERN, (-self.top % _DITHER_SIDE, -self.left % _DITHER_SIDE), axis=(0, 1))
        width = self.alpha.shape[1]
        return np.ascontiguousarray(np.tile(rows, (1, width // _DITHER_SIDE + 1))[:, :width])


def _turned_corner(part: Silhouette | ShadowLayer, turns: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return left and top of a part of an image of `size` (width, height) after quarter turns."""
    height, width = part.alpha.shape
    left, top, *_ = turned_box((part.left, part.top, part.left + width, part.top + height), turns, size)
    return round(left), round(top)


def _transmittance(alpha: Mask, color: Floats) -> Floats:
    """Return the factors h×w×3 that an alpha, uint16, and a color stand for; exactly 1 where the alpha is 0."""
    channels = [cv2.addWeighted(alpha, -(1 - float(value)) / _FULL, alpha, 0, 1, dtype=cv2.CV_32F) for value in color]
    return np.asarray(cv2.merge(channels), np.float32)


def _scaled(color: Color, dtype: np.dtype[Any]) -> list[float]:
    scale = full_scale(dtype)
    return [round(value * scale) if scale > 1 else value for value in color]


def _interleaved_gradient_noise(side: int) -> Floats:
    """Return a dither pattern of evenly spread values within (0, 1), side×side.

    Source: Jimenez, Next Generation Post Processing in Call of Duty: Advanced Warfare, SIGGRAPH 2014.
    """
    y, x = np.mgrid[:side, :side].astype(np.float64)
    return np.asarray((52.9829189 * ((0.06711056 * x + 0.00583715 * y) % 1)) % 1, np.float32).clip(0.001, 0.999)


_PATTERN = _interleaved_gradient_noise(_DITHER_SIDE)
