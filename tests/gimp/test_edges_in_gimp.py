# SPDX-License-Identifier: GPL-3.0-or-later
"""The edges of the mask in a real GIMP 3, and saving it in the image."""

from __future__ import annotations

import numpy as np

from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from tests.gimp import pictures
from tests.gimp.answers import Cases, on_canvas, on_layer
from tests.gimp.pictures import HEIGHT, WIDTH

CANVAS = (WIDTH, HEIGHT)


def test_refined_mask_limits_the_change(cases: Cases) -> None:
    alpha = on_canvas(pictures.cut_out()[..., 3])
    refined = refine_edges(alpha, EdgeSettings(grow=-20, feather=4), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    for result in ("in-place", "effect"):
        case = cases["edges"].inner(result)
        assert case.succeeded, case.facts["message"]
        before, after = (case.pixels(name, CANVAS) for name in ("before", "after"))
        np.testing.assert_array_equal(after[refined == 0], before[refined == 0])
        assert ((refined == 0) & (alpha == 255)).any()
        assert (after[refined > 200] != before[refined > 200]).any(axis=1).mean() > 0.5


def test_saved_masks_have_the_values_of_the_mask(cases: Cases) -> None:
    case = cases["saved_masks"]
    plane = case.pixels("plane", CANVAS, 1)
    # Channels of an 8-bit image are not linear: the values that GIMP selects with are rounded once more.
    np.testing.assert_allclose(case.pixels("channel", CANVAS, 1).astype(int), plane, atol=1)
    np.testing.assert_array_equal(case.pixels("layer mask", channels=1)[..., 0], on_layer(plane[..., 0]))
    assert case.facts["names"] == ["plain mask", False, True]
    assert case.facts["selected"] == ["plain"]
    assert "has a layer mask already" in case.facts["refused"]
