# SPDX-License-Identifier: GPL-3.0-or-later
"""BackgroundQueue: the dialog never waits, slider changes do not queue up, and closing leaves no thread."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gimp_bridge.background_queue import BackgroundQueue
from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust, AdjustResult, HarmonizeResponse
from tests.bridge.engines import SERVE, halt, harmonize_request, process_of


class MainLoop:
    """A dialog's main loop: posted functions are called in the thread that runs it."""

    def __init__(self) -> None:
        self.posted: queue.Queue[Callable[[], Any]] = queue.Queue()

    def post(self, function: Callable[[], Any]) -> None:
        """Queue a function, as GLib.idle_add does."""
        self.posted.put(function)

    def run_one(self) -> None:
        """Call the next function, or wait for it."""
        assert not self.posted.get(timeout=30)()


@pytest.fixture
def loop() -> MainLoop:
    return MainLoop()


@pytest.fixture
def background(engine: EngineClient, loop: MainLoop) -> Iterator[BackgroundQueue]:
    background = BackgroundQueue(engine, loop.post)
    yield background
    background.close()


def unexpected(result: object) -> None:
    raise AssertionError(result)


def test_submit_reports_results_in_the_dialogs_thread(
    background: BackgroundQueue, engine: EngineClient, loop: MainLoop
) -> None:
    results: list[tuple[HarmonizeResponse, threading.Thread]] = []
    done = lambda result: results.append((result, threading.current_thread()))  # noqa: E731
    background.submit(lambda: engine.request(harmonize_request()), done, unexpected)
    loop.run_one()
    assert results[0][0].confidence > 0
    assert results[0][1] is threading.current_thread()


def test_submit_replaces_waiting_jobs_with_the_same_key(
    background: BackgroundQueue, engine: EngineClient, loop: MainLoop
) -> None:
    found = engine.request(harmonize_request())
    results: list[AdjustResult] = []
    begin, requested = threading.Event(), []
    background.submit(begin.wait, lambda _: None, unexpected)

    def move(strength: float) -> None:
        def job() -> AdjustResult:
            requested.append(strength)
            return engine.request(Adjust(color_map=found.color_map, sliders={"strength": strength}))

        background.submit(job, results.append, unexpected, key="adjust")

    for step in range(50):
        move(step / 100)
    begin.set()
    for _ in range(2):
        loop.run_one()
    assert requested == [0.49]
    assert results == [engine.request(Adjust(color_map=found.color_map, sliders={"strength": 0.49}))]


def test_submit_reports_errors_and_continues(background: BackgroundQueue, engine: EngineClient, loop: MainLoop) -> None:
    errors: list[Exception] = []
    results: list[HarmonizeResponse] = []
    background.submit(lambda: engine.request(harmonize_request(model="no-such-model")), unexpected, errors.append)
    background.submit(lambda: 1 / 0, unexpected, errors.append)
    background.submit(lambda: engine.request(harmonize_request()), results.append, unexpected)
    for _ in range(3):
        loop.run_one()
    assert "no-such-model" in str(errors[0])
    assert isinstance(errors[1], ZeroDivisionError)
    assert results


def test_close_while_the_engine_is_starting(folder: Path, loop: MainLoop) -> None:
    engine = EngineClient(SERVE, folder)
    background = BackgroundQueue(engine, loop.post)
    begun = threading.Event()
    background.submit(lambda: engine.request(harmonize_request(), lambda _: begun.set()), unexpected, unexpected)
    begun.wait()
    background.close()
    assert "engine" not in {thread.name for thread in threading.enumerate()}
    while not loop.posted.empty():
        loop.run_one()
    assert engine.request(harmonize_request()).confidence > 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_close_while_the_engine_hangs(folder: Path, loop: MainLoop) -> None:
    engine = EngineClient(SERVE, folder)
    engine.request(harmonize_request())
    background = BackgroundQueue(engine, loop.post)
    halt(process_of(folder))
    background.submit(lambda: engine.request(harmonize_request()), unexpected, unexpected)
    background.close()
    os.kill(process_of(folder), signal.SIGCONT)
    while not loop.posted.empty():
        loop.run_one()
    assert engine.request(harmonize_request()).confidence > 0
