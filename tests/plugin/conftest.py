# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in with stand-ins for GIMP and the engine; nothing here needs a GIMP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_common.paths import BRIDGE_FOLDER_VARIABLE
from tests.plugin import fake_gegl, fake_images
from tests.plugin.fake_gimp import FakeGi
from tests.plugin.fake_images import GroupLayer, Image, Layer
from tests.plugin.local_engine import LocalEngine

WIDTH, HEIGHT = 64, 48

EARLIER_PARASITE = (
    b'{"version":1,"result":"new-layer","model":"","sliders":{"strength":0.75,"brightness":0.0,"contrast":0.0,'
    b'"warmth":0.25,"tint":0.0,"saturation":0.0},"colour_map":{"format":"s2am colour map","version":1,"map":{"kind":'
    b'"matrix","matrix":[[1.0,0.0,0.0,0.125],[0.0,1.0,0.0,0.0],[0.0,0.0,1.0,0.0]],"linear":false}},"original":7}'
)
"""The metadata that version 0.1 wrote."""


@pytest.fixture
def gi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGi]:
    """The fake modules of `gi.repository`, and a bridge folder of the test."""
    monkeypatch.setenv(BRIDGE_FOLDER_VARIABLE, str(tmp_path / "bridge"))
    with FakeGi().installed() as gi:
        yield gi


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    return LocalEngine(tmp_path)


def noise(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return random RGBA pixels that are opaque."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    return pixels


def cut_out(height: int, width: int, seed: int = 1) -> NDArray[np.uint8]:
    """Return random pixels with a transparent border and a soft edge."""
    pixels = noise(height, width, seed)
    pixels[..., 3] = 0
    pixels[3:-3, 3:-3, 3] = 128
    pixels[4:-4, 4:-4, 3] = 255
    return pixels


def add_layer(
    image: Image,
    name: str,
    pixels: NDArray[np.uint8],
    at: tuple[int, int] = (0, 0),
    parent: GroupLayer | None = None,
    kind: str = "R'G'B'A u8",
) -> Layer:
    """Insert a layer with 8-bit RGBA pixels on top."""
    layer = Layer.new(image, name, pixels.shape[1], pixels.shape[0], kind)
    area = fake_gegl.Rectangle(0, 0, pixels.shape[1], pixels.shape[0])
    layer.buffer.set(area, "R'G'B'A u16", (pixels.astype(np.uint16) * 257).tobytes())
    image.insert_layer(layer, parent, 0)
    layer.set_offsets(*at)
    return layer


def add_mask(layer: Layer, plane: NDArray[np.uint8]) -> None:
    """Add a layer mask."""
    mask = layer.create_mask("white")
    mask.buffer.values[..., 0] = plane / 255
    layer.add_mask(mask)


def select(image: Image, plane: NDArray[np.uint8]) -> None:
    """Replace the selection."""
    image.selection = fake_images.Channel.new(image, "selection", image.width, image.height)
    image.selection.buffer.values[..., 0] = plane / 255


def pixels_of(layer: fake_images.Drawable, encoding: str = "R'G'B'A u8", dtype: type[Any] = np.uint8) -> NDArray[Any]:
    """Return the pixels of a layer."""
    height, width = layer.get_height(), layer.get_width()
    data = layer.buffer.get(fake_gegl.Rectangle(0, 0, width, height), 1.0, encoding, None)
    return np.frombuffer(data, dtype).reshape(height, width, -1)


@pytest.fixture
def image(gi: FakeGi) -> Image:
    """An image with a background and a pasted layer, whose pixels are partly transparent."""
    image = Image(WIDTH, HEIGHT)
    add_layer(image, "background", noise(HEIGHT, WIDTH))
    add_layer(image, "pasted", cut_out(30, 40), (10, 8))
    image.set_selected_layers([image.layers[0]])
    return image
