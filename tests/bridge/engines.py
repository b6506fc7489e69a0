# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the bridge's tests: commands that run a server, and an image to send to it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gimp_bridge import connection
from gimp_bridge.bridge_folder import read_address
from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust, Harmonize
from gimp_bridge.layer_pixels import PixelLayout, PixelSource
from gimp_bridge.protocol import ProgressUpdate
from s2am_common.errors import S2AMError
from tests.engine.pictures import composite

# Without writing bytecode: a limit for the size of files would truncate it.
SERVE = [sys.executable, "-B", "-m", "s2am_engine.cli", "serve", "--device", "cpu"]
WIDTH, HEIGHT = 120, 90


def serve_after(statements: str, *options: str) -> list[str]:
    """Return the command for a server in whose process some statements are executed first."""
    code = f"import sys\n{statements}\nfrom s2am_engine.cli.main import main\nsys.exit(main(['serve', *sys.argv[1:]]))"
    return [sys.executable, "-B", "-c", code, *options]


def rgba_of(pixels: NDArray[np.uint8], alpha: int | NDArray[np.uint8] = 255) -> bytes:
    """Return H×W×3 pixels as RGBA bytes."""
    return np.dstack([pixels, np.broadcast_to(np.uint8(alpha), pixels.shape[:2])]).astype(np.uint8).tobytes()


def harmonize_request(
    pixels: NDArray[np.uint8] | None = None, alpha: int | NDArray[np.uint8] = 255, **fields: Any
) -> Harmonize:
    """Return the request to harmonize the test composite, or other pixels of its size."""
    composed, mask = composite(HEIGHT, WIDTH)
    rgba = rgba_of(composed if pixels is None else pixels, alpha)
    defaults: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "pixels": rgba, "layer_alpha": mask.tobytes()}
    return Harmonize(**(defaults | fields))


def harmonized_map(engine: EngineClient, **sliders: float) -> dict[str, Any]:
    """Return the color map of the test composite with sliders."""
    found = engine.request(harmonize_request())
    return engine.request(Adjust(color_map=found.color_map, sliders=sliders)).color_map


def constant_source(value: bytes, layout: PixelLayout) -> PixelSource:
    """Return a layer whose pixels all have the same value."""
    return PixelSource(lambda top, rows: value * (layout.width * rows))


def process_of(folder: Path) -> int:
    """Return the number of the engine process."""
    running = read_address(folder)
    assert running is not None
    return running.process


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until another process has fulfilled a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition was not fulfilled"
        time.sleep(0.02)


class RecordedProgress:
    """A progress callback that records the texts, and calls a function with each update."""

    def __init__(self, act: Callable[[ProgressUpdate], None] = lambda _: None) -> None:
        self.texts: list[str] = []
        self._act = act

    def __call__(self, update: ProgressUpdate) -> None:
        if not self.texts or self.texts[-1] != update.text:
            self.texts.append(update.text)
        self._act(update)


def failure(act: Callable[[], object]) -> S2AMError:
    """Return the error that a call raises; its message is one sentence."""
    with pytest.raises(S2AMError) as caught:
        act()
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return caught.value


def connect(folder: Path) -> connection.Channel:
    """Return an authenticated channel to the running engine."""
    running = read_address(folder)
    assert running is not None
    return connection.connect(running.address, running.key, 10)


def halt(process: int) -> None:
    """Stop a process as a hang would, and wait until all of its threads stand still."""
    os.kill(process, signal.SIGSTOP)
    tasks = Path(f"/proc/{process}/task")
    if tasks.is_dir():
        wait_until(lambda: all(") T " in (each / "stat").read_text() for each in tasks.iterdir()))
