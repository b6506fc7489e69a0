# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonize Layer in a real GIMP 3: its pixels equal those of the engine, and all others are unchanged.

The tolerance is 0 for 8 and 16 bits in sRGB, because plug-in and test pass the same bytes to the engine. For floats it
is 1e-4 of white, and for effects, which GIMP computes, one 8-bit level.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import NothingFoundError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import Matrix
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from tests.gimp import pictures
from tests.gimp.answers import Case, Cases, Pixels, on_canvas, on_layer, recolored, times
from tests.gimp.pictures import AT, HEIGHT, LARGE, PASTED, WIDTH

ALPHA = pictures.cut_out()[..., 3]
NEW_NAME = "pasted harmonized"


def agree(case: Case, expected: Pixels, size: tuple[int, int] = PASTED) -> None:
    """Check that the pixels are the expected ones, and that some have changed."""
    assert case.succeeded, case.facts["message"]
    after, before = case.pixels("after", size), case.pixels("before", size)
    np.testing.assert_array_equal(after, expected)
    assert (after != before).any()


def names(case: Case) -> list[str]:
    """Return the names of all layers on the top level."""
    return [layer[0] for layer in case.facts["state"] if isinstance(layer, list)]


def as_original(state: list[Any]) -> list[Any]:
    """Return the state of an image whose topmost layer is hidden below a new layer that was made from it."""
    topmost = list(state[0])
    topmost[3], topmost[11] = False, ["harmonize-layer-original"]
    return [topmost, *state[1:]]


# -- results


def test_new_layer_lies_above_its_unchanged_original(cases: Cases) -> None:
    case = cases["new_layer"]
    agree(case, recolored(case.color_map(on_canvas(ALPHA)), case.pixels("before")))
    assert names(case) == [NEW_NAME, "pasted", "background"]
    assert case.facts["state"][1:] == as_original(case.facts["state before"])


def test_results_keep_the_colors_of_transparent_pixels(cases: Cases) -> None:
    for name in ("new_layer", "in_place"):
        case = cases[name]
        np.testing.assert_array_equal(case.pixels("after")[ALPHA == 0], case.pixels("before")[ALPHA == 0])


def test_in_place_changes_only_the_layer(cases: Cases) -> None:
    case = cases["in_place"]
    agree(case, recolored(case.color_map(on_canvas(ALPHA)), case.pixels("before")))
    assert names(case) == ["pasted", "background"]
    assert case.facts["state"][1:] == case.facts["state before"][1:]


def test_effect_keeps_the_pixels_and_applies_the_engines_matrix(cases: Cases) -> None:
    case = cases["effect"]
    assert case.succeeded
    before = case.pixels("before")
    np.testing.assert_array_equal(case.pixels("after"), before)
    (gains,) = case.facts["state"][0][10]
    matrix = np.column_stack([np.reshape(gains, (3, 3)), np.zeros(3)])
    expected = recolored(Matrix(matrix.astype(np.float32), linear=True), before)
    seen = before[..., 3] > 0
    difference = case.pixels("merged")[seen].astype(int) - expected[seen]
    assert np.abs(difference).max() <= 1
    assert (case.pixels("merged")[seen] != before[seen]).any()
    assert case.facts["loaded"] == case.facts["state"]  # also after saving as XCF


def test_effect_approximates_the_color_map(cases: Cases) -> None:
    case = cases["effect"]
    seen = case.pixels("before")[..., 3] > 128
    full = recolored(case.color_map(on_canvas(ALPHA)), case.pixels("before"))
    assert np.abs(case.pixels("merged")[seen].astype(int) - full[seen])[:, :3].mean() < 4


def test_new_layer_keeps_mask_mode_opacity_locks_and_parent(cases: Cases) -> None:
    case = cases["attributes"]
    mask = times(ALPHA, pictures.layer_mask())
    weights = np.where(pictures.layer_mask() > 0, 255, 0).astype(np.uint8)
    agree(case, recolored(case.color_map(on_canvas(mask)), case.pixels("before"), weights))
    assert names(case) == ["above", "group", "background"]
    new, original = case.facts["state"][1][13]
    (was,) = case.facts["state before"][1][13]
    kept = (1, 2, 4, 5, 6, 7, 8, 9, 10, 12)
    assert [new[index] for index in kept] == [was[index] for index in kept]
    assert (new[0], new[3], original[0], original[3]) == (NEW_NAME, True, "pasted", False)
    assert new[11] == ["harmonize-layer"]
    assert case.facts["selected"] == [NEW_NAME]


