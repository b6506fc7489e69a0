# SPDX-License-Identifier: GPL-3.0-or-later
"""Network inputs: faithful at any size, independent of transparent pixels."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from s2am_common.errors import EngineError
from s2am_engine.image.data import ImageData
from s2am_engine.inference.network_input import (
    MAX_FOREGROUND_SAMPLES,
    NetworkInput,
    make_network_input,
    reduce_image,
)
from s2am_engine.types import Pixels
from tests.engine.pictures import composite

SIZE = 96


def make_input(pixels: Pixels, mask: Pixels, alpha: Pixels | None = None) -> NetworkInput:
    return make_network_input(ImageData(pixels, alpha), mask, SIZE)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_make_network_input_is_the_same_at_every_depth(dtype: str) -> None:
    reference = make_input(*composite())
    other = make_input(*composite(dtype=dtype))
    np.testing.assert_allclose(other.composite, reference.composite, atol=1 / 255)
    np.testing.assert_array_equal(other.mask, reference.mask)


def test_make_network_input_of_a_large_image_is_close_to_its_average() -> None:
    pixels, mask = composite(2400, 3600)
    network_input = make_input(pixels, mask)
    averaged = cv2.resize(pixels.astype(np.float32) / 255, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(network_input.composite - averaged).mean() < 1 / 255
    area = cv2.resize(mask.astype(np.float32) / 255, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(network_input.mask - area).mean() < 0.002


def test_make_network_input_samples_the_whole_foreground_evenly() -> None:
    pixels, mask = composite(1200, 1800)
    samples = make_input(pixels, mask).samples
    assert len(samples) == MAX_FOREGROUND_SAMPLES
    inside = pixels[mask >= 128].astype(float)
    np.testing.assert_allclose(samples.mean(axis=0), inside.mean(axis=0), atol=1)
    np.testing.assert_allclose(samples.std(axis=0), inside.std(axis=0), atol=1)


def test_make_network_input_ignores_transparent_pixels() -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:30, :40] = 0
    inputs = []
    for hidden in ((0, 0, 0), (255, 0, 255)):
        pixels[:30, :40] = hidden
        inputs.append(make_input(pixels, mask, alpha))
    np.testing.assert_array_equal(inputs[0].composite, inputs[1].composite)
    np.testing.assert_array_equal(inputs[0].samples, inputs[1].samples)


def test_make_network_input_fills_transparent_parts_from_the_background() -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, 90:] = 0
    network_input = make_input(pixels, mask, alpha)
    visible = pixels[:, :90][mask[:, :90] == 0] / 255
    filled = network_input.composite[:, 80:]
    np.testing.assert_allclose(filled.mean(axis=(0, 1)), visible.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(filled.std(axis=(0, 1)), visible.std(axis=0), atol=0.03)
    assert (network_input.mask[:, 80:] == 0).all()


def test_make_network_input_finds_a_foreground_of_one_pixel() -> None:
    pixels = np.full((1500, 1700, 3), 90, np.uint8)
    mask = np.zeros((1500, 1700), np.uint8)
    mask[701, 903], pixels[701, 903] = 255, (200, 10, 10)
    network_input = make_input(pixels, mask)
    assert network_input.samples.tolist() == [[200, 10, 10]]
    assert network_input.mask.max() > 0


def test_make_network_input_finds_a_background_of_one_pixel() -> None:
    pixels = np.full((1500, 1700, 3), 90, np.uint8)
    mask = np.full((1500, 1700), 255, np.uint8)
    mask[701, 903] = 0
    assert make_input(pixels, mask).mask.min() < 1


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 2)])
def test_make_network_input_handles_extreme_shapes(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 120, np.uint8)
    mask = np.zeros(shape, np.uint8)
    mask.flat[: mask.size // 2] = 255
    network_input = make_input(pixels, mask)
    assert network_input.composite.shape == (SIZE, SIZE, 3)
    np.testing.assert_allclose(network_input.composite, 120 / 255, atol=1e-6)
    assert network_input.mask.mean() == pytest.approx(0.5, abs=0.2)


def test_make_network_input_refuses_invisible_foreground_or_background() -> None:
    pixels, mask = composite()
    with pytest.raises(EngineError, match="No visible pixel is left for the background"):
        make_input(pixels, mask, np.where(mask == 255, 255, 0).astype(np.uint8))
    with pytest.raises(EngineError, match="foreground is transparent everywhere"):
        make_input(pixels, mask, np.where(mask == 0, 255, 0).astype(np.uint8))


def test_make_network_input_refuses_values_that_are_not_numbers() -> None:
    pixels, mask = composite(dtype="float32")
    pixels[0, 0] = np.inf
    pixels[:] = np.inf
    with pytest.raises(EngineError, match="not numbers"):
        make_input(pixels, mask)


def test_reduce_image_equals_the_composite_of_make_network_input() -> None:
    pixels, mask = composite()
    np.testing.assert_array_equal(reduce_image(ImageData(pixels), SIZE), make_input(pixels, mask).composite)


def test_reduce_image_ignores_transparent_pixels() -> None:
    pixels, _ = composite()
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:30, :40] = 0
    copies = []
    for hidden in ((0, 0, 0), (255, 0, 255)):
        pixels[:30, :40] = hidden
        copies.append(reduce_image(ImageData(pixels, alpha), SIZE))
    np.testing.assert_array_equal(copies[0], copies[1])
    with pytest.raises(EngineError, match="transparent everywhere"):
        reduce_image(ImageData(pixels, alpha * 0), SIZE)


def test_reduce_image_of_a_nearly_transparent_image_keeps_its_colors() -> None:
    pixels, mask = composite(dtype="uint16")
    faint = np.ones(mask.shape, np.uint16)
    found = make_input(pixels, mask, faint)
    np.testing.assert_allclose(found.composite, make_input(pixels, mask).composite, atol=1e-5)


def test_make_network_input_keeps_the_mask_in_range() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        height, width = rng.integers(60, 700, 2)
        mask = np.zeros((height, width), np.uint8)
        mask[height // 9 : -(height // 9), width // 7 : -(width // 7)] = 255
        network_input = make_input(np.zeros((height, width, 3), np.uint8), mask)
        assert 0 <= network_input.mask.min() <= network_input.mask.max() <= 1
