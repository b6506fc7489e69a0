# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of pairs: number, order, and measured change of the foreground."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from s2am_engine.training.pair_source import Batch
from s2am_engine.training.synthetic_pairs import draw_pair_sheet, foreground_change


class Tones:
    """Makes pairs of one gray each: the composite is brighter from pair to pair."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def make(self, step: int) -> Batch:
        self.steps.append(step)
        target = torch.full((2, 3, 16, 16), 0.2)
        levels = torch.tensor([2.0 * step, 2.0 * step + 1]).view(2, 1, 1, 1)
        return Batch(target + 0.1 * levels, torch.ones(2, 1, 16, 16), target)


def test_draw_pair_sheet_makes_only_needed_pairs() -> None:
    tones = Tones()
    sheet = np.asarray(draw_pair_sheet(tones, 5, side=32))
    assert tones.steps == [0, 1, 2]
    found = [gray for gray in (51, 76, 102, 128, 153, 179) if (sheet == gray).all(axis=2).sum() >= 32 * 32]
    assert found == [51, 76, 102, 128, 153]
    assert (sheet == 255).all(axis=2).sum() == 5 * 32 * 32


def test_foreground_change() -> None:
    target, composite, mask = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4), torch.zeros(1, 4, 4)
    composite[:, :2], mask[:, :2] = 0.1, 1
    composite[:, 3] = 1.0
    assert foreground_change(composite, mask, target) == pytest.approx(25.5)
    assert foreground_change(target, mask, target) == 0
