# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a document of 24 megapixels is drawn, and how much memory it takes; without a window."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from s2am_editor.compose.flatten import flatten
from s2am_editor.compose.harmonize import Models, harmonize
from s2am_editor.compose.renderer import Renderer
from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.history import History
from s2am_editor.document.model import Document, Layer
from s2am_engine.bench import made_up_picture, peak_memory, proc_status, release_freed_memory
from s2am_engine.picture import Picture

SIZE = (6000, 4000)
SCREEN = (1920, 1080)
TILE = 384
FRAMES = 30
MODEL = "concord"


@dataclass
class Figures:
    """What was measured. Times are of a whole screen, in seconds; memory is in bytes beyond the empty program.

    steady: of the document in use, with halvings, kept tiles and history. harmonizing, exporting: at their peak.
    None where the system can't tell.
    """

    picture: int  # bytes of the picture's pixels
    times: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, int | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers: least and median milliseconds, memory as multiples of the picture."""
        times = {name: self._times(values) for name, values in self.times.items()}
        shares = {name: None if size is None else round(size / self.picture, 2) for name, size in self.memory.items()}
        return {"milliseconds": times, "memory_of_picture": shares}

    def _times(self, values: list[float]) -> dict[str, float]:
        return {"least": round(min(values) * 1000, 1), "median": round(statistics.median(values) * 1000, 1)}


def scene(size: tuple[int, int]) -> tuple[History, Layer]:
    """A background and on it a cut-out, both of one size (width, height) in 8 bits; and the cut-out."""
    pixels, alpha = made_up_picture(*size)
    document = Document.from_picture(Picture(pixels), "background")
    layer = document.adopt(Picture(np.ascontiguousarray(pixels[::-1]), alpha), "cut-out")
    history = History(document)
    history.do(commands.add_layers([layer]))
    return history, layer


def measure(status: Callable[[str], None] = lambda _: None, device: str = "cpu") -> Figures:
    """Measure drawing in a screen's tiles: a slider, panning, zooming, moving; and memory.

    Args:
        status: told what is being measured.
        device: where the model runs.
    """
    models = Models(device)
    small, cutout = scene((600, 400))
    harmonize(small.document, cutout.id, models, MODEL)  # the model's own memory is not the document's
    figures = Figures(SIZE[0] * SIZE[1] * 3)
    release_freed_memory()
    empty = proc_status("VmRSS")
    history, layer = scene(SIZE)
    status("harmonizing")
    with _peak(figures, "harmonizing", empty):
        started = time.perf_counter()
        history.do(commands.set_harmonization(layer.id, harmonize(history.document, layer.id, models, MODEL)))
        figures.times["harmonize"] = [time.perf_counter() - started]
    renderer = Renderer()
    _draw_all(figures, history, renderer, status)
    release_freed_memory()
    used = proc_status("VmRSS")
    figures.memory["steady"] = None if used is None or empty is None else used - empty
    status("exporting")
    with _peak(figures, "exporting", empty):
        started = time.perf_counter()
        flatten(history.document)
        figures.times["flatten"] = [time.perf_counter() - started]
    return figures


@contextmanager
def _peak(figures: Figures, name: str, empty: int | None) -> Iterator[None]:
    """Note by how much the process outgrew the empty program within the block."""
    before = proc_status("VmRSS")
    with peak_memory() as growth:
        yield
    known = bool(growth) and before is not None and empty is not None
    figures.memory[name] = growth[0] + before - empty if known else None  # type: ignore[operator]


def _draw_all(figures: Figures, history: History, renderer: Renderer, status: Callable[[str], None]) -> None:
    layer = history.document.layers[1]
    fit = min(SCREEN[0] / SIZE[0], SCREEN[1] / SIZE[1])
    middle = Rect(2000, 1400, 2000 + SCREEN[0], 1400 + SCREEN[1])
    views = {"fit": (fit, Rect(0, 0, round(SIZE[0] * fit), SCREEN[1])), "100 %": (1.0, middle)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:

        def draw(zoom: float, area: Rect) -> float:
            started = time.perf_counter()
            list(pool.map(lambda tile: renderer.render(history.document, zoom, tile), tiles(area)))
            return time.perf_counter() - started

        for name, (zoom, area) in views.items():
            status(f"drawing at {name}")
            figures.times[f"first sight, {name}"] = [draw(zoom, area)]
            slider, drag = [], []
            for frame in range(FRAMES):
                history.do(commands.set_adjustments(layer.id, strength=0.5 + frame / FRAMES / 2, warmth=frame / FRAMES))
                slider.append(draw(zoom, area))
            figures.times[f"slider, {name}"] = slider
            figures.times[f"again, {name}"] = [draw(zoom, area) for _ in range(FRAMES)]
            figures.times[f"pan, {name}"] = [
                draw(zoom, area.moved(24 * frame, 0).within(Rect(0, 0, 10**6, 10**6))) for frame in range(1, FRAMES)
            ]
            for frame in range(FRAMES):
                placed = Transform.at(7 * frame, 3 * frame, layer.size)
                history.do(commands.set_transform(layer.id, placed))
                drag.append(draw(zoom, area))
            figures.times[f"move a layer, {name}"] = drag
            history.do(commands.set_transform(layer.id, layer.transform))


def tiles(area: Rect) -> list[Rect]:
    """The tiles of a fixed grid that an area of the screen needs."""
    left, top = area.left // TILE * TILE, area.top // TILE * TILE
    return [
        Rect(x, y, x + TILE, y + TILE) for y in range(top, area.bottom, TILE) for x in range(left, area.right, TILE)
    ]


def to_table(figures: Figures) -> str:
    """Plain text, a figure a line."""
    found = figures.to_json()
    lines = [f"{'':>24}{'least':>10}{'median':>10}"]
    for name, each in found["milliseconds"].items():
        lines.append(f"{name:>24}{each['least']:7.1f} ms{each['median']:7.1f} ms")
    for name, share in found["memory_of_picture"].items():
        said = "not measured here" if share is None else f"{share} × the picture"
        lines.append(f"{'memory, ' + name:>24}  {said}")
    return "\n".join(lines)
