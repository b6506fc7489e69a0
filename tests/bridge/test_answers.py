# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes through the bridge is what the engine itself says of the same pixels."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gimp_bridge import protocol, strips
from gimp_bridge.client import Engine, Layer
from gimp_bridge.protocol import Adjust, BridgeError, Depth, Sliders
from s2am_common import sliders
from s2am_engine import Harmonizer
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.inference.detector import Detector
from s2am_engine.models.model_store import BUNDLED, DEFAULT_MODEL, DETECTOR, list_models
from tests.bridge.engines import HEIGHT, SERVE, WIDTH, Heard, request
from tests.engine.pictures import composite

SLIDERS = Sliders(strength=0.8, brightness=0.1, contrast=0.2, warmth=-0.3, tint=0.1, saturation=-0.2)
DTYPES: dict[Depth, tuple[type[Any], float]] = {
    "u8": (np.uint8, 255),
    "u16": (np.uint16, 65535),
    "float": (np.float32, 1),
}


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    """The engine in this process, after it has looked at the same picture."""
    harmonizer = Harmonizer(device="cpu")
    harmonizer.set_picture(*composite(HEIGHT, WIDTH))
    return harmonizer


def assert_same_map(told: dict[str, Any], wanted: ColorMap) -> None:
    """Compare two maps on a lattice of colors: another number of threads may round differently."""
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 9)] * 3), -1)
    np.testing.assert_allclose(ColorMap.from_json(told)(lattice), wanted(lattice), atol=1e-4)


def test_the_map_is_the_engines_own(engine: Engine, harmonizer: Harmonizer) -> None:
    look = engine.harmonize(request(preview=True))
    harmonizer.adjust(**dataclasses.asdict(Sliders()))
    assert_same_map(look.color_map, harmonizer.color_map)
    assert look.confidence == pytest.approx(harmonizer.confidence, abs=1e-4)
    preview = np.frombuffer(look.preview, np.uint8).reshape(HEIGHT, WIDTH, 3)
    difference = np.abs(preview.astype(int) - harmonizer.harmonize())
    assert difference.max() <= 1
    assert not np.array_equal(preview, composite(HEIGHT, WIDTH)[0])


def test_transparent_pixels_do_not_count(engine: Engine) -> None:
    pixels, _ = composite(HEIGHT, WIDTH)
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :20] = 0
    other = pixels.copy()
    other[:, :20] = (255, 0, 255)
    looks = [engine.harmonize(request(pixels=each.tobytes(), alpha=alpha.tobytes())) for each in (pixels, other)]
    assert looks[0].color_map == looks[1].color_map
    assert looks[0].color_map != engine.harmonize(request(pixels=other.tobytes())).color_map


def test_sliders_act_as_the_engines_do(engine: Engine, harmonizer: Harmonizer) -> None:
    assert [(each.name, each.default) for each in dataclasses.fields(Sliders)] == [
        (each.name, each.default) for each in sliders.SLIDERS.values()
    ]
    engine.harmonize(request())
    look = engine.adjust(Adjust(sliders=SLIDERS))
    assert_same_map(look.color_map, harmonizer.adjust(**dataclasses.asdict(SLIDERS)))
    at_once = engine.harmonize(request(sliders=SLIDERS))
    assert at_once.color_map == look.color_map
    assert look.preview == b""
    assert look.matrix is None


def test_an_effect_is_the_matrix_nearest_to_the_map(engine: Engine) -> None:
    look = engine.harmonize(request(effect=True, preview=True))
    assert look.matrix is not None
    assert look.misfit is not None
    matrix = Matrix(np.array(look.matrix, np.float32).reshape(3, 4), linear=True)
    pixels, mask = composite(HEIGHT, WIDTH)
    inside, weights = pixels[mask > 0] / np.float32(255), mask[mask > 0]
    wanted = ColorMap.from_json(look.color_map)(inside).clip(0, 1)

    def distance(colors: NDArray[Any]) -> float:
        return 255 * float(np.sqrt(np.average(((colors - wanted) ** 2).mean(axis=1), weights=weights)))

    assert distance(matrix(inside).clip(0, 1)) == pytest.approx(look.misfit, rel=1e-3)
    assert look.misfit < distance(inside) / 4
    preview = np.frombuffer(look.preview, np.uint8).reshape(pixels.shape)
    np.testing.assert_allclose(preview, apply_color_map(matrix, pixels, mask), atol=1)
    assert engine.adjust(Adjust(sliders=Sliders(strength=0), effect=True)).misfit == pytest.approx(0, abs=0.01)


