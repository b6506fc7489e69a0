# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop: it learns, resumes, averages, and leaves weights that become a usable model."""

from __future__ import annotations

import copy
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from skimage import data
from torch import Tensor, nn

from s2am_engine.errors import EngineError
from s2am_engine.model_store import find_model, load_network
from s2am_engine.networks.network import PaintNetwork
from s2am_engine.training import __main__ as command
from s2am_engine.training import datasets, loop, losses, recipes
from s2am_engine.training.datasets import Photograph
from s2am_engine.training.loop import Progress, Trainer, gains, has_statistics, psnr, refresh_statistics
from s2am_engine.training.pairs import Batch
from s2am_engine.training.publish import publish, read_facts
from tests.engine.networks import pictures, shaken, small_options


@pytest.fixture(autouse=True)
def few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Validate and calibrate on less."""
    monkeypatch.setattr(loop, "VALIDATION_BATCHES", 2)
    monkeypatch.setattr(loop, "CALIBRATION_BATCHES", 2)


def trainer(name: str, steps: int, photographs: list[Photograph], folder: Path, **changes: Any) -> Trainer:
    """A run small enough for a test."""
    recipe = dataclasses.replace(
        recipes.RECIPES[name],
        **{"steps": steps, "batch": 4, "size": 32, "warm_up": 5, "options": small_options(name), **changes},
    )
    return Trainer(name, recipe, photographs, photographs, folder)


def foreground_error(pictures: Tensor, batch: Batch) -> float:
    return float(((pictures - batch.truth) ** 2 * batch.mask).sum())


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_network_overfits_one_batch(name: str, photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer(name, 400, photographs, tmp_path, learning_rate=3e-3, bfloat16=False)
    batch = run.pairs.make(0)
    losses = []
    for run.step in range(40):
        losses.append(run.train_step(batch))
    refresh_statistics(run.average, [batch] if has_statistics(run.average) else [])
    with torch.no_grad():
        after = run.average.rendered(batch.composite, batch.mask).stages[-1]
    assert losses[-1] < losses[0]
    assert foreground_error(after, batch) < 0.5 * foreground_error(batch.composite, batch)


def everything_in(run: Trainer) -> dict[str, Tensor]:
    """All numbers that a run goes on from."""
    parts: dict[str, nn.Module] = {"model": run.model, "average": run.average}
    if run.adversary:
        parts["discriminator"] = run.adversary.discriminator
    return {f"{part}.{key}": value for part, network in parts.items() for key, value in network.state_dict().items()}


@pytest.mark.parametrize("name", ["concord", "pix2pix", "s2am-mask-free"])
def test_a_run_that_was_interrupted_ends_with_the_same_weights(
    name: str, photographs: list[Photograph], tmp_path: Path
) -> None:
    reports: list[Progress] = []
    options = {**small_options(name), **({"levels": 5} if name == "pix2pix" else {})}
    whole = trainer(name, 8, photographs, tmp_path / "whole", options=options)
    whole.run(reports.append, validate_every=4)
    assert [report.step for report in reports] == [4, 8]

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    first = trainer(name, 8, photographs, tmp_path / "parts", options=options)
    with pytest.raises(KeyboardInterrupt):
        first.run(interrupt, validate_every=4)
    second = trainer(name, 8, photographs, tmp_path / "parts", options=options)
    assert second.step == 4
    second.run(reports.append, validate_every=4)
    expected, found = everything_in(whole), everything_in(second)
    assert expected.keys() == found.keys()
    assert [key for key in expected if not torch.equal(expected[key], found[key])] == []
    assert (tmp_path / "parts" / "weights.safetensors").read_bytes() == (
        tmp_path / "whole" / "weights.safetensors"
    ).read_bytes()
    assert len((tmp_path / "parts" / "log.csv").read_text().splitlines()) == 3


def test_ctrl_c_during_the_last_validation_costs_no_weights(
    photographs: list[Photograph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(run: Trainer) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "validate", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trainer("unet", 2, photographs, tmp_path).run(lambda progress: None)
    trainer("unet", 2, photographs, tmp_path).run(lambda progress: None)
    assert (tmp_path / "weights.safetensors").is_file()


def test_the_average_follows_the_weights(photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer("unet", 100, photographs, tmp_path, average=0.3)
    start = [parameter.detach().clone() for parameter in run.model.parameters()]
    averages = []
    for run.step in (0, 8):
        run.train_step(run.pairs.make(run.step))
        averages.append([parameter.detach().clone() for parameter in run.average.parameters()])
        if run.step == 0:
            # At first it forgets faster than the recipe says: 1/10 stays.
            for before, new, kept in zip(start, run.model.parameters(), averages[0], strict=True):
                torch.testing.assert_close(kept, 0.1 * before + 0.9 * new.detach())
    for before, new, kept in zip(averages[0], run.model.parameters(), averages[1], strict=True):
        torch.testing.assert_close(kept, 0.3 * before + 0.7 * new.detach())


def batch_of(scale: float) -> Batch:
    composite, mask = pictures(64, count=8)
    return Batch(scale * composite, mask, composite)


def test_averaged_weights_get_statistics_of_their_own() -> None:
    network = shaken("s2am-s2ad").eval()
    weights = {key: value.clone() for key, value in network.named_parameters()}
    layer = network.get_submodule("downs.1.2")
    assert isinstance(layer, nn.BatchNorm2d)
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    refresh_statistics(network, [batch_of(1.0), batch_of(0.2)])
    handle.remove()
    assert layer.running_mean is not None
    assert layer.running_var is not None
    # The plain mean over both batches, and nothing of what was there before.
    means, variances = zip(*((x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))) for x in seen), strict=True)
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(dim=0))
    torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(dim=0))
    assert layer.momentum == 0.1
    assert not network.training
    assert all(torch.equal(weights[key], value) for key, value in network.named_parameters())
    # With one batch alone the network answers as it does in training.
    refresh_statistics(network, [batch_of(1.0)])
    with torch.no_grad():
        one = network(batch_of(1.0).composite, batch_of(1.0).mask)
        other = network.train()(batch_of(1.0).composite, batch_of(1.0).mask)
    torch.testing.assert_close(one, other, atol=0.01, rtol=0)


def test_what_is_saved_has_its_statistics_from_the_calibration_pairs(
    photographs: list[Photograph], tmp_path: Path
) -> None:
    run = trainer("unet", 3, photographs, tmp_path)
    run.run(lambda progress: None)
    saved = load_file(tmp_path / "weights.safetensors")
    expected = copy.deepcopy(run.average)
    refresh_statistics(expected, run.calibration)
    for key, value in expected.state_dict().items():
        torch.testing.assert_close(saved[key].to(value), value, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("name", "has_any"), [("unet", True), ("fmm", True), ("s2crnet", False), ("concord", False)])
def test_only_networks_with_batch_normalisation_are_calibrated(
    name: str, has_any: bool, photographs: list[Photograph], tmp_path: Path
) -> None:
    run = trainer(name, 2, photographs, tmp_path)
    assert has_statistics(run.model) is has_any
    assert len(run.calibration) == (2 if has_any else 0)
    # Other pairs than those that are validated on.
    assert not any(torch.equal(one.truth, other.truth) for one in run.calibration for other in run.held_out)


def test_a_gain_is_the_psnr_of_the_painted_over_that_of_the_composite() -> None:
    class TenthBrighter(PaintNetwork):
        def answer(self, composite: Tensor, mask: Tensor) -> Tensor:
            return composite + 0.1

    composite, mask = torch.full((2, 3, 8, 8), 0.5), torch.ones(2, 1, 8, 8)
    truth = torch.stack([composite[0] + 0.2, composite[1] - 0.1])
    torch.testing.assert_close(psnr(composite, truth), torch.tensor([13.9794, 20.0]), atol=1e-3, rtol=0)
    found = gains(TenthBrighter(), [Batch(composite, mask, truth)])
    # 0.2 to 0.1 and 0.1 to 0.2: a factor of two is 6.02 dB.
    torch.testing.assert_close(found, torch.tensor([6.0206, -6.0206]), atol=1e-3, rtol=0)
    # Half the picture, half the error there is: the composite stays outside the mask.
    mask[:, :, :4] = 0
    found = gains(TenthBrighter(), [Batch(composite, mask, truth), Batch(composite, mask, composite)])
    assert found[:2].tolist() == pytest.approx([2.0412, -3.9794], abs=1e-3)
    assert float(psnr(truth, truth).mean()) == pytest.approx(60.17, abs=0.01)


def test_the_adversary_counts_with_its_weight(photographs: list[Photograph], tmp_path: Path) -> None:
    for weight in (0.0, 0.5, 2.0):
        run = trainer("unet", 10, photographs, tmp_path / str(weight), adversarial=weight, bfloat16=False)
        batch = run.pairs.make(0)
        # Untrained, the network changes nothing.
        pixels = float(((batch.composite - batch.truth) ** 2).mean())
        realism = float(run.adversary.realism(batch, batch.composite)) if run.adversary else 0.0
        assert (run.adversary is None) is (weight == 0)
        assert run.train_step(batch) == pytest.approx(pixels + weight * realism, rel=1e-4)


def test_the_learning_rate_warms_up_and_falls_to_nothing(photographs: list[Photograph], tmp_path: Path) -> None:
    run = trainer("unet", 100, photographs, tmp_path)
    factors = []
    for run.step in (0, 1, 4, 50, 99):
        factors.append(run.schedule())
    assert factors == pytest.approx([0.2, 0.4, 1, 0.5, 0], abs=0.005)


FACTS = {"description": "tiny", "data": "three photographs", "history": "four steps", "known_failures": ["all"]}


def test_a_finished_run_becomes_a_model_with_its_card(
    photographs: list[Photograph], tmp_path: Path, no_personal_models: Path
) -> None:
    run = trainer("s2am-s2ad", 4, photographs, tmp_path / "run")
    run.run(lambda progress: None, validate_every=4)
    (tmp_path / "facts.json").write_text(json.dumps(FACTS))
    publish(tmp_path / "run", "mine", read_facts(tmp_path / "facts.json"), no_personal_models, None)
    model = find_model("mine")
    assert (model.card.thumbnail, model.card.training["steps"], model.card.data) == (32, 4, "three photographs")
    assert (model.card.network, model.card.options) == ("s2am-s2ad", {"width": 8, "levels": 4})
    assert (model.card.training["loss"], model.card.training["history"]) == ("pixel_l2", "four steps")
    published = load_network(model)
    assert model.card.parameters == sum(parameter.numel() for parameter in run.model.parameters())
    for name, value in run.average.state_dict().items():
        torch.testing.assert_close(published.state_dict()[name].to(value), value, atol=2e-3, rtol=2e-3)
    inputs = pictures(32)
    with torch.no_grad():
        torch.testing.assert_close(published(*inputs), run.average(*inputs), atol=2e-3, rtol=0)


def test_publishing_too_early_or_without_facts_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no weights yet"):
        publish(tmp_path, "mine", {}, tmp_path, None)
    (tmp_path / "facts.json").write_text('{"description": "only"}')
    with pytest.raises(EngineError, match=r"facts\.json does not hold"):
        read_facts(tmp_path / "facts.json")


def test_every_option_of_the_command_reaches_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[tuple[object, ...]] = []
    monkeypatch.setattr(command, "train", lambda *arguments: began.append(arguments))
    line = "unet photos --run run --steps 7 --size 256 --batch 3 --width 8 --levels 5 --loss pixel_l1"
    monkeypatch.setattr(sys, "argv", ["training", *line.split(), "--learning-rate", "0.5", "--adversarial", "0"])
    assert command.main() == 0
    expected = dataclasses.replace(
        recipes.RECIPES["unet"],
        loss=losses.pixel_l1,
        learning_rate=0.5,
        steps=7,
        batch=3,
        size=256,
        adversarial=0.0,
        options={"width": 8, "levels": 5},
    )
    assert began == [("unet", expected, Path("photos"), Path("run"))]


def test_a_larger_network_gets_larger_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda *_, **__: str(tmp_path / "cache"))
    monkeypatch.setattr(datasets, "split_of", lambda name: "val" if name.startswith("0") else "train")
    (tmp_path / "photos").mkdir()
    for index in range(4):
        Image.fromarray(data.coffee()).save(tmp_path / "photos" / f"{index // 2} {index}.jpg")
    seen: list[Photograph] = []

    class Watcher(Trainer):
        def run(self, *_: object, **__: object) -> None:
            seen.extend(self.photographs)

    monkeypatch.setattr(command, "Trainer", Watcher)
    recipe = dataclasses.replace(recipes.RECIPES["s2crnet"], size=256, batch=1)
    command.train("s2crnet", recipe, tmp_path / "photos", tmp_path / "run")
    assert {max(photograph.image.shape) for photograph in seen} == {384}


@pytest.mark.parametrize(("name", "width"), [("unet", 16), ("dih", 8)])
def test_a_folder_with_another_run_is_left_as_it_was(
    name: str, width: int, photographs: list[Photograph], tmp_path: Path
) -> None:
    trainer("unet", 2, photographs, tmp_path, options={"width": 8, "levels": 4}).run(lambda progress: None)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(EngineError, match="holds a run of another network or size: choose another folder"):
        trainer(name, 2, photographs, tmp_path, options={"width": width, "levels": 4})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
