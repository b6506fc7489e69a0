# SPDX-License-Identifier: GPL-3.0-or-later
"""`Detector`, mask-free harmonizers, and the enlargement of predicted masks, with networks of known results."""

from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from torch import Tensor

import s2am_engine
from s2am_common.errors import ImageError, MaskError, ModelError, NothingFoundError
from s2am_engine import Harmonizer
from s2am_engine.cli.benchmark import measure_size
from s2am_engine.color.apply import apply_color_map
from s2am_engine.image.data import ImageData
from s2am_engine.inference.detector import Detector, add_subject, detect_foreground, enlarge_mask
from s2am_engine.inference.network_input import shrink
from s2am_engine.inference.predictor import MaskPrediction, Predictor
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.inference.torch_runner import TorchRunner
from s2am_engine.networks import registry
from s2am_engine.networks.network import Network
from s2am_engine.networks.spec import NetworkSpec
from s2am_engine.types import Floats, Pixels
from tests.engine.fake_networks import KNOWN_MAP, Doubter, KnownColors, Spotter, write_fake_model
from tests.engine.icc import ADOBE, adobe_curve, rgb_profile
from tests.engine.pictures import composite


def fake_harmonizer(size: int = 96) -> Harmonizer:
    return Harmonizer.from_network(KnownColors(), size, "cpu")


def spotter(size: int = 64) -> Harmonizer:
    return Harmonizer.from_network(Spotter(), size, "cpu", "spotter")


