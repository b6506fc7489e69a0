# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a real engine process equal those of the engine in this process."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from gimp_bridge import layer_pixels
from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust, AdjustResult
from gimp_bridge.layer_pixels import NativeFormat, PixelLayout, PixelSource, ReadRows
from gimp_bridge.mask_messages import SelectSubject
from gimp_bridge.protocol import ModelsRequest
from gimp_bridge.strip_messages import Depth
from s2am_common.errors import EngineError, NoSubjectError, NothingFoundError
from s2am_engine import Harmonizer, HarmonizeResult, Sliders
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.fit import fit_linear_matrix
from s2am_engine.color.map import ColorMap, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.inference.detector import Detector
from s2am_engine.models.model_store import BUNDLED, DEFAULT_MODEL, SUBJECT_MODEL, list_models
from tests.bridge.engines import (
    HEIGHT,
    SERVE,
    WIDTH,
    RecordedProgress,
    failure,
    harmonize_request,
    harmonized_map,
    rgba_of,
)
from tests.engine.pictures import composite

SLIDERS = {"strength": 0.8, "brightness": 0.1, "contrast": 0.2, "warmth": -0.3, "tint": 0.1, "saturation": -0.2}
DTYPES: dict[Depth, tuple[type[Any], float]] = {
    "u8": (np.uint8, 255),
    "u16": (np.uint16, 65535),
    "float": (np.float32, 1),
}


@pytest.fixture(scope="module")
def expected() -> HarmonizeResult[NDArray[Any]]:
    """The result of the engine in this process for the test composite."""
    pixels, mask = composite(HEIGHT, WIDTH)
    return Harmonizer(device="cpu")(pixels, mask)


def assert_same_map(received: dict[str, Any], expected: ColorMap) -> None:
    """Compare two maps on a lattice of colors; another number of threads may round differently."""
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3), -1)
    np.testing.assert_allclose(ColorMap.from_json(received)(lattice), expected(lattice), atol=1e-4)


# -- color maps


def test_harmonize_returns_the_engines_map(engine: EngineClient, expected: HarmonizeResult[NDArray[Any]]) -> None:
    found = engine.request(harmonize_request())
    assert_same_map(found.color_map, expected.color_map)
    assert found.confidence == pytest.approx(expected.confidence, abs=1e-4)
    assert found.mask == composite(HEIGHT, WIDTH)[1].tobytes()
    assert (found.mask_predicted, found.mask_certain) == (False, True)


def test_harmonize_ignores_transparent_pixels(engine: EngineClient) -> None:
    pixels, _ = composite(HEIGHT, WIDTH)
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :20] = 0
    other = pixels.copy()
    other[:, :20] = (255, 0, 255)
    maps = [engine.request(harmonize_request(each, alpha)).color_map for each in (pixels, other)]
    assert maps[0] == maps[1]
    assert maps[0] != engine.request(harmonize_request(other)).color_map


def test_adjust_applies_sliders_as_the_engine(engine: EngineClient, expected: HarmonizeResult[NDArray[Any]]) -> None:
    adjusted = harmonized_map(engine, **SLIDERS)
    assert_same_map(adjusted, expected.adjusted_map(Sliders(**SLIDERS)))
    assert harmonized_map(engine, **SLIDERS) == adjusted


def test_adjust_fits_no_effect_without_samples(engine: EngineClient) -> None:
    found = engine.request(harmonize_request())
    adjusted = engine.request(Adjust(color_map=found.color_map))
    assert (adjusted.effect, adjusted.matrix) == (None, ())


def test_adjust_refuses_a_damaged_map(engine: EngineClient) -> None:
    assert isinstance(failure(lambda: engine.request(Adjust(color_map={"format": "other"}))), EngineError)


def test_harmonize_uses_the_named_model(engine: EngineClient) -> None:
    other = engine.request(harmonize_request(model="reinhard"))
    assert other.color_map != engine.request(harmonize_request()).color_map
    assert "no-such-model" in str(failure(lambda: engine.request(harmonize_request(model="no-such-model"))))


# -- effects


def weighted_rmse(matrix: Matrix, colors: NDArray[Any], wanted: NDArray[Any], weights: NDArray[Any]) -> float:
    """Return the weighted root mean square error of a matrix, in 8-bit levels."""
    squares = (matrix(colors).clip(0, 1) - wanted) ** 2
    return 255 * float(np.sqrt(np.average(squares.mean(axis=1), weights=weights)))


