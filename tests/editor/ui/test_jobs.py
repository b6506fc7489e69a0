# SPDX-License-Identifier: GPL-3.0-or-later
"""Background jobs, and errors as the editor shows them: a sentence with advice, and a report with the log's path."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time

import pytest
from PyQt6.QtCore import QObject
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from s2am_common.errors import EngineError, ModelError, NothingFoundError
from s2am_common.log import log_path
from s2am_editor.window.clipboard import clipboard_data
from s2am_editor.window.jobs import EDITOR_ADVICE, BackgroundJob, BackgroundJobs, Problem, close_all_jobs
from s2am_editor.window.messages import Banner


def test_problem_adds_advice_for_the_code() -> None:
    sentence = Problem(NothingFoundError("No pasted region was found.")).sentence
    assert sentence == f"No pasted region was found: {EDITOR_ADVICE['mask.not-found']}."
    unusable = ModelError("Model “fmm” gave no usable result.", code="model.result", model="fmm")
    assert Problem(unusable).sentence == f"Model “fmm” gave no usable result: {EDITOR_ADVICE['model.result']}."


def test_problem_without_advice_is_the_message() -> None:
    assert (
        Problem(EngineError("beach.png is damaged: copy it again.")).sentence == "beach.png is damaged: copy it again."
    )


@pytest.mark.parametrize("advice", EDITOR_ADVICE.values())
def test_advice_names_no_command_line_option(advice: str) -> None:
    assert "--" not in advice
    assert advice[0].islower()
    assert not advice.endswith(".")


def test_problem_of_an_unexpected_error_hides_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "s2am_editor"):
        problem = Problem(ZeroDivisionError("by nothing"))
    assert "ZeroDivisionError" in problem.sentence
    assert "Traceback" not in problem.sentence
    assert "by nothing" in problem.details
    assert "by nothing" in caplog.text


def test_banner_copies_report_with_log_path(qapp: QApplication, qtbot: QtBot) -> None:
    banner = Banner()
    banner.show_problem(Problem(EngineError("beach.png is damaged.")))
    banner.copy_details()
    data = clipboard_data()
    assert data is not None
    assert data.text().startswith("beach.png is damaged.")
    assert str(log_path()) in data.text()


def test_jobs_deliver_signals_of_a_job_that_ends_at_once(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = BackgroundJobs()
    monkeypatch.setattr(jobs._pool, "start", lambda runnable: runnable.run())  # before `start` returns
    calls: list[object] = []

    def work(job: BackgroundJob) -> int:
        job.report("half")
        return 7

    jobs.start("", work, calls.append, calls.append, reported=calls.append, ended=lambda _: calls.append("ended"))
    jobs.start("", lambda _: 1 / 0, calls.append, lambda problem: calls.append(type(problem.error)))
    assert calls == ["half", 7, "ended", ZeroDivisionError]
    assert jobs.running == []


def test_canceled_job_emits_ended_only(qtbot: QtBot) -> None:
    jobs = BackgroundJobs()
    calls: list[object] = []

    def work(job: BackgroundJob) -> None:
        while True:
            job.progress(-1)
            time.sleep(0.001)

    job = jobs.start("", work, calls.append, calls.append)
    with qtbot.waitSignal(job.ended, timeout=60_000):
        job.cancel()
    assert calls == []


def test_close_all_jobs_does_not_wait_for_a_job_that_ignores_cancel(qtbot: QtBot) -> None:
    jobs, release = BackgroundJobs(), threading.Event()
    job = jobs.start("", lambda _: release.wait(60))
    assert close_all_jobs(0.05) is False
    assert job.canceled
    with qtbot.waitSignal(job.ended, timeout=60_000):
        release.set()
    assert close_all_jobs(0.05) is True


def test_close_with_deletes_the_owner_after_its_jobs(qtbot: QtBot) -> None:
    owner, release = QObject(), threading.Event()
    jobs = BackgroundJobs(owner)
    jobs.start("", lambda _: release.wait(60))
    deleted: list[bool] = []
    owner.destroyed.connect(lambda: deleted.append(True))
    jobs.close_with(owner)
    qtbot.wait(20)
    assert deleted == []
    release.set()
    qtbot.waitUntil(lambda: deleted == [True], timeout=60_000)


DROPPED_OWNERS = """
from PyQt6.QtCore import QCoreApplication, QObject
from s2am_editor.window.jobs import BackgroundJobs

app = QCoreApplication([])
for number in range(1000):
    owner, ended = QObject(), []
    jobs = BackgroundJobs(owner if number % 2 else None)
    jobs.start("", lambda job: None, ended=ended.append)
    while not ended:
        app.processEvents()
    del owner, jobs
"""


def test_owners_are_dropped_while_their_threads_end() -> None:
    """In a process of its own, because a deadlock could not be interrupted."""
    subprocess.run(
        [sys.executable, "-c", DROPPED_OWNERS],
        check=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