def through(engine: Engine, layer: Layer, rgba: NDArray[Any], mask: NDArray[np.uint8] | None = None) -> NDArray[Any]:
    """Send a layer's pixels through the engine."""
    result = np.zeros_like(rgba)

    def write(top: int, rows: int, data: bytes) -> None:
        result[top : top + rows] = np.frombuffer(data, rgba.dtype).reshape(rows, *rgba.shape[1:])

    def read_mask(top: int, rows: int) -> bytes:
        assert mask is not None
        return mask[top : top + rows].tobytes()

    read = lambda top, rows: rgba[top : top + rows].tobytes()  # noqa: E731
    engine.render(layer, read, write, read_mask if mask is not None else None)
    return result


@pytest.mark.parametrize("depth", list(DTYPES))
@pytest.mark.parametrize("masked", [False, True])
def test_a_layer_is_recolored_as_the_engine_does_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, depth: Depth, masked: bool
) -> None:
    monkeypatch.setattr(strips, "_STRIP_BYTES", 100_000)  # many strips, the last one shorter
    dtype, full = DTYPES[depth]
    rng = np.random.default_rng(2)
    low, high = (-0.2, 1.3) if depth == "float" else (0, 1)
    rgba = (rng.uniform(low, high, (333, 257, 4)) * full).astype(dtype)
    rgba[..., 3] = np.where(rng.random((333, 257)) < 0.3, 0, rgba[..., 3].clip(0))
    mask = rng.integers(0, 256, (333, 257)).astype(np.uint8)
    mask[:100] = 0
    look = engine.harmonize(request(sliders=SLIDERS))
    layer = Layer(257, 333, depth)
    assert layer.height > 4 * layer.rows()
    result = through(engine, layer, rgba, mask if masked else None)
    weights = np.where(rgba[..., 3] > 0, mask if masked else 255, 0).astype(np.uint8)
    wanted = apply_color_map(ColorMap.from_json(look.color_map), rgba, weights)
    np.testing.assert_allclose(result, wanted, rtol=0, atol=1e-6)  # integers: equal; floats: but for their last bit
    np.testing.assert_array_equal(result[weights == 0], rgba[weights == 0])
    np.testing.assert_array_equal(result[..., 3], rgba[..., 3])
    assert not np.array_equal(result, rgba)


def test_linear_light_is_recolored_as_its_srgb_values_are(engine: Engine) -> None:
    encoded = np.random.default_rng(3).uniform(-0.1, 1.2, (40, 50, 4)).astype(np.float32)
    encoded[:10, :, 3] = 0
    linear = encoded.copy()
    linear[..., :3] = srgb_to_linear(encoded[..., :3])
    engine.harmonize(request())
    result = through(engine, Layer(50, 40, "float", linear=True), linear)
    same = through(engine, Layer(50, 40, "float"), encoded)
    np.testing.assert_allclose(linear_to_srgb(result[..., :3]), same[..., :3], atol=2e-5)
    np.testing.assert_array_equal(result[:10], linear[:10])
    np.testing.assert_array_equal(result[..., 3], linear[..., 3])
    assert result[10:, :, :3].max() > 1


def test_a_layer_of_one_pixel(engine: Engine) -> None:
    look = engine.harmonize(request())
    rgba = np.array([[[10, 200, 90, 255]]], np.uint8)
    wanted = apply_color_map(ColorMap.from_json(look.color_map), rgba)
    np.testing.assert_array_equal(through(engine, Layer(1, 1), rgba), wanted)


