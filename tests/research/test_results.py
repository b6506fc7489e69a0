# SPDX-License-Identifier: GPL-3.0-or-later
"""The results page: its statistics, its contents, and the generated copy in docs/."""

from __future__ import annotations

import copy
import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from research import ablation, results
from research.comparison import FIGURES, SYSTEMS
from research.preference import PreferenceScore
from research.published import PUBLISHED
from research.results import QUESTIONS, GainDifference, Results, compare, make_page
from s2am_engine.models.model_store import DEFAULT_MODEL, LIGHT_MODEL, SUBJECT_MODEL, find_model, list_models
from s2am_engine.training.recolor_settings import KINDS
from s2am_engine.training.training_data import PAIR_SOURCES

DOCS = Path(__file__).resolve().parents[2] / "docs"


RECIPE = {"photographs": 3000, "loss": "foreground_rmse", "steps": 1200, "batch": 16, "size": 48, "learning_rate": 8e-4}


def fake_results(seed: int = 0) -> Results:
    """Return random figures of all systems in the format of the comparison."""
    rng = np.random.default_rng(seed)
    found: Results = {}
    untouched = {"psnr": 27.0, "fpsnr": 19.5, "mse": 300.0, "fmse": 1500.0, "ssim": 0.95}
    for index, (name, system) in enumerate(SYSTEMS.items()):
        gains = (rng.normal(0, 1, 8) + 0.1 * index).round(3).tolist()
        row: dict[str, Any] = dict(zip(FIGURES, (27 + float(np.mean(gains)), 20, 250, 1200, 0.96), strict=True))
        row |= {"gains": gains, "worse_by_1db": index, "untouched": untouched}
        row |= {"iou": 0.71} if "mask-free" in name else {}
        found[name] = {
            "network": system.network,
            "options": dict(system.options),
            "parameters": 1_234_567,
            "recipe": RECIPE,
            "loss": system.recipe.loss if system.recipe.steps else None,
            "adversarial": system.recipe.adversarial,
            "minutes": 1.0,
            "held_out": (rng.normal(0, 1, 32) + 0.1 * index).round(2).tolist(),
            "map": row,
            "native": copy.deepcopy(row),
        }
    return found


def left_out(seed: int = 7) -> Results:
    """Return random figures of the ablation."""
    rows = list(fake_results(seed).values())
    return dict(zip(ablation.KINDS, rows, strict=False))


