# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning: gain on the style, no loss on other styles, choice of the better model, and the report."""

from __future__ import annotations

import dataclasses
import hashlib
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

from s2am_engine.errors import EngineError
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_files import delete_model
from s2am_engine.models.model_store import Card, find_model, list_models, load_network, write_card
from s2am_engine.networks import personal
from s2am_engine.networks.network import Network
from s2am_engine.networks.personal import Personal
from s2am_engine.networks.registry import build_network
from s2am_engine.networks.spec import Recipe
from s2am_engine.training import finetune as tuning
from s2am_engine.training import trainer
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.evaluation import Scores
from s2am_engine.training.events import Phase, TrainingEvent, ignore_events
from s2am_engine.training.finetune import Compared, finetune
from s2am_engine.training.run_folder import CHECKPOINT_FILE, half_precision
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
    """The photographs, prepared once for all tests; few pairs are measured, and steps replace minutes."""
    redirect_cache(monkeypatch, photo_folder.parent / "cache")
    monkeypatch.setattr(tuning, "MEASURED", 8)
    monkeypatch.setattr(tuning, "MEASURED_SIDE", 96)
    monkeypatch.setattr(tuning, "BACKGROUNDS", 128)
    recipe_for = tuning.recipe_for

    def short_recipe(card: Card, network: Network, minutes: float) -> Recipe:
        recipe = recipe_for(card, network, minutes)
        return dataclasses.replace(recipe, minutes=None, steps=round(60 * minutes), batch=8, size=min(recipe.size, 32))

    monkeypatch.setattr(tuning, "recipe_for", short_recipe)
    return photo_folder


def tune(photos: Path, base: str, minutes: float = 1, **more: Any) -> tuning.FineTuned:
    """Fine-tune for sixty steps per “minute”."""
    return finetune(photos, "mine", base=base, minutes=minutes, device="cpu", workers=0, **more)


