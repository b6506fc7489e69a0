# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: gain on the look, time, verdict, resuming in every phase, and the report."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from skimage import data
from torch import Tensor, nn

from s2am_engine.errors import EngineError
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_files import delete_model
from s2am_engine.models.model_store import Card, find_model, list_models, load_network, write_card
from s2am_engine.networks import personal
from s2am_engine.networks.adjustment import AdjustedNetwork, Adjustment
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.network import Network
from s2am_engine.networks.personal import Personal
from s2am_engine.networks.registry import build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training import finetune as tuning
from s2am_engine.training import held_out, style_likeness, style_pairs, trainer
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.evaluation import Evaluation, Row
from s2am_engine.training.events import Phase, TrainingEvent, ignore_events
from s2am_engine.training.finetune import SESSION_FILE, Session, finetune
from s2am_engine.training.gain import Compared, Interval, Verdict
from s2am_engine.training.held_out import OTHERS, STYLE, HeldOutMeasurement
from s2am_engine.training.learner import Learner, gains
from s2am_engine.training.loaded_pairs import Loaded
from s2am_engine.training.metrics import Scores
from s2am_engine.training.run_folder import CHECKPOINT_FILE, half_precision
from s2am_engine.training.style_pairs import estimate_style
from s2am_engine.training.time_budget import TimeBudget
from s2am_engine.training.trainer import FitResult, Trainer
from tests.engine.test_cli import run
from tests.folders import redirect_cache

OPTIONS = {"width": 24, "hidden": 32}


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
    """The photographs, prepared once for all tests; few pairs are measured."""
    redirect_cache(monkeypatch, photo_folder.parent / "cache")
    monkeypatch.setattr(held_out, "MOST_ROUNDS", 1)
    monkeypatch.setattr(tuning, "MEASURED_SIDE", 96)
    monkeypatch.setattr(style_likeness, "BACKGROUNDS", 128)
    monkeypatch.setattr(style_likeness, "BACKGROUND_SIDE", 48)
    return photo_folder


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train sixty steps per “minute”, so that the result does not depend on the speed of the machine."""
    recipe_for = tuning.recipe_for

    def short_recipe(card: Card, network: Network, minutes: float) -> Recipe:
        recipe = recipe_for(card, network, minutes)
        return dataclasses.replace(recipe, minutes=None, steps=round(60 * minutes), batch=8, size=min(recipe.size, 32))

    monkeypatch.setattr(tuning, "recipe_for", short_recipe)


def tune(photos: Path, base: str, minutes: float = 1, **more: Any) -> tuning.FineTuned:
    """Fine-tune on the CPU without further threads."""
    return finetune(photos, "mine", base=base, minutes=minutes, device="cpu", workers=0, **more)


def scores(fmse: float, psnr: float = 30.0) -> Scores:
    return Scores(psnr, psnr - 10, fmse / 2, fmse, 0.9)


def compared(saved: float, low: float, psnr: float = 0.1) -> Compared:
    """A comparison with a relative gain, the lower end of its interval, and a gain of PSNR."""
    before, after = scores(100), scores(100 * (1 - saved), 30 + psnr)
    return Compared(before, before, after, 16, 8, Interval(low, 2 * saved - low), Interval(psnr, psnr))


@pytest.fixture
def worth_having(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every fine-tuned network count as better."""
    found = {STYLE: compared(0.2, 0.1), OTHERS: compared(0.0, -0.1)}
    monkeypatch.setattr(HeldOutMeasurement, "compare", lambda _: found)


def measured_instantly(loaded: Sequence[Loaded], _: Sequence[Harmonizer], **__: Any) -> Evaluation:
    """Stand in for `measure_pairs`: every pair gains 10 % to 20 % on either kind."""
    (pair,) = loaded
    gain = 0.1 + int(pair.composite.astype(int).sum()) % 100 / 1000
    rows = [Row("before", [scores(100)]), Row("after", [scores(100 * (1 - gain), 30.5)])]
    return Evaluation("", [pair.name], Row("untouched", [scores(200)]), rows)