def rows_of(page: str, first_cell: str) -> list[list[str]]:
    """The cells of the table rows that begin with a cell."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:1] == "|"]
    return [row for row in cells if row[0] == first_cell]


def test_compare_pairs_images() -> None:
    # Differences 1, 2 and 0: mean 1, deviation 1 (of three, with two degrees of freedom), 1.96 / √3.
    found = compare([1.0, 2.0, 3.0], [0.0, 0.0, 3.0])
    assert found.mean == pytest.approx(1)
    assert found.margin == pytest.approx(1.96 / math.sqrt(3))
    # Variation that both systems share does not widen the interval.
    steady = compare([-5.0, 0.1, 8.1], [-5.2, 0.0, 8.0])
    assert steady.mean == pytest.approx(0.4 / 3)
    assert steady.verdict == "yes"
    assert compare([0.0, 0.0, 3.0], [1.0, 2.0, 3.0]).mean == pytest.approx(-1)


@pytest.mark.parametrize(
    ("mean", "margin", "verdict"),
    [
        (0.5, 0.4, "yes"),
        (0.5, 0.6, "inconclusive"),
        (0.0, 0.0, "inconclusive"),
        (-0.5, 0.6, "inconclusive"),
        (-0.5, 0.4, "no, worse"),
    ],
)
def test_difference_verdict(mean: float, margin: float, verdict: str) -> None:
    assert GainDifference(mean, margin).verdict == verdict


def test_questions_refer_to_trained_systems() -> None:
    asked = {name for pairs in QUESTIONS.values() for pair in pairs for name in pair}
    assert asked <= SYSTEMS.keys()
    assert all(one != other for pairs in QUESTIONS.values() for one, other in pairs)
    # Every system but the untrained one is in a question.
    assert SYSTEMS.keys() - asked == {"reinhard"}


def test_published_figures_refer_to_trained_systems() -> None:
    assert PUBLISHED.keys() <= SYSTEMS.keys()


@pytest.mark.parametrize(
    ("one", "other", "published"),
    [
        # From the papers: 34.74 − 33.55, 35.23 − 34.74, 34.74 − 33.32, 31.15 − 30.89, 31.15 − 30.10, 35.86 − 32.98
        ("s2am-s2asc", "unet", "+1.19 dB"),
        ("s2am-s2ad", "s2am-s2asc", "+0.49 dB"),
        ("s2am-s2asc", "s2am-s2asc-no-gates", "+1.42 dB"),
        ("s2am-mask-free", "s2am-mask-free, no GAN", "+0.26 dB"),
        ("s2am-mask-free", "s2am-mask-free, no attention loss", "+1.05 dB"),
        ("dih-s2asc", "dih", "+1.82 dB"),
        ("pix2pix-s2asc", "pix2pix", "+1.19 dB"),
        ("fmm", "fmm-backbone", "+2.88 dB"),
        # of two data sets, or of none
        ("fmm", "s2am-s2ad", ""),
        ("concord", "s2crnet", ""),
    ],
)
def test_published_differences_are_the_papers(one: str, other: str, published: str) -> None:
    assert results.published_difference(one, other) == published


def test_make_page_lists_every_system() -> None:
    found = fake_results()
    page = make_page(found, left_out())
    assert make_page(copy.deepcopy(found), left_out()) == page
    assert page != make_page(fake_results(1), left_out())
    assert page.endswith("\n")
    assert not re.search(r"\{\w*[:}]", page)  # an unfilled placeholder
    systems, _ = page.split("## The bundled models")
    for name, figures in found.items():
        (row,) = rows_of(systems, name)
        assert row[1] == "1.23 M"
        assert row[3] == f"{figures['map']['psnr']:.2f}"
        assert row[7] == str(figures["map"]["worse_by_1db"])
        assert row[8] == f"{figures['native']['psnr'] - 27:+.2f}"
        assert row[9] == ("0.71" if "mask-free" in name else "")
        assert row[10] == (PUBLISHED[name].text if name in PUBLISHED else "")
    assert rows_of(page, "pix2pix")[0][2] == "foreground_rmse + 0.01 GAN"
    assert rows_of(page, "pix2pix, published loss")[0][2] == "pixel_l1 + 1 GAN"
    assert rows_of(systems, "reinhard")[0][2] == "none"


def test_make_page_answers_every_question() -> None:
    found = fake_results()
    page = make_page(found, left_out())
    for question, pairs in QUESTIONS.items():
        assert page.count(f"### {question}\n") == 1
        for one, other in pairs:
            (row,) = rows_of(page, f"{one} over {other}")
            held_out = compare(found[one]["held_out"], found[other]["held_out"])
            full = compare(found[one]["map"]["gains"], found[other]["map"]["gains"])
            assert row[1:3] == [f"{held_out.mean:+.2f} ± {held_out.margin:.2f} dB", held_out.verdict]
            assert row[3:5] == [f"{full.mean:+.2f} ± {full.margin:.2f} dB", full.verdict]
            assert row[5] == results.published_difference(one, other)


def test_make_page_lists_the_ablation() -> None:
    found = left_out()
    page = make_page(fake_results(), found)
    whole = found[ablation.EVERYTHING]
    for name, kinds in ablation.GROUPS.items():
        (row,) = rows_of(page, name)
        full = compare(whole["map"]["gains"], found[name]["map"]["gains"])
        assert row[1] == ", ".join(kinds)
        assert row[4:6] == [f"{full.mean:+.2f} ± {full.margin:.2f} dB", full.verdict]
        assert row[6] == f"{whole['map']['worse_by_1db']} / {found[name]['map']['worse_by_1db']}"


def test_ablation_groups_cover_every_kind_once() -> None:
    assert sorted(kind for kinds in ablation.GROUPS.values() for kind in kinds) == sorted([*PAIR_SOURCES, *KINDS])


def test_make_page_has_a_section_about_preferences_if_there_are_any() -> None:
    scores = [PreferenceScore("mine", 0.5, 0.2, 0.8, 0.62, 40), PreferenceScore("yours", -0.5, -0.8, -0.2, 0.38, 40)]
    page = make_page(fake_results(), left_out(), scores)
    assert "| mine | +0.50 | +0.20 to +0.80 | 62% | 40 |" in page
    assert "natural" in page
    assert "natural" not in make_page(fake_results(), left_out())


def test_make_page_lists_the_bundled_models() -> None:
    _, bundled = make_page(fake_results(), left_out()).split("## The bundled models")
    for model in list_models():
        if model.card.name in (SUBJECT_MODEL, LIGHT_MODEL):
            assert not rows_of(bundled, model.card.name)
            continue
        (row,) = rows_of(bundled, model.card.name)
        assert row[3] == str(model.card.input_size)
        real, figures = model.card.figures["real"], model.card.figures["benchmark"]
        assert row[4] == (f"{real['psnr']:.2f}" if "psnr" in real else "")
        assert row[7] == (f"{figures['psnr']:.2f}" if "psnr" in figures else "")


def test_make_page_ranks_the_default_among_others_on_real_composites() -> None:
    real = make_page(fake_results(), left_out()).split("## Real composites")[1].split("## Comparison")[0]
    psnr = find_model(DEFAULT_MODEL).card.figures["real"]["psnr"]
    assert rows_of(real, f"**{DEFAULT_MODEL}**")[0][1] == f"{psnr:.1f}"
    values = [
        float(line.split("|")[2])
        for line in real.splitlines()
        if line.startswith("| ") and "PSNR" not in line and "---" not in line
    ]
    assert values == sorted(values, reverse=True)
    assert len(values) > 6


def run_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["results", *arguments])
    return results.main()


def test_results_command_writes_page_and_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs, docs = tmp_path / "runs", tmp_path / "docs"
    runs.mkdir()
    docs.mkdir()
    (docs / "ablation.json").write_text(json.dumps(left_out()))
    found = fake_results()
    for name, figures in reversed(found.items()):
        (runs / f"{name}.json").write_text(json.dumps(figures))
    assert run_main(monkeypatch, "--runs", str(runs), "--docs", str(docs)) == 0
    kept, page = ((docs / name).read_text(encoding="utf-8") for name in ("results.json", "results.md"))
    assert list(json.loads(kept)) == list(SYSTEMS)
    assert json.loads(kept) == found
    assert page == make_page(found, left_out())
    with Image.open(docs / "results.png") as chart:
        assert chart.height > 20 * len(SYSTEMS)
    (docs / "results.md").unlink()
    assert run_main(monkeypatch, "--docs", str(docs)) == 0
    assert (docs / "results.md").read_text(encoding="utf-8") == page


def test_results_command_names_missing_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in SYSTEMS.keys() - {"fmm", "unet, published loss"}:
        (tmp_path / f"{name}.json").write_text("{}")
    assert run_main(monkeypatch, "--runs", str(tmp_path), "--docs", str(tmp_path)) == 1
    output = capsys.readouterr().err
    assert "Not measured yet: " in output
    assert {"fmm", "unet, published loss"} <= set(re.split(r": |, (?!published)|\. ", output))
    assert not (tmp_path / "results.json").exists()


def test_results_command_without_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_main(monkeypatch, "--docs", str(tmp_path)) == 1
    assert "--runs" in capsys.readouterr().err


def test_results_command_without_ablation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results.json").write_text(json.dumps(fake_results()))
    assert run_main(monkeypatch, "--docs", str(tmp_path)) == 1
    assert "research.ablation" in capsys.readouterr().err


def test_docs_results_page_is_generated() -> None:
    kept = json.loads((DOCS / "results.json").read_text(encoding="utf-8"))
    assert list(kept) == list(SYSTEMS)
    for name, figures in kept.items():
        assert figures["network"] == SYSTEMS[name].network
        assert figures["options"] == dict(SYSTEMS[name].options)
    measured = json.loads((DOCS / "ablation.json").read_text(encoding="utf-8"))
    assert list(measured) == list(ablation.KINDS)
    assert (DOCS / "results.md").read_text(encoding="utf-8") == make_page(kept, measured)
    assert (DOCS / "results.png").is_file()
