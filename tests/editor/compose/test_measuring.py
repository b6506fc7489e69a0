# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark measures what it says, at a size that takes no time."""

from __future__ import annotations

import json

import pytest

from s2am_editor.compose.measuring import SIZE, measure, to_table


def test_every_movement_is_measured_and_told() -> None:
    told: list[str] = []
    figures = measure(told.append, size=(900, 600), frames=4)
    assert told == ["harmonizing", "drawing at fit", "drawing at 100 %", "exporting"]
    data = json.loads(json.dumps(figures.to_json()))
    for name in ("slider, fit", "pan, 100 %", "move a layer, fit"):
        assert len(figures.times[name]) == 4
        assert 0 <= data["milliseconds"][name]["least"] <= data["milliseconds"][name]["median"]
    assert set(data["memory_of_picture"]) == {"harmonizing", "steady", "exporting"}
    assert "slider, 100 %" in to_table(figures)


def test_a_document_of_24_megapixels_takes_at_most_six_times_its_picture() -> None:
    figures = measure(size=SIZE, frames=2)
    if figures.memory["steady"] is None:
        pytest.skip("this system does not say how much memory a process uses")
    for name, size in figures.memory.items():
        assert size is not None
        assert size <= 6 * figures.picture, name
