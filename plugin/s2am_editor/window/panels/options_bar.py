# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tool in use can be told, in a line above the picture."""

from __future__ import annotations

import math

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QWidget

from s2am_editor.window.tools.brush_tool import LARGEST, StrokeTool
from s2am_editor.window.widgets.buttons import heading, muted_label, push_button
from s2am_editor.window.widgets.slider import Slider
from s2am_engine.models.model_store import DETECTION_THRESHOLD

STEPS = 300  # of the size's slider, which is logarithmic


class BrushOptions(QWidget):
    """Size and hardness of a brush."""

    def __init__(self, tool: StrokeTool, name: str, hint: str, *more: QWidget) -> None:
        """Tell a tool."""
        super().__init__()
        self._tool = tool
        self._size = Slider(0, STEPS, 0)
        self._size.setAccessibleName(self.tr("Size"))
        self._hardness = Slider(0, 100, 80)
        self._hardness.setAccessibleName(self.tr("Hardness"))
        self._number = QLabel()
        for slider in (self._size, self._hardness):
            slider.setFixedWidth(130)
        self._number.setFixedWidth(54)
        row = options_row(self, name)
        shown = (QLabel(self.tr("Size")), self._size, self._number, QLabel(self.tr("Hardness")), self._hardness, *more)
        for widget in shown:
            row.addWidget(widget)
        row.addWidget(_hint(hint), 1)
        self._size.valueChanged.connect(lambda value: tool.set_size(LARGEST ** (value / STEPS)))
        self._size.reset.connect(lambda: tool.set_size(60))
        self._hardness.valueChanged.connect(lambda value: setattr(tool, "hardness", value / 100))
        self._hardness.reset.connect(lambda: self._hardness.setValue(80))
        tool.sized.connect(self._show)
        self._show(tool.size)

    def _show(self, size: float) -> None:
        self._size.blockSignals(True)
        self._size.setValue(round(STEPS * _logarithm(size)))
        self._size.blockSignals(False)
        self._number.setText(self.tr("{0} px").format(round(size)))


class CutOptions(QWidget):
    """What else can be done to a cut-out."""

    feather = pyqtSignal()
    clean = pyqtSignal()
    find_pasted = pyqtSignal()
    whole = pyqtSignal()

    def __init__(self, name: str, hint: str) -> None:
        """Name the tool, and say how it is used."""
        super().__init__()
        row = options_row(self, name)
        row.addWidget(_hint(hint), 1)
        for text, tip, signal in (
            (self.tr("Find it for me"), self.tr("Look for what was pasted into a flattened picture"), self.find_pasted),
            (self.tr("Feather"), self.tr("Soften the edge of the cut-out"), self.feather),
            (self.tr("Clean edges"), self.tr("Take the old background's color out of soft edges"), self.clean),
            (self.tr("Whole layer"), self.tr("Take the cut-out back"), self.whole),
        ):
            button = push_button(text, signal.emit)
            button.setToolTip(tip)
            button.setProperty("flat", True)
            row.addWidget(button)


class ProposalOptions(QWidget):
    """What was found, to accept or to refine."""

    accepted = pyqtSignal()
    refined = pyqtSignal()
    refused = pyqtSignal()

    def __init__(self) -> None:
        """Ask what to do with a proposal."""
        super().__init__()
        row = options_row(self, self.tr("Found"))
        self._text = muted_label()
        row.addWidget(self._text, 1)
        accept = push_button(self.tr("Use it"), self.accepted.emit)
        accept.setProperty("primary", True)
        self.accept_button = accept
        row.addWidget(accept)
        row.addWidget(push_button(self.tr("Use and refine"), self.refined.emit))
        row.addWidget(push_button(self.tr("Discard"), self.refused.emit))

    def describe(self, confidence: float) -> None:
        """Say how sure it is."""
        if confidence < DETECTION_THRESHOLD:
            text = self.tr("Perhaps nothing was pasted; if so, the tinted part ({0} % sure). Nothing has changed yet.")
        else:
            text = self.tr("The tinted part looks pasted ({0} % sure). Nothing has changed yet.")
        self._text.setText(text.format(round(100 * confidence)))


class OptionsBar(QStackedWidget):
    """One page for each tool."""

    def __init__(self) -> None:
        """Start without pages."""
        super().__init__()
        self.setObjectName("optionsBar")
        self.setFixedHeight(46)
        self._pages: dict[str, QWidget] = {}

    def add(self, name: str, page: QWidget) -> None:
        """Add a tool's page."""
        self._pages[name] = page
        self.addWidget(page)

    def show_page(self, name: str) -> None:
        """Show a tool's page."""
        self.setCurrentWidget(self._pages[name])

    @property
    def page(self) -> str:
        """Which one shows."""
        return next((name for name, page in self._pages.items() if page is self.currentWidget()), "")


def hint_page(name: str, hint: str, *buttons: QPushButton | QWidget) -> QWidget:
    """A page with a hint and perhaps buttons."""
    page = QWidget()
    row = options_row(page, name)
    row.addWidget(_hint(hint), 1)
    for button in buttons:
        row.addWidget(button)
    return page


def options_row(page: QWidget, name: str) -> QHBoxLayout:
    """A page's row, which begins with the tool's name."""
    row = QHBoxLayout(page)
    row.setContentsMargins(14, 5, 10, 5)
    row.setSpacing(8)
    row.addWidget(heading(name))
    row.addSpacing(6)
    return row


def _hint(text: str) -> QLabel:
    label = muted_label(text)
    label.setWordWrap(False)
    label.setMinimumWidth(40)
    return label


def _logarithm(size: float) -> float:
    return math.log(max(1.0, size)) / math.log(LARGEST)
