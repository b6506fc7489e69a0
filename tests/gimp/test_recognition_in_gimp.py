# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonize Layer in a real GIMP 3, after the image with a harmonized layer was changed as a whole."""

from __future__ import annotations

import pytest

from tests.gimp.answers import Cases

NAMES = [["pasted harmonized", True], ["pasted", False], ["background", True]]


@pytest.mark.parametrize(
    "change",
    [
        "scaled",
        "enlarged",
        "cropped",
        "turned",
        "flipped",
        "deepened",
        "linearized",
        "converted",
        "duplicated",
        "reopened",
    ],
)
def test_changed_image_is_harmonized_again_from_the_original(cases: Cases, change: str) -> None:
    facts = cases["changed_as_a_whole"].inner(change).facts
    assert (facts["status"], facts["layers"]) == ("success", NAMES), facts["message"]
    assert facts["is original"]


def test_layer_painted_before_the_image_was_scaled_is_kept(cases: Cases) -> None:
    facts = cases["changed_as_a_whole"].inner("painted_and_scaled").facts
    assert facts["status"] == "success", facts["message"]
    assert facts["is unchanged"]
    assert [name for name, _ in facts["layers"]] == ["pasted harmonized #1", *(name for name, _ in NAMES)]


def test_copy_of_a_harmonized_layer_has_a_shadow_of_its_own(cases: Cases) -> None:
    facts = cases["copies_of_a_harmonized_layer"].facts
    assert [answer["status"] for answer in facts["answers"]] == ["success", "success"], facts["answers"]
    above = [["pasted harmonized copy", True], ["pasted shadow #1", True], ["pasted harmonized", True]]
    assert facts["between"] == [*above, ["pasted", False], ["pasted shadow", True], ["background", True]]
    assert facts["layers"] == [*above, ["pasted", False], ["background", True]]


def test_original_stands_for_its_result(cases: Cases) -> None:
    facts = cases["original_selected_again"].facts
    assert [answer["status"] for answer in facts["answers"]] == ["success"] * 3, facts["answers"]
    assert facts["layers"] == NAMES
    assert facts["is changed"]
