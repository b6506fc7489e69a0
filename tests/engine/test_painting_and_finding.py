# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline with networks that paint, and with one that finds the foreground by itself."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

import s2am_engine
from s2am_engine import Harmonizer
from s2am_engine.cli.bench import measure
from s2am_engine.color.apply import apply_color_map
from s2am_engine.errors import EngineError, NothingFoundError
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import Pixels
from s2am_engine.inference.detector import Detector, enlarge_mask, find
from s2am_engine.inference.network_input import shrink
from s2am_engine.inference.predictor import Predictor
from s2am_engine.networks import registry
from s2am_engine.networks.spec import NetworkSpec
from tests.engine.fake_networks import KNOWN_MAP, Doubter, Painter, Spotter, write_fake_model
from tests.engine.icc import ADOBE, adobe_curve, rgb_profile
from tests.engine.pictures import composite

CPU = torch.device("cpu")


def painter(size: int = 96) -> Harmonizer:
    return Harmonizer.from_network(Painter(), size, "cpu")


def spotter(size: int = 64) -> Harmonizer:
    return Harmonizer.from_network(Spotter(), size, "cpu", "spotter")


def overlap(found: Pixels, mask: Pixels) -> float:
    here, there = found > 127, mask > 127
    return float((here & there).sum() / (here | there).sum())


def test_what_a_network_paints_small_is_rendered_at_full_resolution() -> None:
    pixels, mask = composite(600, 800)
    harmonizer = painter()
    harmonizer.set_picture(pixels, mask)
    result = harmonizer.harmonize()
    wanted = apply_color_map(KNOWN_MAP, pixels, mask)
    assert np.abs(wanted.astype(int) - pixels)[mask == 255].mean() > 5
    assert np.abs(result.astype(int) - wanted).max() <= 1
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_painted_pixels_are_enlarged_into_the_foreground_alone(dtype: str) -> None:
    pixels, mask = composite(300, 400, dtype)
    harmonizer = painter()
    harmonizer.set_picture(pixels, mask)
    painted = harmonizer.paint()
    assert painted.dtype == pixels.dtype
    np.testing.assert_array_equal(painted[mask == 0], pixels[mask == 0])
    unit = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    away = (painted.astype(float) - apply_color_map(KNOWN_MAP, pixels, mask))[mask == 255] / unit
    assert np.abs(away.mean()) < 0.005
    # Soft: the grain is lost, which the map keeps.
    assert painted[mask == 255].std(axis=0).sum() < harmonizer.harmonize()[mask == 255].std(axis=0).sum()


def test_painted_pixels_are_srgb_and_say_so() -> None:
    pixels, mask = composite()
    harmonizer = painter()
    with pytest.raises(EngineError, match="set_picture first"):
        harmonizer.paint()
    harmonizer.set_picture(pixels, mask, profile=rgb_profile(ADOBE, adobe_curve))
    with pytest.raises(EngineError, match="convert the picture to sRGB"):
        harmonizer.paint()


def test_a_gray_picture_is_painted_gray() -> None:
    pixels, mask = composite()
    gray = ImageData(np.repeat(pixels[..., 1:2], 3, axis=2), gray=True)
    result = painter().paint_picture(gray, mask)
    assert (np.ptp(result.pixels, axis=2) == 0).all()
    assert not np.array_equal(result.pixels, gray.pixels)


def test_any_network_can_be_timed() -> None:
    assert measure(painter(), 120, 90).stages["network"] > 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_without_a_mask_a_mask_free_network_finds_one(dtype: str) -> None:
    pixels, mask = composite(300, 400, dtype)
    harmonizer = spotter()
    harmonizer.set_picture(pixels)
    found = harmonizer.mask
    assert found.shape == mask.shape
    assert overlap(found, mask) > 0.9
    # What it is a little unsure of counts as wholly so.
    assert {0, 255} <= set(np.unique(found))
    result = harmonizer.harmonize()
    np.testing.assert_array_equal(result[found == 0], pixels[found == 0])
    inside = (found == 255) & (mask == 255)
    wanted = apply_color_map(KNOWN_MAP, pixels, found)
    unit = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    np.testing.assert_allclose(result[inside] / unit, wanted[inside] / unit, atol=1.01 / 255)


def test_a_mask_that_is_given_goes_before_what_could_be_found() -> None:
    pixels, mask = composite()
    left = mask.copy()
    left[:, 60:] = 0
    harmonizer = spotter()
    harmonizer.set_picture(pixels, left)
    result = harmonizer.harmonize()
    np.testing.assert_array_equal(harmonizer.mask, left)
    np.testing.assert_array_equal(result[left == 0], pixels[left == 0])
    assert not np.array_equal(result[left == 255], pixels[left == 255])


def test_transparent_parts_are_not_searched() -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, :20] = 0
    pixels[:, :20] = (0, 0, 255)
    harmonizer = spotter()
    assert harmonizer.find_mask(pixels)[:, :18].all()
    found = harmonizer.find_mask(pixels, alpha=alpha)
    assert not found[:, :20].any()
    assert overlap(found, mask) > 0.9


def test_a_pictures_own_alpha_goes_first_and_without_a_usable_one_the_mask_is_found() -> None:
    pixels, mask = composite()
    own = mask.copy()
    own[:, 60:] = 0
    harmonizer = spotter()
    harmonizer.harmonize_picture(ImageData(pixels, own))
    np.testing.assert_array_equal(harmonizer.mask, own)
    for alpha in (None, np.full_like(mask, 255)):
        result = harmonizer.harmonize_picture(ImageData(pixels, alpha))
        assert overlap(harmonizer.mask, mask) > 0.8
        assert not np.array_equal(result.pixels, pixels)
    assert overlap(harmonizer.mask, mask) > 0.8


