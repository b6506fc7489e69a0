# SPDX-License-Identifier: GPL-3.0-or-later
"""The underside of a foreground: the part of its lower edge that stands on the ground, or close above it."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.rect import Rect
from s2am_engine.shadow.projection import Foreground, GroundLine, lower_edge
from s2am_engine.types import Doubles, Floats

REACH = 0.2
"""Height above the ground line, in heights of the foreground, up to which its lower edge counts as near the ground."""

_GAP_REACH = 0.5  # the same below a span between two feet, in widths of the span: the body blocks the light from above
_STANDING = 0.03  # such a height up to which it stands on the ground
_FALLOFF = 1.5  # exponent of the nearness above that
_SMOOTHING = 0.008  # σ along the ground, in heights of the foreground: feet have no vertical sides of shadow,
_RAISED_SMOOTHING = 0.05  # and parts above the ground, as the tips of a boat, cast softer shadows
_OVERLAP = 0.02  # in heights of the foreground: the soft edge of the alpha leaves no gap
_BEYOND = 0.3  # share of the overlap beyond the ground line: no lighter line where a soft region meets the projection

_SIDE = 1024  # pixels: the edge is found on a small copy


@dataclass(frozen=True, eq=False)
class Underside:
    """The lower edge of a foreground along the ground line, and its nearness to it, smoothed.

    ground: the ground line. box: where the underside is near the ground. overlap: in pixels.
    xs: positions on the canvas, ascending. edge: y of the lower edge there.
    nearness: from 1 on the ground to 0 at a height of `REACH`, below wide spans at a larger one, and beside the
        foreground.
    """

    ground: GroundLine
    box: Rect
    overlap: float
    xs: Doubles
    edge: Doubles
    nearness: Doubles

    @classmethod
    def of(cls, foreground: Foreground, ground: GroundLine, canvas_height: int) -> Underside:
        """Find the underside.

        Columns that reach the lower border of the canvas do not count, as they touch the ground outside of the image.
        """
        box = foreground.box
        scale = min(1.0, _SIDE / max(box.width, box.height))
        size = max(1, round(box.width * scale)), max(1, round(box.height * scale))
        small = np.asarray(cv2.resize(foreground.alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
        step = box.width / size[0]
        sigmas = [each * box.height / step for each in (_SMOOTHING, _RAISED_SMOOTHING)]
        margin = math.ceil(3 * max(sigmas))
        xs = box.left + (np.arange(-margin, size[0] + margin) + 0.5) * step
        edge = np.pad(box.top + lower_edge(small) * (box.height / size[1]), margin, constant_values=np.nan)
        level = np.asarray(ground.at(xs))
        counts = np.isfinite(edge) & (edge < canvas_height)
        edge = np.where(counts, edge, level)
        above = (level - edge) / box.height
        standing = counts & (above <= _STANDING)
        spans = _spans(counts, standing) * (step / box.height)
        reaches = np.maximum(REACH, _GAP_REACH * spans)
        nearness = np.where(counts, np.clip((reaches - above) / (reaches - _STANDING), 0, 1) ** _FALLOFF, 0)
        parts = [(nearness * which, sigma) for which, sigma in zip((standing, ~standing), sigmas, strict=True)]
        smooth, edges = (
            np.sum([_smoothed(part * each, sigma) for part, sigma in parts], axis=0)
            for each in (np.ones_like(edge), edge)
        )
        edge = np.where(smooth > 1e-6, edges / np.maximum(smooth, 1e-6), level)
        ends = [float(ground.at(x)) for x in (box.left, box.right)]
        highest = float(np.min(edge, where=smooth > 1e-6, initial=min(ends)))
        top = min(ends) - max(REACH * box.height, min(ends) - highest)
        reach = Rect(math.floor(xs[0]), math.floor(top), math.ceil(xs[-1]), math.ceil(max(ends)))
        return cls(ground, reach, _OVERLAP * box.height, xs, edge, smooth)

    def columns(self, xs: Doubles) -> tuple[Doubles, Doubles]:
        """Return the edge at positions on the canvas, and its nearness to the ground."""
        return np.interp(xs, self.xs, self.edge), np.interp(xs, self.xs, self.nearness, left=0, right=0)

    def extension(self, box: Rect, shape: tuple[int, int]) -> Floats:
        """Return the region between the lower edge and the ground line, by nearness to the ground, in [0, 1].

        Added to the alpha, it lets the shadow of a round body begin below the body rather than at the ground line.

        Args:
            box: part of the canvas.
            shape: rows and columns of the result, which covers the box.
        """
        ys = box.top + (np.arange(shape[0], dtype=np.float32)[:, None] + 0.5) * np.float32(box.height / shape[0])
        xs = box.left + (np.arange(shape[1]) + 0.5) * (box.width / shape[1])
        edge, nearness = (each.astype(np.float32) for each in self.columns(xs))
        foot = np.asarray(self.ground.at(xs), np.float32)
        inside = (ys > edge - self.overlap) & (ys <= foot + _BEYOND * self.overlap)
        return np.where(inside, nearness, np.float32(0))


def _spans(counts: NDArray[np.bool_], standing: NDArray[np.bool_]) -> Doubles:
    """Return for each column the width, in columns, of the span over the ground that it belongs to.

    Args:
        counts: (N,) columns in which there is a body.
        standing: (N,) those in which it stands on the ground.

    Returns:
        (N,), 0 where it stands, and where the body does not stand on both sides, as beside the last wheel of a car.
    """
    spans = np.zeros(len(counts))
    feet = np.flatnonzero(standing & counts)
    for first, last in itertools.pairwise(feet):
        if counts[first:last].all():
            spans[first + 1 : last] = last - first
    return spans


def _smoothed(values: Doubles, sigma: float) -> Doubles:
    """Blur values along one axis by a Gaussian; σ in elements."""
    if sigma < 0.1:
        return values
    row = np.ascontiguousarray(values, np.float64)[None]
    return np.asarray(cv2.GaussianBlur(row, (0, 0), sigma, sigmaY=0.1, borderType=cv2.BORDER_REPLICATE))[0]
