# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbar of canvas tools, and the options bar of the current tool."""

from __future__ import annotations

import math

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QActionGroup
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QStackedWidget, QToolBar, QWidget

from s2am_editor.cutout.masks import DEFAULT_FEATHER_RADIUS
from s2am_editor.document import commands
from s2am_editor.document.model import Layer
from s2am_editor.window.actions import ACTIONS, Actions
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.canvas.document_view import DocumentView, Tint
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import Problem
from s2am_editor.window.tools.brush_tool import MAX_BRUSH, MaskBrush, ReferenceBrush, StrokeTool
from s2am_editor.window.tools.cut_out import BoxTool, CutOut, ScribbleTool
from s2am_editor.window.tools.move_tool import MoveTool
from s2am_editor.window.tools.tool import HandTool, Tool
from s2am_editor.window.widgets.basic import heading, muted_label, push_button
from s2am_editor.window.widgets.sliders import Slider
from s2am_engine.errors import EngineError
from s2am_engine.models.model_store import DETECTION_THRESHOLD

SIZE_STEPS = 300  # steps of the logarithmic size slider
SCRIBBLE_WIDTH = 6.0  # width of a scribble in device pixels
REFERENCE_TINT = (38, 166, 154)
PROPOSAL_TINT = (226, 72, 120)


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
        row.addWidget(_hint(hint), 1)
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

    feather = pyqtSignal()
    clean = pyqtSignal()
    detect = pyqtSignal()
    remove_mask = pyqtSignal()

    def __init__(self, name: str, hint: str) -> None:
        """Show the tool's name and a hint."""
        super().__init__()
        row = options_row(self, name)
        row.addWidget(_hint(hint), 1)
        for text, tip, signal in (
            (self.tr("Detect"), self.tr("Detect the pasted region of a flattened image"), self.detect),
            (self.tr("Feather"), self.tr("Soften the edge of the mask"), self.feather),
            (self.tr("Clean edges"), self.tr("Remove the old background's color from soft edges"), self.clean),
            (self.tr("Remove mask"), self.tr("Show the whole layer again"), self.remove_mask),
        ):
            button = push_button(text, signal.emit)
            button.setToolTip(tip)
            button.setProperty("flat", True)
            row.addWidget(button)


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
    row.addWidget(_hint(hint), 1)
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


def _hint(text: str) -> QLabel:
    label = muted_label(text)
    label.setWordWrap(False)
    label.setMinimumWidth(40)
    return label


def _log_share(size: float) -> float:
    return math.log(max(1.0, size)) / math.log(MAX_BRUSH)


class ToolBox(QToolBar):
    """Selects the canvas's tool."""

    chosen = pyqtSignal(str)
    refused = pyqtSignal(object)  # a Problem

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
        self.box, self.scribble = BoxTool(), ScribbleTool()
        self.brush = MaskBrush(session, erase=False, may_paint=self._may_paint)
        self.eraser = MaskBrush(session, erase=True, may_paint=self._may_paint)
        self.reference = ReferenceBrush(session)
        hint = self.tr("Drag the layer or its handles. Shift: constrain; Ctrl: no snapping.")
        self._add("move", self.move_tool, hint_page(self.tr("Move"), hint))
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
        self.box.drawn.connect(cutting.cut_box)
        self.scribble.drawn.connect(
            lambda subject, background: cutting.cut_scribbles(
                subject, background, SCRIBBLE_WIDTH / self._canvas.viewport.scale
            )
        )
        for page in self._cut_pages:
            page.detect.connect(cutting.detect)
            page.feather.connect(lambda: cutting.feather(DEFAULT_FEATHER_RADIUS))
            page.clean.connect(cutting.clean_edges)
            page.remove_mask.connect(cutting.remove_mask)
        self.proposal_page.accepted.connect(self._accept)
        self.proposal_page.refined.connect(self._refine)
        self.proposal_page.refused.connect(cutting.discard)
        cutting.proposed.connect(self._proposed)
        self._session.layers_changed.connect(self._show_tint)
        self._session.opened.connect(self._opened)

    def _opened(self) -> None:
        self._cutting.discard()
        self.scribble.leave()
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

    def _may_paint(self, layer: Layer) -> bool:
        if not layer.locked:
            return True
        text = self.tr(
            "“{0}” is locked, like every background. Select a layer above it, or unlock it in the Layer menu."
        )
        self.refused.emit(Problem(EngineError(text.format(layer.name))))
        return False