class WorkClock:
    """Time that passes with the work: seconds per training step and pair (not really measured), 0.1 a validation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, step: float, pair: float) -> None:
        self.seconds = 0.0
        train_step = Learner.train_step

        def learn(*arguments: Any) -> Tensor:
            self.seconds += step
            return train_step(*arguments)

        def measure_slowly(*arguments: Any, **more: Any) -> Evaluation:
            self.seconds += pair
            return measured_instantly(*arguments, **more)

        def validate(*arguments: Any) -> Tensor:
            self.seconds += 0.1
            return gains(*arguments)

        monkeypatch.setattr(Learner, "train_step", learn)
        monkeypatch.setattr(trainer, "gains", validate)
        monkeypatch.setattr(held_out, "measure_pairs", measure_slowly)

    def __call__(self) -> float:
        return self.seconds


def test_finetune_makes_a_better_model(
    photos: Path, base: str, steps: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[TrainingEvent] = []
    monkeypatch.setattr(tuning, "ADJUSTMENT_RATE", 1e-2)  # few steps
    monkeypatch.setattr(personal, "RECOGNIZED", 1.0)
    # The untrained model keeps every foreground, and the slightest change of a perfect one costs many decibels.
    monkeypatch.setattr(style_pairs, "UNTOUCHED_SHARE", 0.0)
    found = tune(photos, base, 2, report=events.append, sheet=tmp_path / "sheet.png")
    assert found.verdict is Verdict.BETTER
    assert found.model is not None
    read = found.photographs
    assert (len(read.seen), len(read.unseen)) == (17, 8)
    assert {one.path.name for one in read.skipped} == {"broken.jpg", "phone.heic"}
    assert found.style.fmse_saved > 0.02
    assert found.style.before.psnr == pytest.approx(found.style.untouched.psnr), "the untrained model changed nothing"
    assert (found.style.pairs, found.style.photographs) == (8, 8)
    assert {event.phase for event in events} == set(Phase)
    card = find_model("mine").card
    assert card.fine_tuned
    assert "mine" in [model.card.name for model in list_models()]
    assert card.training["base"] == base
    assert card.figures["look"]["after"]["fmse"] == found.style.after.fmse
    assert "17 photographs of holiday" in card.data
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


@pytest.mark.parametrize(("step", "pair"), [(1.0, 1.0), (3.0, 1.4)], ids=["idle", "busy"])
def test_finetune_takes_the_time_that_was_given(
    photos: Path, base: str, monkeypatch: pytest.MonkeyPatch, step: float, pair: float
) -> None:
    """All phases share the minutes; measuring uses what training leaves, however slow the machine is."""
    monkeypatch.setattr(held_out, "MOST_ROUNDS", 100)
    clock = WorkClock(monkeypatch, step, pair)
    events: list[TrainingEvent] = []
    times: list[float] = []

    def receive(event: TrainingEvent) -> None:
        events.append(event)
        times.append(clock.seconds)

    monkeypatch.setattr(tuning, "recipe_for", tiny_recipe(tuning.recipe_for))
    found = tune(photos, base, 2, now=clock, report=receive)
    assert found.seconds == pytest.approx(clock.seconds)
    assert 0.9 * 120 < found.seconds < 1.1 * 120
    assert max(event.done for event in events if event.phase is Phase.TRAINING) == pytest.approx(90 / step, abs=3)
    assert found.style.pairs + found.others.pairs == pytest.approx(27 / pair, abs=3)
    shares = [event.overall or 0.0 for event in events]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert events[-1].seconds_left == 0
    assert max(later - earlier for earlier, later in itertools.pairwise([0.0, *times])) < 5, "silent for too long"
    for event, when in zip(events, times, strict=True):
        left = found.seconds - when
        if left > 10:
            assert event.seconds_left is not None
            assert left / 1.5 < event.seconds_left < left * 1.5, event


def tiny_recipe(recipe_for: Callable[..., Recipe]) -> Callable[..., Recipe]:
    """Make the steps of a recipe cheap."""
    return lambda *arguments: dataclasses.replace(recipe_for(*arguments), batch=2, size=32)


def test_finetune_measures_one_round_even_if_the_time_is_over(
    photos: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "recipe_for", tiny_recipe(tuning.recipe_for))
    clock = WorkClock(monkeypatch, step=40.0, pair=5.0)
    found = tune(photos, base, 1, now=clock)
    assert (found.style.pairs, found.others.pairs) == (8, 8)


def test_finetune_command_keeps_the_better_model(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "train_style", lambda network, *_: perturbed(network))
    monkeypatch.setattr(personal, "RECOGNIZED", 1.0)  # the adjustment is used for every background of the style
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


def test_finetune_command_reports_gain_interval_and_sheet(
    photos: Path,
    base: str,
    worth_having: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tuning, "train_style", lambda network, *_: perturbed(network))
    code, out, _ = run(capsys, "finetune", photos, "--name", "mine", "--base", base)
    assert code == 0
    assert "color error -20.0% (95 % certain: -30.0% to -10.0%), PSNR +0.10 dB" in out
    assert "Use it with --model mine." in out
    assert f"its look: {find_model('mine').style_sheet}" in run(capsys, "models")[1]


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("concord", tuning.SMALL_INPUT_SIZE),
        ("connoisseur", 128),
        ("s2crnet", tuning.SMALL_INPUT_SIZE),
        ("s2am-s2ad", 128),
    ],
)
def test_recipe_for_uses_small_inputs_where_possible(name: str, size: int) -> None:
    model = find_model(name)
    assert tuning.recipe_for(model.card, tuning.load_trainable(model), 1).size == size


def perturbed(network: Network) -> Network:
    """Return a copy of a network with strongly perturbed weights; an adjusted one applies the opposite of the style."""
    changed = copy.deepcopy(network)
    with torch.no_grad():
        if isinstance(changed, AdjustedNetwork):
            last = changed.adjustment.perceptron[-1]
            assert isinstance(last, nn.Linear)
            last.bias[:] = torch.tensor([0.0, -3.0])
            changed.adjustment.style_map.fill_(0.1)
            return changed
        for parameter in changed.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return changed


def test_finetune_continues_a_personal_model(
    photos: Path, base: str, worth_having: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training continues from the adjustment, and the fallback is still the first base model."""
    started: list[dict[str, Tensor]] = []

    def learn(network: Network, *_: object) -> Network:
        assert isinstance(network, AdjustedNetwork)
        started.append(network.adjustment.state_dict())
        return perturbed(network)

    monkeypatch.setattr(tuning, "train_style", learn)
    tune(photos, base)
    first = load_network(find_model("mine"))
    assert isinstance(first, Personal)
    tuning.finetune(photos, "again", base="mine", minutes=1, device="cpu")
    second = load_network(find_model("again"))
    assert isinstance(second, Personal)
    untrained = load_network(find_model("untrained")).state_dict()
    for key, value in untrained.items():
        assert torch.equal(second.known.state_dict()[key], value)
    for key, value in first.learned.state_dict().items():
        assert torch.equal(started[1][key], value)


