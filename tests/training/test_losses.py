# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses against values computed by hand: regions, weights and exclusions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from s2am_engine.networks.network import TrainingOutput
from s2am_engine.training import losses
from s2am_engine.training.losses import LOSSES, Loss

RECOLORING = {name: loss for name, loss in LOSSES.items() if loss is not losses.found_mask}
EACH = pytest.mark.parametrize("loss", RECOLORING.values(), ids=RECOLORING)


def blank(count: int = 1) -> tuple[Tensor, Tensor]:
    """Black targets, and masks of their upper halves: 200 of 400 pixels."""
    mask = torch.zeros(count, 1, 20, 20)
    mask[..., :10, :] = 1
    return torch.zeros(count, 3, 20, 20), mask


def painted(inside: float, outside: float, *masks: Tensor) -> TrainingOutput:
    """Return a result with a constant error in each region."""
    _, mask = blank()
    return TrainingOutput([(inside * mask + outside * (1 - mask)).expand(1, 3, 20, 20)], list(masks))


def value(loss: Loss, rendered: TrainingOutput) -> float:
    return float(loss(rendered, *blank()))


def root_and_logarithm(mean_square: float) -> float:
    return math.sqrt(mean_square + 1e-6) + 0.05 * math.log(mean_square + 1e-4)


def test_relative_l1_is_relative_to_the_foreground_area() -> None:
    target, mask = blank()
    stage = torch.full_like(target, 0.1)
    assert float(losses.relative_l1(TrainingOutput([stage], []), target, mask)) == pytest.approx(0.3)
    assert float(losses.relative_l1(TrainingOutput([stage, stage], []), target, mask)) == pytest.approx(0.6)
    mask[..., 1:, :] = 0  # 20 pixels: A_min = 100 counts instead
    assert float(losses.relative_l1(TrainingOutput([stage], []), target, mask)) == pytest.approx(0.3 * 20 / 100)


@pytest.mark.parametrize("loss", [losses.relative_l1, losses.foreground_rmse])
def test_losses_with_a_mask_ignore_the_background(loss: Loss) -> None:
    assert value(loss, painted(0.1, 0.7)) == value(loss, painted(0.1, 0.0))
    assert value(loss, painted(0.1, 0.7)) > value(loss, painted(0.05, 0.7))


def test_foreground_rmse_formula() -> None:
    assert value(losses.foreground_rmse, painted(0.1, 0)) == pytest.approx(root_and_logarithm(0.01), rel=1e-5)
    target, mask = blank(2)
    mask[1, :, 1:] = 0  # the second foreground is a tenth of the first
    stage = torch.stack([torch.full((3, 20, 20), 0.1), torch.full((3, 20, 20), 0.4)])
    expected = (root_and_logarithm(0.01) + root_and_logarithm(0.16)) / 2
    assert float(losses.foreground_rmse(TrainingOutput([stage], []), target, mask)) == pytest.approx(expected, rel=1e-5)


def test_losses_weigh_errors_by_soft_masks() -> None:
    target, mask = blank()
    mask[..., 10:, :] = 0.25
    stage = torch.where(mask == 1, 0.1, 0.3).expand(1, 3, 20, 20)
    expected = (0.01 * 200 + 0.09 * 50) / 250
    found = float(losses.foreground_rmse(TrainingOutput([stage], []), target, mask))
    assert found == pytest.approx(root_and_logarithm(expected), rel=1e-5)


def test_losses_count_every_stage() -> None:
    target, mask = blank()
    stages = [torch.full_like(target, error) for error in (0.3, 0.1)]
    expected = (root_and_logarithm(0.09) + root_and_logarithm(0.01)) / 2
    assert float(losses.foreground_rmse(TrainingOutput(stages, []), target, mask)) == pytest.approx(expected, rel=1e-5)


def found_masks() -> tuple[Tensor, Tensor]:
    """Masks at a half and a fifth of the size: one off by 0.3 everywhere, one without the lower half."""
    sure = torch.zeros(1, 1, 10, 10)
    sure[..., :5, :] = 1
    lacking = torch.zeros(1, 1, 4, 4)
    lacking[..., :1, :] = 1
    return (sure - 0.3).abs(), lacking


