# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a layer over the bridge equals that of the engine in this process, also in strips with context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from gimp_bridge import finish_messages, layer_pixels
from gimp_bridge.finish_messages import FINISH_WINDOW, LayerFinish, MeasureFinish, PlaceWindows
from gimp_bridge.layer_pixels import NativeFormat, PixelLayout, PixelSource
from s2am_common.errors import EngineError
from s2am_common.sliders import FINISH_SLIDERS
from s2am_engine.color.apply import apply_color_map
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import MAX_WINDOWS, WINDOW
from tests.bridge.engines import rgba_of
from tests.plugin.local_engine import COLOR_MAP, LocalEngine

SLIDERS = {"light": 0.7, "grain": 4.0, "sharpness": -1.0, "decontaminate": 1.0, "light_wrap": 0.8}
HEIGHT, WIDTH = 400, 600  # at full resolution; the composite in messages is half as large


def layer_and_composite() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A layer with transparency, H×W×4, and the visible image, H×W×3."""
    rng = np.random.default_rng(0)
    background = cv2.resize(data.astronaut(), (WIDTH, HEIGHT)) + rng.normal(0, 6, (HEIGHT, WIDTH, 3))
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(alpha, (WIDTH // 2, HEIGHT // 2), (WIDTH // 4, HEIGHT // 3), 0, 0, 360, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 4), np.uint8)
    own = cv2.resize(data.coffee(), (WIDTH, HEIGHT))
    share = alpha[..., None] / 255
    visible = np.rint(own * share + background * (1 - share)).clip(0, 255).astype(np.uint8)
    return np.dstack([own, alpha]), visible


def measure(
    engine: LocalEngine, layer: NDArray[np.uint8], visible: NDArray[np.uint8]
) -> finish_messages.FinishMeasured:
    half = visible[::2, ::2], layer[::2, ::2, 3]
    size: dict[str, Any] = {"width": WIDTH // 2, "height": HEIGHT // 2, "full_width": WIDTH}
    corners = engine.request(PlaceWindows(**size, full_height=HEIGHT, mask=half[1].tobytes())).positions
    assert 2 <= len(corners) <= finish_messages.MAX_FINISH_WINDOWS
    padded = np.pad(np.dstack([visible, np.full((HEIGHT, WIDTH), 255, np.uint8)]), [(0, 99), (0, 99), (0, 0)])
    alpha = np.pad(layer[..., 3], [(0, 99), (0, 99)])
    parts = [np.s_[y : y + FINISH_WINDOW, x : x + FINISH_WINDOW] for x, y in corners]
    request = MeasureFinish(
        **size,
        pixels=rgba_of(half[0]),
        mask=half[1].tobytes(),
        windows=b"".join(padded[part].tobytes() for part in parts),
        window_masks=b"".join(alpha[part].tobytes() for part in parts),
        color_map=COLOR_MAP.to_json(),
        light=True,
    )
    return engine.request(request)


def test_windows_have_the_size_of_the_engines() -> None:
    assert (FINISH_WINDOW, finish_messages.MAX_FINISH_WINDOWS) == (WINDOW, 2 * MAX_WINDOWS)


def test_automatic_decontamination_finds_an_old_background(tmp_path: Path) -> None:
    engine = LocalEngine(tmp_path)
    layer, visible = layer_and_composite()
    assert measure(engine, layer, visible).automatic["decontaminate"] == 0
    alpha = layer[..., 3:] / 255
    fringe = alpha * (1 - alpha) * (np.array([255, 255, 255]) - layer[..., :3])
    found = measure(engine, layer, np.rint(visible + fringe).clip(0, 255).astype(np.uint8))
    assert found.automatic["decontaminate"] > 0.5
    assert found.measured["measurement"]["fringe"] == found.automatic["decontaminate"]


def test_automatic_values_are_those_of_the_measurement(tmp_path: Path) -> None:
    found = measure(LocalEngine(tmp_path), *layer_and_composite())
    measurement = FinishMeasurement.from_json(found.measured["measurement"])
    automatic = vars(measurement.automatic(Shading.from_json(found.measured["shading"])))
    assert found.automatic == {name: automatic[name] for name, spec in FINISH_SLIDERS.items() if spec.automatic}


@pytest.mark.parametrize("depth", ["u8", "float"])
def test_render_with_finish_equals_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, depth: Any) -> None:
    monkeypatch.setattr(layer_pixels, "STRIP_BYTES", WIDTH * 4 * 64 * (4 if depth == "float" else 1))
    engine = LocalEngine(tmp_path)
    layer, visible = layer_and_composite()
    found = measure(engine, layer, visible)
    assert found.automatic["grain"] > 2
    assert found.automatic["light"] in (0, 1)
    assert found.measured["surroundings"]["box"][2] > WIDTH / 2
    pixels = layer if depth == "u8" else (layer / np.float32(255)).astype(np.float32)
    result = np.zeros_like(pixels)

    def write(top: int, rows: int, strip: bytes) -> None:
        result[top : top + rows] = np.frombuffer(strip, pixels.dtype).reshape(rows, WIDTH, 4)

    source = PixelSource(lambda top, rows: pixels[top : top + rows].tobytes())
    finish = LayerFinish(sliders=SLIDERS, measured=found.measured, left=7, top=5)
    engine.render(COLOR_MAP.to_json(), PixelLayout(WIDTH, HEIGHT, depth), source, write, finish=finish)
    expected = apply_color_map(COLOR_MAP, pixels, layer[..., 3] > 0)
    around = Surroundings.from_json(found.measured["surroundings"])
    measurement = FinishMeasurement.from_json(found.measured["measurement"])
    shading = Shading.from_json(found.measured["shading"])
    finisher = Finisher(Finish(**SLIDERS), measurement, around, shading)
    finisher.apply(expected, layer_alpha=layer[..., 3], origin=(7, 5))
    np.testing.assert_allclose(result, expected, rtol=0, atol=1 if depth == "u8" else 1e-6)
    if depth == "u8":  # where the last bit of a float decides how it is rounded
        assert np.count_nonzero(result != expected) <= 1e-5 * result.size
    np.testing.assert_array_equal(result[layer[..., 3] == 0], pixels[layer[..., 3] == 0])
    np.testing.assert_array_equal(result[..., 3], pixels[..., 3])


def test_render_with_finish_restores_the_native_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_pixels, "STRIP_BYTES", WIDTH * 4 * 64)
    engine = LocalEngine(tmp_path)
    layer, visible = layer_and_composite()
    native = np.arange(HEIGHT * WIDTH, dtype=np.uint32).reshape(HEIGHT, WIDTH)
    written = np.full_like(native, 1 << 31)

    def write(top: int, rows: int, data: bytes) -> None:
        written[top : top + rows] = np.frombuffer(data, np.uint32).reshape(rows, WIDTH)

    access = NativeFormat(
        4,
        lambda top, rows: native[top : top + rows].tobytes(),
        lambda top, rows: written[top : top + rows].tobytes(),
        write,
    )
    source = PixelSource(lambda top, rows: layer[top : top + rows].tobytes())
    finish = LayerFinish(sliders=SLIDERS, measured=measure(engine, layer, visible).measured)
    layout = PixelLayout(WIDTH, HEIGHT)
    engine.render(COLOR_MAP.to_json(), layout, source, lambda *_: None, native=access, finish=finish)
    np.testing.assert_array_equal(written, np.where(layer[..., 3] > 0, 1 << 31, native))


def test_damaged_measurement_is_refused(tmp_path: Path) -> None:
    source = PixelSource(lambda _, rows: bytes(4 * 8 * rows))
    finish = LayerFinish(sliders=SLIDERS, measured={"surroundings": None})
    with pytest.raises(EngineError, match="measurement of the finish is damaged"):
        LocalEngine(tmp_path).render(COLOR_MAP.to_json(), PixelLayout(8, 8), source, lambda *_: None, finish=finish)
