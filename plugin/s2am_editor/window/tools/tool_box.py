# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbar of canvas tools, and the options bar of the current tool."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from PyQt6.QtCore import QSignalBlocker, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QActionGroup, QPainter, QShowEvent
from PyQt6.QtWidgets import (
    QAbstractSpinBox,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QStackedWidget,
    QToolBar,
    QWidget,
)

from s2am_editor.cutout.masks import Combination
from s2am_editor.document import commands
from s2am_editor.document.frame import Frame
from s2am_editor.window.action_table import ACTIONS
from s2am_editor.window.actions import Actions
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.canvas.document_view import DocumentView, Tint
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.brush_tool import MAX_BRUSH, MaskBrush, ReferenceBrush, StrokeTool
from s2am_editor.window.tools.cut_out import BoxTool, CropTool, CutOut
from s2am_editor.window.tools.mask_outline import MaskOutline
from s2am_editor.window.tools.move_tool import MoveTool
from s2am_editor.window.tools.scribble_tool import ScribbleTool, Scribbling
from s2am_editor.window.tools.shadow_tool import ShadowTool
from s2am_editor.window.tools.tool import HandTool, Tool
from s2am_editor.window.widgets.basic import ElidedHint, NumberBox, heading, muted_label, push_button, small_button
from s2am_editor.window.widgets.sliders import Slider
from s2am_engine.image.rect import Rect
from s2am_engine.models.model_store import DETECTION_THRESHOLD

MAX_COORDINATE = 99_999.0  # canvas pixels that a field accepts
SIZE_STEPS = 300  # steps of the logarithmic size slider
SCRIBBLE_WIDTH = 6.0  # width of a scribble in device pixels
REFERENCE_TINT = (38, 166, 154)
PROPOSAL_TINT = (226, 72, 120)


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
        field.setFixedWidth(80)
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
            slider.setFixedWidth(130)
        self._number.setFixedWidth(54)
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
        for how, tip in (
            (Combination.REPLACE, self.tr("New cutout")),
            (Combination.ADD, self.tr("Add to the mask (Shift)")),
            (Combination.SUBTRACT, self.tr("Subtract from the mask (Alt)")),
            (Combination.INTERSECT, self.tr("Intersect with the mask (Shift and Alt)")),
        ):
            choose = partial(self.combination_chosen.emit, how)
            choice = small_button(f"mask-{how.value}", tip, choose, checkable=True)
            choice.setChecked(how is Combination.REPLACE)
            self._group.addButton(choice, list(Combination).index(how))
            row.addWidget(choice)
        row.addWidget(ElidedHint(hint), 1)
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
            row.addWidget(button)

    def show_combination(self, how: Combination) -> None:
        """Show the chosen combination."""
        button = self._group.button(list(Combination).index(how))
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
        self._text = muted_label()
        row.addWidget(self._text, 1)
        accept = push_button(self.tr("Use"), self.accepted.emit)
        accept.setProperty("primary", True)
        self.accept_button = accept
        row.addWidget(accept)
        row.addWidget(push_button(self.tr("Use and refine"), self.refined.emit))
        row.addWidget(push_button(self.tr("Discard"), self.refused.emit))

    def describe(self, confidence: float) -> None:
        """Show the detector's confidence."""
        if confidence < DETECTION_THRESHOLD:
            text = self.tr(
                "Possibly nothing was pasted; the tinted region is the most likely one (confidence {0}%). "
                "Nothing has changed yet."
            )
        else:
            text = self.tr("The tinted region was probably pasted (confidence {0}%). Nothing has changed yet.")
        self._text.setText(text.format(round(100 * confidence)))


class OptionsBar(QStackedWidget):
    """One page of options per tool."""

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
    row.addWidget(heading(name))
    row.addSpacing(6)
    return row


def _log_share(size: float) -> float:
    return math.log(max(1.0, size)) / math.log(MAX_BRUSH)


