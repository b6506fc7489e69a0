# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about time and memory as images grow."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from research import growth
from research.growth import CostMeasurement, CostMeasurements

POINTS = [
    CostMeasurement(size, share, 0.01 * size, 0.005 * size, int(1e6 * size), int(1e8 + 1e6 * size))
    for size in (1.0, 24.0)
    for share in growth.SHARES
]


def test_growth_measures_and_writes_a_page_with_a_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SIZES", ((300, 200), (600, 400)))
    assert growth.main(["--model", "concord", "--docs", str(tmp_path)]) == 0
    found = CostMeasurements.read(tmp_path / "growth.json")
    assert [one.share for one in found.points] == [*growth.SHARES, *growth.SHARES]
    assert all(one.cpu_seconds > 0 and one.seconds > 0 for one in found.points)
    assert Image.open(tmp_path / "growth.png").width > 800
    page = (tmp_path / "growth.md").read_text("utf-8")
    assert page == growth.make_page(found)
    assert "“concord” on ONNX Runtime" in page


def test_page_says_if_the_machine_was_busy() -> None:
    busy, idle = (
        growth.make_page(CostMeasurements("mine", "a runtime", "a machine", load, POINTS)) for load in (2.0, 0.1)
    )
    assert "| 24 | 30 % | 0.24 | 0.12 | 24 MB | 124 MB |" in busy
    assert "busy with other work" in busy
    assert "busy with other work" not in idle
    assert "| PCT-Net CNN | 0.57 s | 2.45 s | 6.9 s | 3.5 GB |" in idle


def test_draw_without_figures_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert growth.main(["--draw", "--docs", str(tmp_path)]) == 1
    assert "without --draw" in capsys.readouterr().err


def test_page_in_docs_is_made_from_its_figures() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    assert (docs / "growth.md").read_text("utf-8") == growth.make_page(CostMeasurements.read(docs / "growth.json"))
