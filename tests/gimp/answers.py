# SPDX-License-Identifier: GPL-3.0-or-later
"""What GIMP left behind, and the engine's own answer on the same pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_store import DEFAULT_MODEL
from tests.gimp.harness import Gimp3
from tests.gimp.pictures import AT, HEIGHT, PASTED, WIDTH

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """What one case left: facts by their names, and pixels in files."""

    folder: Path
    facts: dict[str, Any]

    @property
    def succeeded(self) -> bool:
        """Whether the plug-in said so."""
        return bool(self.facts["status"] == "success")

    @property
    def untouched(self) -> bool:
        """Whether the picture is as it was, to the last bit and name."""
        return bool(self.facts["state"] == self.facts["state before"])

    def pixels(self, name: str, size: tuple[int, int] = PASTED, channels: int = 4, kind: Any = np.uint8) -> Pixels:
        """H×W×C, as kept under a name."""
        data = np.fromfile(self.folder / self.facts[name], kind)
        return data.reshape(size[1], size[0], channels)

    def inner(self, name: str) -> Case:
        """A call within the case."""
        return Case(self.folder, self.facts[name])

    def color_map(
        self, mask: Pixels, model: str = DEFAULT_MODEL, sliders: Mapping[str, float] | None = None
    ) -> ColorMap:
        """The map that the engine itself finds for the composite of the case and a mask."""
        composite = self.pixels("composite", (WIDTH, HEIGHT))
        harmonizer = Harmonizer(model)
        harmonizer.set_picture(
            np.ascontiguousarray(composite[..., :3]), mask, alpha=np.ascontiguousarray(composite[..., 3])
        )
        return harmonizer.adjust(**(sliders or {}))


@dataclass(frozen=True)
class Cases:
    """All cases of one GIMP."""

    folder: Path
    results: dict[str, Any]
    gimp: Gimp3

    def __getitem__(self, name: str) -> Case:
        """The case of a name; fails with what GIMP's Python said if it did not get through."""
        facts = self.results[name]
        assert "failed" not in facts, facts["failed"]
        return Case(self.folder, facts)


def on_canvas(plane: Pixels, at: tuple[int, int] = AT, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Pixels:
    """A layer's plane H×W where it lies on the canvas; 0 elsewhere."""
    canvas = np.zeros((size[1], size[0]), plane.dtype)
    (x, y), (height, width) = at, plane.shape
    left, top, right, bottom = max(0, x), max(0, y), min(size[0], x + width), min(size[1], y + height)
    canvas[top:bottom, left:right] = plane[top - y : bottom - y, left - x : right - x]
    return canvas


def on_layer(plane: Pixels, at: tuple[int, int] = AT, size: tuple[int, int] = PASTED) -> Pixels:
    """What a layer of a size sees of a canvas's plane."""
    return on_canvas(plane, (-at[0], -at[1]), size)


def times(first: Pixels, second: Pixels) -> Pixels:
    """The product of two masks of bytes."""
    return ((first.astype(np.uint16) * second + 127) // 255).astype(np.uint8)


def recolored(color_map: ColorMap, rgba: Pixels, weights: Pixels | None = None) -> Pixels:
    """The engine's own answer on RGBA pixels: within the weights, and where anything is visible."""
    seen = rgba[..., 3] > 0
    full = np.where(seen, 255, 0).astype(np.uint8) if weights is None else np.where(seen, weights, 0)
    return apply_color_map(color_map, rgba, full.astype(np.uint8))
