# SPDX-License-Identifier: GPL-3.0-or-later
"""Trainer: validation, bit-exact resume, interruption, time budget, and errors."""

from __future__ import annotations

import copy
import dataclasses
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from s2am_common.errors import EngineError
from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.training import trainer as trainer_module
from s2am_engine.training.events import TrainingEvent
from s2am_engine.training.learner import has_statistics, refresh_statistics
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import CHECKPOINT_FILE, WEIGHTS_FILE, Checkpoints, TrainingLog, read_log
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.time_budget import fit_steps
from s2am_engine.training.trainer import Trainer, default_workers
from tests.engine.networks import small_options


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calibrate batch normalization on fewer batches."""
    monkeypatch.setattr(trainer_module, "CALIBRATION_BATCHES", 2)


def make_trainer(name: str, steps: int, photographs: list[Photograph], folder: Path | None, **changes: Any) -> Trainer:
    """Return a small trainer that validates at half time; without a folder it has no sinks."""
    small: dict[str, Any] = {"steps": steps, "batch": 4, "size": 32, "warm_up": 5, "options": small_options(name)}
    recipe = dataclasses.replace(RECIPES["small"][name], **small | changes)
    pairs = PairMaker(recipe.size, recipe.batch, 1, photographs=photographs)
    unseen = PairMaker(recipe.size, recipe.batch, 2, photographs=photographs)
    torch.manual_seed(0)
    network = build_network(name, **recipe.options)
    sinks = [Checkpoints(folder), TrainingLog(folder, name)] if folder else []
    trainer = Trainer(network, pairs, recipe, [unseen.make(index) for index in range(2)], sinks=sinks)
    if trainer.steps:
        trainer.validate_every = max(1, steps // 2)
    return trainer


def everything_in(trainer: Trainer) -> dict[str, Tensor]:
    """Return all tensors from which a run is resumed."""
    parts: dict[str, nn.Module] = {"model": trainer.learner.model, "average": trainer.learner.average}
    if trainer.learner.adversary:
        parts["discriminator"] = trainer.learner.adversary.discriminator
    return {f"{part}.{key}": value for part, network in parts.items() for key, value in network.state_dict().items()}


def interrupt_at(step: int, event: TrainingEvent) -> None:
    """Interrupt a training as Ctrl-C does."""
    if event.done >= step:
        raise KeyboardInterrupt


def validated_steps(events: list[TrainingEvent]) -> list[int]:
    return [event.validation.step for event in events if event.validation]


@pytest.mark.parametrize("name", ["concord", "connoisseur", "pix2pix", "s2am-mask-free"])
def test_trainer_resumes_with_the_same_bits(
    name: str, photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interruption between two validations and one at a validation change nothing."""
    options = {**small_options(name), **({"levels": 5} if name == "pix2pix" else {})}
    events: list[TrainingEvent] = []
    whole = make_trainer(name, 8, photographs, tmp_path / "whole", options=options)
    expected_result = whole.fit(events.append)
    assert validated_steps(events) == [4, 8]
    expected = everything_in(whole)
    for stop in (2, 4):
        folder = tmp_path / f"stopped at {stop}"
        first = make_trainer(name, 8, photographs, folder, options=options)
        with monkeypatch.context() as patch:
            patch.setattr(trainer_module, "REPORT_EVERY", 0.0)
            with pytest.raises(KeyboardInterrupt):
                first.fit(partial(interrupt_at, stop))
        second = make_trainer(name, 8, photographs, folder, options=options)
        assert second.step == stop
        second.validate_every = 4
        result = second.fit()
        found = everything_in(second)
        assert expected.keys() == found.keys()
        assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
        for one, other in ((result.best, expected_result.best), (result.last, expected_result.last)):
            assert all(torch.equal(one.state_dict()[key], value) for key, value in other.state_dict().items())
        assert (folder / WEIGHTS_FILE).read_bytes() == (tmp_path / "whole" / WEIGHTS_FILE).read_bytes()
        assert [entry.step for entry in read_log(folder / "log.csv")] == [4, 8]
        assert [(entry.step, entry.gain_db) for entry in result.history] == [
            (entry.step, entry.gain_db) for entry in expected_result.history
        ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_trainer_finishes_the_step_and_saves_on_signal(
    number: signal.Signals, photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer("concord", 8, photographs, tmp_path)
    learn = trainer.learner.train_step

    def learn_and_signal(*arguments: Any) -> Tensor:
        if trainer.step == 2:
            os.kill(os.getpid(), number)
        return learn(*arguments)

    monkeypatch.setattr(trainer.learner, "train_step", learn_and_signal)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit()
    assert signal.getsignal(number) is before
    assert make_trainer("concord", 8, photographs, tmp_path).step == 3


def test_trainer_can_prolong_a_finished_run(photographs: list[Photograph], tmp_path: Path) -> None:
    make_trainer("concord", 4, photographs, tmp_path).fit()
    before = (tmp_path / WEIGHTS_FILE).read_bytes()
    again = make_trainer("concord", 4, photographs, tmp_path)
    again.fit()
    assert (again.step, (tmp_path / WEIGHTS_FILE).read_bytes()) == (4, before)
    longer = make_trainer("concord", 6, photographs, tmp_path)
    assert longer.fit().steps == 6
    assert [entry.step for entry in read_log(tmp_path / "log.csv")][-1] == 6


def test_trainer_calibrates_saved_weights_on_training_pairs(photographs: list[Photograph], tmp_path: Path) -> None:
    trainer = make_trainer("unet", 2, photographs, tmp_path)
    trainer.validate_every = 2  # only at the end, so that the last weights are saved
    trainer.fit()
    saved = load_file(tmp_path / WEIGHTS_FILE)
    expected = copy.deepcopy(trainer.learner.average)
    refresh_statistics(expected, trainer.calibration)
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(saved[key].to(value), value, atol=1e-3, rtol=1e-3)
    assert not any(torch.equal(one.target, other.target) for one in trainer.calibration for other in trainer.held_out)


@pytest.mark.parametrize(("name", "has_any"), [("unet", True), ("fmm", True), ("s2crnet", False), ("concord", False)])
def test_trainer_calibrates_only_networks_with_batch_normalization(
    name: str, has_any: bool, photographs: list[Photograph]
) -> None:
    trainer = make_trainer(name, 2, photographs, None)
    assert has_statistics(trainer.learner.model) is has_any
    assert len(trainer.calibration) == (2 if has_any else 0)


def test_trainer_keeps_the_best_weights(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([1.0, 3.0, 2.0])
    files: list[bytes] = []
    averages: list[dict[str, Tensor]] = []
    monkeypatch.setattr(trainer_module, "gains", lambda network, batches: torch.tensor([next(measured)]))
    trainer = make_trainer("concord", 3, photographs, tmp_path)

    def remember(event: TrainingEvent) -> None:
        if event.validation:
            files.append((tmp_path / WEIGHTS_FILE).read_bytes())
            averages.append({key: value.clone() for key, value in trainer.learner.average.state_dict().items()})

    result = trainer.fit(remember)
    assert files[0] != files[1] == files[2]
    assert result.gain == 3.0
    assert [entry.gain_db for entry in result.history] == [1.0, 3.0, 2.0]
    for network, expected in ((result.best, averages[1]), (result.last, averages[2])):
        assert all(torch.equal(network.state_dict()[key], value) for key, value in expected.items())
    assert any(not torch.equal(averages[1][key], value) for key, value in averages[2].items())


def test_trainer_without_sinks_writes_nothing(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = make_trainer("concord", 2, photographs, None).fit()
    assert result.steps == 2
    assert torch.isfinite(next(result.best.parameters())).all()
    assert list(tmp_path.iterdir()) == []


class FakeTime:
    """Time that passes only when the trainer works: `step` seconds per step."""

    def __init__(self, step: float) -> None:
        self.seconds, self.step = 0.0, step

    def __call__(self) -> float:
        return self.seconds

    def watch(self, trainer: Trainer) -> None:
        """Make each step of a trainer advance the time."""
        trainer.now, learn = self, trainer.learner.train_step

        def learn_slowly(*arguments: Any) -> Tensor:
            self.seconds += self.step
            return learn(*arguments)

        trainer.learner.train_step = learn_slowly  # type: ignore[assignment, method-assign]


def fast_validation(monkeypatch: pytest.MonkeyPatch, clock: FakeTime, seconds: float) -> None:
    """Make a validation take a given time."""

    def measure(*_: object) -> Tensor:
        clock.seconds += seconds
        return torch.tensor([1.0])

    monkeypatch.setattr(trainer_module, "gains", measure)


def test_trainer_fits_steps_into_the_time_budget(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[TrainingEvent] = []
    clock = FakeTime(step=0.1)
    fast_validation(monkeypatch, clock, 0.05)
    trainer = make_trainer("concord", 1, photographs, tmp_path, minutes=0.1)
    clock.watch(trainer)
    trainer.fit(events.append)
    # 20 steps and a validation take 2.05 s; of the other 3.95 s, seven validations leave time for 36 steps.
    assert fit_steps(3.95, 0.1, 0.05) == (36, 7)
    assert trainer.steps == trainer.step == 56
    assert validated_steps(events) == [20, 24, 30, 36, 42, 48, 54, 56]
    assert trainer.seconds == pytest.approx(6.0, abs=0.05)
    known = [event for event in events if event.total and not event.validation]
    assert known[-1].seconds_left is not None
    assert 0 < known[-1].seconds_left < 6
    # The number of steps is settled: resuming is the same run.
    assert make_trainer("concord", 1, photographs, tmp_path, minutes=0.1).steps == 56


def test_trainer_ends_a_run_that_takes_too_long(photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeTime(step=0.1)
    fast_validation(monkeypatch, clock, 0.0)
    trainer = make_trainer("concord", 1, photographs, None, minutes=0.02)
    trainer.plan(10_000, 5)
    clock.watch(trainer)
    trainer.fit()
    assert trainer.steps == trainer.step == 12, "not at the validation of step 15, after the 1.2 seconds"


def test_trainer_leaves_time_for_the_last_validation(
    photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime(step=0.1)
    fast_validation(monkeypatch, clock, 0.5)
    trainer = make_trainer("concord", 1, photographs, None, minutes=0.05)
    trainer.plan(10_000, 5)
    clock.watch(trainer)
    trainer.fit()
    assert trainer.seconds == pytest.approx(3.0, abs=0.11)


def test_trainer_with_steps_slower_than_its_time_still_validates(
    photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeTime(step=10.0)
    fast_validation(monkeypatch, clock, 1.0)
    trainer = make_trainer("concord", 1, photographs, None, minutes=0.5)
    clock.watch(trainer)
    result = trainer.fit()
    assert (result.steps, len(result.history)) == (3, 1)


def test_trainer_reports_divergence(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOSSES, "nan", lambda rendered, *_: rendered.stages[-1].sum() * torch.nan)
    trainer = make_trainer("concord", 4, photographs, tmp_path, loss="nan")
    with pytest.raises(EngineError, match="lower learning rate"):
        trainer.fit()
    assert not (tmp_path / WEIGHTS_FILE).exists()


def test_trainer_reports_a_damaged_checkpoint(photographs: list[Photograph], tmp_path: Path) -> None:
    make_trainer("concord", 2, photographs, tmp_path).fit()
    for content in (b"", b"no checkpoint", (tmp_path / CHECKPOINT_FILE).read_bytes()[:-1000]):
        (tmp_path / CHECKPOINT_FILE).write_bytes(content)
        with pytest.raises(EngineError, match=r"checkpoint\.pt is damaged: remove it"):
            make_trainer("concord", 2, photographs, tmp_path)


def test_trainer_resumes_checkpoints_of_earlier_versions(photographs: list[Photograph], tmp_path: Path) -> None:
    """They lack the best weights and the history; `weights.safetensors` in the same folder has the former."""
    trainer = make_trainer("concord", 4, photographs, tmp_path)
    trainer.fit()
    state = trainer.state_dict()
    for key in ("best_weights", "history"):
        del state[key]
    torch.save(state, tmp_path / CHECKPOINT_FILE)
    longer = make_trainer("concord", 6, photographs, tmp_path)
    assert (longer.step, longer.best, longer.history) == (4, trainer.best, [])
    assert longer.fit().steps == 6


@pytest.mark.parametrize(("name", "width"), [("unet", 16), ("dih", 8)])
def test_trainer_leaves_another_runs_folder_unchanged(
    name: str, width: int, photographs: list[Photograph], tmp_path: Path
) -> None:
    make_trainer("unet", 2, photographs, tmp_path, options={"width": 8, "levels": 4}).fit()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(EngineError, match="of another network or size: choose another folder"):
        make_trainer(name, 2, photographs, tmp_path, options={"width": width, "levels": 4})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("network", "device", "cores", "workers"),
    [("connoisseur", "cpu", 2, 1), ("fmm", "cpu", 2, 0), ("fmm", "cpu", 8, 2), ("fmm", "cuda", 8, 4)],
)
def test_default_workers_suit_network_and_device(
    network: str, device: str, cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert default_workers(build_network(network), torch.device(device)) == workers
