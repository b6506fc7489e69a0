# SPDX-License-Identifier: GPL-3.0-or-later
"""Learner: training steps of every network, averaged weights, and gains."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from s2am_common.errors import EngineError
from s2am_engine.networks.network import PixelNetwork
from s2am_engine.networks.registry import RECIPES, build_network
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.learner import Learner, gains, has_statistics, psnr, refresh_statistics
from s2am_engine.training.losses import LOSSES
from s2am_engine.training.pair_source import Batch
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.synthetic_pairs import PairMaker
from tests.engine.networks import perturbed_network, pictures, small_options

ALONE = ProcessGroup(torch.device("cpu"))
SMALL = RECIPES["small"]


def learner(name: str, **changes: Any) -> Learner:
    """A network small enough for a test, with its own recipe."""
    recipe = dataclasses.replace(SMALL[name], **{"mixed_precision": False, "options": small_options(name), **changes})
    torch.manual_seed(0)
    return Learner(build_network(name, **recipe.options), recipe, ALONE, seed=0)


def one_batch(photographs: list[Photograph]) -> Batch:
    return PairMaker(32, 4, 1, photographs=photographs).make(0)


def foreground_error(found: Tensor, batch: Batch) -> float:
    return float(((found - batch.target) ** 2 * batch.mask).sum())


FAST = ("concord", "connoisseur", "dih", "fmm", "pix2pix", "s2am-mask-free", "s2am-s2ad", "s2crnet", "unet")
"""One network of each architecture; their variants are slow tests."""


@pytest.mark.parametrize(
    "name",
    [
        name if name in FAST else pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(SMALL.keys() - {"dissonance", "light", "subject"})  # which change no global color
    ],
)
def test_learner_overfits_one_batch(name: str, photographs: list[Photograph]) -> None:
    found, batch = learner(name), one_batch(photographs)
    losses = [float(found.train_step(batch, step, 3e-3 * min(1, (step + 1) / 5))) for step in range(40)]
    refresh_statistics(found.average, [batch] if has_statistics(found.average) else [])
    with torch.no_grad():
        after = found.average.forward_training(batch.composite, batch.mask).stages[-1]
    assert losses[-1] < losses[0]
    assert foreground_error(after, batch) < 0.5 * foreground_error(batch.composite, batch)


def test_learner_refuses_networks_without_parameters() -> None:
    with pytest.raises(EngineError, match="“Reinhard” is a formula and can't be trained"):
        Learner(build_network("reinhard"), SMALL["concord"], ALONE, seed=0)


def test_learner_starts_from_the_weights_of_its_network() -> None:
    network = perturbed_network("concord")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = Learner(network, SMALL["concord"], ALONE, seed=1)
    for key, value in before.items():
        assert torch.equal(found.model.state_dict()[key], value)
        assert torch.equal(found.average.state_dict()[key], value)


def test_learner_loads_checkpoints_with_earlier_parameter_names() -> None:
    found = learner("connoisseur")
    state = found.state_dict()
    for part in ("model", "average"):
        state[part] = {name.replace("embed_context", "tell"): value for name, value in state[part].items()}
    assert any(".tell." in name for name in state["model"])
    other = learner("connoisseur")
    with torch.no_grad():
        next(other.model.parameters()).add_(1)
    other.load_state_dict(state)
    assert all(torch.equal(value, found.model.state_dict()[key]) for key, value in other.model.state_dict().items())


def test_update_average_follows_the_weights(photographs: list[Photograph]) -> None:
    found, batch = learner("unet", average=0.3), one_batch(photographs)
    start = [parameter.detach().clone() for parameter in found.model.parameters()]
    averages = []
    for step in (0, 8):
        found.train_step(batch, step, 1e-3)
        averages.append([parameter.detach().clone() for parameter in found.average.parameters()])
        if step == 0:
            # The average decays faster at first than the recipe: a share of 1/10 remains.
            for before, new, kept in zip(start, found.model.parameters(), averages[0], strict=True):
                torch.testing.assert_close(kept, 0.1 * before + 0.9 * new.detach())
    for before, new, kept in zip(averages[0], found.model.parameters(), averages[1], strict=True):
        torch.testing.assert_close(kept, 0.3 * before + 0.7 * new.detach())


def test_update_average_zero_keeps_the_last_weights(photographs: list[Photograph]) -> None:
    found, batch = learner("concord", average=0.0), one_batch(photographs)
    found.train_step(batch, 0, 1e-3)
    for new, kept in zip(found.model.parameters(), found.average.parameters(), strict=True):
        torch.testing.assert_close(kept, new)


def batch_of(scale: float) -> Batch:
    composite, mask = pictures(64, count=8)
    return Batch(scale * composite, mask, composite)


def test_refresh_statistics_of_averaged_weights() -> None:
    network = perturbed_network("s2am-s2ad").eval()
    weights = {key: value.clone() for key, value in network.named_parameters()}
    layer = network.get_submodule("downs.1.2")
    assert isinstance(layer, nn.BatchNorm2d)
    seen: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, given, __: seen.append(given[0]))
    refresh_statistics(network, [batch_of(1.0), batch_of(0.2)])
    handle.remove()
    assert layer.running_mean is not None
    assert layer.running_var is not None
    # The plain mean over both batches, without the previous statistics.
    means, variances = zip(*((x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3))) for x in seen), strict=True)
    torch.testing.assert_close(layer.running_mean, torch.stack(means).mean(dim=0))
    torch.testing.assert_close(layer.running_var, torch.stack(variances).mean(dim=0))
    assert layer.momentum == 0.1
    assert not network.training
    assert all(torch.equal(weights[key], value) for key, value in network.named_parameters())
    # With one batch the outputs equal those in training mode.
    refresh_statistics(network, [batch_of(1.0)])
    with torch.no_grad():
        one = network(batch_of(1.0).composite, batch_of(1.0).mask)
        other = network.train()(batch_of(1.0).composite, batch_of(1.0).mask)
    torch.testing.assert_close(one, other, atol=0.01, rtol=0)


def test_gains_are_psnr_differences() -> None:
    class TenthBrighter(PixelNetwork):
        def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
            return composite + 0.1

    composite, mask = torch.full((2, 3, 8, 8), 0.5), torch.ones(2, 1, 8, 8)
    target = torch.stack([composite[0] + 0.2, composite[1] - 0.1])
    torch.testing.assert_close(psnr(composite, target), torch.tensor([13.9794, 20.0]), atol=1e-3, rtol=0)
    found = gains(TenthBrighter(), [Batch(composite, mask, target)])
    # 0.2 to 0.1 and 0.1 to 0.2: a factor of two is 6.02 dB.
    torch.testing.assert_close(found, torch.tensor([6.0206, -6.0206]), atol=1e-3, rtol=0)
    # Half of the image and of its error: outside the mask the composite is unchanged.
    mask[:, :, :4] = 0
    found = gains(TenthBrighter(), [Batch(composite, mask, target), Batch(composite, mask, composite)])
    assert found[:2].tolist() == pytest.approx([2.0412, -3.9794], abs=1e-3)
    assert float(psnr(target, target).mean()) == pytest.approx(60.17, abs=0.01)


def test_learner_adds_the_weighted_adversarial_loss(photographs: list[Photograph]) -> None:
    batch = one_batch(photographs)
    for weight in (0.0, 0.5, 2.0):
        found = learner("unet", adversarial=weight)
        # An untrained network changes nothing.
        pixels = float(((batch.composite - batch.target) ** 2).mean())
        realism = float(found.adversary.generator_loss(batch, batch.composite)) if found.adversary else 0.0
        assert (found.adversary is None) is (weight == 0)
        assert float(found.train_step(batch, 0, 1e-3)) == pytest.approx(pixels + weight * realism, rel=1e-4)


@pytest.mark.parametrize("clip", [None, 1e-3])
def test_learner_clips_the_gradient(
    clip: float | None, photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOSSES, "large", lambda *given: 1e3 * LOSSES["pixel_l2"](*given))
    found = learner("unet", clip=clip, loss="large")
    found.train_step(one_batch(photographs), 0, 0.0)
    norm = torch.cat([p.grad.flatten() for p in found.model.parameters() if p.grad is not None]).norm()
    assert (float(norm) <= 1.01e-3) is (clip is not None)
