# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: gain on the look, time, verdict, resuming in every phase, and the report."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from s2am_common.errors import EngineError
from s2am_engine.cli.training import ProgressDisplay, describe_recognition
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_files import delete_model
from s2am_engine.models.model_store import Card, find_model, list_models, load_network, write_card
from s2am_engine.networks import personal
from s2am_engine.networks.registry import build_network
from s2am_engine.training import (
    adjustment_training,
    cross_validation,
    fine_tuned_model,
    fine_tuning_session,
    held_out_sheet,
    style_pairs,
)
from s2am_engine.training import finetune as tuning
from s2am_engine.training.encoded_pairs import EncodedPairs, encode_batch
from s2am_engine.training.events import Phase, TrainingEvent
from s2am_engine.training.fine_tuned_model import training_size
from s2am_engine.training.finetune import FineTuneSettings, finetune
from s2am_engine.training.gain import ColorErrors, FineTuningScores, Interval, Verdict
from s2am_engine.training.held_out_sheet import HeldOutSheet
from s2am_engine.training.loaded_pairs import LoadedPair
from s2am_engine.training.run_folder import half_precision
from tests.engine.test_cli import run
from tests.folders import redirect_cache

OPTIONS = {"width": 24, "hidden": 32}
PAIRS_PER_ROUND = 50


