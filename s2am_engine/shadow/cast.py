# SPDX-License-Identifier: GPL-3.0-or-later
"""The cast shadow: the alpha, projected onto the ground, with a blur that grows with the height (a penumbra).

It is blended from levels of blur, each twice as wide as the one before; the wider a level, the lower is the resolution
at which it is computed. Only the rows where a level contributes are computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from s2am_engine.image.arrays import STRIP_PIXELS, full_scale
from s2am_engine.image.rect import Rect
from s2am_engine.shadow.projection import Foreground, Projection
from s2am_engine.shadow.underside import Underside
from s2am_engine.types import Bytes, Floats, Mask

_SHARPEST = 0.0007  # σ of the blur at the ground line, in heights of the foreground
_LEAST_SIGMA = 0.5  # pixels: antialiasing
_CONTACT_BLUR = 0.006  # σ of the blur below the body, in heights of the foreground
_PENUMBRA = 0.12  # growth of σ with the height, for softness 1
_FLATTENING = 0.5  # vertical blur in relation to the horizontal one: the ground is foreshortened
_COARSE_SIGMA = 1.5  # least σ in pixels of a reduced level, so that enlarging it shows no grid
_LARGEST_SIDE = 32000  # of cv2.warpAffine, which counts in 16 bits
_TAILS = 3.5  # σ after which a blur is cut off
_FULL = 65535


def _reduced(alpha: Bytes | Floats, size: tuple[int, int]) -> Bytes | Floats:
    """Reduce an alpha to (width, height) by averages, in its own dtype; a copy if it has this size."""
    reduced: Any = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return reduced


def _box_blurred(alpha: Bytes | Floats, columns: int) -> Bytes | Floats:
    """Average an alpha over adjacent columns, in its own dtype; it is transparent outside."""
    # Not cv2.blur, which returns 0 for opaque 8-bit pixels of some narrow images (OpenCV 5.0.0).
    kernel = np.full((1, columns), 1 / columns, np.float32)
    averaged: Any = cv2.filter2D(alpha, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    return averaged


@dataclass(frozen=True)
class CastShadow:
    """The cast shadow of a foreground."""

    foreground: Foreground
    projection: Projection
    softness: float
    opacity: float
    underside: Underside

    @property
    def sharpest(self) -> float:
        """σ of the horizontal blur on the ground line, in pixels."""
        return max(_LEAST_SIGMA, _SHARPEST * self.foreground.box.height)

    @property
    def growth(self) -> float:
        """Increase of σ for each pixel of height."""
        return self.softness * _PENUMBRA

    @property
    def widest(self) -> float:
        """σ at the end of the shadow."""
        return self.sharpest + self.growth * max(0.0, self.projection.tallest(self.foreground.box))

    @property
    def reach(self) -> Rect:
        """The box outside of which the shadow is zero."""
        margin = _TAILS * self.widest + 1
        fallen = self.projection.shadow_box(self.foreground.box, (margin, _FLATTENING * margin))
        return fallen.union(self.underside.box)

    def render(self, box: Rect) -> Mask:
        """Return the opacity in a box, uint16."""
        levels = max(0, math.ceil(math.log2(self.widest / self.sharpest)))
        reductions = [self._reduction(level, box) for level in range(levels + 1)]
        padded = box.padded(reductions[-1])
        sources = self._sources(reductions)
        result: Mask | None = None
        for level in range(levels, -1, -1):
            reduction = reductions[level]
            size = padded.width // reduction, padded.height // reduction
            rows = self._rows(level, padded, reduction, last=level == levels)
            blurred = self._blurred(sources[level], level, padded, reduction, rows)
            if result is None:
                result = np.zeros(size[::-1], np.uint16)
                result[rows] = np.rint(blurred * self._scale(blurred))
                continue
            if result.shape[::-1] != size:
                result = np.asarray(cv2.resize(result, size, interpolation=cv2.INTER_LINEAR), np.uint16)
            self._blend(result, blurred, level, padded, reduction, rows)
        assert result is not None
        if reductions[0] > 1:
            result = np.asarray(cv2.resize(result, (padded.width, padded.height)), np.uint16)
        result = result[: box.height, : box.width]
        self._add_underside(result, box)
        return result

    def _add_underside(self, result: Mask, box: Rect) -> None:
        """Darken the ground between the lower edge of the body and the ground line, where it is projected; in place."""
        sigma = _CONTACT_BLUR * self.foreground.box.height
        part = self.underside.box.expanded(math.ceil(_TAILS * sigma)).intersection(box)
        if not (part.width and part.height):
            return
        reduction = 2 ** math.floor(math.log2(max(1.0, sigma * _FLATTENING / _COARSE_SIGMA)))
        covered = self.underside.extension(part, (-(-part.height // reduction), -(-part.width // reduction)))
        sigma /= reduction
        covered = np.asarray(cv2.GaussianBlur(covered, (0, 0), sigma, sigmaY=sigma * _FLATTENING), np.float32)
        dark = np.rint(covered * self._scale(covered)).astype(np.uint16)
        dark = np.asarray(cv2.resize(dark, (part.width, part.height)), np.uint16)
        window = result[part.top - box.top : part.bottom - box.top, part.left - box.left : part.right - box.left]
        np.maximum(window, dark, out=window)

    def _reduction(self, level: int, box: Rect) -> int:
        """Return by how much the resolution of a level is reduced, a power of 2."""
        sigma = self.sharpest * 2**level * _FLATTENING
        sides = (box.width, box.height, self.foreground.box.width, self.foreground.box.height)
        least = math.ceil(math.log2(max(1.0, max(sides) / _LARGEST_SIDE)))
        return int(2 ** max(least, math.floor(math.log2(max(1.0, sigma / _COARSE_SIGMA)))))

    def _sources(self, reductions: list[int]) -> list[Bytes | Floats]:
        """Return the alpha for each level, reduced to the resolution that it has after the projection."""
        height, width = self.foreground.alpha.shape
        flat = min(1.0, abs(self.projection.depth))
        # A shadow to the side is sheared: without an average over columns its outline has steps.
        shear = round(abs(self.projection.right / self.projection.depth))
        sources: list[Bytes | Floats] = []
        current: Bytes | Floats = self.foreground.alpha
        for index, reduction in enumerate(reductions):
            if index and reduction == reductions[index - 1]:
                sources.append(sources[-1])
                continue
            current = _reduced(current, (max(1, round(width / reduction)), max(1, round(height * flat / reduction))))
            if index == 0:
                self._stand_on_ground(current)
            if reduction > 1 and current.dtype == np.uint8:
                current = current.astype(np.float32) / np.float32(255)
            sources.append(_box_blurred(current, shear) if shear > 1 else current)
        return sources

    def _stand_on_ground(self, alpha: Bytes | Floats) -> None:
        """Cut off the parts of a reduced alpha, uint8, below the ground line, and extend the body to it; in place."""
        box, ground = self.foreground.box, self.projection.ground
        rows, columns = alpha.shape
        scale = rows / box.height
        first = max(0, math.floor((self.underside.box.top - box.top) * scale))
        lower = Rect(box.left, box.top + round(first / scale), box.right, box.bottom)
        if first < rows and lower.height:
            extended = self.underside.extension(lower, (rows - first, columns))
            np.maximum(alpha[first:], np.rint(extended * 255).astype(np.uint8), out=alpha[first:])
        left, right = ((float(ground.at(x)) - box.top) * scale for x in (box.left, box.right))
        if min(left, right) < rows:
            end = max(left, right, rows) + 1
            corners = [(0, left), (columns, right), (columns, end), (0, end)]
            cv2.fillPoly(alpha, [np.rint(np.array(corners)).astype(np.int32)], 0)

    def _rows(self, level: int, box: Rect, reduction: int, *, last: bool) -> slice:
        """Return the rows of a box, at a reduction, where a level contributes."""
        rows = box.height // reduction
        if last:
            return slice(0, rows)
        top_height = self.sharpest * (2 ** (level + 1) - 1) / self.growth
        ground = self.projection.ground
        ends = [
            float(ground.at(x)) + height * self.projection.depth
            for x in (box.left, box.right)
            for height in (0, top_height)
        ]
        margin = _TAILS * _FLATTENING * self.sharpest * 2**level + reduction
        first = math.floor((min(ends) - margin - box.top) / reduction)
        end = math.ceil((max(ends) + margin - box.top) / reduction)
        return slice(min(max(0, first), rows), min(max(0, end), rows))

    def _blurred(self, source: Bytes | Floats, level: int, box: Rect, reduction: int, rows: slice) -> Bytes | Floats:
        """Return some rows of the projected and blurred alpha, at a reduction."""
        if rows.stop <= rows.start:
            return np.zeros((0, box.width // reduction), np.float32)
        sigma = self.sharpest * 2**level / reduction
        down, right = (math.ceil(_TAILS * factor * sigma) + 1 for factor in (_FLATTENING, 1))
        shape = rows.stop - rows.start + 2 * down, box.width // reduction + 2 * right
        ours = self.foreground.box
        height, width = source.shape
        placed = np.array([[ours.width / width, 0, ours.left], [0, ours.height / height, ours.top], [0, 0, 1]])
        left, top = box.left - right * reduction, box.top + (rows.start - down) * reduction
        seen = np.array([[1 / reduction, 0, -left / reduction], [0, 1 / reduction, -top / reduction], [0, 0, 1]])
        centers = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the centers of pixels
        matrix = np.linalg.inv(centers) @ seen @ self.projection.matrix @ placed @ centers
        cast = cv2.warpAffine(source, matrix[:2], shape[::-1], flags=cv2.INTER_LINEAR)
        cast = cv2.GaussianBlur(cast, (0, 0), sigma, sigmaY=sigma * _FLATTENING, borderType=cv2.BORDER_REPLICATE)
        cropped: Any = cast[down:-down, right:-right]
        return cropped  # in the dtype of the source

    def _blend(self, result: Mask, blurred: Bytes | Floats, level: int, box: Rect, reduction: int, rows: slice) -> None:
        """Blend some rows of a level over those of the next wider one, by the blur that each pixel needs."""
        xs = box.left + (np.arange(result.shape[1]) + 0.5) * reduction
        step = max(1, STRIP_PIXELS // result.shape[1])
        scale = self._scale(blurred)
        for top in range(rows.start, rows.stop, step):
            strip = slice(top, min(top + step, rows.stop))
            ys = box.top + (np.arange(strip.start, strip.stop) + 0.5) * reduction
            heights = np.maximum(self.projection.heights(xs, ys), 0)
            needed = np.log2(1 + heights * (self.growth / self.sharpest))
            share = np.clip(level + 1 - needed, 0, 1).astype(np.float32)
            below = result[strip].astype(np.float32)
            wanted = blurred[strip.start - rows.start : strip.stop - rows.start] * scale
            result[strip] = np.rint(below + share * (wanted - below))

    def _scale(self, values: Bytes | Floats) -> np.float32:
        return np.float32(self.opacity * _FULL / full_scale(values.dtype))