@pytest.fixture
def add_model(no_personal_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add mask-free models “spotter” and “doubter” (less confident)."""
    kinds: dict[str, type[Network]] = {"spotter": Spotter, "doubter": Doubter}
    for name, kind in kinds.items():
        monkeypatch.setitem(registry.NETWORKS, name, NetworkSpec(name, kind, "for tests", None, None))
        write_fake_model(no_personal_models, name, name)


def overlap(found: Pixels, mask: Pixels) -> float:
    here, there = found > 127, mask > 127
    return float((here & there).sum() / (here | there).sum())


def test_predicted_colors_are_rendered_at_full_resolution() -> None:
    pixels, mask = composite(600, 800)
    result = fake_harmonizer()(pixels, mask).render()
    wanted = apply_color_map(KNOWN_MAP, pixels, mask)
    assert np.abs(wanted.astype(int) - pixels)[mask == 255].mean() > 5
    assert np.abs(result.astype(int) - wanted).max() <= 1
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_network_pixels_are_enlarged_inside_the_mask(dtype: str) -> None:
    pixels, mask = composite(300, 400, dtype)
    harmonizer = fake_harmonizer()
    result = harmonizer(pixels, mask)
    rendered = harmonizer.render_network_pixels(result)
    assert rendered.dtype == pixels.dtype
    np.testing.assert_array_equal(rendered[mask == 0], pixels[mask == 0])
    unit = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    difference = (rendered.astype(float) - apply_color_map(KNOWN_MAP, pixels, mask))[mask == 255] / unit
    assert np.abs(difference.mean()) < 0.005
    # Soft: the grain, which the color map keeps, is lost.
    assert rendered[mask == 255].std(axis=0).sum() < result.render()[mask == 255].std(axis=0).sum()


def test_network_pixels_need_an_srgb_image() -> None:
    harmonizer = fake_harmonizer()
    result = harmonizer(*composite(), profile=rgb_profile(ADOBE, adobe_curve))
    with pytest.raises(ImageError, match="convert the image to sRGB") as caught:
        harmonizer.render_network_pixels(result)
    assert caught.value.code == "image.profile.native"


def test_network_pixels_keep_gray_images_gray() -> None:
    pixels, mask = composite()
    gray = ImageData(np.repeat(pixels[..., 1:2], 3, axis=2), gray=True)
    harmonizer = fake_harmonizer()
    result = harmonizer.render_network_pixels(harmonizer(gray, mask))
    assert (np.ptp(result.pixels, axis=2) == 0).all()
    assert not np.array_equal(result.pixels, gray.pixels)


def test_measure_size_times_every_stage() -> None:
    stages = measure_size(fake_harmonizer(), 120, 90).stages
    assert list(stages)[:6] == [
        "network input", "network", "prediction", "rendering", "shadow", "pixels in to pixels out",
    ]  # fmt: skip
    # A whole call consists of the three stages, apart from timing noise.
    assert stages["pixels in to pixels out"] > 0.5 * max(stages["network input"], stages["network"])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_mask_free_harmonizer_predicts_the_missing_mask(dtype: str) -> None:
    pixels, mask = composite(300, 400, dtype)
    result = spotter()(pixels)
    assert result.mask.shape == mask.shape
    assert overlap(result.mask, mask) > 0.9
    # Values near 0 and 1 become 0 and 1.
    assert {0, 255} <= set(np.unique(result.mask))
    rendered = result.render()
    np.testing.assert_array_equal(rendered[result.mask == 0], pixels[result.mask == 0])
    inside = (result.mask == 255) & (mask == 255)
    wanted = apply_color_map(KNOWN_MAP, pixels, result.mask)
    unit = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    np.testing.assert_allclose(rendered[inside] / unit, wanted[inside] / unit, atol=1.01 / 255)


def test_mask_free_harmonizer_uses_a_given_mask() -> None:
    pixels, mask = composite()
    left = mask.copy()
    left[:, 60:] = 0
    result = spotter()(pixels, left)
    np.testing.assert_array_equal(result.mask, left)
    rendered = result.render()
    np.testing.assert_array_equal(rendered[left == 0], pixels[left == 0])
    assert not np.array_equal(rendered[left == 255], pixels[left == 255])


def test_find_mask_ignores_transparent_parts() -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, :20] = 0
    pixels[:, :20] = (0, 0, 255)
    harmonizer = spotter()
    assert harmonizer.find_mask(pixels)[:, :18].all()
    found = harmonizer.find_mask(pixels, alpha=alpha)
    assert not found[:, :20].any()
    assert overlap(found, mask) > 0.9


def test_own_alpha_is_the_mask_and_an_opaque_one_is_not() -> None:
    pixels, mask = composite()
    own = mask.copy()
    own[:, 60:] = 0
    harmonizer = spotter()
    np.testing.assert_array_equal(harmonizer(ImageData(pixels, own)).mask, own)
    for alpha in (None, np.full_like(mask, 255)):
        result = harmonizer(ImageData(pixels, alpha))
        assert overlap(result.mask, mask) > 0.8
        assert not np.array_equal(result.render().pixels, pixels)


@pytest.mark.usefixtures("add_model")
def test_harmonize_predicts_the_mask_with_a_mask_free_model() -> None:
    pixels, mask = composite()
    result = s2am_engine.harmonize(pixels, model="spotter", device="cpu")
    np.testing.assert_array_equal(result[:10], pixels[:10])
    assert not np.array_equal(result[mask == 255], pixels[mask == 255])


@pytest.mark.usefixtures("add_model")
def test_detector_finds_the_foreground_and_scores_its_harmony() -> None:
    pixels, mask = composite(300, 400)
    detector = Detector("spotter", "cpu")
    assert repr(detector) == "Detector(model='spotter', device='cpu', input_size=64)"
    found = detector.detect(pixels)
    assert overlap(found.mask, mask) > 0.9
    assert found.confidence == pytest.approx(0.94, abs=0.01)
    assert detector.harmony_score(pixels, mask) < 0.25
    fitting = pixels.copy()
    fitting[..., 2] = np.minimum(pixels[..., 2], 140)
    assert detector.harmony_score(fitting, mask) == 1
    with pytest.raises(NothingFoundError):
        detector.detect(fitting)


@pytest.mark.usefixtures("add_model")
def test_harmony_score_is_weighted_by_presence() -> None:
    pixels, mask = composite(300, 400)
    loss = [1 - Detector(name, "cpu").harmony_score(pixels, mask) for name in ("spotter", "doubter")]
    # Both predict the same mask; the presences are 0.94 and 0.3.
    assert loss[1] / loss[0] == pytest.approx(0.3 / 0.94, rel=0.02)


@pytest.mark.parametrize("model", ["dissonance", "subject"])
def test_harmonizer_refuses_a_model_that_does_not_harmonize(model: str) -> None:
    with pytest.raises(ModelError, match=f"“{model}” recolors no foreground") as caught:
        Harmonizer(model, "cpu")
    assert caught.value.code == "model.detector"


def test_detector_refuses_a_model_that_needs_a_mask() -> None:
    with pytest.raises(ModelError, match="“reinhard” needs a mask and cannot detect one") as caught:
        Detector("reinhard", "cpu")
    assert caught.value.code == "model.needs-mask"


def test_harmonizer_that_needs_a_mask_refuses_images_without() -> None:
    harmonizer, pixels = fake_harmonizer(), composite()[0]
    with pytest.raises(MaskError, match="“KnownColors” needs a mask") as missing:
        harmonizer(pixels)
    with pytest.raises(MaskError, match="no transparency that could serve as a mask") as opaque:
        harmonizer(ImageData(pixels, np.full(pixels.shape[:2], 255, np.uint8)))
    assert (missing.value.code, opaque.value.code) == ("mask.missing", "mask.no-alpha")


def test_detect_foreground_raises_nothing_found() -> None:
    pixels, _ = composite()
    with pytest.raises(NothingFoundError, match="No pasted region was found"):
        spotter()(pixels[..., ::-1])


def test_detect_foreground_returns_uncertain_regions_only_as_likeliest() -> None:
    pixels, _ = composite()
    predictor = Predictor(TorchRunner(Doubter(), "cpu", threads=1), "test")
    with pytest.raises(NothingFoundError) as caught:
        detect_foreground(predictor, 64, ImageData(pixels))
    assert caught.value.code == "mask.not-found.uncertain"
    found = detect_foreground(predictor, 64, ImageData(pixels), likeliest=True)
    assert found.confidence == pytest.approx(0.3)
    assert not found.is_certain
    certain = detect_foreground(Predictor(TorchRunner(Spotter(), "cpu", threads=1), "test"), 64, ImageData(pixels))
    assert certain.is_certain
    np.testing.assert_array_equal(found.mask, certain.mask)
    with pytest.raises(NothingFoundError) as caught:
        detect_foreground(predictor, 64, ImageData(np.ascontiguousarray(pixels[..., ::-1])), likeliest=True)
    assert caught.value.code == "mask.not-found"


def test_predict_mask_refuses_values_that_are_not_numbers() -> None:
    class Broken(Spotter):
        def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
            return torch.full((1, 4, *composite.shape[2:]), torch.nan)

    with pytest.raises(ModelError, match="gave no usable result"):
        Harmonizer.from_network(Broken(), 64, "cpu")(composite()[0])


def test_either_mask_is_enough_where_it_is_sure_and_two_faint_ones_are_not() -> None:
    pasted = np.zeros((6, 6), np.float32)
    subject = np.zeros((12, 12), np.float32)
    pasted[:, :2], subject[:, :4] = 0.3, 0.3
    pasted[:, 2], pasted[:, 5], subject[:, 8] = 1, 0.5, 1
    combined = add_subject(np.repeat(pasted, 2, 0).repeat(2, 1), subject)
    assert combined.dtype == np.float32
    assert (combined[:, :4] < 0.1).all()  # both faint
    assert (combined[:, 4:6] == 1).all()  # the pasted region alone
    assert (combined[:, 8] > 0.85).all()  # the subject alone
    assert (combined[:, 10:] < 0.1).all()  # half a pasted region
    assert add_subject(pasted, subject).shape == (12, 12)


def test_built_in_detector_includes_the_subject_and_models_for_subjects_do_not_ask_twice() -> None:
    photograph = skimage.data.astronaut()
    subject = SubjectSelector("subject", "cpu").select(photograph).mask
    detector = Detector(device="cpu")
    together = detector.detect(photograph, likeliest=True).mask
    assert overlap(together & subject, subject) > 0.95
    detector.subject = None
    assert overlap(detector.detect(photograph, likeliest=True).mask & subject, subject) < 0.9
    assert Detector("subject", "cpu").subject is None


def test_logged_time_of_a_detection_includes_the_subject(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    detector = Detector(device="cpu")
    assert detector.subject is not None
    predict = detector.subject.predictor.predict_mask
    clock = iter([100.0, 107.0])
    monkeypatch.setattr("s2am_engine.inference.detector.time.perf_counter", lambda: next(clock))

    def predict_subject(view: Floats) -> MaskPrediction:
        caplog.clear()
        return predict(view)

    monkeypatch.setattr(detector.subject.predictor, "predict_mask", predict_subject)
    detector.detect(skimage.data.astronaut(), likeliest=True)
    assert len([line for line in caplog.messages if line.startswith("detection in 512×512") and "7.00 s" in line]) == 1


def test_enlarge_mask_ramps_faint_values_to_nought_and_keeps_soft_edges() -> None:
    found = np.tile(np.array([0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0], np.float32), (8, 1))
    gray = np.full((80, 400, 3), 128, np.uint8)
    larger = enlarge_mask(found, gray)
    assert larger.shape == (80, 400)
    assert larger[:, :5].max() <= 20
    assert (larger[:, -5:] == 255).all()
    assert (np.diff(larger[0].astype(int)) >= 0).all()
    assert np.diff(larger[0].astype(int)).max() <= 2
    with pytest.raises(NothingFoundError, match="No pasted region"):
        enlarge_mask(found * 0.45, gray)
    with pytest.raises(NothingFoundError, match="whole image"):
        enlarge_mask(found * 0 + 0.95, gray)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_enlarge_mask_follows_the_edges_of_the_image(dtype: str) -> None:
    pixels, mask = composite(480, 640, dtype)
    coarse = np.roll(shrink((mask > 127).astype(np.float32), 32), 1, axis=1)  # blocks of 20 pixels, one off
    plain = np.asarray(cv2.resize(coarse, (640, 480)) * 255, np.uint8)
    found = enlarge_mask(coarse, pixels)
    assert overlap(plain, mask) < 0.9
    assert overlap(found, mask) > 0.93