def test_finetune_makes_a_better_model(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[TrainingEvent] = []
    monkeypatch.setattr(tuning, "LEARNING_RATE_FACTOR", 2.0)  # an untrained model needs a higher rate
    monkeypatch.setattr(tuning, "BLEND_SHARE", 1.0)
    monkeypatch.setattr(personal, "PRIOR", 5.0)
    found = tune(photos, base, 2, report=events.append, sheet=tmp_path / "sheet.png")
    assert found.model is not None
    read = found.photographs
    assert (len(read.seen), len(read.unseen)) == (20, 5)
    assert {one.path.name for one in read.skipped} == {"broken.jpg", "phone.heic"}
    assert found.style.fmse_saved > 0.02
    assert found.style.before.psnr == pytest.approx(found.style.untouched.psnr), "the untrained model changed nothing"
    assert find_model("mine").card.fine_tuned
    assert {event.phase for event in events} == set(Phase)
    card = find_model("mine").card
    assert "mine" in [model.card.name for model in list_models()]
    assert card.training["base"] == base
    assert card.figures["look"]["after"]["fmse"] == found.style.after.fmse
    assert "20 photographs of holiday" in card.data
    assert Image.open(tmp_path / "sheet.png").height > 100
    pixels = np.array(Image.open(photos / "0.png"))
    mask = np.zeros(pixels.shape[:2], np.uint8)
    mask[60:160, 80:200] = 255
    pixels[mask > 0] //= 2
    harmonizer = Harmonizer("mine", "cpu")
    harmonizer.set_picture(pixels, mask)
    changed = harmonizer.harmonize() != pixels
    assert changed[mask > 0].any()
    assert not changed[mask == 0].any()


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


def test_finetune_command_keeps_the_better_model(
    photos: Path, base: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tuning, "train_style", lambda *_: perturbed_base_network())
    monkeypatch.setattr(personal, "PRIOR", 5.0)  # the fine-tuned branch is used for every background
    code, out, err = run(capsys, "finetune", photos, "--name", "mine", "--base", base, "--json")
    output = json.loads(out)
    assert (code, output["model"]) == (0, None)
    assert output["look"]["after"]["fmse"] > output["look"]["before"]["fmse"]
    with pytest.raises(EngineError, match="no model “mine”"):
        find_model("mine")
    code, out, err = run(capsys, "finetune", photos, "--name", "mine", "--base", base)
    assert "“untrained” is better overall, so no model was made" in out
    assert "phone.heic: a HEIC file" in err


def perturbed_base_network() -> Network:
    """Return the base network with strongly perturbed weights."""
    network = build_network("concord", **OPTIONS)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


@pytest.mark.parametrize(
    ("saved", "lost", "kept"), [(0.1, 0.0, True), (0.1, 0.04, True), (0.1, 0.06, False), (-0.01, -1.0, False)]
)
def test_finetune_rejects_models_that_forget_other_styles(
    saved: float, lost: float, kept: bool, photos: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: object) -> dict[str, Compared]:
        before = Scores(30.0, 20.0, 50.0, 100.0, 0.9)
        look = dataclasses.replace(before, fmse=100 * (1 - saved))
        return {
            "look": Compared(before, before, look),
            "others": Compared(before, before, dataclasses.replace(before, psnr=30.0 - lost)),
        }

    monkeypatch.setattr(tuning.Evaluator, "compare", measured)
    monkeypatch.setattr(tuning, "train_style", lambda *_: perturbed_base_network())
    assert (tune(photos, base).model is not None) is kept


def test_finetune_continues_a_personal_model(
    photos: Path, base: str, monkeypatch: pytest.MonkeyPatch, no_personal_models: Path
) -> None:
    """Training continues from the fine-tuned branch, and the fallback is still the first base model."""
    started: list[dict[str, Tensor]] = []

    def learn(card: Card, start: Network, *_: object) -> Network:
        started.append(start.state_dict())
        return perturbed_base_network()

    monkeypatch.setattr(tuning, "train_style", learn)
    monkeypatch.setattr(tuning, "FORGETTING", 100.0)
    monkeypatch.setattr(Compared, "fmse_saved", 0.1)
    tune(photos, base)
    first = load_network(find_model("mine"))
    assert isinstance(first, Personal)
    tuning.finetune(photos, "again", base="mine", minutes=1, device="cpu")
    second = load_network(find_model("again"))
    assert isinstance(second, Personal)
    untrained = load_network(find_model("untrained")).state_dict()
    for key, value in untrained.items():
        assert torch.equal(second.known.state_dict()[key], value)
        assert torch.equal(started[1][key], first.learned.state_dict()[key])


def test_finetune_keeps_the_model_if_the_sheet_fails(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "train_style", lambda *_: perturbed_base_network())
    monkeypatch.setattr(tuning, "FORGETTING", 100.0)
    monkeypatch.setattr(Compared, "fmse_saved", 0.1)
    with pytest.raises(EngineError, match="there is no folder"):
        tune(photos, base, sheet=tmp_path / "nowhere" / "sheet.png")
    assert find_model("mine")


def test_blend_interpolates_weights() -> None:
    start, learned = perturbed_base_network(), perturbed_base_network()
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
        tune(photos, base, minutes=0.5, report=cancel)
    assert sorted(path.name for path in no_personal_models.iterdir()) == ["untrained.json", "untrained.safetensors"]


def weights_of(name: str) -> dict[str, Tensor]:
    return load_network(find_model(name)).state_dict()


def test_finetune_continues_from_its_checkpoint(
    photos: Path, base: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call after an interruption gives the same weights; the checkpoint's folder is removed at the end."""
    monkeypatch.setattr(tuning, "FORGETTING", 100.0)
    monkeypatch.setattr(Compared, "fmse_saved", 0.1)
    monkeypatch.setattr(trainer, "REPORT_EVERY", 0.0)
    tune(photos, base)
    expected = weights_of("mine")
    delete_model("mine")
    checkpoint = tmp_path / "checkpoint"

    def interrupt(event: TrainingEvent) -> None:
        if event.phase is Phase.TRAINING and event.done == 25:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(photos, base, checkpoint=checkpoint, report=interrupt)
    assert (checkpoint / CHECKPOINT_FILE).is_file()
    first: list[int] = []
    tune(
        photos,
        base,
        checkpoint=checkpoint,
        report=lambda event: first.append(event.done) if event.phase is Phase.TRAINING else None,
    )
    assert first[0] > 25
    assert not checkpoint.exists()
    assert all(torch.equal(value, expected[key]) for key, value in weights_of("mine").items())


def test_finetune_discards_a_checkpoint_of_other_settings(photos: Path, base: str, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    checkpoint.mkdir()
    (checkpoint / CHECKPOINT_FILE).write_bytes(b"of another training")
    assert tune(photos, base, 0.5, checkpoint=checkpoint).photographs.seen
    assert not checkpoint.exists()


def test_train_style_returns_the_best_weights(photos: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    recipe = tuning.recipe_for(card, start, 1)
    read = tuning.read_photographs(photos, 96, ignore_events)
    learned = tuning.train_style(card, start, recipe, read, ProcessGroup(torch.device("cpu")), 0, ignore_events)
    (result,) = kept
    assert learned is result.best
    assert result.gain == 3.0
    assert any(not torch.equal(value, result.last.state_dict()[key]) for key, value in learned.state_dict().items())
