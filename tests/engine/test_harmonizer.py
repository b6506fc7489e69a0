# SPDX-License-Identifier: GPL-3.0-or-later
"""`Harmonizer` and `harmonize` with the default model: quality, exactness, sliders, types of images, devices."""

from __future__ import annotations

import dataclasses
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage import data

import s2am_engine
from s2am_common.errors import DeviceError, ImageError, MaskError, ModelNotFoundError
from s2am_engine import Harmonizer, Sliders
from s2am_engine.color.map import Curves
from s2am_engine.image import icc
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.inference.harmonizer import convert_to_profile
from s2am_engine.inference.torch_runner import TorchRunner
from s2am_engine.models.model_files import export_model
from s2am_engine.models.model_store import DEFAULT_MODEL
from s2am_engine.networks.network import Network
from s2am_engine.types import Pixels
from tests.engine.icc import ADOBE, P3, adobe_curve, rgb_profile, srgb_curve
from tests.engine.pictures import composite


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    """The default model, loaded once."""
    return Harmonizer(device="cpu")


CASTS = {"dark and blue": (0.45, 0.6, 1.0), "yellow": (1.0, 0.9, 0.45), "dark": (0.4, 0.4, 0.4)}


def with_cast(photograph: NDArray[np.uint8], cast: tuple[float, float, float]) -> tuple[Pixels, Pixels]:
    """A photograph with a color cast in the middle: composite and mask."""
    height, width = photograph.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height // 3), 0, 0, 360, 255, -1)
    return np.where(mask[..., None] > 0, photograph * np.array(cast, np.float32), photograph).astype(np.uint8), mask


def test_harmonizer_reduces_color_casts(harmonizer: Harmonizer) -> None:
    ratios = []
    for photograph in (data.astronaut(), data.chelsea(), data.coffee()):
        for cast in CASTS.values():
            pasted, mask = with_cast(photograph, cast)
            result = harmonizer(pasted, mask).render()
            errors = [np.abs(x.astype(float) - photograph)[mask > 0].mean() for x in (pasted, result)]
            ratios.append(errors[1] / errors[0])
    assert np.mean(ratios) < 0.75
    assert max(ratios) < 1.5  # yellow in a warm scene may well be right


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_render_keeps_every_bit_of_the_background(harmonizer: Harmonizer, dtype: str) -> None:
    pixels, mask = composite(dtype=dtype)
    result = harmonizer(pixels, mask).render()
    assert result.dtype == pixels.dtype
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])
    assert not np.array_equal(result[mask == 255], pixels[mask == 255])


def test_render_gives_the_same_colors_at_every_depth(harmonizer: Harmonizer) -> None:
    results = []
    for dtype, scale in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        pixels, mask = composite(dtype=dtype)
        results.append(np.clip(harmonizer(pixels, mask).render().astype(np.float64) / scale, 0, 1))
    np.testing.assert_allclose(results[0], results[2], atol=2 / 255)
    np.testing.assert_allclose(results[1], results[2], atol=1 / 255)


def test_strength_interpolates_between_original_and_harmonized(harmonizer: Harmonizer) -> None:
    pixels, mask = composite(dtype="float32")
    result = harmonizer(pixels, mask)
    np.testing.assert_array_equal(result.render(strength=0.0), pixels)
    np.testing.assert_allclose(result.render(strength=0.5), (pixels + result.render()) / 2, atol=1e-5)


