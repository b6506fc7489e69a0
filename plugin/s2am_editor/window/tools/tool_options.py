# SPDX-License-Identifier: GPL-3.0-or-later
"""The options bar above the canvas: one page for each tool, and one for a detected region."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from PyQt6.QtCore import QSignalBlocker, pyqtSignal
from PyQt6.QtGui import QShowEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QWidget,
)

from s2am_editor.cutout.masks import Combination
from s2am_editor.document.frame import Frame
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.brush_tool import MAX_BRUSH, StrokeTool
from s2am_editor.window.tools.move_tool import MoveTool
from s2am_editor.window.widgets.basic import (
    ElidedHeading,
    ElidedHint,
    NumberBox,
    push_button,
    small_button,
)
from s2am_editor.window.widgets.layouts import for_font
from s2am_editor.window.widgets.overflow import OverflowRow
from s2am_editor.window.widgets.sliders import Slider
from s2am_engine.models.model_store import DETECTION_THRESHOLD

MAX_COORDINATE = 99_999.0  # canvas pixels that a field accepts
MIN_PROPOSAL_WIDTH = 180  # pixels for the text about a detected region, for the usual font
SIZE_STEPS = 300  # steps of the logarithmic size slider


class MoveOptions(QWidget):
    """The active layer's frame in numbers: position of the pivot, size and rotation."""

    def __init__(self, session: EditorSession, tool: MoveTool) -> None:
        """Show and change the frame of a session's active layer."""
        super().__init__()
        self._session, self._tool = session, tool
        row = options_row(self, self.tr("Move"))
        self.fields: dict[str, NumberBox] = {}
        for name, label, tip, unit in (
            ("x", self.tr("X"), self.tr("Horizontal position of the pivot, which Alt and the mouse move"), " px"),
            ("y", self.tr("Y"), self.tr("Vertical position of the pivot, which Alt and the mouse move"), " px"),
            ("width", self.tr("W"), self.tr("Width of the visible pixels"), " px"),
            ("height", self.tr("H"), self.tr("Height of the visible pixels"), " px"),
            ("rotation", "∠", self.tr("Rotation, clockwise"), "°"),
        ):
            self.fields[name] = self._field(name, tip, unit)
            text = QLabel(label)
            text.setBuddy(self.fields[name])
            row.addWidget(text)
            row.addWidget(self.fields[name])
            if name == "width":
                self.linked = small_button("link", self.tr("Keep the proportions"), lambda: None, checkable=True)
                self.linked.setChecked(True)
                row.addWidget(self.linked)
        row.addWidget(ElidedHint(self.tr("Shift: constrain; Ctrl: no snapping; Alt: about the pivot.")), 1)
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        tool.pivot_moved.connect(self.refresh)
        self.refresh()

    def _field(self, name: str, tip: str, unit: str) -> NumberBox:
        field = NumberBox()
        field.setRange(-MAX_COORDINATE, MAX_COORDINATE)
        field.setDecimals(1)
        field.setSuffix(unit)
        field.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        field.setKeyboardTracking(False)
        field.setMinimumWidth(for_font(50))
        field.setMaximumWidth(for_font(80))
        field.setToolTip(tip)
        field.setAccessibleName(tip)
        field.valueChanged.connect(lambda value: self._change(name, value))
        return field

    def refresh(self) -> None:
        """Show the frame of the active layer; while another tool is used, nothing is computed."""
        if not self.isVisible():
            return
        layer = self._session.active
        self.setEnabled(layer is not None and not layer.locked)
        if layer is None:
            return
        frame = Frame.of(layer)
        x, y = frame.point(self._tool.pivot)
        values = {"x": x, "y": y, "width": frame.width, "height": frame.height, "rotation": frame.rotation}
        for name, field in self.fields.items():
            with QSignalBlocker(field):
                field.setValue(values[name])

    def showEvent(self, event: QShowEvent | None) -> None:
        """Show the current frame."""
        super().showEvent(event)
        self.refresh()

    def _change(self, name: str, value: float) -> None:
        layer = self._session.active
        if layer is None:
            return
        frame, pivot = Frame.of(layer), self._tool.pivot
        x, y = frame.point(pivot)
        linked = self.linked.isChecked()
        match name:
            case "x":
                self._tool.change_frame(replace(frame, x=frame.x + value - x), "Move")
            case "y":
                self._tool.change_frame(replace(frame, y=frame.y + value - y), "Move")
            case "width":
                height = frame.height * value / frame.width if linked else frame.height
                self._tool.change_frame(frame.resized(value, height, pivot), "Scale")
            case "height":
                width = frame.width * value / frame.height if linked else frame.width
                self._tool.change_frame(frame.resized(width, value, pivot), "Scale")
            case "rotation":
                self._tool.change_frame(frame.rotated(value, pivot), "Rotate")
        self.refresh()


