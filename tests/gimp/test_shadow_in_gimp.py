# SPDX-License-Identifier: GPL-3.0-or-later
"""The shadow below a harmonized layer in a real GIMP 3."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gimp import pictures
from tests.gimp.answers import Cases, on_canvas
from tests.gimp.pictures import HEIGHT, WIDTH

CANVAS = (WIDTH, HEIGHT)
TOLERANCE = 5
NAMES = ["pasted harmonized", "pasted", "pasted shadow", "background"]


@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"])
def test_shadow_multiplies_what_is_below_the_layer_and_nothing_else(cases: Cases, precision: str) -> None:
    case = cases["shadow"].inner(precision)
    assert case.succeeded, case.facts["message"]
    assert (case.facts["names"], case.facts["selected"]) == (NAMES, NAMES[:1])
    assert (case.facts["mode"], case.facts["spaces"]) == ("multiply", ["rgb-perceptual"] * 2)
    x, y, width, height = case.facts["area"]
    rgba = case.pixels("opacity", (width, height), kind=np.uint16)
    opacity = on_canvas(rgba[..., 3], (x, y))
    color = rgba[rgba[..., 3] > 0][0, :3] / 65535
    shown, plain, background = (case.pixels(name, CANVAS) for name in ("with", "without", "background"))
    outside = (opacity == 0) | (on_canvas(pictures.cut_out()[..., 3]) == 255)
    np.testing.assert_array_equal(shown[outside], plain[outside])
    free = on_canvas(pictures.cut_out()[..., 3]) == 0
    factor = 1 - opacity[..., None] / 65535 * (1 - color)
    difference = shown[free][:, :3] - background[free][:, :3] * factor[free]
    assert np.abs(difference).max() <= 0.75
    assert (plain[free] - shown[free].astype(int)).max() > 20


def test_run_without_a_shadow_removes_the_one_of_an_earlier_run(cases: Cases) -> None:
    facts = cases["shadow_again"].facts
    assert [answer["status"] for answer in facts["answers"]] == ["success", "success"], facts["answers"]
    assert (facts["first"], facts["second"]) == (NAMES, ["pasted harmonized", "pasted", "background"])


@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "FLOAT_LINEAR"])
def test_preview_blends_the_shadow_as_the_canvas_does(cases: Cases, precision: str) -> None:
    case = cases["shadow_preview"].inner(precision)
    after, canvas = (case.pixels(name, CANVAS).astype(int) for name in ("after", "visible"))
    assert np.abs(after - canvas).max() <= 1
    assert (
        np.abs(after[..., :3] - pictures.background()).max(axis=2)[on_canvas(pictures.cut_out()[..., 3]) == 0].max()
        > 20
    )


def test_shadow_of_a_layer_in_a_group_is_visible(cases: Cases) -> None:
    facts = cases["shadow_in_a_group"].facts
    layers = ["pasted harmonized", "pasted"]
    assert facts["alone"] == [layers, ["group", "pasted shadow", "background"], True]
    assert facts["with background"] == [[*layers, "pasted shadow", "background"], ["group"], True]


@pytest.mark.parametrize(
    ("arrangement", "places"),
    [
        ("above_a_veil", ["group", ""]),
        ("above_a_small_layer", ["group", ""]),
        ("with_the_background_in_a_half_opaque_group", ["group", ""]),
        ("in_a_masked_group", ["group", ""]),
        ("alone_in_a_masked_group_that_passes_through", [""]),
        ("in_a_multiplied_group", [""]),
        ("in_nested_groups", ["inner", "group", ""]),
    ],
)
def test_shadow_of_a_layer_in_a_group_darkens_all_that_the_canvas_shows_below(
    cases: Cases, arrangement: str, places: list[str]
) -> None:
    case = cases["shadow_in_groups"].inner(arrangement)
    assert case.succeeded, case.facts["message"]
    assert case.facts["places"] == places
    x, y, width, height = case.facts["area"]
    rgba = case.pixels("opacity", (width, height), kind=np.uint16) / 65535
    factor = 1 - on_canvas(rgba[..., 3], (x, y))[..., None] * (1 - rgba[rgba[..., 3] > 0][0, :3])
    shown, plain, removed = (case.pixels(name, CANVAS) for name in ("with", "without", "removed"))
    free = on_canvas(pictures.cut_out()[..., 3]) == 0
    # GIMP composites groups in linear light, where a factor of perceptual values is only nearly a factor.
    assert np.abs(shown[free][:, :3] - plain[free][:, :3] * factor[free]).max() <= TOLERANCE
    np.testing.assert_array_equal(removed, plain)
