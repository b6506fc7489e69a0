# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles of a shadow lie on the rendered shadow, and dragging them is exact."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_engine.image.quarter_turns import turned_point
from s2am_engine.shadow.handles import ShadowHandles
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow

POLE = Silhouette(np.pad(np.full((120, 9), 255, np.uint8), ((20, 0), (30, 30))), 200, 100)


def handles(shadow: Shadow) -> ShadowHandles:
    found = ShadowHandles.of(shadow, POLE)
    assert found is not None
    return found


@pytest.mark.parametrize("direction", [-150, -60, 30, 120, 180])
def test_the_tip_is_the_end_of_the_rendered_shadow(direction: float) -> None:
    shadow = Shadow(direction=direction, length=0.7, softness=0, contact=0, opacity=1)
    found = handles(shadow)
    layer = render_shadow(shadow, POLE, 400, 500)
    ys, xs = np.nonzero(layer.alpha > 32768)
    points = np.stack([xs + layer.left, ys + layer.top], axis=1) + 0.5
    distances = np.hypot(*(points - found.foot).T)
    assert np.hypot(*(points[distances.argmax()] - found.tip)) < 6
    assert found.foot == (234.5, 240.0)


@pytest.mark.parametrize("tip", [(300.0, 200.0), (150.0, 260.0), (234.5, 300.0), (236.0, 100.0)])
def test_with_tip_moves_the_tip_to_the_point(tip: tuple[float, float]) -> None:
    moved = handles(handles(Shadow(slope=8, ground=0.1)).with_tip(tip))
    assert moved.tip == pytest.approx(tip)


def test_with_tip_keeps_limits_and_direction() -> None:
    found = handles(Shadow(direction=70))
    assert found.with_tip((5000.0, 240.0)).length == 3
    assert found.with_tip(found.foot) == Shadow(direction=70, length=0)


def test_with_ground_moves_the_ground_line() -> None:
    moved = handles(handles(Shadow(ground=0.2, slope=-5)).with_ground((0.0, 230.0), (0.0, 233.0)))
    assert (moved.left[1], moved.right[1]) == pytest.approx((230.0, 233.0))
    steep = handles(Shadow()).with_ground((0.0, -9000.0), (0.0, 9000.0))
    assert (steep.slope, steep.ground) == (45, 1)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_handles_turn_with_the_image(turns: int) -> None:
    shadow = Shadow(direction=120, length=0.7, ground=0.1, slope=8)
    size = (500, 400)
    before = handles(shadow)
    turned = ShadowHandles.of(shadow.turned(turns), POLE.turned(turns, size))
    assert turned is not None
    for name in ("foot", "tip", "left", "right"):
        assert getattr(turned, name) == pytest.approx(turned_point(getattr(before, name), turns, size))
    wanted = before.tip[0] + 30, before.tip[1] - 20
    moved = turned.with_tip(turned_point(wanted, turns, size))
    assert moved.turned(-turns).values == pytest.approx(before.with_tip(wanted).values)
    ends = (before.left[0], 230.0), (before.right[0], 233.0)
    grounded = turned.with_ground(*(turned_point(end, turns, size) for end in ends))
    assert grounded.turned(-turns).values == pytest.approx(before.with_ground(*ends).values)


def test_a_transparent_foreground_has_no_handles() -> None:
    assert ShadowHandles.of(Shadow(), Silhouette(np.zeros((9, 9), np.uint8))) is None