def test_second_run_starts_from_the_original(cases: Cases) -> None:
    case = cases["again_on_a_new_layer"]
    first, second = case.inner("first"), case.inner("second")
    assert first.succeeded
    assert second.succeeded
    np.testing.assert_array_equal(second.pixels("after"), cases["new_layer"].pixels("after"))
    assert (first.pixels("after") != second.pixels("after")).any()
    assert names(second) == [NEW_NAME, "pasted", "background"]


def test_second_run_replaces_the_effect(cases: Cases) -> None:
    case = cases["again_as_an_effect"]
    first, second, third = (case.inner(name) for name in ("first", "second", "third"))
    assert second.facts["state"][0][10] == cases["effect"].facts["state"][0][10] != first.facts["state"][0][10]
    np.testing.assert_array_equal(third.pixels("after"), cases["in_place"].pixels("after"))
    assert third.facts["state"][0][10] == []


# -- masks


@pytest.mark.parametrize("name", ["layer_mask", "edited_mask"])
def test_layer_mask_limits_network_input_and_change(cases: Cases, name: str) -> None:
    case, ramp = cases[name], pictures.layer_mask()
    weights = np.where(ramp > 0, 255, 0).astype(np.uint8)
    agree(case, recolored(case.color_map(on_canvas(times(ALPHA, ramp))), case.pixels("before"), weights))
    np.testing.assert_array_equal(case.pixels("after")[ramp == 0], case.pixels("before")[ramp == 0])


@pytest.mark.parametrize("name", ["selection", "selection_in_place"])
def test_selection_limits_network_input_and_change(cases: Cases, name: str) -> None:
    case = cases[name]
    chosen = case.pixels("selection", (pictures.WIDTH, pictures.HEIGHT), 1)[..., 0]
    color_map = case.color_map(times(on_canvas(ALPHA), chosen))
    agree(case, recolored(color_map, case.pixels("before"), on_layer(chosen)))
    outside = on_layer(chosen) == 0
    np.testing.assert_array_equal(case.pixels("after")[outside], case.pixels("before")[outside])
    after = case.pixels("selection after", (pictures.WIDTH, pictures.HEIGHT), 1)
    np.testing.assert_array_equal(after[..., 0], chosen)


def test_selection_limits_the_effect(cases: Cases) -> None:
    case, canvas = cases["selection_effect"], (pictures.WIDTH, pictures.HEIGHT)
    chosen = case.pixels("selection", canvas, 1)[..., 0]
    before, after = case.pixels("composite", canvas), case.pixels("visible", canvas)
    np.testing.assert_array_equal(after[chosen == 0], before[chosen == 0])
    inside = (chosen == 255) & (on_canvas(ALPHA) == 255)
    expected = cases["selection"].pixels("after")
    there = on_layer(inside.astype(np.uint8)) > 0
    assert np.abs(after[inside].astype(int) - expected[there])[:, :3].mean() < 4
    assert (after[inside] != before[inside]).any()


def test_reference_selection(cases: Cases) -> None:
    case, canvas = cases["reference_area"], (pictures.WIDTH, pictures.HEIGHT)
    chosen = case.pixels("selection", canvas, 1)[..., 0]
    mask = on_canvas(ALPHA)
    composite = case.pixels("composite", canvas)
    alpha = np.where((chosen > 0) | (mask > 0), composite[..., 3], 0).astype(np.uint8)
    result = Harmonizer()(np.ascontiguousarray(composite[..., :3]), mask, alpha=alpha)
    agree(case, recolored(result.color_map, case.pixels("before")))


def test_reference_layer(cases: Cases) -> None:
    case = cases["reference_layer"]
    agree(case, recolored(case.color_map(on_canvas(ALPHA)), case.pixels("before")))


def test_further_references_and_other_images(cases: Cases) -> None:
    case = cases["further_references"]
    assert case.succeeded, case.facts["message"]
    composite = case.pixels("composite", (WIDTH, HEIGHT))
    pixels, alpha = (np.ascontiguousarray(each) for each in (composite[..., :3], composite[..., 3]))
    photographs = [Image.fromarray(pictures.cut_out()), Image.fromarray(pictures.background())]
    wanted = Harmonizer()(pixels, on_canvas(ALPHA), alpha=alpha, references=photographs).color_map
    before, after = case.pixels("before"), case.pixels("after").astype(int)
    assert np.abs(after - recolored(wanted, before)).mean() < 1  # the file is larger, and GIMP reduces it
    assert np.abs(after - recolored(case.color_map(on_canvas(ALPHA)), before)).mean() > 1
    # The other open image has one opaque layer, and stays unchanged; the file was closed again.
    assert (case.facts["images"], len(case.facts["shown"])) == (2, 3)


