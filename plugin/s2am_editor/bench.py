# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am bench --editor`: latency of slider, pan and zoom until painted, and memory per document.

A real window of 1920 × 1080 shows 24 megapixels in two layers; each measurement ends when the window was painted.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QEventLoop
from PyQt6.QtWidgets import QApplication

from s2am_editor.app import make_application
from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Theme
from s2am_engine.cli.benchmark import peak_memory, synthetic_image
from s2am_engine.image.data import ImageData

IMAGE_SIZE = (6000, 4000)
WINDOW_SIZE = (1920, 1080)
FRAME_COUNT = 40
WAIT_FOR_EVENTS = QEventLoop.ProcessEventsFlag.WaitForMoreEvents
MEMORY_TARGET = 350e6  # bytes
TARGETS = {"slider": 50.0, "pan": 8.0, "zoom": 16.0}  # milliseconds


@dataclass
class EditorFigures:
    """Results: milliseconds per frame, and memory."""

    frames: dict[str, list[float]] = field(default_factory=dict)
    start: float = 0.0  # seconds from the first import to the painted window
    peak_growth: int | None = None  # peak bytes beyond the empty window with a loaded model
    image_bytes: int = IMAGE_SIZE[0] * IMAGE_SIZE[1] * 3  # bytes of one layer

    def to_json(self) -> dict[str, Any]:
        """Return the results as plain numbers."""
        frames = {
            name: {
                "median_ms": round(statistics.median(times), 2),
                "least_ms": round(min(times), 2),
                "worst_ms": round(max(times), 2),
            }
            for name, times in self.frames.items()
        }
        of_image = None if self.peak_growth is None else round(self.peak_growth / self.image_bytes, 2)
        return {
            "frames": frames,
            "start_s": round(self.start, 3),
            "memory_bytes": self.peak_growth,
            "of_picture": of_image,
        }

    def to_text(self) -> str:
        """Return one line per figure."""
        lines = [f"window painted after {self.start:.2f} s (the model loads later)"]
        for name, times in self.frames.items():
            aim = next((f", target {limit:g} ms" for kind, limit in TARGETS.items() if name.startswith(kind)), "")
            least, median, worst = min(times), statistics.median(times), max(times)
            lines.append(f"{name:32}{median:7.1f} ms (least {least:.1f}, worst {worst:.1f}{aim})")
        if self.peak_growth is not None:
            shares = f"{self.peak_growth / self.image_bytes:.1f} × the image"
            aim = f"target {MEMORY_TARGET / 1e6:.0f} MB"
            lines.append(f"peak memory: {self.peak_growth / 1e6:.0f} MB = {shares} ({aim})")
        return "\n".join(lines)


def measure_editor() -> EditorFigures:
    """Measure in a window; without a display, Qt paints offscreen."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    found = EditorFigures()
    started = time.perf_counter()
    application = make_application()
    Theme(application)
    with tempfile.TemporaryDirectory(prefix="s2am-bench-") as folder:
        window = MainWindow(EditorSettings(Path(folder) / "editor.ini"))
        window.resize(*WINDOW_SIZE)
        window.show()
        application.processEvents()
        found.start = time.perf_counter() - started
        EditorBenchmark(application, window, found).measure()
        window.session.close()
        window.close()
    return found


class EditorBenchmark:
    """Operates a window and measures the time."""

    def __init__(self, application: QApplication, window: MainWindow, found: EditorFigures) -> None:
        """Store results in `found`."""
        self._application, self._window, self._found = application, window, found

    def measure(self) -> None:
        """Run all measurements."""
        window = self._window
        background, layer = make_layers()
        window.harmonizing.warm_up(window.sidebar.harmonize.model)
        self._until(lambda: not window.jobs.running)
        with peak_memory() as growth:
            document = Document.from_image(background.copied(), "background")
            window.session.open(document, "bench")
            window.session.do(commands.add_layers([document.new_layer(layer.copied(), "layer")]))
            self._settle()
            window.harmonize()
            self._until(lambda: not window.jobs.running)
            self._settle()
            self._sliders("slider, fitted", 1)
            self._pans("pan, fitted", 0.45)
            window.canvas.zoom_to(1.0)
            self._settle()
            self._sliders("slider, at 100 %", 2)
            self._pans("pan, at 100 %", 1.0)
            self._zooms()
        self._found.peak_growth = growth[0] if growth else None

    def _sliders(self, name: str, seed: int) -> None:
        rows = self._window.sidebar.adjust.rows
        values = np.random.default_rng(seed).uniform(-0.6, 0.6, FRAME_COUNT)

        def move(index: int) -> None:
            rows["warmth" if index % 2 else "brightness"].slider.setValue(round(100 * values[index]))
            self._settle(pause=0)

        self._frames(name, move)

    def _pans(self, name: str, scale: float) -> None:
        canvas = self._window.canvas
        canvas.zoom_to(scale)
        self._settle()

        def pan(index: int) -> None:
            way = 1 if index % FRAME_COUNT < FRAME_COUNT / 2 else -1
            canvas.pan(-24 * way, -13 * way)
            self._application.processEvents()

        self._frames(name, pan)
        self._settle()

    def _zooms(self) -> None:
        canvas = self._window.canvas
        canvas.fit()
        self._settle()

        def zoom(index: int) -> None:
            canvas.zoom_to(canvas.viewport.scale * (1.06 if index < FRAME_COUNT / 2 else 1 / 1.06))
            self._application.processEvents()

        self._frames("zoom", zoom)
        self._settle()

    def _frames(self, name: str, work: Callable[[int], None]) -> None:
        times = []
        for index in range(FRAME_COUNT):
            started = time.perf_counter()
            work(index)
            times.append(1000 * (time.perf_counter() - started))
        self._found.frames[name] = times

    def _settle(self, pause: float = 0.05) -> None:
        """Process events until the screen is up to date."""
        canvas = self._window.canvas
        time.sleep(pause)
        self._application.processEvents()
        while not canvas.is_current:
            self._application.processEvents(WAIT_FOR_EVENTS)  # sleeps until there is an event, like the real event loop
        self._application.processEvents()

    def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._application.processEvents()
            time.sleep(0.005)


@dataclass(frozen=True)
class SampleImage:
    """An image that is copied for the document, so its memory counts."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None

    def copied(self) -> ImageData:
        """Return a copy of the image."""
        return ImageData(self.pixels.copy(), None if self.alpha is None else self.alpha.copy())


def make_layers() -> tuple[SampleImage, SampleImage]:
    """Return a background, and a cutout of the same size that covers a quarter of it."""
    pixels, mask = synthetic_image(*IMAGE_SIZE)
    return SampleImage(pixels, None), SampleImage(np.ascontiguousarray(pixels[:, ::-1, ::-1]), mask)
