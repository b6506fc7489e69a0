# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a harmonized layer in a real GIMP 3: its pixels equal those of the engine for the whole layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.data import ImageData
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.inference.shading import predict_shading
from tests.gimp import pictures
from tests.gimp.answers import Case, Cases, Pixels, on_canvas, on_layer, recolored
from tests.gimp.pictures import AT, HEIGHT, WIDTH

CANVAS = (WIDTH, HEIGHT)


def finished(case: Case, before: Pixels, share: NDArray[np.uint8] | None = None) -> tuple[Pixels, Pixels]:
    """Return a layer as the engine recolors it, and as it finishes it then; `share` limits both (H×W, 255 = 1)."""
    composite = np.ascontiguousarray(case.pixels("composite", CANVAS)[..., :3])
    alpha = np.rint(before[..., 3] * (255 / np.iinfo(before.dtype).max)).astype(np.uint8)
    mask = on_canvas(alpha)
    color_map = case.color_map(mask)
    measured = FinishMeasurement.of(SampleWindows.of(composite, mask), color_map)
    values = Finish(light=0.8, grain=3, sharpness=measured.automatic_sharpness(), decontaminate=1, light_wrap=0.75)
    plain = recolored(color_map, before, share)
    expected, limit = plain.copy(), None if share is None else np.where(alpha > 0, share, 0).astype(np.uint8)
    around = Surroundings.measure(composite, mask)
    shading = predict_shading(ImageData(composite), mask, color_map)
    Finisher(values, measured, around, shading).apply(expected, limit, layer_alpha=alpha, origin=AT)
    return plain, expected


@pytest.mark.parametrize(("depth", "kind"), [("u8", np.uint8), ("u16", np.uint16)])
def test_finish_is_that_of_the_engine_and_the_background_is_unchanged(cases: Cases, depth: str, kind: Any) -> None:
    case = cases["finished"].inner(depth)
    assert case.succeeded, case.facts["message"]
    before, after = (case.pixels(name, kind=kind) for name in ("before", "after"))
    plain, expected = finished(case, before)
    # OpenCV's filters round the last bit of a float by its place in a block, which 16 bits can show.
    np.testing.assert_allclose(after.astype(int), expected, rtol=0, atol=0 if depth == "u8" else 1)
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


def test_edges_and_finish_together_are_those_of_the_engine(cases: Cases) -> None:
    case = cases["finished_edges"]
    assert case.succeeded, case.facts["message"]
    before, after = case.pixels("before"), case.pixels("after")
    alpha = before[..., 3]
    refined = refine_edges(
        on_canvas(alpha), EdgeSettings(grow=-20, feather=4), case.pixels("composite", CANVAS)[..., :3]
    )
    mask = np.minimum(on_layer(refined), alpha).astype(int)
    share = ((mask * 255 + alpha // 2) // np.maximum(alpha, 1)).astype(np.uint8)
    plain, expected = finished(case, before, share)
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(after[share == 0], before[share == 0])
    assert ((share == 0) & (alpha == 255)).any()
    assert np.abs(after[share == 255].astype(int) - plain[share == 255]).mean() > 1
    assert case.facts["state"][-3] == case.facts["state before"][-3]  # the background


def test_windows_of_the_image_are_parts_of_what_it_shows(cases: Cases) -> None:
    case = cases["visible_parts"]
    whole = case.pixels("whole", CANVAS)
    parts = np.fromfile(case.folder / case.facts["parts"], np.uint8).reshape(-1, 96, 96, 4)
    canvas = np.pad(whole, ((0, 96), (0, 96), (0, 0)))
    for (x, y, width, height), part in zip(case.facts["areas"], parts, strict=True):
        np.testing.assert_array_equal(part, canvas[y : y + height, x : x + width])
    np.testing.assert_array_equal(case.pixels("afterwards", CANVAS), whole)
    assert case.facts["same without cropping"]