def test_one_call_finds_and_harmonizes(no_personal_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, "s2am-mask-free", "spotter")
    pixels, mask = composite()
    result = s2am_engine.harmonize(pixels, model="s2am-mask-free", device="cpu")
    assert isinstance(result, np.ndarray)
    np.testing.assert_array_equal(result[:10], pixels[:10])
    assert not np.array_equal(result[mask == 255], pixels[mask == 255])


def test_a_detector_finds_what_was_pasted_and_scores_how_well_it_fits(
    no_personal_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, "finder", "spotter")
    pixels, mask = composite(300, 400)
    detector = Detector("finder", "cpu")
    found = detector.detect(pixels)
    assert overlap(found.mask, mask) > 0.9
    assert found.confidence == pytest.approx(0.94, abs=0.01)
    assert detector.harmony(pixels, mask) < 0.25
    fitting = pixels.copy()
    fitting[..., 2] = np.minimum(pixels[..., 2], 140)
    assert detector.harmony(fitting, mask) == 1
    with pytest.raises(NothingFoundError):
        detector.detect(fitting)


def test_a_model_that_only_finds_is_none_to_harmonize_with() -> None:
    with pytest.raises(EngineError, match=r"“dissonance” only finds what was pasted: choose another, such as “conn"):
        Harmonizer("dissonance", "cpu")


def test_a_detector_needs_a_model_that_detects() -> None:
    with pytest.raises(EngineError, match=r"“reinhard” goes by a mask and can't find one: choose"):
        Detector("reinhard", "cpu")


def test_a_model_that_needs_a_mask_says_how_to_get_one() -> None:
    harmonizer, pixels = painter(), composite()[0]
    with pytest.raises(EngineError, match=r"“Painter” goes by a mask: .*--mask MASK, .*--auto-mask\.$"):
        harmonizer.set_picture(pixels)
    with pytest.raises(EngineError, match=r"no transparency .*--mask MASK, .*--auto-mask\.$"):
        harmonizer.harmonize_picture(ImageData(pixels))


def test_nothing_found_is_said() -> None:
    pixels, _ = composite()
    with pytest.raises(NothingFoundError, match="Nothing pasted was found in this picture: give a mask"):
        spotter().set_picture(pixels[..., ::-1])


def test_what_is_doubted_is_found_only_if_asked_for() -> None:
    pixels, _ = composite()
    predictor = Predictor(Doubter(), CPU, "test")
    with pytest.raises(NothingFoundError, match="Nothing pasted was found in this picture: give a mask, or see what"):
        find(predictor, 64, pixels, None, None)
    found = find(predictor, 64, pixels, None, None, likeliest=True)
    assert found.confidence == pytest.approx(0.3)
    assert not found.sure
    sure = find(Predictor(Spotter(), CPU, "test"), 64, pixels, None, None)
    assert sure.sure
    np.testing.assert_array_equal(found.mask, sure.mask)
    with pytest.raises(NothingFoundError, match="give a mask"):
        find(predictor, 64, np.ascontiguousarray(pixels[..., ::-1]), None, None, likeliest=True)


def test_a_picture_after_one_that_failed_is_still_the_one_before() -> None:
    pixels, _ = composite()
    harmonizer = spotter()
    harmonizer.set_picture(pixels)
    expected = harmonizer.harmonize()
    with pytest.raises(NothingFoundError):
        harmonizer.set_picture(pixels[..., ::-1])
    np.testing.assert_array_equal(harmonizer.harmonize(), expected)


def test_a_network_whose_mask_is_no_number_is_an_error() -> None:
    class Broken(Spotter):
        def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
            return torch.full((1, 4, *composite.shape[2:]), torch.nan)

    with pytest.raises(EngineError, match="gave no usable answer"):
        Harmonizer.from_network(Broken(), 64, "cpu").set_picture(composite()[0])


def test_a_faint_rest_is_ramped_away_and_the_edge_stays_soft() -> None:
    found = np.tile(np.array([0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0], np.float32), (8, 1))
    gray = np.full((80, 400, 3), 128, np.uint8)
    larger = enlarge_mask(found, gray)
    assert larger.shape == (80, 400)
    assert larger[:, :5].max() <= 20
    assert (larger[:, -5:] == 255).all()
    assert (np.diff(larger[0].astype(int)) >= 0).all()
    assert np.diff(larger[0].astype(int)).max() <= 2
    with pytest.raises(NothingFoundError, match="Nothing pasted"):
        enlarge_mask(found * 0.45, gray)
    with pytest.raises(NothingFoundError, match="whole picture"):
        enlarge_mask(found * 0 + 0.95, gray)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_coarse_mask_follows_the_pictures_edges(dtype: str) -> None:
    pixels, mask = composite(480, 640, dtype)
    coarse = np.roll(shrink((mask > 127).astype(np.float32), 32), 1, axis=1)  # blocks of 20 pixels, one off
    plain = np.asarray(cv2.resize(coarse, (640, 480)) * 255, np.uint8)
    found = enlarge_mask(coarse, pixels)
    assert overlap(plain, mask) < 0.9
    assert overlap(found, mask) > 0.93
