# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of an adjustment on encoded pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from s2am_engine.networks.adjustment import Adjustment
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.training.encoded_pairs import EncodedPairs
from s2am_engine.training.losses import root_and_logarithm
from s2am_engine.training.style_pairs import StyleMap
from s2am_engine.training.time_budget import Now

STEPS, FEWEST_STEPS = 600, 100
REPORTED_STEPS = 10  # between two reports
MEASURED_STEPS = 3 * REPORTED_STEPS
BATCH = 64
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 1e-2

Progress = Callable[[int, float], float]
"""Receives the number of steps done and their mean loss; returns the share of the time that has passed, 0 to 1."""


def train_adjustment(
    network: CurvesAndMatrixNetwork,
    pairs: EncodedPairs,
    style: StyleMap,
    progress: Progress,
    steps: int | None = None,
) -> Adjustment:
    """Train an adjustment of a frozen network.

    Args:
        network: of which the pairs were encoded.
        pairs: to learn from.
        style: of the photographs of which they were made.
        progress: called now and then; when the time has passed, training ends, but not before `FEWEST_STEPS`. May raise
            to cancel.
        steps: None = `STEPS`.

    Returns:
        The adjustment, in evaluation mode. The same pairs and shares give the same one.
    """
    steps = STEPS if steps is None else steps
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        adjustment = Adjustment()
        adjustment.fit(style.apply, style.gains, pairs.features)
        optimizer = torch.optim.AdamW(adjustment.perceptron.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        total = passed = 0.0
        for step in range(steps):
            if step % REPORTED_STEPS == 0:
                passed = progress(step, total / max(1, step))
            share = max(step / steps, min(passed, step / FEWEST_STEPS))
            if share >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - share)
            chosen = pairs[torch.randint(len(pairs), (BATCH,))]
            loss = errors_loss(network, adjustment.adjust(chosen.parameters, chosen.features), chosen)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += float(loss.detach())
    return adjustment.eval()


def seconds_per_step(network: CurvesAndMatrixNetwork, pairs: EncodedPairs, style: StyleMap, now: Now) -> float:
    """Measure the duration of a training step in seconds."""
    times: list[float] = []

    def progress(_: int, __: float) -> float:
        times.append(now())
        return 0.0

    train_adjustment(network, pairs, style, progress, MEASURED_STEPS)
    # The shortest: the first steps take longer.
    return min(later - earlier for earlier, later in itertools.pairwise(times)) / REPORTED_STEPS


def errors_loss(network: CurvesAndMatrixNetwork, parameters: Tensor, pairs: EncodedPairs) -> Tensor:
    """Return the loss `foreground_rmse` of color maps (K, PARAMETERS) on sampled pixels."""
    rendered = render_samples(network, parameters, pairs)
    squared = (rendered - pairs.targets / 255) ** 2
    return root_and_logarithm(squared.unsqueeze(2), torch.ones_like(squared[:, :1]).unsqueeze(2))


def render_samples(network: CurvesAndMatrixNetwork, parameters: Tensor, pairs: EncodedPairs) -> Tensor:
    """Apply color maps (K, PARAMETERS) to the sampled pixels: (K, 3, SAMPLED_PIXELS), unclamped."""
    (rendered,) = network.render(parameters, (pairs.composites / 255).unsqueeze(2))
    return rendered.squeeze(2)