class BrushOptions(QWidget):
    """Size and hardness of a brush."""

    def __init__(self, tool: StrokeTool, name: str, hint: str, *more: QWidget) -> None:
        """Set the options of a tool."""
        super().__init__()
        self._size = Slider(0, SIZE_STEPS, 0)
        self._size.setAccessibleName(self.tr("Size"))
        self._hardness = Slider(0, 100, 80)
        self._hardness.setAccessibleName(self.tr("Hardness"))
        self._number = QLabel()
        for slider in (self._size, self._hardness):
            slider.setMaximumWidth(130)
        self._number.setFixedWidth(for_font(54))
        row = options_row(self, name)
        shown = (QLabel(self.tr("Size")), self._size, self._number, QLabel(self.tr("Hardness")), self._hardness, *more)
        for widget in shown:
            row.addWidget(widget)
        row.addWidget(ElidedHint(hint), 1)
        self._size.valueChanged.connect(lambda value: tool.set_size(MAX_BRUSH ** (value / SIZE_STEPS)))
        self._size.reset.connect(lambda: tool.set_size(60))
        self._hardness.valueChanged.connect(lambda value: setattr(tool, "hardness", value / 100))
        self._hardness.reset.connect(lambda: self._hardness.setValue(80))
        tool.sized.connect(self._show)
        self._show(tool.size)

    def _show(self, size: float) -> None:
        self._size.blockSignals(True)
        self._size.setValue(round(SIZE_STEPS * _log_share(size)))
        self._size.blockSignals(False)
        self._number.setText(self.tr("{0} px").format(round(size)))


class CutOptions(QWidget):
    """Mask operations next to the cutout tools."""

    refine = pyqtSignal()
    clean = pyqtSignal()
    detect = pyqtSignal()
    select_subject = pyqtSignal()
    remove_mask = pyqtSignal()
    combination_chosen = pyqtSignal(object)  # a Combination

    def __init__(self, name: str, hint: str) -> None:
        """Show the tool's name and a hint."""
        super().__init__()
        row = options_row(self, name)
        self._group = QButtonGroup(self)
        for combination, tip in (
            (Combination.REPLACE, self.tr("New cutout")),
            (Combination.ADD, self.tr("Add to the mask (Shift)")),
            (Combination.SUBTRACT, self.tr("Subtract from the mask (Alt)")),
            (Combination.INTERSECT, self.tr("Intersect with the mask (Shift and Alt)")),
        ):
            choose = partial(self.combination_chosen.emit, combination)
            choice = small_button(f"mask-{combination.value}", tip, choose, checkable=True)
            choice.setChecked(combination is Combination.REPLACE)
            self._group.addButton(choice, list(Combination).index(combination))
            row.addWidget(choice)
        row.addWidget(ElidedHint(hint), 1)
        buttons = []
        for text, tip, signal in (
            (self.tr("Subject"), self.tr("Cut out the subject without marking it"), self.select_subject),
            (self.tr("Detect"), self.tr("Detect the pasted region of a flattened image"), self.detect),
            (self.tr("Refine edges…"), self.tr("Move, smooth and soften the edge of the mask"), self.refine),
            (self.tr("Clean edges"), self.tr("Remove the old background's color from soft edges"), self.clean),
            (self.tr("Remove mask"), self.tr("Show the whole layer again"), self.remove_mask),
        ):
            button = push_button(text, signal.emit)
            button.setToolTip(tip)
            button.setProperty("flat", True)
            buttons.append(button)
        row.addWidget(OverflowRow(buttons))

    def show_combination(self, combination: Combination) -> None:
        """Show the chosen combination."""
        button = self._group.button(list(Combination).index(combination))
        if button:
            button.setChecked(True)


class ProposalOptions(QWidget):
    """A detected region, to accept, refine or discard."""

    accepted = pyqtSignal()
    refined = pyqtSignal()
    refused = pyqtSignal()

    def __init__(self) -> None:
        """Create the buttons to accept, refine or discard a proposal."""
        super().__init__()
        row = options_row(self, self.tr("Detected"))
        self._text = ElidedHint("")
        self._text.setMinimumWidth(for_font(MIN_PROPOSAL_WIDTH))
        row.addWidget(self._text, 1)
        self.accept_button = push_button(self.tr("Use"), self.accepted.emit)
        self.accept_button.setProperty("primary", True)
        refine = push_button(self.tr("Use and refine"), self.refined.emit)
        row.addWidget(OverflowRow([self.accept_button, push_button(self.tr("Discard"), self.refused.emit), refine]))

    def describe(self, confidence: float) -> None:
        """Show the detector's confidence."""
        if confidence < DETECTION_THRESHOLD:
            text = self.tr(
                "Possibly nothing was pasted; the tinted region is the most likely one (confidence {0}%). "
                "Nothing has changed yet."
            )
        else:
            text = self.tr("The tinted region was probably pasted (confidence {0}%). Nothing has changed yet.")
        self._text.show_text(text.format(round(100 * confidence)))


class OptionsBar(QStackedWidget):
    """One page of options per tool."""

    def __init__(self) -> None:
        """Start without pages."""
        super().__init__()
        self.setObjectName("optionsBar")
        self.setFixedHeight(31 + for_font(15))
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
        """The name of the current page."""
        return next((name for name, page in self._pages.items() if page is self.currentWidget()), "")


def hint_page(name: str, hint: str, *buttons: QPushButton | QWidget) -> QWidget:
    """Create a page with a hint and optional buttons."""
    page = QWidget()
    row = options_row(page, name)
    row.addWidget(ElidedHint(hint), 1)
    for button in buttons:
        row.addWidget(button)
    return page


def options_row(page: QWidget, name: str) -> QHBoxLayout:
    """Create a page's row, which starts with the tool's name."""
    row = QHBoxLayout(page)
    row.setContentsMargins(14, 5, 10, 5)
    row.setSpacing(8)
    row.addWidget(ElidedHeading(name))
    row.addSpacing(6)
    return row


def _log_share(size: float) -> float:
    return math.log(max(1.0, size)) / math.log(MAX_BRUSH)
