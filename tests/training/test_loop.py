# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: it validates, resumes with the same bits, stops when asked, and keeps its promises about time."""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2am_engine.errors import EngineError
from s2am_engine.training import trainer as loop
from s2am_engine.training.events import Event, Stepped, Validated
from s2am_engine.training.learner import has_statistics, refresh_statistics
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recipes import RECIPES
from s2am_engine.training.run_folder import CHECKPOINT_FILE, WEIGHTS_FILE, read_log
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.trainer import Trainer
from tests.engine.networks import small_options


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate on less."""
    monkeypatch.setattr(loop, "CALIBRATION_BATCHES", 2)


def trainer(name: str, steps: int, photographs: list[Photograph], folder: Path, **changes: Any) -> Trainer:
    """A run small enough for a test, which validates at half time."""
    small: dict[str, Any] = {"steps": steps, "batch": 4, "size": 32, "warm_up": 5, "options": small_options(name)}
    recipe = dataclasses.replace(RECIPES["small"][name], **small | changes)
    pairs = PairMaker(recipe.size, recipe.batch, 1, photographs=photographs)
    unseen = PairMaker(recipe.size, recipe.batch, 2, photographs=photographs)
    run = Trainer(name, recipe, pairs, [unseen.make(index) for index in range(2)], folder)
    if run.steps:
        run.validate_every = max(1, steps // 2)
    return run


def everything_in(run: Trainer) -> dict[str, Tensor]:
    """All numbers that a run goes on from."""
    parts: dict[str, nn.Module] = {"model": run.learner.model, "average": run.learner.average}
    if run.learner.adversary:
        parts["discriminator"] = run.learner.adversary.discriminator
    return {f"{part}.{key}": value for part, network in parts.items() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", ["concord", "pix2pix", "s2am-mask-free"])
@pytest.mark.parametrize("stop", [2, 4])
def test_a_run_that_was_interrupted_ends_with_the_same_bits(
    name: str, stop: int, photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**small_options(name), **({"levels": 5} if name == "pix2pix" else {})}
    events: list[Event] = []
    whole = trainer(name, 8, photographs, tmp_path / "whole", options=options)
    whole.run(events.append)
    assert [event.step for event in events if isinstance(event, Validated)] == [4, 8]

    def interrupt(event: Event) -> None:
        if event.step >= stop:  # type: ignore[union-attr]
            raise KeyboardInterrupt

    first = trainer(name, 8, photographs, tmp_path / "parts", options=options)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "REPORT_EVERY", 0.0)
        with pytest.raises(KeyboardInterrupt):
            first.run(interrupt)
    second = trainer(name, 8, photographs, tmp_path / "parts", options=options)
    assert second.step == stop
    second.validate_every = 4
    second.run()
    expected, found = everything_in(whole), everything_in(second)
    assert expected.keys() == found.keys()
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
    assert (tmp_path / "parts" / WEIGHTS_FILE).read_bytes() == (tmp_path / "whole" / WEIGHTS_FILE).read_bytes()
    assert [entry.step for entry in read_log(tmp_path / "parts" / "log.csv")] == [4, 8]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_the_step_end_and_saves(
    number: signal.Signals, photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer("concord", 8, photographs, tmp_path)
    learn = run.learner.learn

    def learn_and_be_asked(*arguments: Any) -> Tensor:
        if run.step == 2:
            os.kill(os.getpid(), number)
        return learn(*arguments)

    monkeypatch.setattr(run.learner, "learn", learn_and_be_asked)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run.run()
    assert signal.getsignal(number) is before
    assert trainer("concord", 8, photographs, tmp_path).step == 3


def test_a_finished_run_has_nothing_left_to_do_and_can_be_made_longer(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    trainer("concord", 4, photographs, tmp_path).run()
    before = (tmp_path / WEIGHTS_FILE).read_bytes()
    again = trainer("concord", 4, photographs, tmp_path)
    again.run()
    assert (again.step, (tmp_path / WEIGHTS_FILE).read_bytes()) == (4, before)
    longer = trainer("concord", 6, photographs, tmp_path)
    longer.run()
    assert longer.step == 6
    assert [entry.step for entry in read_log(tmp_path / "log.csv")][-1] == 6


def test_what_is_saved_has_its_statistics_from_pairs_that_are_not_held_out(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    run = trainer("unet", 2, photographs, tmp_path)
    run.run()
    saved = load_file(tmp_path / WEIGHTS_FILE)
    expected = copy.deepcopy(run.learner.average)
    refresh_statistics(expected, run.calibration)
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(saved[key].to(value), value, atol=1e-3, rtol=1e-3)
    assert not any(torch.equal(one.target, other.target) for one in run.calibration for other in run.held_out)


@pytest.mark.parametrize(("name", "has_any"), [("unet", True), ("fmm", True), ("s2crnet", False), ("concord", False)])
def test_only_networks_with_batch_normalization_are_calibrated(
    name: str, has_any: bool, photographs: list[Photograph], tmp_path: Path
) -> None:
    run = trainer(name, 2, photographs, tmp_path)
    assert has_statistics(run.learner.model) is has_any
    assert len(run.calibration) == (2 if has_any else 0)


def test_the_best_weights_are_kept_not_the_last(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([1.0, 3.0, 2.0])
    kept: list[bytes] = []
    monkeypatch.setattr(loop, "gains", lambda network, batches: torch.tensor([next(measured)]))
    run = trainer("concord", 3, photographs, tmp_path)
    run.run(lambda event: kept.append((tmp_path / WEIGHTS_FILE).read_bytes()) if isinstance(event, Validated) else None)
    assert kept[0] != kept[1] == kept[2]
    assert run.best == 3.0


def test_as_many_steps_as_fit_into_the_time(photographs: list[Photograph], tmp_path: Path) -> None:
    events: list[Event] = []
    run = trainer("concord", 1, photographs, tmp_path, minutes=0.1)
    length = [run.steps]
    run.run(events.append)
    length.append(run.steps)
    assert length == [None, run.step]
    assert run.step > loop.PACED
    assert 0.5 * 6 < run.seconds < 10 * 6
    validated = [event.step for event in events if isinstance(event, Validated)]
    assert validated[0] == loop.PACED
    assert validated[-1] == run.step
    assert len(validated) >= 3
    known = [event for event in events if isinstance(event, Stepped) and event.steps]
    assert known, "it says how long it will take"
    assert known[-1].seconds_left is not None
    assert known[-1].seconds_left < 60
    # Its length is settled now: going on with it is the same run.
    assert trainer("concord", 1, photographs, tmp_path, minutes=0.1).steps == run.steps


def test_a_machine_that_slowed_down_is_not_kept_busy_for_ever(photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer("concord", 1, photographs, tmp_path, minutes=0.02)
    run.plan(10_000, 5)
    run.run()
    assert run.steps == run.step
    assert run.step < 10_000


def test_a_training_that_diverges_says_what_to_do(photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer("concord", 4, photographs, tmp_path, loss=lambda rendered, *_: rendered.stages[-1].sum() * torch.nan)
    with pytest.raises(EngineError, match="lower --learning-rate"):
        run.run()
    assert not (tmp_path / WEIGHTS_FILE).exists()


def test_a_damaged_checkpoint_is_one_sentence(photographs: list[Photograph], tmp_path: Path) -> None:
    trainer("concord", 2, photographs, tmp_path).run()
    for content in (b"", b"no checkpoint", (tmp_path / CHECKPOINT_FILE).read_bytes()[:-1000]):
        (tmp_path / CHECKPOINT_FILE).write_bytes(content)
        with pytest.raises(EngineError, match=r"checkpoint\.pt is damaged: remove it"):
            trainer("concord", 2, photographs, tmp_path)


@pytest.mark.parametrize(("name", "width"), [("unet", 16), ("dih", 8)])
def test_a_folder_with_another_run_is_left_as_it_was(
    name: str, width: int, photographs: list[Photograph], tmp_path: Path
) -> None:
    trainer("unet", 2, photographs, tmp_path, options={"width": 8, "levels": 4}).run()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(EngineError, match="holds a run of another network or size: choose another folder"):
        trainer(name, 2, photographs, tmp_path, options={"width": width, "levels": 4})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