def test_finetune_keeps_the_model_if_the_sheet_fails(
    photos: Path, base: str, worth_having: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "train_style", lambda network, *_: perturbed(network))
    with pytest.raises(EngineError, match="there is no folder"):
        tune(photos, base, sheet=tmp_path / "nowhere" / "sheet.png")
    assert find_model("mine")


def test_blend_interpolates_weights() -> None:
    untrained = build_network("concord", **OPTIONS)
    start, learned = perturbed(untrained), perturbed(untrained)
    mixed = tuning.blend(start, learned, 0.25).state_dict()
    for key, value in start.state_dict().items():
        torch.testing.assert_close(mixed[key], 0.75 * value + 0.25 * learned.state_dict()[key])


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
        finetune(photos, "untrained", base=base, report=never)
    with pytest.raises(EngineError, match="is not in iHarmony4's layout"):
        finetune(photos, "mine", base=base, benchmark=photos, report=never)
    for formula, words in (("reinhard", "is a formula and can't be trained"), ("s2am-mask-free", "predicts masks")):
        with pytest.raises(EngineError, match=f"“{formula}” {words}"):
            finetune(photos, "mine", base=formula, report=never)


@pytest.mark.parametrize("phase", list(Phase))
def test_finetune_canceled_leaves_nothing_behind(
    phase: Phase,
    photos: Path,
    base: str,
    steps: None,
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
        tune(photos, base, minutes=0.1, report=cancel)
    assert sorted(path.name for path in no_personal_models.iterdir()) == ["untrained.json", "untrained.safetensors"]


def weights_of(name: str) -> dict[str, Tensor]:
    return load_network(find_model(name)).state_dict()


def test_finetune_continues_from_its_checkpoint(
    photos: Path, base: str, steps: None, worth_having: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call after an interruption gives the same weights; the checkpoint's folder is removed at the end."""
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    tune(photos, base, 0.6)
    expected = weights_of("mine")
    delete_model("mine")
    checkpoint = tmp_path / "checkpoint"

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is Phase.TRAINING and event.done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, 0.6, checkpoint=checkpoint, report=interrupt)
    assert (checkpoint / CHECKPOINT_FILE).is_file()
    first: list[int] = []
    tune(
        photos,
        base,
        0.6,
        checkpoint=checkpoint,
        report=lambda event: first.append(event.done) if event.phase is Phase.TRAINING else None,
    )
    assert first[0] > 25
    assert not checkpoint.exists()
    assert all(torch.equal(value, expected[key]) for key, value in weights_of("mine").items())


@pytest.mark.parametrize("phase", [Phase.READING, Phase.PREPARING, Phase.SAVING])
def test_finetune_continues_after_an_interruption(
    phase: Phase, photos: Path, base: str, worth_having: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "train_style", lambda network, *_: perturbed(network))
    if phase is Phase.READING:
        redirect_cache(monkeypatch, tmp_path / "empty cache")

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, checkpoint=tmp_path / "checkpoint", report=interrupt)
    assert tune(photos, base, checkpoint=tmp_path / "checkpoint").model
    assert not (tmp_path / "checkpoint").exists()


