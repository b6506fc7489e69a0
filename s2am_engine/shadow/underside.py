# SPDX-License-Identifier: GPL-3.0-or-later
"""The underside of a foreground: the part of its lower edge that stands on the ground, or close above it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from s2am_engine.shadow.projection import Box, Foreground, GroundLine, lower_edge
from s2am_engine.types import Doubles, Floats

REACH = 0.2
"""Height above the ground line, in heights of the foreground, up to which its lower edge counts as near the ground."""

_FALLOFF = 1.5  # exponent of the nearness

_SIDE = 1024  # pixels: the edge is found on a small copy


@dataclass(frozen=True, eq=False)
class Underside:
    """The lower edge of each column of a reduced copy of a foreground.

    ground: the ground line. left, step: x of the first column's left side, and the width of a column, in pixels of the
        canvas. unit: height of the foreground. highest: the least y of the ground line.
    edge: y of the lower edge, on the ground line where there is none.
    above: height of the edge above the ground line, in units; infinite where it does not count.
    """

    ground: GroundLine
    left: float
    step: float
    unit: float
    highest: float
    edge: Doubles
    above: Doubles

    @classmethod
    def of(cls, foreground: Foreground, ground: GroundLine, canvas_height: int) -> Underside:
        """Find the underside.

        Columns that reach the lower border of the canvas do not count, as they touch the ground outside of the image.
        """
        box = foreground.box
        scale = min(1.0, _SIDE / max(box.width, box.height))
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        small = np.asarray(cv2.resize(foreground.alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
        edge = box.top + lower_edge(small) * (box.height / size[1])
        step = box.width / size[0]
        level = np.asarray(ground.at(box.left + (np.arange(size[0]) + 0.5) * step))
        exists = np.isfinite(edge)
        edge = np.where(exists, edge, level)
        above = np.where(exists & (edge < canvas_height), (level - edge) / box.height, np.inf)
        ends = [float(ground.at(x)) for x in (box.left, box.right)]
        return cls(ground, box.left, step, box.height, min(ends), edge, above)

    @property
    def top(self) -> float:
        """The least y of an edge that is near the ground."""
        return self.highest - REACH * self.unit

    def columns(self, xs: Doubles) -> tuple[Doubles, Doubles]:
        """Return the edge at positions on the canvas, and its nearness to the ground, from 0 to 1."""
        places = np.floor((xs - self.left) / self.step).astype(np.intp)
        inside = (places >= 0) & (places < len(self.edge))
        places = places.clip(0, len(self.edge) - 1)
        nearness = np.clip(1 - self.above[places] / REACH, 0, 1) ** _FALLOFF
        return self.edge[places], np.where(inside, nearness, 0)

    def extension(self, box: Box, shape: tuple[int, int]) -> Floats:
        """Return the region between the lower edge and the bottom of a box, by nearness to the ground, in [0, 1].

        Added to the alpha, it lets the shadow of a round body begin below the body rather than at the ground line.

        Args:
            box: part of the canvas.
            shape: rows and columns of the result, which covers the box.
        """
        ys = box.top + (np.arange(shape[0], dtype=np.float32)[:, None] + 0.5) * np.float32(box.height / shape[0])
        xs = box.left + (np.arange(shape[1]) + 0.5) * (box.width / shape[1])
        edge, nearness = (each.astype(np.float32) for each in self.columns(xs))
        return np.where(ys > edge, nearness, np.float32(0))
