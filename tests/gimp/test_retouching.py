# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonize Layer in a real GIMP 3, in daily work: nothing that is not asked for changes, and no work is lost."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gimp import pictures
from tests.gimp.answers import Cases, on_canvas
from tests.gimp.pictures import HEIGHT, WIDTH

NEW_NAMES = ["pasted harmonized", "pasted", "background"]


def test_nothing_changes_at_strength_zero(cases: Cases) -> None:
    differences = cases["strength_zero"].facts["differences"]
    assert len(differences) == 27
    assert differences == dict.fromkeys(differences, 0)


def test_layer_copied_from_another_image_keeps_its_pixels(cases: Cases) -> None:
    case = cases["copied_to_another_image"]
    assert case.succeeded, case.facts["message"]
    assert case.facts["same"]
    assert len(case.facts["names"]) == 4


@pytest.mark.parametrize("change", ["painted", "flipped", "resized"])
@pytest.mark.parametrize("result", ["new-layer", "in-place", "effect"])
def test_retouching_since_is_kept(cases: Cases, change: str, result: str) -> None:
    status, same, names = cases["retouched"].facts["found"][f"{change} {result}"]
    assert status == "success"
    assert same
    assert len(names) == (4 if result == "new-layer" else 3)


def test_moved_layer_starts_from_its_original(cases: Cases) -> None:
    facts = cases["moved"].facts
    assert facts["original"]
    assert (facts["offsets"], facts["names"]) == ([30, 20], NEW_NAMES)


def test_again_on_a_group_starts_from_its_original(cases: Cases) -> None:
    facts = cases["again_on_a_group"].facts
    assert facts["original"]
    assert facts["names"] == ["group harmonized", "group", "background"]


def test_again_on_a_group_that_passes_through_starts_from_its_present_colors(cases: Cases) -> None:
    facts = cases["again_on_a_group_that_passes_through"].facts
    assert [answer["status"] for answer in facts["answers"]] == ["success", "success"], facts["answers"]
    assert facts["same"]
    assert facts["names"] == ["group harmonized #1", "group harmonized", "group", "background"]


@pytest.mark.parametrize("result", ["new-layer", "in-place", "effect"])
def test_again_within_a_selection_keeps_the_rest(cases: Cases, result: str) -> None:
    status, first, last, names = cases["again_within_a_selection"].facts["found"][result]
    assert status == "success"
    assert pictures.AT[0] <= first < last < WIDTH // 2
    assert len(names) == (3 if result == "new-layer" else 2)


def test_effect_on_a_group_that_passes_through_keeps_the_background(cases: Cases) -> None:
    case = cases["effect_on_a_group_that_passes_through"]
    before, after = (case.pixels(name, (WIDTH, HEIGHT)) for name in ("before", "after"))
    alpha = pictures.cut_out()[..., 3]
    outside = (on_canvas(alpha) == 0) & (on_canvas(alpha, (20, 30)) == 0)
    np.testing.assert_array_equal(after[outside], before[outside])
    assert (after[~outside] != before[~outside]).any()
    assert case.facts["effects"] == [0, 1, 1]


def test_effects_of_others_stay_editable(cases: Cases) -> None:
    found = cases["effects_of_others"].facts["found"]
    assert found["new-layer"][::2] == ["success", [[], ["Blur"], []]]
    assert found["effect"][0] == "success"
    assert sorted(found["effect"][2][0]) == ["Blur", "Harmonize"]
    assert found["in-place"][::2] == ["execution-error", [["Blur"], []]]
    assert "would make the layer effects of “pasted” permanent (“Blur”)" in found["in-place"][1]
    assert found["again"] == ["Blur"]


def test_shown_mask_changes_nothing(cases: Cases) -> None:
    assert cases["shown_mask"].facts["same"]


def test_refusals_name_the_reason_in_gimp(cases: Cases) -> None:
    facts = cases["locks_and_visibility"].facts
    for name, text in (
        ("hidden", "“pasted” is hidden: show it"),
        ("transparent", "“pasted” has an opacity of 0 %"),
        ("visibility", "The visibility of “pasted” is locked"),
        ("in-place", "The pixels of “pasted” are locked"),
    ):
        status, message, unchanged = facts[name]
        assert (status, unchanged) == ("execution-error", True)
        assert message.startswith(text)
        assert "Log:" not in message
    assert facts["new-layer"][0] == "success"  # it does not touch the locked pixels
    assert sorted(facts["selected"]) == ["one harmonized", "two harmonized"]


def test_wrong_calls_of_scripts_are_refused(cases: Cases) -> None:
    found = cases["calls_of_scripts"].facts["found"]
    for name, text in (
        ("other image", "“pasted” is not in this image"),
        ("not inserted", "“pasted copy” is not in this image"),
        ("no window", "This GIMP has no windows"),
    ):
        status, message, unchanged = found[name]
        assert (status, unchanged) == ("execution-error", True)
        assert message.startswith(text)


def test_flat_image_is_harmonized_again(cases: Cases) -> None:
    facts = cases["flat_again"].facts
    assert facts["first"]["status"] == facts["second"]["status"] == "success", facts["second"]["message"]
    assert len(facts["names"]) == 2


def test_layer_is_matched_to_another_whole_layer(cases: Cases) -> None:
    case = cases["covered_reference"]
    assert case.succeeded, case.facts["message"]
    assert case.facts["changed"]


def test_copies_are_deleted(cases: Cases) -> None:
    assert cases["copies_are_deleted"].facts["images"] == 1