def test_sliders_change_the_foreground_and_not_the_result_object(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    result = harmonizer(pixels, mask)
    plain = result.render()
    changed = result.render(Sliders(warmth=0.8), brightness=0.3).astype(int) - plain
    inside = changed[mask == 255].mean(axis=0)
    assert inside[0] > inside[2] + 3
    assert changed[mask == 255].mean() > 3
    np.testing.assert_array_equal(result.render(), plain)
    assert result.adjusted_map(Sliders(strength=0.5), strength=1.0) == result.color_map


@pytest.mark.parametrize(
    ("sliders", "message"), [({"warmt": 1.0}, "no slider “warmt”"), ({"tint": 2.0}, "tint must be from -1 to 1")]
)
def test_unknown_slider_and_value_out_of_range_are_refused(harmonizer: Harmonizer, sliders: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        harmonizer(*composite()).render(**sliders)


def test_harmonize_result_is_immutable_and_shows_itself(harmonizer: Harmonizer) -> None:
    result = harmonizer(*composite())
    assert (result.model, result.device) == (DEFAULT_MODEL, "cpu")
    assert repr(result).startswith("HarmonizeResult(color_map=")
    assert len(repr(result)) < 1000
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.confidence = 1.0  # type: ignore[misc]
    assert repr(harmonizer) == f"Harmonizer(model={DEFAULT_MODEL!r}, device='cpu', input_size={harmonizer.input_size})"


def test_transparent_pixels_do_not_influence_the_color_map(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    alpha = np.full(mask.shape, 255, np.uint8)
    alpha[:, :25] = 0
    maps = []
    for hidden in ((0, 0, 0), (250, 30, 200)):
        pixels[:, :25] = hidden
        maps.append(harmonizer(pixels, mask, alpha=alpha).color_map)
    assert maps[0] == maps[1]


def test_gray_image_stays_gray(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    gray = np.repeat(pixels[..., 1:2], 3, axis=2)
    result = harmonizer(ImageData(gray, gray=True), mask).render(warmth=1.0)
    assert result.gray
    assert (np.ptp(result.pixels, axis=2) == 0).all()
    np.testing.assert_array_equal(result.pixels[mask == 0], gray[mask == 0])


@pytest.mark.parametrize("profile", [rgb_profile(P3, srgb_curve), rgb_profile(ADOBE, adobe_curve)])
def test_wide_gamut_image_is_harmonized_like_its_srgb_version(harmonizer: Harmonizer, profile: bytes) -> None:
    pixels, mask = composite()
    wanted = harmonizer(pixels, mask).render()
    wide = icc.from_srgb(pixels, profile)
    result = harmonizer(ImageData(wide, profile=profile), mask).render()
    assert result.profile == profile
    np.testing.assert_array_equal(result.pixels[mask == 0], wide[mask == 0])
    difference = icc.to_srgb(result.pixels, profile).astype(int) - wanted
    assert np.abs(difference[mask == 255]).mean() < 0.6  # 0.3; 0.9 if the lattice weighed as much as the foreground


def test_convert_to_profile_keeps_the_identity() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (500, 3)).astype(np.uint8)
    identity = Curves(np.tile(np.linspace(0, 1, 5), (3, 1)))
    converted = convert_to_profile(identity, samples, rgb_profile(ADOBE, adobe_curve))
    unit = samples / np.float32(255)
    np.testing.assert_allclose(converted(unit), unit, atol=1e-3)


def test_metadata_profile_and_alpha_of_the_image_are_kept(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    given = ImageData(pixels, np.full(mask.shape, 200, np.uint8), srgb)
    result = harmonizer(given, mask).render()
    assert result.pixels is not pixels
    assert (result.alpha is given.alpha, result.profile, result.metadata) == (True, srgb, given.metadata)


def test_paste_harmonizes_the_layer_alone(harmonizer: Harmonizer) -> None:
    pasted, _ = with_cast(data.chelsea(), CASTS["dark and blue"])
    background = ImageData(data.coffee())
    layer = ImageData(pasted[60:220, 120:330], np.full((160, 210), 255, np.uint8))
    result = harmonizer.paste(layer, background, (30, 50))
    rendered = result.render()
    outside = np.ones(background.pixels.shape[:2], np.bool_)
    outside[50:210, 30:240] = False
    np.testing.assert_array_equal(rendered.pixels[outside], background.pixels[outside])
    np.testing.assert_array_equal(result.mask > 0, ~outside)
    np.testing.assert_array_equal(result.composite.pixels[50:210, 30:240], layer.pixels)
    # A dark blue cat in an image of warm light comes out warmer.
    shift = (rendered.pixels[50:210, 30:240].astype(int) - layer.pixels).mean(axis=(0, 1))
    assert shift[0] > shift[2]


def test_render_writes_to_out_and_leaves_the_image_unchanged(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    kept = pixels.copy()
    result = harmonizer(pixels, mask)
    out = np.empty_like(pixels)
    assert result.render(out=out) is out
    np.testing.assert_array_equal(out, result.render())
    np.testing.assert_array_equal(pixels, kept)


@pytest.fixture(scope="module")
def wanted() -> Any:
    """The composite harmonized as an array."""
    return s2am_engine.harmonize(*composite(), model="concord", device="cpu")


class TestImageTypes:
    """The result has the type of the input, and the same pixels."""

    def test_harmonize_returns_a_pil_image_for_a_pil_image(self, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        image = Image.fromarray(pixels)
        image.info["dpi"] = (300, 300)
        result = s2am_engine.harmonize(image, Image.fromarray(mask), model="concord", device="cpu")
        assert (result.mode, result.info["dpi"]) == ("RGB", (300, 300))
        np.testing.assert_array_equal(np.asarray(result), wanted)

    @pytest.mark.parametrize("mode", ["RGBA", "L", "LA", "P"])
    def test_harmonize_keeps_the_mode_of_a_pil_image(self, mode: str) -> None:
        pixels, mask = composite()
        image = Image.fromarray(pixels).convert(mode)
        result = s2am_engine.harmonize(image, mask, model="concord", device="cpu")
        assert result.mode == ("RGB" if mode == "P" else mode)
        assert result.size == image.size

    def test_harmonize_takes_the_alpha_of_a_pil_image_as_mask(self, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        cut = Image.fromarray(np.dstack([pixels, mask]))
        result = np.asarray(s2am_engine.harmonize(cut, model="concord", device="cpu"))
        np.testing.assert_array_equal(result, np.dstack([wanted, mask]))

    def test_harmonize_returns_a_tensor_for_a_tensor(self, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        tensor = torch.from_numpy(pixels).permute(2, 0, 1)
        result = s2am_engine.harmonize(tensor, torch.from_numpy(mask)[None], model="concord", device="cpu")
        assert (result.dtype, result.shape) == (torch.uint8, tensor.shape)
        np.testing.assert_array_equal(result.permute(1, 2, 0).numpy(), wanted)
        half = s2am_engine.harmonize(tensor.half() / 255, mask, model="concord", device="cpu")
        assert half.dtype == torch.float16
        np.testing.assert_allclose(half.permute(1, 2, 0).float().numpy() * 255, wanted, atol=2)

    def test_harmonize_returns_image_data_for_a_path(self, tmp_path: Path, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        save_image(tmp_path / "a.png", ImageData(pixels))
        Image.fromarray(mask).save(tmp_path / "mask.png")
        for name in (str(tmp_path / "a.png"), tmp_path / "a.png"):
            result = s2am_engine.harmonize(name, tmp_path / "mask.png", model="concord", device="cpu")
            assert isinstance(result, ImageData)
            np.testing.assert_array_equal(result.pixels, wanted)

    @pytest.mark.parametrize("dtype", ["float64", "float16"])
    def test_harmonize_keeps_the_dtype_of_float_arrays(self, dtype: str, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        result = s2am_engine.harmonize((pixels / 255).astype(dtype), mask / 255, model="concord", device="cpu")
        assert result.dtype == dtype
        np.testing.assert_allclose(result.astype(float) * 255, wanted, atol=2)

    @pytest.mark.parametrize(
        "convert",
        [
            lambda mask: mask[..., None],
            lambda mask: mask / 255,
            lambda mask: mask.astype(np.int64),
            lambda mask: mask.astype(np.uint16) * 257,
        ],
        ids=["(H, W, 1)", "float64", "int64", "uint16"],
    )
    def test_harmonize_accepts_masks_of_other_shapes_and_types(self, convert: Any, wanted: NDArray[np.uint8]) -> None:
        pixels, mask = composite()
        result = s2am_engine.harmonize(pixels, convert(mask), model="concord", device="cpu")
        np.testing.assert_allclose(result.astype(int), wanted, atol=1)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda pixels: pixels.astype(np.float32), "image.range"),
            (lambda pixels: pixels.astype(np.int64), "image.dtype"),
            (lambda pixels: pixels[..., 0], "image.shape"),
            (lambda pixels: pixels[:0], "image.no-pixels"),
            (lambda pixels: torch.from_numpy(pixels[:, :0]), "image.no-pixels"),
            (lambda pixels: Image.new("RGB", (5, 0)), "image.no-pixels"),
            (lambda pixels: pixels.transpose(2, 0, 1), "image.shape"),
            (lambda pixels: torch.from_numpy(pixels), "image.shape"),
            (lambda pixels: Image.fromarray(pixels).convert("CMYK"), "image.mode"),
            (lambda pixels: pixels.tolist(), "image.type"),
        ],
    )
    def test_harmonizer_refuses_unsuitable_images(self, harmonizer: Harmonizer, change: Any, code: str) -> None:
        pixels, mask = composite()
        with pytest.raises(ImageError) as caught:
            harmonizer(change(pixels), mask)
        assert caught.value.code == code

    @pytest.mark.parametrize(
        ("change", "advice"),
        [
            (lambda pixels: pixels[..., 0], "repeat a gray image"),
            (lambda pixels: np.dstack([pixels, pixels[..., 0]]), "as `alpha` or as the mask"),
            (lambda pixels: pixels.transpose(2, 0, 1), "channels come last"),
            (lambda pixels: pixels[None], "one by one"),
            (lambda pixels: torch.from_numpy(pixels.transpose(2, 0, 1))[None], "one by one"),
        ],
    )
    def test_harmonizer_advises_on_other_shapes(self, harmonizer: Harmonizer, change: Any, advice: str) -> None:
        pixels, mask = composite()
        with pytest.raises(ImageError, match=advice):
            harmonizer(change(pixels), mask)

    @pytest.mark.parametrize(
        ("change", "code"),
        [
            (lambda mask: mask.astype(np.float32), "mask.range"),
            (lambda mask: mask[:-1], "mask.size"),
            (lambda mask: mask[:0], "mask.no-pixels"),
            (lambda mask: mask[:0, :0], "mask.no-pixels"),
            (lambda mask: torch.from_numpy(mask[:0]), "mask.no-pixels"),
            (lambda mask: Image.new("L", (0, 5)), "mask.no-pixels"),
            (lambda mask: np.dstack([mask] * 3), "mask.shape"),
            (lambda mask: mask.astype(np.int64) * 1000, "mask.dtype"),
            (lambda mask: mask * 0, "mask.empty"),
            (lambda mask: mask.tolist(), "mask.type"),
        ],
    )
    def test_harmonizer_refuses_unsuitable_masks(self, harmonizer: Harmonizer, change: Any, code: str) -> None:
        pixels, mask = composite()
        with pytest.raises(MaskError) as caught:
            harmonizer(pixels, change(mask))
        assert caught.value.code == code

    def test_hdr_values_above_one_are_allowed(self, harmonizer: Harmonizer) -> None:
        pixels, mask = composite(dtype="float32")
        pixels[:10] = 30.0
        result = harmonizer(pixels, mask).render()
        np.testing.assert_array_equal(result[:10], pixels[:10])


def test_missing_mask_is_refused(harmonizer: Harmonizer) -> None:
    pixels, _ = composite()
    with pytest.raises(MaskError, match=f"“{DEFAULT_MODEL}” needs a mask") as caught:
        harmonizer(pixels)
    assert caught.value.code == "mask.missing"


def test_from_pretrained_opens_names_and_exported_files(tmp_path: Path, no_personal_models: Path) -> None:
    file = export_model("concord", tmp_path / "shared")
    opened, named = (Harmonizer.from_pretrained(model, device="cpu") for model in (file, "concord"))
    assert not no_personal_models.exists()
    assert (opened.name, opened.input_size) == (named.name, named.input_size)
    assert opened(*composite()).color_map == named(*composite()).color_map
    with pytest.raises(ModelNotFoundError, match="no model “nowhere”"):
        Harmonizer.from_pretrained("nowhere")


def test_harmonize_takes_the_default_model_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_MODEL", "concord")
    assert Harmonizer(device="cpu").name == "concord"


def test_unknown_device_is_refused() -> None:
    with pytest.raises(DeviceError, match="no device “warp:3”"):
        Harmonizer(device="warp:3")


def test_package_is_imported_without_libraries_that_load_slowly() -> None:
    code = "import sys, s2am_engine; print({'torch', 'onnxruntime', 'matplotlib', 'skimage'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def starving(network: Network, calls_before: int, moves: list[str]) -> None:
    """Make a network run out of GPU memory once, and record the devices that it is moved to."""
    answer, to, calls = network.predict, network.to, []

    def starved(composite: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == calls_before and not moves:
            raise torch.cuda.OutOfMemoryError
        return answer(composite, mask)

    def record(device: torch.device) -> Network:
        moves.append(str(device))
        return to(device)

    network.predict = starved  # type: ignore[method-assign]
    network.to = record  # type: ignore[method-assign, assignment]


def test_predictor_moves_to_the_cpu_when_the_gpu_is_out_of_memory(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    harmonizer = Harmonizer("concord", device="cpu", runtime="torch")
    runner = harmonizer.predictor.runner
    assert isinstance(runner, TorchRunner)
    expected = harmonizer(*composite()).color_map
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *_, **__: tensor)  # no GPU here: tensors stay
    runner.device = "cuda"
    moves: list[str] = []
    starving(runner.network, 2, moves)
    with caplog.at_level(logging.WARNING):
        result = harmonizer(*composite())
    assert moves == ["cpu"]
    assert (harmonizer.device, result.device) == ("cpu", "cpu")
    assert result.color_map == expected
    assert "GPU is out of memory" in caplog.text


def test_unusable_network_result_is_an_error_and_not_a_black_image(monkeypatch: pytest.MonkeyPatch) -> None:
    harmonizer = Harmonizer("concord", device="cpu")
    monkeypatch.setattr(harmonizer.predictor.runner, "run", lambda _: np.full(39, np.nan, np.float32))
    with pytest.raises(s2am_engine.ModelError, match="gave no usable result") as caught:
        harmonizer(*composite())
    assert caught.value.code == "model.result"
