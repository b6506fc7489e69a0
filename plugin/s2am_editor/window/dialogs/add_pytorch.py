# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding PyTorch, which fine-tuning needs, after showing the size of the download."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtGui import QCloseEvent
from PyQt6.QtWidgets import QDialog, QHBoxLayout, QVBoxLayout, QWidget

from s2am_common.errors import EngineError
from s2am_common.optional_parts import TRAIN
from s2am_editor.window.jobs import BackgroundJob, BackgroundJobs, CanceledJobError, Problem
from s2am_editor.window.messages import Banner
from s2am_editor.window.widgets.basic import heading, muted_label, plain_progress_bar, primary_button, push_button

COMMAND = (sys.executable, "-m", "s2am_engine.cli", "install")
"""Command that lists optional parts of the program, or adds one."""

_CHECK_SECONDS = 0.2  # between two checks of whether the job was canceled


class AddPyTorchDialog(QDialog):
    """Shows the size of PyTorch, and installs it on request."""

    added = pyqtSignal()

    def __init__(self, parent: QWidget | None = None, command: Sequence[str] | None = None) -> None:
        """Ask for the size. `command`: None = `COMMAND`."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Add PyTorch"))
        self._command = command or COMMAND
        self._jobs = BackgroundJobs(self)
        self.banner = Banner()
        self.state = muted_label(self.tr("Finding out how large it is…"))
        self._bar = plain_progress_bar()
        self._bar.setRange(0, 0)
        self._bar.hide()
        self.add_button = primary_button(self.tr("Add PyTorch"), self._add)
        self.add_button.setEnabled(False)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.close))
        buttons.addWidget(self.add_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(12)
        column.addWidget(self.banner)
        column.addWidget(heading(self.tr("Fine-tuning needs PyTorch")))
        text = self.tr("Harmonizing does not need it, so it was not installed. It is added once, and then stays.")
        column.addWidget(muted_label(text))
        column.addWidget(self.state)
        column.addWidget(self._bar)
        column.addLayout(buttons)
        self.setMinimumWidth(460)
        self._start(["--json"], self._show_size)

    def _start(self, words: list[str], done: Any) -> None:
        command = [*self._command, *words]
        self._jobs.start("", lambda job: run_program_command(command, job), done, self._fail)

    def _show_size(self, output: str) -> None:
        parts = {part["name"]: part for part in json.loads(output)["parts"]}
        sizes = (parts[TRAIN.name][name] / 1e9 for name in ("download", "disk"))
        text = self.tr("About {0:.1f} GB to download, and {1:.1f} GB on the disk.")
        self.state.setText(text.format(*sizes))
        self.add_button.setEnabled(True)

    def _add(self) -> None:
        self.banner.hide()
        self.add_button.setEnabled(False)
        self.state.setText(self.tr("Downloading and installing PyTorch…"))
        self._bar.show()
        self._start([TRAIN.name, "--yes", "--json"], self._finish)

    def _finish(self, _output: str) -> None:
        importlib.invalidate_caches()
        self.added.emit()
        self.close()

    def _fail(self, problem: Problem) -> None:
        self._bar.hide()
        self.state.setText("")
        self.banner.show_problem(problem)
        self.add_button.setEnabled(True)

    def reject(self) -> None:
        """Close like the window's button."""
        self.close()

    def closeEvent(self, event: QCloseEvent | None) -> None:
        """Stop an installation; its files are removed."""
        self._jobs.close_with(self)
        super().reject()  # QDialog.closeEvent would call `reject` again


def run_program_command(command: Sequence[str], job: BackgroundJob) -> str:
    """Run a command of the program and return its standard output.

    Raises:
        EngineError: it failed; the message is that of the command.
        CanceledJobError: the job was canceled; the command was interrupted and has ended.
    """
    new_group: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        new_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        encoding="utf-8", errors="replace", **new_group,
    ) as process:  # fmt: skip
        while True:
            try:
                job.progress(-1)
                output, errors = process.communicate(timeout=_CHECK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                continue
            except CanceledJobError:
                _interrupt(process)
                process.communicate()
                raise
    if process.returncode:
        lines = errors.strip().splitlines() or [f"{command[0]} ended with {process.returncode}."]
        raise EngineError(lines[-1].removeprefix("error: "))
    return output


def _interrupt(process: subprocess.Popen[str]) -> None:
    """Interrupt a command and the programs that it runs, as Ctrl-C does."""
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        os.killpg(process.pid, signal.SIGINT)
