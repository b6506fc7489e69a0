# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline with the bundled model: it helps, it is exact where it must be, and its sliders answer."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import ImageCms
from skimage import data

import s2am_engine
from s2am_engine import Harmonizer
from s2am_engine.color.map import Curves
from s2am_engine.errors import EngineError
from s2am_engine.image import profiles
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import Pixels
from s2am_engine.inference.harmonizer import carry_into_profile
from s2am_engine.models.model_store import DEFAULT_MODEL
from tests.engine.icc import ADOBE, P3, adobe_curve, rgb_profile, srgb_curve
from tests.engine.pictures import composite


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    """The default model, loaded once."""
    return Harmonizer(device="cpu")


CASTS = {"dark and blue": (0.45, 0.6, 1.0), "yellow": (1.0, 0.9, 0.45), "dark": (0.4, 0.4, 0.4)}


def with_a_cast(truth: NDArray[np.uint8], cast: tuple[float, float, float]) -> tuple[Pixels, Pixels]:
    """A photograph whose middle has a wrong color: composite and mask."""
    height, width = truth.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height // 3), 0, 0, 360, 255, -1)
    return np.where(mask[..., None] > 0, truth * np.array(cast, np.float32), truth).astype(np.uint8), mask


def test_wrong_colors_are_much_less_wrong_afterwards(harmonizer: Harmonizer) -> None:
    ratios = []
    for photograph in (data.astronaut(), data.chelsea(), data.coffee()):
        for cast in CASTS.values():
            pasted, mask = with_a_cast(photograph, cast)
            harmonizer.set_picture(pasted, mask)
            result = harmonizer.harmonize()
            errors = [np.abs(x.astype(float) - photograph)[mask > 0].mean() for x in (pasted, result)]
            ratios.append(errors[1] / errors[0])
    assert np.mean(ratios) < 0.75
    assert max(ratios) < 1.5  # yellow in a warm scene may well be right


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_background_is_bit_identical_at_every_depth(harmonizer: Harmonizer, dtype: str) -> None:
    pixels, mask = composite(dtype=dtype)
    harmonizer.set_picture(pixels, mask)
    result = harmonizer.harmonize()
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])
    assert not np.array_equal(result[mask == 255], pixels[mask == 255])


def test_depths_agree(harmonizer: Harmonizer) -> None:
    results = []
    for dtype, scale in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        pixels, mask = composite(dtype=dtype)
        harmonizer.set_picture(pixels, mask)
        results.append(np.clip(harmonizer.harmonize().astype(np.float64) / scale, 0, 1))
    np.testing.assert_allclose(results[0], results[2], atol=2 / 255)
    np.testing.assert_allclose(results[1], results[2], atol=1 / 255)


def test_strength_nought_changes_nothing_and_half_goes_half_way(harmonizer: Harmonizer) -> None:
    pixels, mask = composite(dtype="float32")
    harmonizer.set_picture(pixels, mask)
    whole = harmonizer.harmonize()
    harmonizer.adjust(strength=0.0)
    np.testing.assert_array_equal(harmonizer.harmonize(), pixels)
    harmonizer.adjust(strength=0.5)
    np.testing.assert_allclose(harmonizer.harmonize(), (pixels + whole) / 2, atol=1e-5)


