# SPDX-License-Identifier: GPL-3.0-or-later
"""Points of a shadow on the canvas, for handles that are dragged: the tip, and the ends of the ground line."""

from __future__ import annotations

import math
from dataclasses import dataclass

from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_engine.image.quarter_turns import turned_point
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.projection import Foreground, GroundLine
from s2am_engine.shadow.settings import Shadow

CanvasPoint = tuple[float, float]
"""x and y on the canvas, in pixels."""


@dataclass(frozen=True)
class ShadowHandles:
    """Handles of the shadow of one foreground; moving one returns the shadow with other values.

    shadow: its values.
    foot: the point of the ground line below the center of the foreground.
    tip: the end of the shadow of a point above the foot, as high as the foreground.
    left, right: the points of the ground line below the sides of the foreground.
    height: of the foreground, in pixels.

    Below, left, right and height are those of the image before its quarter turns; points are places after them.
    """

    shadow: Shadow
    foot: CanvasPoint
    tip: CanvasPoint
    left: CanvasPoint
    right: CanvasPoint
    height: float

    @classmethod
    def of(cls, shadow: Shadow, silhouette: Silhouette) -> ShadowHandles | None:
        """Return the handles of a shadow; None if its foreground is transparent."""
        upright, turns = shadow.turned(-shadow.turns), shadow.turns
        foreground = Foreground.of(silhouette.turned(-turns))  # about the origin, as points are turned back
        if foreground is None:
            return None
        box = foreground.box
        ground = GroundLine.of(upright, box)
        foot, left, right = ((float(x), float(ground.at(x))) for x in (ground.center, box.left, box.right))
        angle, reach = math.radians(upright.direction), shadow.length * box.height
        tip = foot[0] + reach * math.sin(angle), foot[1] - reach * math.cos(angle)
        foot, tip, left, right = (turned_point(point, turns, (0, 0)) for point in (foot, tip, left, right))
        return cls(shadow, foot, tip, left, right, box.height)

    def with_tip(self, tip: CanvasPoint) -> Shadow:
        """Return the shadow whose tip is at a point, or as far toward it as the longest shadow reaches.

        At the foot itself the length is 0, and the direction stays.
        """
        right, down = tip[0] - self.foot[0], tip[1] - self.foot[1]
        length = math.hypot(right, down) / self.height
        if length == 0:
            return self.shadow.replace(length=0.0)
        direction = math.degrees(math.atan2(right, -down))
        return self.shadow.replace(direction=direction, length=min(length, SHADOW_SLIDERS["length"].high))

    def with_ground(self, left: CanvasPoint, right: CanvasPoint) -> Shadow:
        """Return the shadow whose ground line is as high as two points below the sides of the foreground.

        Only the heights of the points matter; ground and slope stay within their limits.
        """
        points = (self.left, self.right, self.foot, left, right)
        start, end, foot, *wanted = (turned_point(point, -self.shadow.turns, (0, 0)) for point in points)
        levels = [y for _, y in wanted]
        slope = math.degrees(math.atan2(levels[1] - levels[0], end[0] - start[0]))
        lowest = foot[1] + self.shadow.ground * self.height
        ground = (lowest - sum(levels) / 2) / self.height
        return self.shadow.replace(ground=_limited("ground", ground), slope=_limited("slope", slope))


def _limited(name: str, value: float) -> float:
    spec = SHADOW_SLIDERS[name]
    return min(max(value, spec.low), spec.high)
