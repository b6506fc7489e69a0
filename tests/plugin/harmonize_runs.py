# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of `HarmonizeRun` with the adapters, and what they leave."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from harmonize_layer.core.harmonizing import HarmonizeRun
from harmonize_layer.core.metadata import ORIGINAL_PARASITE
from harmonize_layer.core.settings import HarmonizeSettings
from numpy.typing import NDArray

from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import apply_color_map
from tests.plugin.conftest import (
    cut_out,
)
from tests.plugin.fake_images import Image, Layer
from tests.plugin.local_engine import COLOR_MAP, LocalEngine

ALPHA = cut_out(30, 40)[..., 3]
PARASITE = "harmonize-layer"


def wrap(image: Image, *layers: Layer) -> tuple[Any, list[Any]]:
    """Return the adapters of an image and its layers."""
    from harmonize_layer.gimp.images import GimpImage, GimpLayer

    return GimpImage(image), [GimpLayer(layer) for layer in layers]  # type: ignore[no-untyped-call, unused-ignore]


def harmonize(image: Image, engine: LocalEngine, *layers: Layer, **values: Any) -> list[str]:
    """Harmonize layers and return the texts of the progress."""
    host, wrapped = wrap(image, *layers)
    texts: list[str] = []
    settings = HarmonizeSettings(**values)
    HarmonizeRun(host, wrapped, settings, engine, lambda update: texts.append(update.text)).run()
    return texts


def recolored(rgba: NDArray[np.uint8], weights: NDArray[np.uint8] | None = None, **sliders: float) -> NDArray[Any]:
    """Return pixels as the engine changes them."""
    mask = np.where(rgba[..., 3] > 0, 255 if weights is None else weights, 0).astype(np.uint8)
    return apply_color_map(adjust(COLOR_MAP, Sliders.from_values(sliders)), rgba, mask)


def metadata_of(layer: Layer) -> dict[str, Any]:
    """Return the content of a layer's parasite."""
    found: dict[str, Any] = json.loads(layer.parasites[PARASITE].data)
    return found


def identity_of(layer: Layer) -> str:
    """Return the identity of a layer that a new one was made from."""
    return layer.parasites[ORIGINAL_PARASITE].data.decode()
