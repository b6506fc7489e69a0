# SPDX-License-Identifier: GPL-3.0-or-later
"""The contact shadow: the darkness where a body and the ground block each other's light (ambient occlusion)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from s2am_engine.image.rect import EMPTY_RECT, Rect
from s2am_engine.shadow.layer import INVISIBLE
from s2am_engine.shadow.projection import Foreground, bounds_of
from s2am_engine.shadow.underside import Underside
from s2am_engine.types import Floats, Mask

_SIZE = 0.04  # unit of the blur, in the shorter side of the foreground
_PARTS = ((0.4, 1.8), (1.4, 1.3), (3.2, 1.0))  # narrow to wide: σ in units of the size, and optical density
_FLATTENING = 0.5  # vertical blur in relation to the horizontal one: the ground is foreshortened
_COARSE_SIGMA = 1.5  # least σ in pixels after a reduction, so that enlarging it shows no grid
_FULL = 65535
_TAILS = 3.0  # σ after which a blur is cut off


@dataclass(frozen=True)
class ContactShadow:
    """The contact shadow of a foreground: the darkness where the sky's light is blocked from both sides."""

    foreground: Foreground
    underside: Underside

    @property
    def size(self) -> float:
        """Unit of its blur, in pixels."""
        return max(1.0, _SIZE * min(self.foreground.box.width, self.foreground.box.height))

    @property
    def _margin(self) -> int:
        return math.ceil(_TAILS * _PARTS[-1][0] * self.size) + 1

    @property
    def reach(self) -> Rect:
        """The box outside of which the shadow is zero."""
        box, margin = self.foreground.box, self._margin
        ends = [float(self.underside.ground.at(x)) for x in (box.left, box.right)]
        return Rect(
            box.left - margin,
            math.floor(self.underside.box.top - self.size) - margin,
            box.right + margin,
            max(math.ceil(max(ends)), box.bottom) + margin,
        )

    def render(self, box: Rect) -> tuple[Rect, Mask]:
        """Return the part of a box where the shadow is visible, perhaps empty, and its opacity there, uint16."""
        reductions = [self._reduction(relative) for relative, _ in _PARTS]
        margin = -(-self._margin // reductions[-1]) * reductions[-1]  # for what lies beyond the canvas
        padded = box.expanded(margin).padded(reductions[-1])
        size = padded.width // reductions[0], padded.height // reductions[0]
        light = np.ones(size[::-1], np.float32)
        for (relative, density), reduction in zip(_PARTS, reductions, strict=True):
            sigma = relative * self.size / reduction
            spread = cv2.GaussianBlur(self._footprint(padded, reduction), (0, 0), sigma, sigmaY=sigma * _FLATTENING)
            light *= cv2.resize(np.exp(-density * spread), size)
        scale, first = reductions[0], margin // reductions[0]
        inner = light[first : light.shape[0] - first, first : light.shape[1] - first]
        dark = np.asarray(np.rint(_FULL * (1 - inner)), np.uint16)
        visible = bounds_of(dark, INVISIBLE)
        if visible is None:
            return EMPTY_RECT, np.zeros((0, 0), np.uint16)
        part = visible.expanded(1).intersection(Rect(0, 0, dark.shape[1], dark.shape[0]))
        dark = dark[part.top : part.bottom, part.left : part.right]
        if scale > 1:
            dark = np.asarray(cv2.resize(dark, (part.width * scale, part.height * scale)), np.uint16)
        left, top = box.left + part.left * scale, box.top + part.top * scale
        found = Rect(left, top, left + dark.shape[1], top + dark.shape[0]).intersection(box)
        return found, dark[: found.height, : found.width]

    def _reduction(self, relative: float) -> int:
        """Return by how much the resolution is reduced for a blur of a σ in units of the size, a power of 2."""
        sigma = relative * self.size * _FLATTENING
        return int(2 ** math.floor(math.log2(max(1.0, sigma / _COARSE_SIGMA))))

    def _footprint(self, box: Rect, reduction: int) -> Floats:
        """Return the ground below the body and a band along its lower edge, at a reduction."""
        ys = box.top + (np.arange(box.height // reduction) + 0.5)[:, None] * reduction
        xs = box.left + (np.arange(box.width // reduction) + 0.5) * reduction
        edge, weight = self.underside.columns(xs)
        foot = np.maximum(edge + 0.25 * self.size, self.underside.ground.at(xs))
        return np.where((ys > edge - self.size) & (ys <= foot), weight, 0).astype(np.float32)