def test_sliders_stay_until_the_next_picture(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    harmonizer.set_picture(pixels, mask)
    plain = harmonizer.harmonize()
    harmonizer.adjust(warmth=0.8)
    harmonizer.adjust(brightness=0.3)
    changed = harmonizer.harmonize().astype(int) - plain
    inside = changed[mask == 255].mean(axis=0)
    assert inside[0] > inside[2] + 3
    assert changed[mask == 255].mean() > 3
    harmonizer.set_picture(pixels, mask)
    np.testing.assert_array_equal(harmonizer.harmonize(), plain)


def test_what_is_transparent_is_no_reference(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, :25] = 0
    maps = []
    for hidden in ((0, 0, 0), (250, 30, 200)):
        pixels[:, :25] = hidden
        harmonizer.set_picture(pixels, mask, alpha=alpha)
        maps.append(harmonizer.color_map)
    assert maps[0] == maps[1]


def test_a_gray_picture_stays_gray(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    gray = np.repeat(pixels[..., 1:2], 3, axis=2)
    result = harmonizer.harmonize_picture(ImageData(gray, gray=True), mask)
    assert result.gray
    assert (np.ptp(result.pixels, axis=2) == 0).all()
    np.testing.assert_array_equal(result.pixels[mask == 0], gray[mask == 0])


@pytest.mark.parametrize("profile", [rgb_profile(P3, srgb_curve), rgb_profile(ADOBE, adobe_curve)])
def test_a_wide_gamut_picture_gets_what_its_srgb_version_gets(harmonizer: Harmonizer, profile: bytes) -> None:
    pixels, mask = composite()
    harmonizer.set_picture(pixels, mask)
    wanted = harmonizer.harmonize()
    wide = profiles.from_srgb(pixels, profile)
    result = harmonizer.harmonize_picture(ImageData(wide, profile=profile), mask)
    assert result.profile == profile
    np.testing.assert_array_equal(result.pixels[mask == 0], wide[mask == 0])
    difference = profiles.to_srgb(result.pixels, profile).astype(int) - wanted
    assert np.abs(difference[mask == 255]).mean() < 2


def test_carrying_a_map_that_changes_nothing_gives_one_that_changes_nothing() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    carried = carry_into_profile(
        Curves(np.tile(np.linspace(0, 1, 5), (3, 1))), samples, rgb_profile(ADOBE, adobe_curve)
    )
    unit = samples / np.float32(255)
    np.testing.assert_allclose(carried(unit), unit, atol=1e-3)


def test_a_layer_is_pasted_and_harmonized_and_the_rest_stays(harmonizer: Harmonizer) -> None:
    pasted, _ = with_a_cast(data.chelsea(), CASTS["dark and blue"])
    background = ImageData(data.coffee())
    layer = ImageData(pasted[60:220, 120:330], np.full((160, 210), 255, np.uint8))
    result = harmonizer.harmonize_layer(layer, background, (30, 50))
    outside = np.ones(background.pixels.shape[:2], np.bool_)
    outside[50:210, 30:240] = False
    np.testing.assert_array_equal(result.pixels[outside], background.pixels[outside])
    # A dark blue cat in a picture of warm light comes out warmer.
    shift = (result.pixels[50:210, 30:240].astype(int) - layer.pixels).mean(axis=(0, 1))
    assert shift[0] > shift[2]


def test_one_call_does_it_for_arrays_and_for_pictures() -> None:
    pixels, mask = composite()
    harmonized = s2am_engine.harmonize(pixels, mask, device="cpu")
    assert isinstance(harmonized, np.ndarray)
    picture = s2am_engine.harmonize(ImageData(pixels), mask, device="cpu")
    assert isinstance(picture, ImageData)
    np.testing.assert_array_equal(picture.pixels, harmonized)
    with pytest.raises(EngineError, match=f"“{DEFAULT_MODEL}” goes by a mask: give one"):
        s2am_engine.harmonize(pixels, device="cpu")


def test_every_result_starts_from_the_original_pixels(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    kept = pixels.copy()
    harmonizer.set_picture(pixels, mask)
    first = harmonizer.harmonize()
    np.testing.assert_array_equal(harmonizer.harmonize(), first)
    np.testing.assert_array_equal(pixels, kept)


def test_without_a_picture_there_is_nothing_to_harmonize() -> None:
    with pytest.raises(EngineError, match="set_picture first"):
        Harmonizer(device="cpu").harmonize()


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineError, match="no device “warp:3”"):
        Harmonizer(device="warp:3")


def test_out_of_gpu_memory_the_cpu_does_the_work_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, mask = composite()
    harmonizer = Harmonizer(device="cpu")
    harmonizer.set_picture(pixels, mask)
    expected = harmonizer.color_map
    network = harmonizer.predictor.network
    answer, calls = network.predict, []

    def starved(composite: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        calls.append(harmonizer.device)
        if len(calls) == 2:
            raise torch.cuda.OutOfMemoryError
        return answer(composite, mask)

    monkeypatch.setattr(network, "predict", starved)
    with pytest.warns(RuntimeWarning, match="GPU is out of memory"):
        harmonizer.set_picture(pixels, mask)
    assert harmonizer.device.type == "cpu"
    assert harmonizer.color_map == expected


def test_a_network_that_answers_nonsense_is_an_error_not_a_black_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    harmonizer = Harmonizer(device="cpu")
    monkeypatch.setattr(harmonizer.predictor.network, "predict", lambda *_: torch.full((1, 39), torch.nan))
    with pytest.raises(EngineError, match="gave no usable answer"):
        harmonizer.set_picture(*composite())


def test_metadata_and_profile_stay_with_the_picture(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = ImageData(pixels, profile=srgb)
    result = harmonizer.harmonize_picture(given, mask)
    assert dataclasses.replace(result, pixels=pixels) == given or result.profile == srgb
    assert result.metadata is given.metadata