@pytest.fixture
def base(no_personal_models: Path) -> str:
    """A small model with fresh weights, “untrained”."""
    torch.manual_seed(0)
    network = build_network("concord", **OPTIONS)
    weights = safetensors.torch.save(half_precision(network))
    no_personal_models.mkdir(exist_ok=True)
    (no_personal_models / "untrained.safetensors").write_bytes(weights)
    card = Card(
        name="untrained",
        network="concord",
        description="fresh weights",
        input_size=32,
        sha256=hashlib.sha256(weights).hexdigest(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        size=len(weights),
        license="GPL-3.0-or-later",
        data="nothing.",
        training={"loss": "foreground_rmse"},
        options=OPTIONS,
    )
    write_card(card, no_personal_models)
    return "untrained"


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `holiday` of twenty-five photographs of one strong style and of two unusable files."""
    folder = tmp_path_factory.mktemp("finetune") / "holiday"
    folder.mkdir()
    for index in range(25):
        photograph = (data.coffee(), data.astronaut(), data.chelsea())[index % 3]
        part = np.roll(photograph, 40 * index, axis=1)[20 : 20 + 240 : 2, :320:2] / 255
        style = np.clip(part * (1.0, 0.85, 0.6) + (0.0, 0.03, 0.1), 0, 1)
        Image.fromarray((255 * style).astype(np.uint8)).save(folder / f"{index}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "phone.heic").write_bytes(b"from a phone")
    return folder


@pytest.fixture
def photos(photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The photographs, prepared once for all tests; few pairs are made, and trained on briefly."""
    redirect_cache(monkeypatch, photo_folder.parent / "cache")
    monkeypatch.setattr(fine_tuning_session, "MOST_ENCODED", 3 * PAIRS_PER_ROUND)
    monkeypatch.setattr(fine_tuned_model, "SMALL_INPUT_SIZE", 32)
    monkeypatch.setattr(adjustment_training, "STEPS", 60)
    monkeypatch.setattr(held_out_sheet, "MOST_SHEET_PAIRS", 8)
    monkeypatch.setattr(held_out_sheet, "PAIR_SIDE", 64)
    return photo_folder


def tune(photos: Path, base: str, minutes: float = 60, **more: Any) -> tuning.FineTuneResult:
    """Fine-tune on the CPU without further threads; in an hour, all that the fixture allows is done."""
    callbacks = {name: more.pop(name) for name in ("report", "now") if name in more}
    return finetune(FineTuneSettings(photos, "mine", base, minutes, device="cpu", workers=0, **more), **callbacks)


def compared(saved: float, low: float, psnr: float = 0.1) -> FineTuningScores:
    """A comparison with a relative gain, the lower end of its interval, and a gain of PSNR."""
    before, after = ColorErrors(100, 30), ColorErrors(100 * (1 - saved), 30 + psnr)
    return FineTuningScores(before, before, after, 16, 8, Interval(low, 2 * saved - low), Interval(psnr, psnr))


@pytest.fixture
def worth_having(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every fine-tuned network count as better."""
    monkeypatch.setattr(tuning, "judge", lambda *_: Verdict.BETTER)


class WorkClock:
    """Time that passes with the work: seconds per batch of pairs, training step, and pair of the sheet."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, batch: float, step: float, pair: float) -> None:
        self.seconds = 0.0
        self.batches = self.steps = self.pairs = 0
        encode, loss = encode_batch, adjustment_training.errors_loss

        def encode_slowly(*arguments: Any) -> EncodedPairs:
            self.seconds += batch
            self.batches += 1
            return encode(*arguments)

        def learn_slowly(*arguments: Any) -> Tensor:
            self.seconds += step
            self.steps += 1
            return loss(*arguments)

        def add_slowly(sheet: HeldOutSheet, before: Harmonizer, after: Harmonizer, loaded: LoadedPair) -> None:
            self.seconds += pair
            self.pairs += 1
            sheet.images.append([loaded.composite] * 4)
            sheet.saved.append(0.0)

        monkeypatch.setattr(fine_tuning_session, "encode_batch", encode_slowly)
        monkeypatch.setattr(adjustment_training, "errors_loss", learn_slowly)
        monkeypatch.setattr(HeldOutSheet, "add", add_slowly)

    def __call__(self) -> float:
        return self.seconds


def test_finetune_makes_a_better_model(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[TrainingEvent] = []
    monkeypatch.setattr(adjustment_training, "LEARNING_RATE", 1e-2)  # few steps
    monkeypatch.setattr(personal, "RECOGNIZED", 1.0)
    # The untrained model keeps every foreground, and the slightest change of a perfect one costs many decibels.
    monkeypatch.setattr(style_pairs, "UNTOUCHED_SHARE", 0.0)
    found = tune(photos, base, report=events.append, sheet=tmp_path / "sheet.png")
    assert found.verdict is Verdict.BETTER
    assert found.model is not None
    assert [len(fold) for fold in found.photographs.folds] == [9, 8, 8]
    assert {one.path.name for one in found.photographs.skipped} == {"broken.jpg", "phone.heic"}
    assert found.style.fmse_saved > 0.02
    assert found.style.before.fmse == pytest.approx(found.style.untouched.fmse, rel=1e-2), "untrained: no change"
    assert (found.style.pairs, found.style.photographs) == (75, 25), "every photograph is held out once"
    assert {event.phase for event in events} == set(Phase)
    assert sum(event.validation is not None for event in events) == 3
    card = find_model("mine").card
    assert card.fine_tuned
    assert not card.adjustable
    assert "mine" in [model.card.name for model in list_models()]
    assert card.training["base"] == base
    assert card.figures["look"]["after"]["fmse"] == found.style.after.fmse
    assert "25 photographs of holiday" in card.data
    for sheet in (tmp_path / "sheet.png", found.model.style_sheet):
        assert Image.open(sheet).height > 100
    pixels = np.array(Image.open(photos / "0.png"))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[60:100, 80:140] = 255
    pixels[mask > 0] //= 2
    result = Harmonizer("mine", "cpu")(pixels, mask)
    changed = result.render() != pixels
    assert changed[mask > 0].any()
    assert not changed[mask == 0].any()
    assert result.likeness is not None
    assert result.likeness > 0.5
    assert result.notes == ()


@pytest.mark.parametrize(("batch", "step", "pair"), [(1.5, 0.05, 1.0), (3.0, 0.09, 2.0)], ids=["idle", "busy"])
def test_finetune_takes_the_time_that_was_given(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: float, step: float, pair: float
) -> None:
    """All phases share the minutes, however slow the machine is."""
    monkeypatch.setattr(fine_tuning_session, "MOST_ENCODED", 10_000)
    monkeypatch.setattr(adjustment_training, "STEPS", 600)
    clock = WorkClock(monkeypatch, batch, step, pair)
    events: list[TrainingEvent] = []
    times: list[float] = []

    def receive(event: TrainingEvent) -> None:
        events.append(event)
        times.append(clock.seconds)

    found = tune(photos, base, 2, now=clock, report=receive, sheet=tmp_path / "sheet.png")
    assert found.seconds == pytest.approx(clock.seconds)
    assert 0.9 * 120 < found.seconds < 1.1 * 120
    assert batch * clock.batches == pytest.approx(72, abs=6 * batch)
    assert step * clock.steps == pytest.approx(36, abs=6 * batch)
    shares = [event.overall or 0.0 for event in events]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] == 1.0
    assert events[-1].seconds_left == 0
    assert max(later - earlier for earlier, later in itertools.pairwise([0.0, *times])) < 5, "silent for too long"
    for event, when in zip(events, times, strict=True):
        left = found.seconds - when
        if left > 10:
            assert event.seconds_left is not None
            assert left / 1.5 < event.seconds_left < left * 1.5, event


def test_finetune_uses_time_that_training_leaves_for_more_pairs(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning_session, "MOST_ENCODED", 10_000)
    monkeypatch.setattr(fine_tuning_session, "STEPS", adjustment_training.STEPS)
    clock = WorkClock(monkeypatch, batch=8.0, step=0.1, pair=2.0)
    found = tune(photos, base, 10, now=clock, sheet=tmp_path / "sheet.png")
    assert 0.9 * 600 < found.seconds < 1.1 * 600
    assert 8.0 * clock.batches > 0.8 * 600, "60 steps of each adjustment take 24 seconds"


def test_finetune_announces_when_more_time_changes_nothing(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fine_tuning_session, "MOST_ENCODED", 20 * PAIRS_PER_ROUND)
    monkeypatch.setattr(fine_tuning_session, "STEPS", adjustment_training.STEPS)
    clock = WorkClock(monkeypatch, batch=1.5, step=0.1, pair=2.0)
    events: list[tuple[float, TrainingEvent]] = []

    def receive(event: TrainingEvent) -> None:
        events.append((clock.seconds, event))

    found = tune(photos, base, 10, now=clock, report=receive, sheet=tmp_path / "sheet.png")
    ((when, announced),) = [(when, event) for when, event in events if event.enough_seconds is not None]
    assert when < 0.2 * found.seconds, "at the beginning"
    assert announced.enough_seconds == pytest.approx(found.seconds, rel=0.1)
    for later, event in events:
        if later > when and found.seconds - later > 30:
            assert event.seconds_left == pytest.approx(found.seconds - later, rel=0.5)
    shares = [event.overall or 0.0 for _, event in events]
    assert shares == sorted(shares)


def test_finetune_learns_and_measures_even_if_the_time_is_over(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WorkClock(monkeypatch, batch=40.0, step=1.0, pair=5.0)
    monkeypatch.setattr(adjustment_training, "FEWEST_STEPS", 20)
    found = tune(photos, base, 1, now=clock, sheet=tmp_path / "sheet.png")
    assert (found.style.pairs, found.others.pairs) == (2 * 25, 2 * 25)
    assert (clock.steps, clock.pairs) == (4 * 20, held_out_sheet.FEWEST_SHEET_PAIRS)


def test_finetune_command_keeps_the_better_model(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cross_validation, "adjusted", lambda personal, pairs, _: pairs.parameters + 0.05)
    code, out, err = run(capsys, "finetune", photos, "--name", "mine", "--base", base, "--json")
    output = json.loads(out)
    assert (code, output["model"], output["verdict"]) == (0, None, "no common look")
    assert output["look"]["after"]["fmse"] > output["look"]["before"]["fmse"]
    with pytest.raises(EngineError, match="no model “mine”"):
        find_model("mine")
    code, out, err = run(capsys, "finetune", photos, "--name", "mine", "--base", base)
    assert "no common look that “untrained” does not know yet, so no model was made. What helps: more photo" in out
    assert "fMSE" not in out
    assert "phone.heic: " in err
    assert [path.name for path in sorted(tmp_path.glob("*.png"))] == [
        "mine-before-after-2.png",
        "mine-before-after.png",
    ]


def test_finetune_command_reports_gain_interval_likeness_and_sheet(
    photos: Path,
    base: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(FineTuningScores, "of", lambda _: compared(0.2, 0.1))
    monkeypatch.setattr(cross_validation, "share", lambda chosen: 0.92)
    code, out, _ = run(capsys, "finetune", photos, "--name", "mine", "--base", base)
    assert code == 0
    assert "color error -20.0% (95 % certain: -30.0% to -10.0%), PSNR +0.10 dB" in out
    assert "Use it with --model mine." in out
    assert "It recognizes 92% of backgrounds with this look. On 92% of others, its base model is used" in out
    assert f"its look: {find_model('mine').style_sheet}" in run(capsys, "models")[1]


def test_finetune_command_explains_a_mild_look() -> None:
    text = describe_recognition(cross_validation.LikenessQuality(recognized=0.92, rejected=0.2))
    assert text.startswith("This look is mild")
    assert "on 92% of backgrounds that have it, and on 80% of others" in text


def test_finetune_command_announces_an_early_end(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(quiet=True) as display:
        display(TrainingEvent(Phase.PREPARING, 0, None, overall=0.1, seconds_left=290, enough_seconds=330))
        display(TrainingEvent(Phase.PREPARING, 1, 2, overall=0.2, seconds_left=280))
    out, err = capsys.readouterr()
    assert not out
    assert err.count("Takes about 6 min: more time would not improve the model.") == 1


@pytest.mark.parametrize(("name", "size"), [("concord", fine_tuned_model.SMALL_INPUT_SIZE), ("connoisseur", 128)])
def test_training_size_is_small_where_possible(name: str, size: int) -> None:
    model = find_model(name)
    assert training_size(model.card, fine_tuned_model.load_adjustable(model)) == size


def test_finetune_keeps_the_model_if_the_sheet_fails(
    photos: Path, base: str, worth_having: None, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="there is no folder"):
        tune(photos, base, sheet=tmp_path / "nowhere" / "sheet.png")
    assert find_model("mine")


def test_finetune_needs_enough_photographs(photos: Path, base: str, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("0.png", "1.png", "2.png", "phone.heic"):
        shutil.copy(photos / name, few / name)
    with pytest.raises(EngineError, match=r"holds 3 usable photographs \(1 left out: .*add more, 20 are needed"):
        tune(few, base)


def test_finetune_checks_arguments_before_any_work(photos: Path, base: str) -> None:
    def never(event: TrainingEvent) -> None:
        raise AssertionError("nothing should be read")

    with pytest.raises(EngineError, match="untrained"):
        finetune(FineTuneSettings(photos, "untrained", base), never)
    with pytest.raises(EngineError, match="is not in iHarmony4's layout"):
        finetune(FineTuneSettings(photos, "mine", base, benchmark=photos), never)
    for unsuitable in ("reinhard", "s2crnet", "s2am-mask-free"):
        with pytest.raises(
            EngineError, match=f"“{unsuitable}” can't be fine-tuned: choose one of connoisseur, concord"
        ):
            finetune(FineTuneSettings(photos, "mine", unsuitable), never)


@pytest.mark.parametrize("phase", list(Phase))
def test_finetune_canceled_leaves_nothing_behind(
    phase: Phase,
    photos: Path,
    base: str,
    worth_having: None,
    no_personal_models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if phase is Phase.READING:  # photographs in the cache are not read again
        redirect_cache(monkeypatch, tmp_path / "empty cache")

    class CancelledError(Exception):
        pass

    def cancel(event: TrainingEvent) -> None:
        if event.phase is phase:
            raise CancelledError

    with pytest.raises(CancelledError):
        tune(photos, base, report=cancel, sheet=tmp_path / "sheet.png")
    assert sorted(path.name for path in no_personal_models.iterdir()) == ["untrained.json", "untrained.safetensors"]


@pytest.fixture
def expected(photos: Path, base: str, worth_having: None) -> dict[str, Tensor]:
    """Weights without an interruption."""
    tune(photos, base)
    weights = load_network(find_model("mine")).state_dict()
    delete_model("mine")
    return weights


def assert_same(weights: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Compare weights; training on the same pairs twice differs by up to 1e-6, as sums on a CPU do."""
    for key, value in weights.items():
        torch.testing.assert_close(value, expected[key], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("phase", "done", "batches", "steps"),
    [
        (Phase.READING, 1, 18, 240 + adjustment_training.MEASURED_STEPS),
        (Phase.PREPARING, 3 * PAIRS_PER_ROUND - 20, 6, 240 + adjustment_training.MEASURED_STEPS),  # in the third round
        (Phase.TRAINING, 2 * 600 + 30, 0, 120),  # the third of four adjustments
        (Phase.MEASURING, 5, 0, 0),
        (Phase.SAVING, 0, 0, 0),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, Phase) else "",
)
def test_finetune_continues_after_an_interruption(
    phase: Phase,
    done: int,
    batches: int,
    steps: int,
    photos: Path,
    base: str,
    expected: dict[str, Tensor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same call makes the same model without the work that was done; the folder is removed, the time counted."""
    checkpoint = tmp_path / "checkpoint"
    if phase is Phase.READING:
        redirect_cache(monkeypatch, tmp_path / "empty cache")

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is phase and event.done >= done:
            raise KeyboardInterrupt

    times = itertools.count()
    sheet = tmp_path / "sheet.png"
    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, checkpoint=checkpoint, report=interrupt, sheet=sheet, now=lambda: next(times) / 100)
    clock = WorkClock(monkeypatch, 0.0, 0.0, 0.0)
    found = tune(photos, base, checkpoint=checkpoint, now=clock, sheet=sheet)
    assert (clock.batches, clock.steps) == (batches, steps)
    assert (found.seconds > 0) == (phase is not Phase.READING), "seconds of the interrupted session"
    assert not checkpoint.exists()
    assert_same(load_network(find_model("mine")).state_dict(), expected)


def test_finetune_replaces_files_of_other_photographs_and_damaged_ones(
    photos: Path, base: str, expected: dict[str, Tensor], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / "adjustment-0.safetensors").write_bytes(b"of another fine-tuning")

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is Phase.SAVING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, checkpoint=checkpoint, report=interrupt)
    for name in ("pairs-1.safetensors", "adjustment-3.safetensors"):
        (checkpoint / name).write_bytes(b"damaged")
    tune(photos, base, checkpoint=checkpoint)
    assert_same(load_network(find_model("mine")).state_dict(), expected)
