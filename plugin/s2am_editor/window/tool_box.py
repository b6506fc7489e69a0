# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools, their buttons at the left, their keys, and their options above the picture."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup, QKeySequence
from PyQt6.QtWidgets import QToolBar, QWidget

from s2am_editor.document import commands
from s2am_editor.document.model import Layer
from s2am_editor.window.canvas import Canvas
from s2am_editor.window.flows.cutting import Cutting
from s2am_editor.window.icons import icon
from s2am_editor.window.jobs import Problem
from s2am_editor.window.panels.options_bar import BrushOptions, CutOptions, OptionsBar, ProposalOptions, hint_page
from s2am_editor.window.picture_view import PictureView, Tint
from s2am_editor.window.session import Session
from s2am_editor.window.tools.brush_tool import MaskBrush, ReferenceBrush
from s2am_editor.window.tools.cut_tools import BoxTool, ScribbleTool
from s2am_editor.window.tools.hand_tool import HandTool
from s2am_editor.window.tools.move_tool import MoveTool
from s2am_editor.window.tools.tool import Tool
from s2am_editor.window.widgets.buttons import push_button
from s2am_engine.errors import EngineError

SCRIBBLE = 6.0  # device pixels across, of a scribble's line
FEATHER = 2.0  # pixels of the layer
REFERENCE_TINT = (38, 166, 154)
PROPOSAL_TINT = (226, 72, 120)


class ToolBox(QToolBar):
    """Chooses the canvas's tool."""

    chosen = pyqtSignal(str)
    refused = pyqtSignal(object)  # a Problem

    def __init__(self, session: Session, canvas: Canvas, view: PictureView, cutting: Cutting) -> None:
        """Give a canvas its tools."""
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
        self.actions_by_name: dict[str, QAction] = {}
        self._group = QActionGroup(self)
        self._name = ""
        self._make_tools()
        self._connect()
        self.choose("move")

    @property
    def name(self) -> str:
        """The tool in use."""
        return self._name

    def choose(self, name: str) -> None:
        """Use another tool."""
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
        self.brush = MaskBrush(session, erase=False, free=self._may_paint)
        self.eraser = MaskBrush(session, erase=True, free=self._may_paint)
        self.reference = ReferenceBrush(session)
        hint = self.tr("Drag the layer or its handles. Shift: along one axis, in steps. Ctrl: no snapping.")
        self._add("move", self.move_tool, "move", self.tr("Move and transform"), "V", hint_page(self.tr("Move"), hint))
        box_page = CutOptions(self.tr("Box"), self.tr("Draw a box around the subject."))
        self._add("box", self.box, "box", self.tr("Cut out with a box"), "M", box_page)
        text = self.tr("Scribble on the subject; with Alt or the right button on what is behind it.")
        scribble_page = CutOptions(self.tr("Scribble"), text)
        self._add("scribble", self.scribble, "scribble", self.tr("Cut out with scribbles"), "S", scribble_page)
        self._cut_pages = (box_page, scribble_page)
        text = self.tr("Alt: the opposite. [ and ]: size.")
        page: QWidget = BrushOptions(self.brush, self.tr("Brush"), text)
        self._add("brush", self.brush, "brush", self.tr("Brush: show parts of the layer"), "B", page)
        page = BrushOptions(self.eraser, self.tr("Eraser"), text)
        self._add("eraser", self.eraser, "eraser", self.tr("Eraser: hide parts of the layer"), "E", page)
        clear = push_button(self.tr("Clear"), self._clear_area)
        text = self.tr("Paint over what the layer is to look like.")
        page = BrushOptions(self.reference, self.tr("Reference"), text, clear)
        self._add("reference", self.reference, "reference", self.tr("Paint a reference area"), "R", page)
        hint = self.tr("Drag the picture. Space does the same with any tool.")
        self._add("hand", HandTool(canvas), "hand", self.tr("Hand"), "H", hint_page(self.tr("Hand"), hint))

    def _add(self, name: str, tool: Tool, drawing: str, tip: str, key: str, page: QWidget) -> None:
        self.tools[name] = tool
        action = QAction(icon(drawing), tip, self)
        action.setShortcut(QKeySequence(key))
        action.setToolTip(f"{tip} ({key})")
        action.setCheckable(True)
        action.triggered.connect(lambda: self.choose(name))
        self._group.addAction(action)
        self.addAction(action)
        self.actions_by_name[name] = action
        self.options.add(name, page)
        tool.repaint.connect(self._canvas.update)

    def _connect(self) -> None:
        cutting = self._cutting
        self.box.drawn.connect(cutting.cut_box)
        self.scribble.drawn.connect(
            lambda keep, drop: cutting.cut_scribbles(keep, drop, SCRIBBLE / self._canvas.viewport.scale)
        )
        for page in self._cut_pages:
            page.find_pasted.connect(cutting.propose)
            page.feather.connect(lambda: cutting.feather(FEATHER))
            page.clean.connect(cutting.clean_edges)
            page.whole.connect(cutting.whole_layer)
        self.proposal_page.accepted.connect(self._accept)
        self.proposal_page.refined.connect(self._refine)
        self.proposal_page.refused.connect(cutting.discard)
        cutting.proposed.connect(self._proposed)
        self._session.changed.connect(self._show_tint)
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
        if self._view.tint is None or self._view.tint.what is not tint.what:
            self._view.set_tint(tint)

    def _clear_area(self) -> None:
        if self._session.is_open:
            self._session.do(commands.set_area(None, "Clear reference"))

    def _may_paint(self, layer: Layer) -> bool:
        if not layer.locked:
            return True
        text = self.tr("“{0}” is locked, as the background: choose a layer above it, or unlock it in the Layer menu.")
        self.refused.emit(Problem(EngineError(text.format(layer.name))))
        return False