class ToolBox(QToolBar):
    """Selects the canvas's tool."""

    chosen = pyqtSignal(str)
    refine_wanted = pyqtSignal()  # the edges of the active layer
    shadow_wanted = pyqtSignal()  # an automatic shadow of the active layer

    def __init__(
        self, session: EditorSession, canvas: Canvas, view: DocumentView, cutting: CutOut, actions: Actions
    ) -> None:
        """Create the tools of a canvas."""
        super().__init__()
        self.setObjectName("tools")
        self.setWindowTitle(self.tr("Tools"))
        self.setOrientation(Qt.Orientation.Vertical)
        self.setMovable(False)
        self.setIconSize(QSize(22, 22))
        self._session, self._canvas, self._view, self._cutting = session, canvas, view, cutting
        self.options = OptionsBar()
        self.proposal_page = ProposalOptions()
        self.options.add("proposal", self.proposal_page)
        self.tools: dict[str, Tool] = {}
        self.actions_by_name = {entry.tool: actions[entry.name] for entry in ACTIONS if entry.tool}
        self._group = QActionGroup(self)
        self._name = ""
        self._outline = MaskOutline()
        self._make_tools()
        self._connect()
        self.choose("move")

    @property
    def name(self) -> str:
        """The name of the current tool."""
        return self._name

    def choose(self, name: str) -> None:
        """Switch to another tool."""
        self.actions_by_name[name].setChecked(True)
        if name == self._name:
            return
        self._name = name
        self._canvas.set_tool(self.tools[name])
        self._show_page()
        self._show_tint()
        self.chosen.emit(name)

    def _make_tools(self) -> None:
        session, canvas = self._session, self._canvas
        self.move_tool = MoveTool(session, canvas.viewport, canvas.devicePixelRatioF)
        self.box, self.scribble, self.crop = BoxTool(), ScribbleTool(), CropTool()
        self.scribbling = Scribbling(
            self.scribble, session, self._cutting, lambda: SCRIBBLE_WIDTH / canvas.viewport.scale, self
        )
        self.brush, self.eraser = MaskBrush(session, erase=False), MaskBrush(session, erase=True)
        self.reference = ReferenceBrush(session)
        self._add("move", self.move_tool, MoveOptions(session, self.move_tool))
        box_page = CutOptions(self.tr("Box"), self.tr("Draw a box around the subject."))
        self._add("box", self.box, box_page)
        text = self.tr("Scribble on the subject; with Alt or the right button on its background.")
        scribble_page = CutOptions(self.tr("Scribble"), text)
        self._add("scribble", self.scribble, scribble_page)
        self._cut_pages = (box_page, scribble_page)
        text = self.tr("Alt: invert. [ and ]: size.")
        page: QWidget = BrushOptions(self.brush, self.tr("Brush"), text)
        self._add("brush", self.brush, page)
        page = BrushOptions(self.eraser, self.tr("Eraser"), text)
        self._add("eraser", self.eraser, page)
        clear = push_button(self.tr("Clear"), self._clear_area)
        text = self.tr("Paint the area that the layer should match.")
        page = BrushOptions(self.reference, self.tr("Reference"), text, clear)
        self._add("reference", self.reference, page)
        self.shadow = ShadowTool(session, canvas.viewport, canvas.devicePixelRatioF)
        hint = self.tr("Drag the tip for direction and length, and the ends of the dashed line to the ground.")
        cast = push_button(self.tr("Automatic shadow"), self.shadow_wanted.emit)
        self._add("shadow", self.shadow, hint_page(self.tr("Shadow"), hint, cast))
        hint = self.tr("Draw a box around what stays of the image; layers keep what lies outside.")
        self._add("crop", self.crop, hint_page(self.tr("Crop"), hint))
        hint = self.tr("Drag the image. Space does the same with any tool.")
        self._add("hand", HandTool(canvas), hint_page(self.tr("Hand"), hint))

    def _add(self, name: str, tool: Tool, page: QWidget) -> None:
        self.tools[name] = tool
        action = self.actions_by_name[name]
        action.triggered.connect(lambda: self.choose(name))
        self._group.addAction(action)
        self.addAction(action)
        self.options.add(name, page)
        tool.repaint.connect(self._canvas.update)

    def _connect(self) -> None:
        cutting = self._cutting
        self.crop.drawn.connect(lambda box, _: self._crop(box))
        self.box.drawn.connect(lambda box, how: cutting.cut_box(box, how or self.scribbling.combination))
        self._canvas.outline_wanted.connect(self._paint_outline)
        for page in self._cut_pages:
            page.combination_chosen.connect(self._choose_combination)
            page.detect.connect(cutting.detect)
            page.select_subject.connect(lambda: cutting.select_subject(self.scribbling.combination))
            page.refine.connect(self.refine_wanted)
            page.clean.connect(cutting.clean_edges)
            page.remove_mask.connect(cutting.remove_mask)
        self.proposal_page.accepted.connect(self._accept)
        self.proposal_page.refined.connect(self._refine)
        self.proposal_page.refused.connect(cutting.discard)
        cutting.proposed.connect(self._proposed)
        self._session.layers_changed.connect(self._show_tint)
        self._session.opened.connect(self._opened)

    def _paint_outline(self, painter: QPainter, ratio: float) -> None:
        layer = self._session.active
        if layer and self._session.document.shows(layer):
            self._outline.paint(painter, self._canvas.viewport, ratio, layer)

    def _crop(self, box: tuple[float, float, float, float]) -> None:
        area = Rect(*(round(edge) for edge in box)).intersection(self._session.document.rect)
        if not area.is_empty:
            self._session.do(commands.set_canvas(area, "Crop"))
            self.choose("move")

    def _choose_combination(self, how: Combination) -> None:
        self.scribbling.combination = how
        for page in self._cut_pages:
            page.show_combination(how)

    def _opened(self) -> None:
        self._cutting.discard()
        self.setEnabled(self._session.is_open)
        self._show_tint()

    def _accept(self) -> None:
        self._cutting.accept()
        self.choose("move")

    def _refine(self) -> None:
        self._cutting.accept()
        self.choose("brush")

    def _proposed(self, proposal: object) -> None:
        if self._cutting.proposal is not None:
            self.proposal_page.describe(self._cutting.proposal.confidence)
        self._show_page()
        self._show_tint()

    def _show_page(self) -> None:
        self.options.show_page("proposal" if self._cutting.proposal is not None else self._name)

    def _show_tint(self) -> None:
        if not self._session.is_open:
            return
        proposal = self._cutting.proposed_layer
        area = self._session.document.area
        if proposal is not None:
            self._tint(Tint(proposal, PROPOSAL_TINT))
        elif self._name == "reference" and area is not None:
            self._tint(Tint(area, REFERENCE_TINT))
        else:
            self._view.set_tint(None)

    def _tint(self, tint: Tint) -> None:
        if self._view.tint is None or self._view.tint.area is not tint.area:
            self._view.set_tint(tint)

    def _clear_area(self) -> None:
        if self._session.is_open:
            self._session.do(commands.set_area(None, "Clear reference"))
