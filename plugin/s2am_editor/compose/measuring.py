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
from numpy.typing import NDArray

from s2am_editor.compose.flatten import flatten
from s2am_editor.compose.harmonize import Models, harmonize
from s2am_editor.compose.renderer import Renderer
from s2am_editor.document import commands
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.history import History
from s2am_editor.document.model import Document, Layer
from s2am_engine.cli.bench import made_up_picture, peak_memory, proc_status, release_freed_memory
from s2am_engine.image.io import ImageData
from s2am_engine.models.model_store import DEFAULT_MODEL

SIZE = (6000, 4000)
SCREEN = (1920, 1080)
TILE = 384
FRAMES = 30
MODEL = DEFAULT_MODEL


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
        """Plain numbers: least, median and most milliseconds, memory as multiples of the picture."""
        times = {name: self._times(values) for name, values in self.times.items()}
        shares = {name: None if size is None else round(size / self.picture, 2) for name, size in self.memory.items()}
        return {"milliseconds": times, "memory_of_picture": shares}

    def _times(self, values: list[float]) -> dict[str, float]:
        found = {"least": min(values), "median": statistics.median(values), "most": max(values)}
        return {name: round(seconds * 1000, 1) for name, seconds in found.items()}


def scene(size: tuple[int, int]) -> tuple[History, Layer]:
    """A background and on it a cut-out, both of one size (width, height) in 8 bits; and the cut-out."""
    pixels, alpha = made_up_picture(*size)
    document = Document.from_picture(ImageData(pixels), "background")
    layer = document.adopt(ImageData(np.ascontiguousarray(pixels[::-1]), alpha), "cut-out")
    history = History(document)
    history.do(commands.add_layers([layer]))
    return history, layer


def measure(
    status: Callable[[str], None] = lambda _: None,
    device: str = "cpu",
    size: tuple[int, int] = SIZE,
    frames: int = FRAMES,
) -> Figures:
    """Measure drawing in a screen's tiles: a slider, panning, moving a layer; and memory.

    Args:
        status: told what is being measured.
        device: where the model runs.
        size: width and height of both layers.
        frames: how many of each movement.
    """
    models = Models(device)
    small, cutout = scene((600, 400))
    harmonize(small.document, cutout.id, models, MODEL)  # the model's own memory is not the document's
    figures = Figures(size[0] * size[1] * 3)
    release_freed_memory()
    empty = proc_status("VmRSS")
    history, layer = scene(size)
    status("harmonizing")
    with _peak(figures, "harmonizing", empty):
        started = time.perf_counter()
        found = harmonize(history.document, layer.id, models, MODEL)
        figures.times["harmonize"] = [time.perf_counter() - started]
    history.do(commands.set_harmonization(layer.id, found))
    renderer = Renderer()
    for name, zoom in (("fit", min(SCREEN[0] / size[0], SCREEN[1] / size[1])), ("100 %", 1.0)):
        status(f"drawing at {name}")
        _draw(figures, name, Screen(history, renderer, zoom), frames)
    release_freed_memory()
    used = proc_status("VmRSS")
    figures.memory["steady"] = None if used is None or empty is None else used - empty
    status("exporting")
    with _peak(figures, "exporting", empty):
        started = time.perf_counter()
        flatten(history.document)
        figures.times["flatten"] = [time.perf_counter() - started]
    return figures


class Screen:
    """Draws as the window does: in tiles, by a thread for each processor, only those that are not there already."""

    def __init__(self, history: History, renderer: Renderer, zoom: float) -> None:
        """Show the middle of a document."""
        self.history, self.renderer, self.zoom = history, renderer, zoom
        document = history.document
        self.left = max(0, round(document.width * zoom - SCREEN[0]) // 2)
        self.top = max(0, round(document.height * zoom - SCREEN[1]) // 2)
        self._there: dict[Rect, NDArray[np.uint8]] = {}
        self._pool = ThreadPoolExecutor(os.cpu_count())

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def draw(self, *, changed: bool) -> float:
        """Draw what is in sight; changed: all of it looks different now.

        Returns:
            Seconds.
        """
        started = time.perf_counter()
        document = self.history.document
        whole = Rect(0, 0, round(document.width * self.zoom), round(document.height * self.zoom))
        area = Rect(self.left, self.top, self.left + SCREEN[0], self.top + SCREEN[1]).within(whole)
        wanted = [tile for tile in tiles(area) if changed or tile not in self._there]
        drawn = self._pool.map(lambda tile: self.renderer.render(document, self.zoom, tile), wanted)
        self._there.update(zip(wanted, drawn, strict=True))
        return time.perf_counter() - started


@contextmanager
def _peak(figures: Figures, name: str, empty: int | None) -> Iterator[None]:
    """Note by how much the process outgrew the empty program within the block."""
    before = proc_status("VmRSS")
    with peak_memory() as growth:
        yield
    known = bool(growth) and before is not None and empty is not None
    figures.memory[name] = growth[0] + before - empty if known else None  # type: ignore[operator]


def _draw(figures: Figures, name: str, screen: Screen, frames: int) -> None:
    """Measure all movements at one zoom."""
    history, layer = screen.history, screen.history.document.layers[1]
    slider, pan, move = [], [], []
    figures.times[f"first sight, {name}"] = [screen.draw(changed=True)]
    for frame in range(frames):
        history.do(commands.set_adjustments(layer.id, strength=0.5 + frame / frames / 2, warmth=frame / frames))
        slider.append(screen.draw(changed=True))
    for _ in range(frames):
        screen.left += 24
        pan.append(screen.draw(changed=False))
    for frame in range(frames):
        history.do(commands.set_transform(layer.id, Transform.at(7 * frame, 3 * frame, layer.size)))
        move.append(screen.draw(changed=True))
    history.do(commands.set_transform(layer.id, layer.transform))
    figures.times |= {f"slider, {name}": slider, f"pan, {name}": pan, f"move a layer, {name}": move}
    screen.close()


def tiles(area: Rect) -> list[Rect]:
    """The tiles of a fixed grid that an area of the screen needs."""
    left, top = area.left // TILE * TILE, area.top // TILE * TILE
    return [
        Rect(x, y, x + TILE, y + TILE) for y in range(top, area.bottom, TILE) for x in range(left, area.right, TILE)
    ]


def to_table(figures: Figures) -> str:
    """Plain text, a figure a line."""
    found = figures.to_json()
    lines = [f"{'':>24}{'least':>10}{'median':>10}{'most':>10}"]
    for name, each in found["milliseconds"].items():
        lines.append(f"{name:>24}" + "".join(f"{value:7.1f} ms" for value in each.values()))
    for name, share in found["memory_of_picture"].items():
        said = "not measured here" if share is None else f"{share} × the picture"
        lines.append(f"{'memory, ' + name:>24}  {said}")
    return "\n".join(lines)
