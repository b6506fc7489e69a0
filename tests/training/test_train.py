# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am train`: from a folder to a usable model, also after Ctrl-C and kill -9."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_engine.cli import main as cli
from s2am_engine.models.model_store import find_model, load_network
from s2am_engine.networks.registry import RECIPES
from s2am_engine.training import train as training
from s2am_engine.training import trainer, training_data
from s2am_engine.training.events import Phase, TrainingEvent
from s2am_engine.training.pretrained import trunk_weights
from s2am_engine.training.run_folder import CHECKPOINT_FILE, load_checkpoint, read_log
from s2am_engine.training.train import TrainingPlan, make_plan, train
from tests.engine.networks import OURS, pictures
from tests.engine.test_cli import failed, run
from tests.folders import redirect_cache

ROOT = Path(__file__).parents[2]
TINY = dataclasses.replace(
    RECIPES["small"]["concord"], steps=4, batch=4, size=32, warm_up=1, options={"width": 24, "hidden": 32}
)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of six photographs, two of which are held out, and a separate cache."""
    redirect_cache(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr(
        "s2am_engine.training.dataset_readers.split_of", lambda name: "val" if name[0] in "01" else "train"
    )
    monkeypatch.setattr(training_data, "VALIDATION_BATCHES", 2)
    monkeypatch.setattr(trainer, "CALIBRATION_BATCHES", 2)
    folder = tmp_path / "photos"
    folder.mkdir()
    for index in range(6):
        photograph = (data.coffee(), data.astronaut(), data.chelsea())[index % 3]
        Image.fromarray(np.roll(photograph, 30 * index, axis=1)[:280, :400]).save(folder / f"{index} holiday.jpg")
    return folder


def test_train_makes_a_personal_model(photos: Path, tmp_path: Path) -> None:
    events: list[TrainingEvent] = []
    plan = make_plan("concord", photos, TINY)
    found = train(plan, tmp_path / "run", report=events.append)
    assert found is not None
    assert (plan.name, found.steps) == ("my-concord", 4)
    assert [event.done for event in events if event.phase is Phase.READING][-1] in (2, 4)
    assert [event.validation.gain for event in events if event.validation][-1] <= found.gain
    model = find_model("my-concord")
    assert (model.card.input_size, model.card.options) == (32, {"width": 24, "hidden": 32})
    assert "6 photographs of" in model.card.data
    assert (model.card.training["loss"], model.card.training["steps"]) == ("foreground_rmse", 4)
    assert model.card.parameters == sum(p.numel() for p in load_network(model).parameters())
    assert make_plan("concord", photos, TINY).name == "my-concord-2", "nothing is overwritten"
    with pytest.raises(EngineError, match="already a model “my-concord”: choose another"):
        make_plan("concord", photos, TINY, "my-concord")


def test_train_starts_from_a_models_weights(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = dataclasses.replace(TINY, options={}, steps=1, learning_rate=1e-12)
    found = train(make_plan("concord", photos, small, start="concord"), tmp_path / "run")
    assert found is not None
    inputs = pictures(64)
    with torch.no_grad():
        begun, concord = (load_network(one)(*inputs) for one in (found.model, find_model("concord")))
    torch.testing.assert_close(begun, concord, atol=2e-3, rtol=0)
    assert TrainingPlan.read(tmp_path / "run").start == "concord"
    with pytest.raises(EngineError, match="“concord”: start with one of connoisseur, concord"):
        train(make_plan("concord", photos, TINY, start="reinhard"), tmp_path / "other")
    line = ("train", "--network", "concord", "--data", photos, "--folder", tmp_path / "third", "--start", "unknown")
    assert "no model “unknown”" in failed(tmp_path, run(capsys, *line))


def test_train_starts_from_pretrained_features(photos: Path, tmp_path: Path) -> None:
    small = dataclasses.replace(TINY, options=OURS["connoisseur"] | {"hidden": 384}, steps=1, learning_rate=1e-12)
    found = train(make_plan("connoisseur", photos, small, start="concord"), tmp_path / "run")
    assert found is not None
    own = load_network(found.model).state_dict()
    concord = load_network(find_model("concord")).state_dict()
    expected = trunk_weights(load_network(found.model))
    expected |= {name: value for name, value in concord.items() if name.startswith("statistics_branch")}
    assert len(expected) > 100
    for name, value in expected.items():
        torch.testing.assert_close(own[name], value, atol=1e-3, rtol=1e-3)  # kept as they were, in 16 bits
    assert trunk_weights(load_network(found.model), known=own) == {}


def test_train_a_detector(photos: Path, tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        RECIPES["small"]["dissonance"], steps=4, batch=4, size=32, warm_up=1, options=OURS["dissonance"]
    )
    found = train(make_plan("dissonance", photos, recipe), tmp_path / "run")
    assert found is not None
    assert 0 <= found.gain <= 1, "the mean IoU of the masks it finds"
    assert load_network(found.model).mask_free


def test_train_resumes_and_replaces_its_model(photos: Path, tmp_path: Path) -> None:
    train(make_plan("concord", photos, TINY), tmp_path / "run")
    with pytest.raises(EngineError, match="already holds a run"):
        train(make_plan("concord", photos, TINY), tmp_path / "run")
    plan = TrainingPlan.read(tmp_path / "run")
    assert plan.recipe == TINY
    longer = dataclasses.replace(plan, recipe=dataclasses.replace(plan.recipe, steps=6))
    found = train(longer, tmp_path / "run", resume=True)
    assert found is not None
    assert (found.steps, found.model.card.name) == (6, "my-concord")
    inputs = pictures(32)
    assert torch.isfinite(load_network(find_model("my-concord"))(*inputs)).all()


def test_train_canceled_keeps_the_run(photos: Path, tmp_path: Path) -> None:
    class CancelledError(Exception):
        pass

    def cancel(event: TrainingEvent) -> None:
        if event.validation:
            raise CancelledError

    plan = make_plan("concord", photos, dataclasses.replace(TINY, steps=40))
    with pytest.raises(CancelledError):
        train(plan, tmp_path / "run", report=cancel)
    with pytest.raises(EngineError, match="no model “my-concord”"):
        find_model("my-concord")
    found = train(TrainingPlan.read(tmp_path / "run"), tmp_path / "run", resume=True)
    assert found is not None
    assert found.steps == 40


def test_plan_read_reports_a_missing_run(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="holds no run"):
        TrainingPlan.read(tmp_path)
    with pytest.raises(EngineError, match="is not a folder: name one"):
        make_plan("concord", tmp_path / "nowhere", TINY)


def test_train_command_passes_every_option(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began: list[Any] = []
    monkeypatch.setattr(training, "train", lambda *arguments, **named: began.append((arguments, named)))
    line = "--folder run --name mine --steps 7 --size 256 --batch 3 --width 8 --levels 5 --loss pixel_l1 --seed 9"
    more = "--learning-rate 0.5 --adversarial 0 --schedule constant --clip 2 --average 0.5 --no-mixed-precision"
    where = "--workers 3 --device cpu"
    code, *_ = run(capsys, "train", "--network", "unet", "--data", photos, *f"{line} {more} {where}".split())
    assert code == 0
    expected = dataclasses.replace(
        RECIPES["small"]["unet"],
        loss="pixel_l1",
        learning_rate=0.5,
        steps=7,
        batch=3,
        size=256,
        adversarial=0.0,
        schedule="constant",
        clip=2.0,
        average=0.5,
        mixed_precision=False,
        options={"width": 8, "levels": 5},
    )
    (plan, folder), named = began[0]
    assert (plan.network, plan.data, plan.name, plan.recipe, plan.seed) == ("unet", photos, "mine", expected, 9)
    assert folder == Path("run")
    assert (named["resume"], named["device"], named["workers"]) == (False, "cpu", 3)


def test_train_command_published_recipe(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began: list[TrainingPlan] = []
    monkeypatch.setattr(training, "train", lambda plan, *_, **__: began.append(plan))
    line = ["train", "--network", "s2crnet", "--data", photos, "--minutes", "3"]
    assert run(capsys, *line)[0] == run(capsys, *line, "--recipe", "published")[0] == 0
    kinds = [dataclasses.replace(RECIPES[kind]["s2crnet"], minutes=3.0) for kind in ("small", "published")]
    assert [plan.recipe for plan in began] == kinds


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--network unet", "give --network and --data"),
        ("--network reinhard --data PHOTOS", "--network must be one of concord"),
        ("--network unet --data PHOTOS --loss guess", "--loss must be one of attention_and_pixels"),
        ("--network unet --data PHOTOS --steps 0", "must be more than 0"),
        ("--network unet --data PHOTOS --steps 3 --minutes 4", "not allowed with"),
        ("--resume", "--resume needs --folder"),
        ("--resume --folder RUN --size 64", "--size cannot change"),
    ],
)
def test_train_command_explains_wrong_usage(
    line: str, words: str, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", *line.replace("PHOTOS", str(photos)).split()])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_train_command_reports_a_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no run" in failed(tmp_path, run(capsys, "train", "--resume", "--folder", tmp_path))


def start(photos: Path, folder: Path, home: Path, *more: str) -> subprocess.Popen[str]:
    """A real process that trains for long, and writes its checkpoint often."""
    line = ["--network", "concord", "--data", str(photos), "--steps", "160", "--batch", "2", "--size", "32"]
    begun = [*line, "--threads", "1"] if not more else list(more)
    program = (
        "from s2am_engine.cli.main import main; from s2am_engine.training import training_data, trainer;"
        "trainer.CHECKPOINT_EVERY = trainer.REPORT_EVERY = 0.2; training_data.VALIDATION_BATCHES = 1;"
        "raise SystemExit(main())"
    )
    home_is = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_DATA_HOME": str(home / "data")}
    return subprocess.Popen(
        [sys.executable, "-c", program, "train", *begun, "--folder", str(folder), "--json"],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | home_is,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_a_checkpoint_after(step: int, folder: Path, process: subprocess.Popen[str]) -> int:
    """Wait for a checkpoint beyond a step, and return its step."""
    for _ in range(6000):
        assert process.poll() is None, process.communicate()[1]
        state = load_checkpoint(folder)
        if state and state["step"] > step:
            return int(state["step"])
        time.sleep(0.1)
    raise AssertionError("no checkpoint came")


def folder_of_many(folder: Path) -> Path:
    """Write enough photographs that some are held out by the hash of their names."""
    folder.mkdir()
    for index in range(24):
        Image.fromarray(np.roll(data.coffee()[::3, ::3], 8 * index, axis=1)).save(folder / f"{index}.png")
    return folder


@pytest.mark.slow
def test_train_command_survives_kill_9(tmp_path: Path) -> None:
    photos, folder = folder_of_many(tmp_path / "photos"), tmp_path / "run"
    first = start(photos, folder, tmp_path)
    step = wait_for_a_checkpoint_after(25, folder, first)
    first.kill()
    first.communicate()
    state = load_checkpoint(folder)
    assert state is not None
    assert state["step"] >= step
    # The second process is interrupted by Ctrl-C, the third finishes.
    second = start(photos, folder, tmp_path, "--resume")
    wait_for_a_checkpoint_after(state["step"], folder, second)
    second.send_signal(signal.SIGINT)
    _, output = second.communicate(timeout=600)
    assert second.returncode == 1
    assert output.strip().splitlines()[-1] == f"error: Stopped: “s2am train --resume --folder {folder}” resumes it."
    third = start(photos, folder, tmp_path, "--resume")
    out, output = third.communicate(timeout=600)
    assert third.returncode == 0, output
    found = json.loads(out)
    assert (found["steps"], found["model"]) == (160, "my-concord")
    steps = [entry.step for entry in read_log(folder / "log.csv")]
    assert steps == sorted(set(steps))
    assert steps[-1] == 160
    assert not list(folder.glob("*.tmp")), "no rubbish is left"
    assert (folder / CHECKPOINT_FILE).is_file()
