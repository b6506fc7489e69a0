# SPDX-License-Identifier: GPL-3.0-or-later
"""`Predictor`: views, confidence, the network's own pixels and predicted masks."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_common.errors import EngineError
from s2am_engine.color.map import IDENTITY, ColorMap, Matrix
from s2am_engine.image.data import ImageData
from s2am_engine.inference.network_input import NetworkInput, make_network_input
from s2am_engine.inference.predictor import Prediction, Predictor, ensemble_confidence, four_views
from s2am_engine.inference.torch_runner import TorchRunner
from s2am_engine.networks.network import MapNetwork, Network
from s2am_engine.networks.traits import MapParameters
from s2am_engine.types import Floats
from tests.engine.fake_networks import KNOWN_MAP, KnownColors, Spotter
from tests.engine.pictures import composite


@pytest.fixture(autouse=True)
def views_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Predict one view after the other, as on a computer with one core: `Brightener` counts them."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)


def predictor_of(network: Network) -> Predictor:
    return Predictor(TorchRunner(network, "cpu", threads=1), "test")


def make_input(size: int = 64) -> NetworkInput:
    pixels, mask = composite()
    return make_network_input(ImageData(pixels), mask, size)


def brighter(shift: float) -> ColorMap:
    return Matrix(np.column_stack([np.eye(3), np.full(3, shift)]))


class Shift(MapParameters):
    """The parameter is added to all channels."""

    kind = "shift"

    def to_color_map(self, parameters: Floats) -> ColorMap:
        return brighter(float(parameters[0]))


class Brightener(MapNetwork):
    """Adds one of the given shifts to each view, in order."""

    def __init__(self, *shifts: float) -> None:
        super().__init__()
        self.shifts = iter(shifts)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        return torch.tensor([[next(self.shifts)]])

    def render(self, answers: Tensor, composite: Tensor) -> list[Tensor]:
        return [composite + answers[:, :, None, None]]

    @property
    def prediction_format(self) -> Shift:
        return Shift()


class Measurer(Brightener):
    """Uses two input scales, and records its inputs."""

    input_scales = (1.5, 1.0)

    def __init__(self, *shifts: float) -> None:
        super().__init__(*shifts)
        self.shown: list[tuple[Tensor, Tensor]] = []

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        self.shown.append((composite, mask))
        return super().predict(composite, mask)


def predict(*shifts: float) -> Prediction:
    return predictor_of(Brightener(*shifts))(make_input())


def predicted_shift(*shifts: float) -> tuple[float, float]:
    """Return the shift of a gray by the predicted map, and the confidence."""
    found = predict(*shifts)
    return float(found.color_map([[0.5, 0.5, 0.5]])[0, 0]) - 0.5, found.confidence


def test_confidence_is_one_for_agreeing_views() -> None:
    shift, confidence = predicted_shift(0.1, 0.1, 0.1, 0.1)
    assert confidence == pytest.approx(1)
    assert shift == pytest.approx(0.1)


def test_contradicting_views_weaken_the_color_map() -> None:
    shift, confidence = predicted_shift(0.1, 0.1, -0.1, -0.1)
    assert confidence < 0.2
    assert shift == pytest.approx(0.1 * confidence)


def test_confidence_falls_with_disagreement() -> None:
    found = [predicted_shift(0.1, 0.1, 0.1 + spread, 0.1 - spread)[1] for spread in (0.0, 0.02, 0.05, 0.1)]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 4


def test_ensemble_confidence_follows_the_formula() -> None:
    pictures, mask = np.full((4, 4, 3), 0.4, np.float32), np.zeros((4, 4), np.float32)
    mask[0], mask[1] = 1, 0.5
    # Values are clamped at 1, so 0.6 and 0.9 have the same effect.
    looks = [brighter(shift) for shift in (0.2, 0.2, 0.6, 0.9)]
    expected = 1 / (1 + 8 * np.var([0.6, 0.6, 1, 1], ddof=1) / (0.2**2 + 1 / 255**2))
    assert ensemble_confidence(looks, brighter(0.2), pictures, mask, 8.0) == pytest.approx(expected, rel=1e-5)


def test_confidence_is_high_for_maps_near_the_identity() -> None:
    assert predicted_shift(0.0, 0.0, 0.0005, -0.0005)[1] > 0.8


@pytest.mark.parametrize("answer", [np.nan, np.inf])
def test_predictor_refuses_outputs_that_are_not_numbers(answer: float) -> None:
    with pytest.raises(EngineError, match="“test” gave no usable result"):
        predict(0.1, 0.1, answer, 0.1)


def test_predictor_refuses_outputs_that_are_not_color_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    class Impossible(Shift):
        def to_color_map(self, parameters: Floats) -> ColorMap:
            return brighter(np.nan)

    network = Brightener(0.1, 0.1, 0.1, 0.1)
    monkeypatch.setattr(Brightener, "prediction_format", Impossible())
    with pytest.raises(EngineError, match="no usable result"):
        predictor_of(network)(make_input())


@pytest.mark.parametrize("size", [48, 100])
def test_predictor_fits_the_map_to_predicted_pixels(size: int) -> None:
    seen = make_input(size)
    found = predictor_of(KnownColors())(seen)
    assert found.confidence > 0.99
    colors = seen.composite[seen.mask > 0.5]
    np.testing.assert_allclose(found.color_map(colors), KNOWN_MAP(colors), atol=0.5 / 255)


def test_predicted_pixels_change_inside_the_mask_alone() -> None:
    seen = make_input()
    predicted = predictor_of(KnownColors()).predict_pixels(seen)
    assert predicted.shape == (64, 64, 3)
    np.testing.assert_array_equal(predicted[seen.mask == 0], seen.composite[seen.mask == 0])
    inside = seen.mask == 1
    np.testing.assert_allclose(predicted[inside], KNOWN_MAP(seen.composite[inside]), atol=1e-6)


def test_predict_mask_finds_the_foreground() -> None:
    seen = make_input()
    found = predictor_of(Spotter()).predict_mask(seen.composite)
    assert found.mask.shape == (64, 64)
    assert 0.5 < found.presence <= 1
    assert ((found.mask > 0.5) == (seen.mask > 0.5)).mean() > 0.97


def test_four_views_transform_image_and_mask_alike() -> None:
    picture = np.random.default_rng(0).random((4, 40, 40), np.float32)
    views = four_views(picture)
    np.testing.assert_array_equal(views[1][..., ::-1], picture)
    np.testing.assert_array_equal(views[2][:, ::-1], picture)
    enlarged = F.interpolate(torch.from_numpy(picture[None, :, 3:37, 3:37]), (40, 40), mode="bilinear")
    np.testing.assert_allclose(views[3], enlarged[0], atol=1e-5)


@pytest.mark.parametrize("inside", [0.0, 1.0])
def test_four_views_replace_a_center_without_foreground_or_background(inside: float) -> None:
    picture = np.random.default_rng(0).random((4, 40, 40), np.float32)
    picture[3] = 1 - inside
    picture[3, 3:-3, 3:-3] = inside
    np.testing.assert_array_equal(four_views(picture)[3], picture)


def test_network_with_two_scales_gets_one_view_of_each_and_their_mean_gives_the_map() -> None:
    network, seen = Measurer(0.1, 0.2), make_input(96)
    found = predictor_of(network)(seen)
    # Views are predicted in several threads, in any order.
    (large, large_mask), (small, small_mask) = sorted(network.shown, key=lambda view: -view[0].shape[-1])
    assert (large.shape[-1], small.shape[-1]) == (96, 64)
    np.testing.assert_array_equal(large[0].permute(1, 2, 0), seen.composite)
    for whole, reduced in ((large, small), (large_mask, small_mask)):
        mirrored = [cv2.resize(channel, (64, 64), interpolation=cv2.INTER_AREA) for channel in whole.flip(3)[0].numpy()]
        np.testing.assert_array_equal(reduced[0], mirrored)
    shift = float(found.color_map([[0.5, 0.5, 0.5]])[0, 0]) - 0.5
    assert shift == pytest.approx(0.15 * found.confidence, abs=1e-5)
    assert found.confidence < 1, "the sizes differ"


def test_ensemble_confidence_of_an_empty_mask_is_a_number() -> None:
    pictures, nothing = np.full((8, 8, 3), 0.4, np.float32), np.zeros((8, 8), np.float32)
    assert 0 <= ensemble_confidence([IDENTITY, brighter(0.1)], IDENTITY, pictures, nothing, 8.0) <= 1