def test_finetune_continues_measuring_with_the_next_pair(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pairs that were measured before an interruption are not measured again, and their time counts."""
    monkeypatch.setattr(tuning, "train_style", lambda network, *_: perturbed(network))
    checkpoint = tmp_path / "checkpoint"
    clock = WorkClock(monkeypatch, step=0.0, pair=1.0)

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is Phase.MEASURING and event.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, checkpoint=checkpoint, report=interrupt, now=clock)
    state = json.loads((checkpoint / SESSION_FILE).read_text())
    assert (len(state["scores"]), state["elapsed"]) == (5, 5.0)
    done: list[int] = []
    again = WorkClock(monkeypatch, step=0.0, pair=0.0)
    found = tune(
        photos,
        base,
        checkpoint=checkpoint,
        report=lambda event: done.append(event.done) if event.phase is Phase.MEASURING else None,
        now=again,
        sheet=tmp_path / "sheet.png",
    )
    assert done == list(range(6, 17))
    assert found.seconds == 5.0
    assert Image.open(tmp_path / "sheet.png").height > 100, "with pairs of the interrupted session"


def test_session_keeps_the_time_for_training(tmp_path: Path) -> None:
    """Training gets the same minutes after an interruption, although less of the time is left."""
    recipe = Recipe("pixel_l2", 1e-3, minutes=10)
    sessions = []
    for waited in (60.0, 200.0):
        budget = TimeBudget(600, lambda: 0.0)
        budget.before = waited
        session = Session(budget, tmp_path / "session", ignore_events)
        session.resume({"same": "settings"})
        sessions.append(session.fit_training(recipe).minutes)
    assert sessions == [pytest.approx((0.75 * 600 - 60) / 60)] * 2
    budget.before = 590.0
    late = Session(budget, None, ignore_events).fit_training(recipe)
    assert late.minutes == pytest.approx(1.0), "a tenth of the time, however long reading took"


def test_finetune_discards_a_checkpoint_of_other_settings(photos: Path, base: str, steps: None, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / CHECKPOINT_FILE).write_bytes(b"of another training")
    assert tune(photos, base, 0.1, checkpoint=checkpoint).photographs.seen
    assert not checkpoint.exists()


def test_train_style_returns_the_best_weights(
    photos: Path, base: str, steps: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = iter([3.0, 1.0, 2.0])
    monkeypatch.setattr(trainer, "gains", lambda *_: torch.tensor([next(measured)]))
    kept: list[FitResult] = []
    fit = Trainer.fit

    def watched(self: Trainer, *arguments: Any) -> FitResult:
        kept.append(fit(self, *arguments))
        return kept[-1]

    monkeypatch.setattr(Trainer, "fit", watched)
    card = find_model(base).card
    start = load_network(find_model(base))
    assert isinstance(start, CurvesAndMatrixNetwork)
    recipe = tuning.recipe_for(card, start, 1)
    read = tuning.read_photographs(photos, 96, ignore_events)
    session = Session(TimeBudget(60), None, ignore_events)
    network = AdjustedNetwork(start, Adjustment())
    style = estimate_style(read.seen)
    learned = tuning.train_style(network, recipe, read, style, ProcessGroup(torch.device("cpu")), 0, session)
    (result,) = kept
    assert learned is result.best
    assert result.gain == 3.0
    changed = {
        key for key, value in learned.state_dict().items() if not torch.equal(value, result.last.state_dict()[key])
    }
    assert changed
    assert all(key.startswith("adjustment.perceptron.") for key in changed), "the base network is frozen"
