# SPDX-License-Identifier: GPL-3.0-or-later
"""Adversary: discrimination, gradients that reach only one side, and resume."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.learner import Adversary
from s2am_engine.training.pair_source import Batch
from tests.engine.networks import pictures

KINDS = pytest.mark.parametrize("mask_free", [False, True])


def easy_batch() -> Batch:
    """Composites whose foreground is far too bright."""
    target, mask = pictures(48, count=4)
    target = 0.5 * target
    return Batch(target + 0.5 * mask, mask, target)


ALONE = ProcessGroup(torch.device("cpu"))


def small_adversary(mask_free: bool = False) -> Adversary:
    torch.manual_seed(0)
    return Adversary(mask_free=mask_free, width=8, group=ALONE)


def verdict(adversary: Adversary, batch: Batch, picture: Tensor) -> float:
    """Return the mean output of the discriminator: 1 = real."""
    with torch.no_grad():
        return float(adversary.discriminator(adversary.condition(batch), picture).mean())


def weights(adversary: Adversary) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in adversary.discriminator.parameters()]


@KINDS
def test_adversary_learns_to_distinguish_results_from_targets(mask_free: bool) -> None:
    adversary, batch = small_adversary(mask_free), easy_batch()
    for _ in range(60):
        adversary.train_step(batch, batch.composite)
    assert verdict(adversary, batch, batch.target) > 0.8
    assert verdict(adversary, batch, batch.composite) < 0.2
    # The worst value for the network, and the best for the target.
    assert float(adversary.generator_loss(batch, batch.composite)) > 0.6
    assert float(adversary.generator_loss(batch, batch.target)) < 0.1


def test_generator_loss_is_least_squares() -> None:
    adversary, batch = small_adversary(), easy_batch()
    with torch.no_grad():
        judged = adversary.discriminator(adversary.condition(batch), batch.composite)
        expected = ((judged - 1) ** 2).mean()
        torch.testing.assert_close(adversary.generator_loss(batch, batch.composite), expected)


def test_generator_loss_gradients_skip_the_discriminator() -> None:
    adversary, batch = small_adversary(), easy_batch()
    before = weights(adversary)
    picture = batch.composite.clone().requires_grad_()
    adversary.generator_loss(batch, picture).backward()
    assert picture.grad is not None
    assert bool(picture.grad.abs().amax(dim=(1, 2, 3)).all())
    assert all(parameter.grad is None for parameter in adversary.discriminator.parameters())
    assert all(map(torch.equal, before, weights(adversary)))


def test_train_step_gradients_skip_the_result() -> None:
    adversary, batch = small_adversary(), easy_batch()
    before = weights(adversary)
    picture = batch.composite.clone().requires_grad_()
    adversary.generator_loss(batch, picture.detach())
    adversary.train_step(batch, picture)
    assert picture.grad is None
    assert not any(map(torch.equal, before, weights(adversary)))


def test_generator_loss_gradient_points_to_the_target() -> None:
    adversary, batch = small_adversary(), easy_batch()
    for _ in range(40):
        adversary.train_step(batch, batch.composite)
    picture = batch.composite.clone().requires_grad_()
    adversary.generator_loss(batch, picture).backward()
    assert picture.grad is not None
    wanted = batch.target - batch.composite
    assert float(-(picture.grad * wanted).sum()) > 0


def test_condition_includes_the_mask_unless_mask_free() -> None:
    batch = easy_batch()
    other = Batch(batch.composite, 1 - batch.mask, batch.target)
    for mask_free in (False, True):
        adversary = small_adversary(mask_free)
        one, another = (verdict(adversary, shown, batch.target) for shown in (batch, other))
        assert (one == another) is mask_free
        darker = Batch(0.5 * batch.composite, batch.mask, batch.target)
        assert verdict(adversary, darker, batch.target) != one


@KINDS
def test_adversary_state_dict_round_trip(mask_free: bool) -> None:
    adversary, other, batch = (
        small_adversary(mask_free),
        Adversary(mask_free=mask_free, width=8, group=ALONE),
        easy_batch(),
    )
    for _ in range(3):
        adversary.train_step(batch, batch.composite)
    other.load_state_dict(copy.deepcopy(adversary.state_dict()))
    for one in (adversary, other):
        one.train_step(batch, batch.composite)
    assert all(map(torch.equal, weights(adversary), weights(other)))
    assert verdict(adversary, batch, batch.target) == verdict(other, batch, batch.target)