def test_a_layer_can_be_recolored_by_the_effects_matrix(engine: Engine) -> None:
    look = engine.harmonize(request(effect=True))
    assert look.matrix is not None
    rgba = np.random.default_rng(4).integers(0, 256, (30, 20, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    matrix = Matrix(np.array(look.matrix, np.float32).reshape(3, 4), linear=True)
    result = through(engine, Layer(20, 30, effect=True), rgba)
    np.testing.assert_allclose(result, apply_color_map(matrix, rgba), atol=1)


def test_models_are_listed_with_the_default_first(engine: Engine) -> None:
    models = engine.models()
    assert models[0].name == DEFAULT_MODEL
    assert [(each.name, each.bundled) for each in models if each.bundled] == [
        (each.card.name, True) for each in list_models() if each.bundled and each.card.name != DETECTOR
    ]
    assert all(each.description for each in models)
    other = engine.harmonize(request(model="reinhard"))
    assert other.color_map != engine.harmonize(request()).color_map


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the data folder can't be moved")
def test_a_personal_model_is_listed_and_loaded_again_when_it_has_learned(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    models = tmp_path / "s2am" / "models"
    models.mkdir(parents=True)

    def learn(like: str) -> None:
        card = json.loads((BUNDLED / f"{like}.json").read_bytes()) | {"name": "mine"}
        shutil.copy(BUNDLED / f"{like}.safetensors", models / "mine.safetensors")
        (models / "mine.json").write_text(json.dumps(card))

    engine = Engine(SERVE, folder)
    for like in ("s2crnet", "reinhard"):
        learn(like)
        look = engine.harmonize(request(model="mine"))
        assert look.color_map == engine.harmonize(request(model=like)).color_map
    assert [each.name for each in engine.models() if not each.bundled] == ["mine"]


def test_the_status_is_told_in_words(engine: Engine) -> None:
    engine.harmonize(request())
    status = engine.status()
    assert (status.state, status.words, status.device) == ("ready", "ready on the CPU", "cpu")


def test_progress_says_what_is_done(engine: Engine) -> None:
    heard = Heard()
    engine.harmonize(request(), heard)
    assert "Looking at the picture" in heard.words
    fractions: list[float | None] = []
    rgba = np.zeros((2000, 2000, 4), np.uint8)
    read = lambda top, rows: rgba[top : top + rows].tobytes()  # noqa: E731
    engine.render(Layer(2000, 2000), read, lambda *_: None, progress=lambda event: fractions.append(event.fraction))
    told = [each for each in fractions if each is not None]
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"mask": bytes(WIDTH * HEIGHT)}, "The mask is empty"),
        ({"mask": b"\xff" * (WIDTH * HEIGHT)}, "covers the whole picture"),
        ({"alpha": bytes(WIDTH * HEIGHT)}, "transparent"),
        ({"model": "nobody"}, "There is no model “nobody”"),
    ],
)
def test_what_can_not_be_harmonized_is_a_sentence(engine: Engine, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BridgeError, match=sentence):
        engine.harmonize(request(**change))
    with pytest.raises(BridgeError, match="no picture"):
        engine.adjust(Adjust(sliders=Sliders()))
    assert engine.harmonize(request()).confidence > 0


def test_detection_finds_a_mask_or_says_that_there_is_none(engine: Engine) -> None:
    pixels, _ = composite(HEIGHT, WIDTH)
    found = engine.detect(protocol.Detect(width=WIDTH, height=HEIGHT, pixels=pixels.tobytes(), likeliest=True))
    wanted = Detector(device="cpu").detect(pixels, likeliest=True)
    np.testing.assert_allclose(np.frombuffer(found.mask, np.uint8).reshape(HEIGHT, WIDTH), wanted.mask, atol=1)
    assert found.confidence == pytest.approx(wanted.confidence, abs=1e-3)
    with pytest.raises(protocol.NothingFoundError, match="give a mask"):
        engine.detect(protocol.Detect(width=WIDTH, height=HEIGHT, pixels=b"\x80" * (WIDTH * HEIGHT * 3)))
