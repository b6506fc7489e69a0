# SPDX-License-Identifier: GPL-3.0-or-later
"""Drives a window as a user does: with mouse and key events where these are tested."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PyQt6.QtCore import QMimeData, QPoint, QPointF, Qt, QTimer, QUrl
from PyQt6.QtGui import QDropEvent, QImage
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication, QFileDialog, QLineEdit, QMessageBox, QWidget
from pytestqt.qtbot import QtBot

from s2am_editor.document.model import Layer
from s2am_editor.window.main_window import MainWindow

LONG = 60_000
MESSAGE_BOX_EXEC, SAVE_DIALOG = QMessageBox.exec, QFileDialog.getSaveFileName  # before tests replace them


def click(button: QWidget) -> None:
    """Click a button."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


class Questions:
    """Answers the modal dialogs that follow, as a user does: by a button, a key, or the dialog's close button."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._answers: list[str | Qt.Key | None] = []
        self._names: list[str] = []
        monkeypatch.setattr(QMessageBox, "exec", lambda box: self._run(box))
        monkeypatch.setattr(QFileDialog, "getSaveFileName", self._save)

    def answer(self, *answers: str | Qt.Key | None) -> None:
        """Answer the next questions: with a button's text, a key, or None for the window's close button."""
        self._answers += answers

    def type_name(self, *names: str) -> None:
        """Type file names into the next save dialogs, followed by Return."""
        self._names += names

    @property
    def all_answered(self) -> bool:
        return not self._answers and not self._names

    def _run(self, box: QMessageBox) -> int:
        self.asked.append(f"{box.text()} {box.informativeText()}")
        assert self._answers, f"unexpected question: {box.text()}"
        answer = self._answers.pop(0)
        QTimer.singleShot(0, lambda: self._press(box, answer))
        return MESSAGE_BOX_EXEC(box)

    def _press(self, box: QMessageBox, answer: str | Qt.Key | None) -> None:
        if answer is None:
            box.close()
        elif isinstance(answer, str):
            named = {button.text().replace("&", ""): button for button in box.buttons()}
            QTest.mouseClick(named[answer], Qt.MouseButton.LeftButton)
        else:
            QTest.keyClick(box, answer)

    def _save(self, parent: QWidget, title: str, start: str, patterns: str) -> tuple[str, str]:
        name = self._names.pop(0)
        QTimer.singleShot(0, lambda: self._type(name))
        qt_dialog = QFileDialog.Option.DontUseNativeDialog
        return SAVE_DIALOG(parent, title, start, patterns, options=qt_dialog)

    def _type(self, name: str) -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, QFileDialog)
        field = dialog.findChild(QLineEdit, "fileNameEdit")
        assert field is not None
        field.setText(name)
        QTest.keyClick(field, Qt.Key.Key_Return)


class WindowDriver:
    """Drives one window."""

    def __init__(self, qtbot: QtBot, window: MainWindow) -> None:
        self.qtbot, self.window = qtbot, window

    def wait(self, until: Callable[[], bool]) -> None:
        self.qtbot.waitUntil(until, timeout=LONG)

    def settle(self) -> None:
        """Wait until no job is running and the screen is up to date."""
        window = self.window
        self.qtbot.wait(20)
        self.wait(lambda: not window.jobs.running)
        self.wait(lambda: window.canvas.is_current)
        self.qtbot.wait(20)

    def open(self, *paths: Path) -> None:
        self.window.open_files(paths)
        self.wait(lambda: not self.window.jobs.running)
        self.settle()

    def drop(self, *paths: Path, at: tuple[float, float] | None = None) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
        window = self.window
        place = self.place(*at) if at else QPoint(20, 20)
        event = QDropEvent(
            QPointF(window.canvas.mapTo(window, place)),
            Qt.DropAction.CopyAction,
            data,
            Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
        window.dropEvent(event)
        self.settle()

    def place(self, x: float, y: float) -> QPoint:
        """Return the canvas pixel of an image point."""
        canvas = self.window.canvas
        on_view = canvas.viewport.to_view(x, y)
        ratio = canvas.devicePixelRatioF()
        return QPoint(round(on_view[0] / ratio), round(on_view[1] / ratio))

    def drag(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        """Drag with the left button from one image point to another."""
        self.drag_on_view(self.place(*start), self.place(*end), keys)

    def drag_on_view(
        self, start: QPoint, end: QPoint, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier
    ) -> None:
        canvas = self.window.canvas
        QTest.mouseMove(canvas, start)
        QTest.mousePress(canvas, Qt.MouseButton.LeftButton, keys, start)
        for share in (0.25, 0.5, 0.75, 1.0):
            self._move_held(start + (end - start) * share, keys)
        QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, keys, end)

    def _move_held(self, place: QPoint, keys: Qt.KeyboardModifier) -> None:
        # QTest.mouseMove sends no pressed buttons.
        from PyQt6.QtCore import QEvent
        from PyQt6.QtGui import QMouseEvent

        canvas = self.window.canvas
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(place),
            QPointF(canvas.mapToGlobal(place)),
            Qt.MouseButton.NoButton,
            Qt.MouseButton.LeftButton,
            keys,
        )
        canvas.mouseMoveEvent(event)

    def key(self, key: Qt.Key, keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
        QTest.keyClick(self.window.canvas, key, keys)

    def type_text(self, field: QWidget, text: str) -> None:
        for letter in text:
            QTest.keyClick(field, letter)

    def harmonize(self) -> None:
        button = self.window.sidebar.harmonize.button
        assert button.isEnabled()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.wait(lambda: not self.window.harmonizing.busy)
        self.settle()

    @property
    def active(self) -> Layer:
        layer = self.window.session.active
        assert layer is not None
        return layer

    def screen(self) -> NDArray[np.uint8]:
        """Return a screenshot of the canvas: H×W×3 RGB."""
        self.settle()
        image = self.window.canvas.grab().toImage().convertToFormat(QImage.Format.Format_RGBA8888)
        bits = image.constBits()
        assert bits is not None
        pixels = np.frombuffer(bits.asstring(image.sizeInBytes()), np.uint8)
        return pixels.reshape(image.height(), image.width(), 4)[..., :3]