def linear_matrix(adjusted: AdjustResult) -> Matrix:
    """Return the matrix of an effect."""
    gains = np.reshape(adjusted.matrix, (3, 3))
    return Matrix(np.column_stack([gains, np.zeros(3)]).astype(np.float32), linear=True)


def soft_request() -> Any:
    """Return a request whose mask has many different weights, with other colors where it is low."""
    pixels, mask = composite(HEIGHT, WIDTH)
    ramp = np.where(mask > 0, np.linspace(3, 255, WIDTH)[None], 0).astype(np.uint8)
    return harmonize_request(pixels, layer_alpha=ramp.tobytes())


def test_adjust_fits_the_effect_with_the_weights_of_the_mask(engine: EngineClient) -> None:
    """The fit equals the weighted one, and is better than the unweighted one where the mask is solid."""
    found = engine.request(soft_request())
    adjusted = engine.request(Adjust(color_map=found.color_map, samples=found.samples))
    matrix = linear_matrix(adjusted)
    table = np.frombuffer(found.samples, np.uint8).reshape(-1, 4) / np.float32(255)
    colors, weights = table[:, :3], table[:, 3]
    assert np.ptp(weights) > 0.3
    wanted = ColorMap.from_json(found.color_map)(colors).clip(0, 1)
    weighted, unweighted = fit_linear_matrix(colors, wanted, weights), fit_linear_matrix(colors, wanted)
    np.testing.assert_allclose(matrix.matrix, weighted.matrix, atol=1e-6)
    assert np.abs(matrix.matrix - unweighted.matrix).max() > 1e-3
    errors = [weighted_rmse(each, colors, wanted, weights) for each in (matrix, unweighted)]
    assert errors[0] == pytest.approx(adjusted.rmse, rel=1e-4)
    assert errors[0] < errors[1]


def test_adjust_reports_the_effects_error(engine: EngineClient) -> None:
    found = engine.request(harmonize_request())
    adjusted = engine.request(Adjust(color_map=found.color_map, samples=found.samples))
    pixels, mask = composite(HEIGHT, WIDTH)
    inside, weights = pixels[mask > 0] / np.float32(255), mask[mask > 0]
    wanted = ColorMap.from_json(adjusted.color_map)(inside).clip(0, 1)

    def rmse(colors: NDArray[Any]) -> float:
        return 255 * float(np.sqrt(np.average(((colors - wanted) ** 2).mean(axis=1), weights=weights)))

    assert adjusted.effect is not None
    effect = ColorMap.from_json(adjusted.effect)
    assert rmse(effect(inside).clip(0, 1)) == pytest.approx(adjusted.rmse, rel=1e-3)
    assert adjusted.rmse < rmse(inside) / 4
    neutral = engine.request(Adjust(color_map=found.color_map, sliders={"strength": 0}, samples=found.samples))
    assert neutral.rmse == pytest.approx(0, abs=0.01)


# -- predicted masks


def test_harmonize_predicts_the_mask_of_a_flat_image(engine: EngineClient) -> None:
    pixels, _ = composite(HEIGHT, WIDTH)
    full = bytes([255]) * (WIDTH * HEIGHT)
    request = harmonize_request(layer_alpha=full, mask_source="layer-or-predicted", likeliest=True)
    found = engine.request(request)
    expected = Detector(device="cpu").detect(pixels, likeliest=True)
    mask = np.frombuffer(found.mask, np.uint8).reshape(HEIGHT, WIDTH)
    assert found.mask_predicted
    assert np.abs(mask.astype(int) - expected.mask).max() <= 2
    again = harmonize_request(layer_alpha=full, mask_source="layer-or-predicted", predicted=found.mask)
    assert engine.request(again).color_map == found.color_map


def test_harmonize_reports_that_no_mask_is_found(engine: EngineClient) -> None:
    flat = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    full = bytes([255]) * (WIDTH * HEIGHT)
    request = harmonize_request(flat, layer_alpha=full, mask_source="predicted")
    assert isinstance(failure(lambda: engine.request(request)), NothingFoundError)


# -- rendering


def reader_of(array: NDArray[Any]) -> ReadRows:
    """Return a function that reads rows of an array."""
    return lambda top, rows: array[top : top + rows].tobytes()


def rendered(
    engine: EngineClient, found: dict[str, Any], layout: PixelLayout, rgba: NDArray[Any], **planes: Any
) -> NDArray[Any]:
    """Render a layer and return its pixels."""
    result = np.zeros_like(rgba)

    def write(top: int, rows: int, data: bytes) -> None:
        result[top : top + rows] = np.frombuffer(data, rgba.dtype).reshape(rows, *rgba.shape[1:])

    engine.render(found, layout, PixelSource(reader_of(rgba), **planes), write)
    return result


