# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust: where several looks at a picture contradict each other, the program does less."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from s2am_engine.colour_map import ColourMap, Matrix
from s2am_engine.networks.network import MapNetwork
from s2am_engine.prediction import Predictor, four_views, trust
from s2am_engine.thumbnails import make_thumbnail
from tests.engine.pictures import composite


class Brightener(MapNetwork):
    """Adds to the four looks, one after the other, what it is told to."""

    def __init__(self, *shifts: float) -> None:
        super().__init__()
        self.shifts = iter(shifts)

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        return torch.tensor([[next(self.shifts)]])

    def render(self, parameters: Tensor, composite: Tensor) -> list[Tensor]:
        return [composite + parameters[:, :, None, None]]

    def colour_map(self, parameters: Tensor) -> ColourMap:
        return Matrix(np.column_stack([np.eye(3), np.full(3, float(parameters))]))


def predicted_shift(*shifts: float) -> tuple[float, float]:
    """What is added to a grey in the end, and the confidence."""
    thumbnail = make_thumbnail(*composite(), None, None, 64)
    found = Predictor(Brightener(*shifts), torch.device("cpu"), "test")(thumbnail)
    return float(found.colour_map([[0.5, 0.5, 0.5]])[0, 0]) - 0.5, found.confidence


def test_looks_that_agree_are_trusted() -> None:
    shift, confidence = predicted_shift(0.1, 0.1, 0.1, 0.1)
    assert confidence == pytest.approx(1)
    assert shift == pytest.approx(0.1)


def test_looks_that_contradict_each_other_change_little() -> None:
    shift, confidence = predicted_shift(0.1, 0.1, -0.1, -0.1)
    assert confidence < 0.2
    assert shift == pytest.approx(0.1 * confidence)


def test_trust_falls_steadily_with_disagreement() -> None:
    found = [predicted_shift(0.1, 0.1, 0.1 + spread, 0.1 - spread)[1] for spread in (0.0, 0.02, 0.05, 0.1)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 4


def test_agreeing_that_nothing_needs_to_change_is_no_doubt() -> None:
    assert predicted_shift(0.0, 0.0, 0.0005, -0.0005)[1] > 0.8


def test_views_show_the_picture_and_its_mask_alike() -> None:
    picture = torch.rand(1, 4, 40, 40, generator=torch.Generator().manual_seed(0))
    views = four_views(picture)
    torch.testing.assert_close(views[1].flip(2), picture[0])
    torch.testing.assert_close(views[2].flip(1), picture[0])
    torch.testing.assert_close(views[3][:, 20, 20], picture[0, :, 18:23, 18:23].mean((1, 2)), atol=0.5, rtol=0)
    assert not torch.equal(views[3], picture[0])


@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_a_middle_without_foreground_or_background_is_no_view(inside: float) -> None:
    picture = torch.rand(1, 4, 40, 40)
    picture[:, 3] = 1 - inside
    picture[:, 3, 3:-3, 3:-3] = inside
    torch.testing.assert_close(four_views(picture)[3], picture[0])


def test_an_empty_mask_gives_no_nan() -> None:
    looks, one, nothing = torch.rand(4, 3, 8, 8), torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    assert 0 <= trust(looks, one, one, nothing) <= 1
