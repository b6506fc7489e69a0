# SPDX-License-Identifier: GPL-3.0-or-later
"""A dialog's jobs: it never waits, sliders never queue up, and closing it leaves nothing running."""

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

from gimp_bridge.background import Background
from gimp_bridge.client import Engine
from gimp_bridge.protocol import Adjust, Look, Sliders
from tests.bridge.engines import SERVE, halt, process_of, request


class Loop:
    """A dialog's main loop: what is posted is called in the thread that runs it."""

    def __init__(self) -> None:
        """Begin with nothing to call."""
        self.posted: queue.Queue[Callable[[], Any]] = queue.Queue()

    def post(self, function: Callable[[], Any]) -> None:
        """Do what GLib.idle_add does."""
        self.posted.put(function)

    def run_one(self) -> None:
        """Call what is posted next, or wait for it."""
        assert not self.posted.get(timeout=30)()


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def background(engine: Engine, loop: Loop) -> Iterator[Background]:
    background = Background(engine, loop.post)
    yield background
    background.close()


def unexpected(what: object) -> None:
    raise AssertionError(what)


def test_an_answer_comes_in_the_dialogs_thread(background: Background, engine: Engine, loop: Loop) -> None:
    answers: list[tuple[Look, threading.Thread]] = []
    done = lambda look: answers.append((look, threading.current_thread()))  # noqa: E731
    background.do(lambda: engine.harmonize(request()), done, unexpected)
    loop.run_one()
    assert answers[0][0].confidence > 0
    assert answers[0][1] is threading.current_thread()


def test_sliders_never_queue_up(background: Background, engine: Engine, loop: Loop) -> None:
    looks: list[Look] = []
    begin, asked = threading.Event(), []
    background.do(begin.wait, lambda _: None, unexpected)
    background.do(lambda: engine.harmonize(request()), looks.append, unexpected)

    def move(strength: float) -> None:
        def job() -> Look:
            asked.append(strength)
            return engine.adjust(Adjust(sliders=Sliders(strength=strength)))

        background.do(job, looks.append, unexpected, key="adjust")

    for step in range(50):
        move(step / 100)
    begin.set()
    for _ in range(3):
        loop.run_one()
    assert asked == [0.49]
    assert looks[-1] == engine.adjust(Adjust(sliders=Sliders(strength=0.49)))


def test_an_error_is_a_sentence_and_the_next_job_is_done(background: Background, engine: Engine, loop: Loop) -> None:
    sentences: list[str] = []
    background.do(lambda: engine.harmonize(request(model="nobody")), unexpected, sentences.append)
    background.do(lambda: 1 / 0, unexpected, sentences.append)
    looks: list[Look] = []
    background.do(lambda: engine.harmonize(request()), looks.append, unexpected)
    for _ in range(3):
        loop.run_one()
    assert "There is no model “nobody”" in sentences[0]
    assert "ZeroDivisionError" in sentences[1]
    assert looks


def test_closing_the_dialog_while_the_engine_starts(folder: Path, loop: Loop) -> None:
    engine = Engine(SERVE, folder)
    background = Background(engine, loop.post)
    begun = threading.Event()
    background.do(lambda: engine.harmonize(request(), lambda _: begun.set()), unexpected, unexpected)
    begun.wait()
    background.close()
    assert "engine" not in {thread.name for thread in threading.enumerate()}
    while not loop.posted.empty():
        loop.run_one()
    assert engine.harmonize(request()).confidence > 0  # it is free for other uses


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGSTOP")
def test_closing_the_dialog_though_the_engine_hangs(folder: Path, loop: Loop) -> None:
    engine = Engine(SERVE, folder)
    engine.harmonize(request())
    background = Background(engine, loop.post)
    halt(process_of(folder))
    background.do(lambda: engine.adjust(Adjust(sliders=Sliders())), unexpected, unexpected)
    background.close()
    os.kill(process_of(folder), signal.SIGCONT)
    while not loop.posted.empty():
        loop.run_one()
    assert engine.adjust(Adjust(sliders=Sliders())).confidence > 0
