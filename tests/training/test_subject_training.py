# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and measuring the selection of subjects, on synthetic photographs of a disc."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import TrainingError
from s2am_engine import SubjectSelector
from s2am_engine.cli.terminal import json_text
from s2am_engine.models.model_store import SUBJECT_MODEL
from s2am_engine.networks import registry
from s2am_engine.networks.spec import NetworkSpec
from s2am_engine.networks.subject import SUBJECT_RECIPE
from s2am_engine.training.events import Phase, TrainingEvent
from s2am_engine.training.subject_evaluation import (
    SubjectEvaluation,
    SubjectScores,
    evaluate_subjects,
    is_single_object,
)
from s2am_engine.training.subject_photographs import SubjectPhotographs, find_subjects, random_window
from s2am_engine.training.train import make_plan, train
from tests.engine.fake_networks import Spotter, write_fake_model
from tests.engine.test_cli import run

SIDE = 96
TRAINED, HELD_OUT = 24, 8


def disc(rng: np.random.Generator, *, empty: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph of a pale blue disc on earth, or of earth alone, and its label map."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    center, radius = rng.uniform(0.35, 0.65, 2), rng.uniform(0.18, 0.3)
    inside = (np.hypot(y - center[0], x - center[1]) < radius) & (not empty)
    pixels = np.where(inside[..., None], (150, 180, 235), (110, 90, 50)) + rng.normal(0, 12, (SIDE, SIDE, 1))
    return pixels.clip(0, 255).astype(np.uint8), inside.astype(np.uint8)


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    """A data set of discs, every fourth photograph without one."""
    folder, rng = tmp_path / "discs", np.random.default_rng(0)
    folder.mkdir()
    rows = ["name,image,regions,split"]
    for number in range(TRAINED + HELD_OUT):
        image, labels = disc(rng, empty=number % 4 == 3)
        Image.fromarray(image).save(folder / f"{number}.png")
        Image.fromarray(labels).save(folder / f"{number}-labels.png")
        rows.append(f"{number},{number}.png,{number}-labels.png,{'train' if number < TRAINED else 'val'}")
    (folder / "index.csv").write_text("\n".join(rows))
    return folder


def test_train_makes_a_model_that_selects(discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[TrainingEvent] = []
    recipe = dataclasses.replace(
        SUBJECT_RECIPE,
        size=SIDE,
        batch=8,
        steps=60,
        learning_rate=4e-3,
        average=0.9,
        options={"channels": 24, "width": 12},
    )
    found = train(make_plan("subject", discs, recipe, "mine"), tmp_path / "run", report=events.append)
    assert found is not None
    assert found.gain > 0.8
    assert not (tmp_path / "run" / "encoded").exists()
    assert {event.phase for event in events} == {Phase.READING, Phase.TRAINING}
    code, out, _ = run(
        capsys, "evaluate", discs, "--subject", "--model", "mine", "--sheet", tmp_path / "s.png", "--json"
    )
    figures = json.loads(out)
    assert code == 0
    assert run(capsys, "evaluate", discs, "--split", "test")[0] == 2
    assert (figures["single"], figures["with_subject"], figures["without_subject"]) == (6, 6, 2)
    assert figures["single_iou"] > 0.8
    assert figures["missed"] == figures["false_alarms"] == 0
    assert Image.open(tmp_path / "s.png").height > 4 * 200


def test_train_within_minutes_uses_the_photographs_that_fit(discs: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SUBJECT_RECIPE, size=32, batch=4, minutes=1 / 60, options={"channels": 12, "width": 8})
    found = train(make_plan("subject", discs, recipe, "mine"), tmp_path / "run")
    assert found is not None
    assert found.steps > 0
    with pytest.raises(TrainingError, match="can't be resumed"):
        train(make_plan("subject", discs, recipe, "other"), tmp_path / "run", resume=True)


def test_subjects_need_label_maps(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("name,image,regions,split\na,a.png,,train")
    with pytest.raises(TrainingError, match="no label maps of subjects"):
        find_subjects(tmp_path, "train")


def test_photographs_are_read_once_per_epoch_with_their_masks(discs: Path) -> None:
    source = SubjectPhotographs(SIDE, 6, 1, photographs=find_subjects(discs, "train"), augment=False)
    batches = [source.make(step) for step in range(TRAINED // 6)]
    seen = {batch.composite[k].numpy().tobytes() for batch in batches for k in range(6)}
    assert len(seen) == TRAINED
    for batch in batches:
        blue = (batch.composite[:, 2:] > batch.composite[:, :1]).float()
        assert float((blue - batch.mask).abs().mean()) < 0.01
    augmented = SubjectPhotographs(SIDE, 6, 1, photographs=find_subjects(discs, "train"), augment=True)
    assert (augmented.make(0).composite != batches[0].composite).any()


def test_random_windows_show_the_subject_or_nothing_of_it() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (96, 128, 3)).astype(np.uint8)
    subject = np.zeros((96, 128), np.bool_)
    subject[50:90, 80:120] = True
    kept = []
    for _ in range(300):
        window, shown = random_window(image, subject, rng)
        assert window.shape[:2] == shown.shape
        kept.append(shown.sum() / subject.sum())
    shares = np.array(kept)
    assert ((shares == 0) | (shares >= 0.7)).all()
    assert 0.04 < (shares == 0).mean() < 0.2


def test_evaluation_counts_misses_and_false_alarms(
    discs: Path, no_personal_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, SUBJECT_MODEL, "spotter")
    found, sheet = evaluate_subjects(discs, SubjectSelector())
    figures = found.figures()
    assert figures["single_iou"] > 0.9
    assert figures["missed"] == figures["false_alarms"] == 0
    assert f"single clear objects (6): mean IoU {figures['single_iou']:.3f}" in found.to_table()
    assert sheet.width > 4 * 200
    worse = dataclasses.replace(found.photographs[0], confidence=0.4)
    found.photographs[0] = worse
    assert found.figures()["missed"] == pytest.approx(1 / 6, abs=1e-4)
    assert found.figures()["single_iou_found"] < found.figures()["single_iou"]


def test_single_objects_are_connected_and_neither_tiny_nor_filling() -> None:
    mask = np.zeros((100, 100), np.bool_)
    mask[10:50, 10:50] = True
    assert is_single_object(mask)
    mask[60:70, 60:70] = True
    assert not is_single_object(mask)
    mask[:] = True
    assert not is_single_object(mask)
    assert not is_single_object(np.zeros((100, 100), np.bool_))


def test_evaluation_without_empty_photographs_names_no_false_alarms() -> None:
    found = SubjectEvaluation("photos", "subject", [SubjectScores("one", True, True, 0.9, 0.8)])
    assert "false alarms" not in found.to_table()
    assert json.loads(json_text(found.to_json()))["false_alarms"] is None
