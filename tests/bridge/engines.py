# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the bridge start from: how to run a server, and a picture to send to it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gimp_bridge import channel, places, protocol
from gimp_bridge.protocol import BridgeError, Progress
from tests.engine.pictures import composite

# Without writing bytecode: under a limit for the size of files it would be truncated.
SERVE = [sys.executable, "-B", "-m", "s2am_engine.cli", "serve", "--device", "cpu"]
WIDTH, HEIGHT = 120, 90


def serve_after(statements: str, *options: str) -> list[str]:
    """The command for a server in whose process something is done first."""
    code = f"import sys\n{statements}\nfrom s2am_engine.cli.main import main\nsys.exit(main(['serve', *sys.argv[1:]]))"
    return [sys.executable, "-B", "-c", code, *options]


def request(**fields: object) -> protocol.Harmonize:
    """A composite to be looked at."""
    pixels, mask = composite(HEIGHT, WIDTH)
    told: dict[str, object] = {"pixels": pixels.tobytes(), "mask": mask.tobytes(), "width": WIDTH, "height": HEIGHT}
    return protocol.Harmonize(**(told | fields))  # type: ignore[arg-type]


def process_of(folder: Path) -> int:
    """The number of the engine's process."""
    return int(json.loads((folder / places.RUNNING).read_bytes())["process"])


def wait_until(happened: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


class Heard:
    """Progress, as it was told."""

    def __init__(self, act: Callable[[Progress], None] = lambda _: None) -> None:
        """Also do something at each event."""
        self.words: list[str] = []
        self._act = act

    def __call__(self, event: Progress) -> None:
        """Hear an event."""
        if not self.words or self.words[-1] != event.words:
            self.words.append(event.words)
        self._act(event)


def failure(act: Callable[[], object]) -> str:
    """The one sentence that a person gets."""
    with pytest.raises(BridgeError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def authenticated(folder: Path) -> channel.Channel:
    """A connection as the client makes it."""
    told = json.loads((folder / places.RUNNING).read_bytes())
    return channel.reach(told["address"], bytes.fromhex(told["key"]), 10)


def halt(process: int) -> None:
    """Stop a process as a hang would, and wait until all of its threads stand still."""
    os.kill(process, signal.SIGSTOP)
    tasks = Path(f"/proc/{process}/task")
    if tasks.is_dir():
        wait_until(lambda: all(") T " in (each / "stat").read_text() for each in tasks.iterdir()))
