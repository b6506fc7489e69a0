# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a harmonized layer in a real GIMP 3: its pixels equal those of the engine for the whole layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import SampleWindows
from tests.gimp import pictures
from tests.gimp.answers import Cases, on_canvas, recolored
from tests.gimp.pictures import AT, HEIGHT, WIDTH

CANVAS = (WIDTH, HEIGHT)


@pytest.mark.parametrize(("depth", "kind"), [("u8", np.uint8), ("u16", np.uint16)])
def test_finish_is_that_of_the_engine_and_the_background_is_unchanged(cases: Cases, depth: str, kind: Any) -> None:
    case = cases["finished"].inner(depth)
    assert case.succeeded, case.facts["message"]
    before, after = (case.pixels(name, kind=kind) for name in ("before", "after"))
    composite = np.ascontiguousarray(case.pixels("composite", CANVAS)[..., :3])
    alpha = (before[..., 3] if depth == "u8" else np.rint(before[..., 3] / 257)).astype(np.uint8)
    mask = on_canvas(alpha)
    color_map = case.color_map(mask)
    measured = FinishMeasurement.of(SampleWindows.of(composite, mask), color_map)
    values = Finish(grain=3, sharpness=measured.automatic_sharpness(), decontaminate=1, light_wrap=0.75)
    plain = recolored(color_map, before)
    expected = plain.copy()
    Finisher(values, measured, Surroundings.measure(composite, mask)).apply(expected, layer_alpha=alpha, origin=AT)
    np.testing.assert_array_equal(after, expected)
    inside = before[..., 3] > np.iinfo(kind).max // 2
    assert np.abs(after[inside].astype(float) - plain[inside]).mean() > 1
    np.testing.assert_array_equal(after[before[..., 3] == 0], before[before[..., 3] == 0])
    background = case.facts["state"][-3]
    assert background == case.facts["state before"][-3]


def test_finished_layer_shows_the_background_around_it_and_starts_again_without(cases: Cases) -> None:
    finished = cases["finished"]
    first, again = finished.inner("u8"), finished.inner("again")
    shown, mask = first.pixels("visible", CANVAS), on_canvas(pictures.cut_out()[..., 3])
    outside = mask == 0
    np.testing.assert_array_equal(shown[outside][:, :3], pictures.background()[outside])
    assert again.succeeded
    plain = recolored(first.color_map(mask), first.pixels("before"))
    np.testing.assert_array_equal(again.pixels("after"), plain)