def test_subject_of_an_opaque_layer_is_cut_out(cases: Cases) -> None:
    case = cases["subject"]
    assert case.succeeded, case.facts["message"]
    mask = case.pixels("mask", PASTED, 1)[..., 0]
    expected = ALPHA > 127
    assert np.count_nonzero((mask > 127) & expected) / np.count_nonzero((mask > 127) | expected) > 0.6
    outside = on_canvas(mask) == 0
    canvas = case.pixels("visible", (WIDTH, HEIGHT))
    np.testing.assert_array_equal(canvas[outside][:, :3], pictures.background()[outside])
    assert (case.pixels("after") != case.pixels("before")).any()


def test_mask_of_a_flat_image_is_detected(cases: Cases) -> None:
    case, size = cases["found_by_itself"], pictures.one_layer().shape[1::-1]
    assert case.succeeded, case.facts["message"]
    flat = pictures.one_layer()
    found = Detector().detect(flat, likeliest=True).mask
    with pytest.raises(NothingFoundError):
        Detector().detect(flat)
    assert "No pasted region was found" in case.facts["unsure"]["message"]  # without mask=detect
    result = Harmonizer()(flat, found)
    after = case.pixels("after", size, 3)
    difference = after.astype(int) - apply_color_map(result.color_map, flat, found)
    assert np.abs(difference).max() <= 1  # another division of the rows may round differently
    assert np.count_nonzero(difference) < 20
    np.testing.assert_array_equal(after[found == 0], flat[found == 0])
    effect = case.pixels("effect visible", size)[..., :3]
    np.testing.assert_array_equal(effect[found == 0], flat[found == 0])
    assert (effect[found > 128] != flat[found > 128]).any()


# -- positions


@pytest.mark.parametrize(
    ("name", "at", "size"),
    [
        ("negative_offsets", (-50, -40), PASTED),
        ("beyond_the_canvas", (260, 190), PASTED),
        ("larger_than_the_canvas", (-60, -40), LARGE),
        ("one_pixel", (150, 100), (1, 1)),
        ("beneath_others", AT, PASTED),
        ("group", AT, PASTED),
        ("group_in_place", AT, PASTED),
    ],
)
def test_layer_positions(cases: Cases, name: str, at: tuple[int, int], size: tuple[int, int]) -> None:
    case = cases[name]
    before = case.pixels("before", size)
    agree(case, recolored(case.color_map(on_canvas(before[..., 3], at)), before), size)


def test_large_image_is_reduced_alike_by_gimp_and_from_a_copy(cases: Cases) -> None:
    case = cases["large_picture"]
    seen, covered = case.inner("open"), case.inner("covered")
    assert seen.succeeded
    assert covered.succeeded
    np.testing.assert_array_equal(seen.pixels("after"), covered.pixels("after"))
    assert covered.facts["state"][1:] == seen.facts["state"]


def test_new_layer_of_a_group_lies_above_it(cases: Cases) -> None:
    assert names(cases["group"]) == ["group harmonized", "group", "background"]
    assert cases["group"].facts["state"][1:] == as_original(cases["group"].facts["state before"])
    assert names(cases["group_in_place"]) == ["group", "background"]


def test_effect_on_a_group(cases: Cases) -> None:
    case, canvas = cases["group_effect"], (pictures.WIDTH, pictures.HEIGHT)
    np.testing.assert_array_equal(case.pixels("after"), case.pixels("before"))
    outside = on_canvas(ALPHA) == 0
    before, after = case.pixels("composite", canvas), case.pixels("visible", canvas)
    np.testing.assert_array_equal(after[outside], before[outside])
    assert (after[~outside] != before[~outside]).any()


def test_floating_selection_becomes_a_layer(cases: Cases) -> None:
    case = cases["floating"]
    assert case.succeeded, case.facts["message"]
    assert len(names(case)) == 3
    assert names(case)[0] == "Floated Layer harmonized"


def test_several_layers_are_no_reference_for_each_other(cases: Cases) -> None:
    case = cases["several"]
    assert case.succeeded, case.facts["message"]
    assert names(case) == ["two harmonized", "two", "one harmonized", "one", "background"]
    np.testing.assert_array_equal(case.pixels("one"), case.pixels("alone"))