def test_attention_loss_formula() -> None:
    _, mask = blank()
    unsure, lacking = found_masks()
    assert float(losses.attention(painted(0, 0), mask)) == 0
    assert float(losses.attention(painted(0, 0, unsure), mask)) == pytest.approx(0.09)
    assert float(losses.attention(painted(0, 0, unsure, lacking), mask)) == pytest.approx(0.09 + 0.25)
    # An edge within a pixel counts by its share.
    mask[..., 10, :] = 1
    sharp = torch.zeros(1, 1, 10, 10)
    sharp[..., :5, :] = 1
    assert float(losses.attention(painted(0, 0, sharp), mask)) == pytest.approx(0.25 / 10)


def test_mask_free_losses_formula() -> None:
    masks = found_masks()
    pixels = (0.01 + 0.04) / 2
    assert value(losses.scaled_l2, painted(0.1, 0.2, *masks)) == pytest.approx(100 * pixels)
    assert value(losses.attention_and_pixels, painted(0.1, 0.2, *masks)) == pytest.approx(90 * 0.34 + 100 * pixels)
    # The error of the foreground plus that of the background, per area of the foreground.
    expected = root_and_logarithm(0.01 + 0.04) + 0.34
    assert value(losses.attention_and_rmse, painted(0.1, 0.2, *masks)) == pytest.approx(expected, rel=1e-5)


def test_pixel_losses_formula() -> None:
    assert value(losses.pixel_l2, painted(0.1, 0.2)) == pytest.approx((0.01 + 0.04) / 2)
    assert value(losses.pixel_l1, painted(0.1, -0.2)) == pytest.approx(100 * 0.15)


@EACH
def test_losses_have_their_minimum_at_the_target(loss: Loss) -> None:
    target, mask = blank(2)
    target = target + 0.4
    perfect = TrainingOutput([target], [mask])
    off = (target + 0.1 * mask).requires_grad_()
    found = loss(TrainingOutput([off], [mask]), target, mask)
    assert float(found.detach()) > float(loss(perfect, target, mask))
    found.backward()
    assert off.grad is not None
    assert bool((off.grad[(mask > 0).expand_as(off)] > 0).all())


@EACH
def test_losses_accept_an_empty_mask(loss: Loss) -> None:
    target, mask = blank()
    stage = torch.full_like(target, 0.1).requires_grad_()
    found = loss(TrainingOutput([stage], [torch.full_like(mask, 0.5)]), target, torch.zeros_like(mask))
    assert math.isfinite(float(found.detach()))
    found.backward()
    assert stage.grad is not None
    assert bool(torch.isfinite(stage.grad).all())


def test_losses_names() -> None:
    assert all(getattr(losses, name) is loss for name, loss in LOSSES.items())
    assert {"pixel_l2", "pixel_l1", "relative_l1", "attention_and_pixels", "foreground_rmse"} <= LOSSES.keys()


def test_found_mask_formula() -> None:
    target, mask = blank(2)
    yes, no, nothing = torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1), torch.zeros_like(mask)

    def judged(found: Tensor, presence: Tensor, wanted: Tensor) -> Tensor:
        return losses.found_mask(TrainingOutput([target], [found, found, presence]), target, wanted)

    assert float(judged(mask, yes, mask)) < 0.01
    assert float(judged(1 - mask, yes, mask)) > 1
    assert float(judged(mask, no, mask)) > 1
    # Without a foreground only the presence counts, not the mask.
    assert float(judged(mask, no, nothing)) == float(judged(1 - mask, no, nothing)) < 0.01
    doubt = torch.full_like(yes, 0.5).requires_grad_()
    judged(mask, doubt, torch.cat([mask[:1], nothing[:1]])).backward()
    assert doubt.grad is not None
    assert doubt.grad[0] < 0 < doubt.grad[1]
