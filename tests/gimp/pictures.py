# SPDX-License-Identifier: GPL-3.0-or-later
"""The images for the tests in GIMP, as files of raw pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from s2am_engine.image import sample
from s2am_engine.image.paste import paste_layer, place_layer

WIDTH, HEIGHT = 320, 240
PASTED = (120, 100)
AT = (90, 70)
LARGE = (480, 360)


def background() -> NDArray[np.uint8]:
    """Return H×W×3: coffee in warm light."""
    return np.ascontiguousarray(cv2.resize(data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA))


def cut_out(size: tuple[int, int] = PASTED) -> NDArray[np.uint8]:
    """Return H×W×4: a cat in daylight with a soft oval alpha, and other colors where it is transparent."""
    width, height = size
    cat = cv2.resize(data.chelsea(), size, interpolation=cv2.INTER_AREA)
    oval = np.zeros((height, width), np.uint8)
    cv2.ellipse(oval, (width // 2, height // 2), (width * 2 // 5, height * 2 // 5), 0, 0, 360, 255, -1)
    alpha = cv2.GaussianBlur(oval, (0, 0), 2)
    cat[alpha == 0] = (0, 200, 255)
    return np.ascontiguousarray(np.dstack([cat, alpha]))


def layer_mask() -> NDArray[np.uint8]:
    """Return H×W: a ramp from 0 on the left to 255 on the right."""
    width, height = PASTED
    ramp = np.clip(np.linspace(-100, 355, width), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(ramp[None], height, axis=0))


def deep_cut_out() -> NDArray[np.uint16]:
    """Return the cutout in 16 bits, with more levels than 8 bits have."""
    noise = np.random.default_rng(1).integers(0, 257, (*PASTED[::-1], 4), dtype=np.uint16)
    wide = cut_out().astype(np.uint16) * 257
    return np.where((wide > 0) & (wide < 65000), wide + noise, wide).astype(np.uint16)


def wide_cut_out() -> NDArray[np.float32]:
    """Return the cutout as floats, with some colors outside of sRGB: brighter than white, greener than green."""
    wide: NDArray[np.float32] = np.divide(cut_out(), 255, dtype=np.float32)
    wide[30:50, 40:60, :3] = (1.3, 1.1, 0.9)
    wide[50:70, 40:60, :3] = (-0.3, 0.95, 0.1)
    return wide


def one_layer() -> NDArray[np.uint8]:
    """Return H×W×3: the sample's composite, flattened."""
    behind = sample.sample_background()
    placement = place_layer(sample.sample_layer(), behind, sample.SAMPLE_POSITION)
    return np.ascontiguousarray(paste_layer(placement, placement.pixels, behind).pixels, np.uint8)


def opaque_layer() -> NDArray[np.uint8]:
    """Return H×W×4: the cutout on a plain color, without transparency."""
    layer = cut_out()
    layer[..., 3] = 255
    return layer


def odd_layer() -> NDArray[np.uint8]:
    """Return H×W×4: the cutout with sides that are no multiples of 4, and opaque at its edges."""
    return np.ascontiguousarray(np.roll(cut_out((405, 303)), (150, 200), (0, 1)))


def canvas_layer() -> NDArray[np.uint8]:
    """Return H×W×4: the cutout on a transparent layer of canvas size."""
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[AT[1] : AT[1] + PASTED[1], AT[0] : AT[0] + PASTED[0]] = cut_out()
    return layer


def write(folder: Path) -> None:
    """Write all images to the folder that the scripts in GIMP read."""
    pixel = np.array([200, 40, 30, 255], np.uint8)
    pictures: dict[str, NDArray[Any]] = {
        "background": background(),
        "vast": cv2.resize(background(), (1600, 1200), interpolation=cv2.INTER_CUBIC),
        "pasted": cut_out(),
        "large": cut_out(LARGE),
        "layer-mask": layer_mask(),
        "pasted16": deep_cut_out(),
        "wide": wide_cut_out(),
        "one": pixel,
        "empty": np.zeros((*PASTED[::-1], 4), np.uint8),
        "one-layer": one_layer(),
        "opaque": opaque_layer(),
        "odd": odd_layer(),
        "canvas-layer": canvas_layer(),
        "other-canvas-layer": np.ascontiguousarray(canvas_layer()[:, ::-1]),
    }
    for name, array in pictures.items():
        (folder / f"{name}.bin").write_bytes(array.tobytes())