@pytest.mark.parametrize("depth", list(DTYPES))
@pytest.mark.parametrize("masked", [False, True])
def test_render_equals_apply(engine: EngineClient, monkeypatch: pytest.MonkeyPatch, depth: Depth, masked: bool) -> None:
    monkeypatch.setattr(layer_pixels, "STRIP_BYTES", 100_000)  # many strips, the last one shorter
    dtype, full = DTYPES[depth]
    rng = np.random.default_rng(2)
    low, high = (-0.2, 1.3) if depth == "float" else (0, 1)
    rgba = (rng.uniform(low, high, (333, 257, 4)) * full).astype(dtype)
    rgba[..., 3] = np.where(rng.random((333, 257)) < 0.3, 0, rgba[..., 3].clip(0))
    selection = rng.integers(0, 256, (333, 257)).astype(np.uint8)
    selection[:100] = 0
    found = harmonized_map(engine, **SLIDERS)
    layout = PixelLayout(257, 333, depth)
    assert layout.height > 4 * layout.rows_per_strip()
    planes = {"selection": reader_of(selection)} if masked else {}
    result = rendered(engine, found, layout, rgba, **planes)
    weights = np.where(rgba[..., 3] > 0, selection if masked else 255, 0).astype(np.uint8)
    expected = apply_color_map(ColorMap.from_json(found), rgba, weights)
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6)  # integers: equal; floats: but for the last bit
    np.testing.assert_array_equal(result[weights == 0], rgba[weights == 0])
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    assert not np.array_equal(result, rgba)


def test_render_multiplies_all_planes(engine: EngineClient) -> None:
    rng = np.random.default_rng(7)
    rgba = rng.integers(1, 256, (40, 30, 4)).astype(np.uint8)
    first, second, selection, predicted = (rng.integers(0, 256, (40, 30)).astype(np.uint8) for _ in range(4))
    first[:, :5] = second[:5] = 0
    found = harmonized_map(engine)
    planes = {
        "layer_masks": (reader_of(first), reader_of(second)),
        "selection": reader_of(selection),
        "predicted": reader_of(predicted),
    }
    result = rendered(engine, found, PixelLayout(30, 40), rgba, **planes)
    soft = (selection.astype(int) * predicted + 127) // 255
    weights = np.where((first > 0) & (second > 0), soft, 0).astype(np.uint8)
    np.testing.assert_array_equal(result, apply_color_map(ColorMap.from_json(found), rgba, weights))


def test_render_linear_light(engine: EngineClient) -> None:
    encoded = np.random.default_rng(3).uniform(-0.1, 1.2, (40, 50, 4)).astype(np.float32)
    encoded[:10, :, 3] = 0
    linear = encoded.copy()
    linear[..., :3] = srgb_to_linear(encoded[..., :3])
    found = harmonized_map(engine)
    result = rendered(engine, found, PixelLayout(50, 40, "float", linear=True), linear)
    same = rendered(engine, found, PixelLayout(50, 40, "float"), encoded)
    np.testing.assert_allclose(linear_to_srgb(result[..., :3]), same[..., :3], atol=2e-5)
    np.testing.assert_array_equal(result[:10], linear[:10])
    np.testing.assert_array_equal(result[..., 3], linear[..., 3])
    assert result[10:, :, :3].max() > 1


def test_render_one_pixel(engine: EngineClient) -> None:
    found = harmonized_map(engine)
    rgba = np.array([[[10, 200, 90, 255]]], np.uint8)
    expected = apply_color_map(ColorMap.from_json(found), rgba)
    np.testing.assert_array_equal(rendered(engine, found, PixelLayout(1, 1), rgba), expected)


