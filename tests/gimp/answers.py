# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of GIMP, and the engine's own result for the same pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_store import DEFAULT_MODEL
from tests.gimp.harness import Gimp3
from tests.gimp.pictures import AT, HEIGHT, PASTED, WIDTH

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """The results of one case: facts by name, and pixels in files."""

    folder: Path
    facts: dict[str, Any]

    @property
    def succeeded(self) -> bool:
        """True if the plug-in reported success."""
        return bool(self.facts["status"] == "success")

    @property
    def untouched(self) -> bool:
        """True if the image is unchanged, including all pixels and names."""
        return bool(self.facts["state"] == self.facts["state before"])

    def pixels(self, name: str, size: tuple[int, int] = PASTED, channels: int = 4, kind: Any = np.uint8) -> Pixels:
        """Return the pixels under a name, H×W×C."""
        data = np.fromfile(self.folder / self.facts[name], kind)
        return data.reshape(size[1], size[0], channels)

    def inner(self, name: str) -> Case:
        """Return the results of a call within the case."""
        return Case(self.folder, self.facts[name])

    def color_map(
        self, mask: Pixels, model: str = DEFAULT_MODEL, sliders: Mapping[str, float] | None = None
    ) -> ColorMap:
        """Return the engine's color map for the composite of the case and a mask."""
        composite = self.pixels("composite", (WIDTH, HEIGHT))
        pixels, alpha = (np.ascontiguousarray(each) for each in (composite[..., :3], composite[..., 3]))
        return Harmonizer(model)(pixels, mask, alpha=alpha).adjusted_map(Sliders(**(sliders or {})))


@dataclass(frozen=True)
class Cases:
    """The results of all cases of one GIMP."""

    folder: Path
    results: dict[str, Any]
    gimp: Gimp3

    def __getitem__(self, name: str) -> Case:
        """Return the results of a case; fails with the traceback in GIMP's Python if it raised an exception."""
        facts = self.results[name]
        assert "failed" not in facts, facts["failed"]
        return Case(self.folder, facts)


def on_canvas(plane: Pixels, at: tuple[int, int] = AT, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Pixels:
    """Return a layer's plane, H×W, placed on the canvas; 0 elsewhere."""
    canvas = np.zeros((size[1], size[0]), plane.dtype)
    (x, y), (height, width) = at, plane.shape
    left, top, right, bottom = max(0, x), max(0, y), min(size[0], x + width), min(size[1], y + height)
    canvas[top:bottom, left:right] = plane[top - y : bottom - y, left - x : right - x]
    return canvas


def on_layer(plane: Pixels, at: tuple[int, int] = AT, size: tuple[int, int] = PASTED) -> Pixels:
    """Return the part of a canvas's plane that a layer covers."""
    return on_canvas(plane, (-at[0], -at[1]), size)


def times(first: Pixels, second: Pixels) -> Pixels:
    """Return the product of two 8-bit masks."""
    return ((first.astype(np.uint16) * second + 127) // 255).astype(np.uint8)


def recolored(color_map: ColorMap, rgba: Pixels, weights: Pixels | None = None) -> Pixels:
    """Return RGBA pixels as the engine changes them: within the weights, and where alpha is not 0."""
    seen = rgba[..., 3] > 0
    full = np.where(seen, 255, 0).astype(np.uint8) if weights is None else np.where(seen, weights, 0)
    return apply_color_map(color_map, rgba, full.astype(np.uint8))