def test_render_effect_matrix(engine: EngineClient) -> None:
    found = engine.request(harmonize_request())
    adjusted = engine.request(Adjust(color_map=found.color_map, samples=found.samples))
    assert adjusted.effect is not None
    rgba = np.random.default_rng(4).integers(0, 256, (30, 20, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    matrix = linear_matrix(adjusted)
    result = rendered(engine, adjusted.effect, PixelLayout(20, 30), rgba)
    np.testing.assert_allclose(result, apply_color_map(matrix, rgba), atol=1)


def test_render_restores_unchanged_pixels_in_their_native_format(
    engine: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The native format is 16 bits, and writing the changed pixels rounds all of them to multiples of 4."""
    monkeypatch.setattr(layer_pixels, "STRIP_BYTES", 40_000)
    rng = np.random.default_rng(5)
    native = rng.integers(0, 65536, (200, 60, 4)).astype(np.uint16)
    native[:, :20, 3] = 0
    selection = rng.integers(0, 2, (200, 60)).astype(np.uint8) * 255
    original, floats = native.copy(), (native / np.float32(65535)).astype(np.float32)

    def write(top: int, rows: int, data: bytes) -> None:
        levels = np.frombuffer(data, np.float32).reshape(rows, 60, 4).clip(0, 1) * 65535
        native[top : top + rows] = levels.astype(np.uint16) // 4 * 4

    def write_native(top: int, rows: int, data: bytes) -> None:
        native[top : top + rows] = np.frombuffer(data, np.uint16).reshape(rows, 60, 4)

    layout = PixelLayout(60, 200, "float")
    assert layout.rows_per_strip() < 50
    access = NativeFormat(8, reader_of(original), reader_of(native), write_native)
    source = PixelSource(reader_of(floats), selection=reader_of(selection))
    engine.render(harmonized_map(engine), layout, source, write, native=access)
    unchanged = (selection == 0) | (original[..., 3] == 0)
    np.testing.assert_array_equal(native[unchanged], original[unchanged])
    assert (native[~unchanged] % 4 == 0).all()
    assert (native[~unchanged] != original[~unchanged]).any()


# -- subjects


def test_select_subject_gives_mask_and_confidence(engine: EngineClient) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut()[::2, ::2])
    alpha = np.full((256, 256), 255, np.uint8)
    alpha[128:] = 0
    found = engine.request(SelectSubject(width=256, height=256, pixels=rgba_of(pixels, alpha)))
    mask = np.frombuffer(found.mask, np.uint8).reshape(256, 256)
    assert (mask[57, 107], mask[20, 170]) == (255, 0)  # her face, and the wall behind her
    assert not mask[128:].any()
    assert found.confidence > 0.9
    assert (found.certain, found.model) == (True, SUBJECT_MODEL)


def test_select_subject_reports_that_there_is_none(engine: EngineClient) -> None:
    surface = np.repeat(skimage.data.gravel()[::2, ::2, None], 3, axis=2)
    request = SelectSubject(width=256, height=256, pixels=rgba_of(surface))
    with pytest.raises(NoSubjectError, match="no clear subject") as caught:
        engine.request(request)
    assert caught.value.code == "subject.not-found"


# -- status and models


def test_models_lists_the_default_first(engine: EngineClient) -> None:
    models = engine.request(ModelsRequest()).models
    assert models[0].name == DEFAULT_MODEL
    assert [(each.name, each.bundled) for each in models if each.bundled] == [
        (each.card.name, True) for each in list_models() if each.bundled and each.card.recolors
    ]
    assert all(each.description for each in models)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the data folder cannot be moved")
def test_model_cache_reloads_a_personal_model_with_new_weights(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    models = tmp_path / "s2am" / "models"
    models.mkdir(parents=True)
    engine = EngineClient(SERVE, folder)
    for like in ("s2crnet", "reinhard"):
        card = json.loads((BUNDLED / f"{like}.json").read_bytes()) | {"name": "mine"}
        shutil.copy(BUNDLED / f"{like}.safetensors", models / "mine.safetensors")
        (models / "mine.json").write_text(json.dumps(card))
        found = engine.request(harmonize_request(model="mine"))
        assert found.color_map == engine.request(harmonize_request(model=like)).color_map
    assert [each.name for each in engine.request(ModelsRequest()).models if not each.bundled] == ["mine"]


def test_status_names_state_and_device(engine: EngineClient) -> None:
    engine.request(harmonize_request())
    status = engine.status()
    assert (status.state, status.text, status.device) == ("ready", "ready on the CPU", "cpu")


def test_progress_reports_steps_and_fractions(engine: EngineClient) -> None:
    progress = RecordedProgress()
    engine.request(harmonize_request(), progress)
    assert "Analyzing the image" in progress.texts
    fractions: list[float | None] = []
    rgba = np.zeros((2000, 2000, 4), np.uint8)
    engine.render(
        harmonized_map(engine),
        PixelLayout(2000, 2000),
        PixelSource(reader_of(rgba)),
        lambda *_: None,
        progress=lambda update: fractions.append(update.fraction),
    )
    reported = [each for each in fractions if each is not None]
    assert len(reported) > 1
    assert reported == sorted(reported)
    assert reported[-1] == 1
