# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolbar of canvas tools."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QActionGroup, QPainter
from PyQt6.QtWidgets import QToolBar, QWidget

from s2am_editor.cutout.masks import Combination
from s2am_editor.document import commands
from s2am_editor.window.action_table import ACTIONS
from s2am_editor.window.actions import Actions
from s2am_editor.window.canvas.canvas import Canvas
from s2am_editor.window.canvas.document_view import DocumentView, Tint
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.brush_tool import MaskBrush, ReferenceBrush
from s2am_editor.window.tools.cut_out import BoxTool, CropTool, CutOut
from s2am_editor.window.tools.mask_outline import MaskOutline
from s2am_editor.window.tools.move_tool import MoveTool
from s2am_editor.window.tools.scribble_tool import ScribbleTool, Scribbling
from s2am_editor.window.tools.shadow_tool import ShadowTool
from s2am_editor.window.tools.tool import HandTool, Tool
from s2am_editor.window.tools.tool_options import (
    BrushOptions,
    CutOptions,
    MoveOptions,
    OptionsBar,
    ProposalOptions,
    hint_page,
)
from s2am_editor.window.widgets.basic import push_button
from s2am_engine.image.rect import Rect

SCRIBBLE_WIDTH = 6.0  # width of a scribble in device pixels
REFERENCE_TINT = (38, 166, 154)
PROPOSAL_TINT = (226, 72, 120)


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
        self.shadow = ShadowTool(session, canvas.viewport, canvas.devicePixelRatioF)
        box_page = CutOptions(self.tr("Box"), self.tr("Draw a box around the subject."))
        hint = self.tr("Scribble on the subject; with Alt or the right button on its background.")
        scribble_page = CutOptions(self.tr("Scribble"), hint)
        self._cut_pages = (box_page, scribble_page)
        self._add("move", self.move_tool, MoveOptions(session, self.move_tool))
        self._add("box", self.box, box_page)
        self._add("scribble", self.scribble, scribble_page)
        hint = self.tr("Alt: invert. [ and ]: size.")
        self._add("brush", self.brush, BrushOptions(self.brush, self.tr("Brush"), hint))
        self._add("eraser", self.eraser, BrushOptions(self.eraser, self.tr("Eraser"), hint))
        hint = self.tr("Paint the area that the layer should match.")
        clear = push_button(self.tr("Clear"), self._clear_area)
        self._add("reference", self.reference, BrushOptions(self.reference, self.tr("Reference"), hint, clear))
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
        self.box.drawn.connect(lambda box, chosen: cutting.cut_box(box, chosen or self.scribbling.combination))
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

    def _choose_combination(self, combination: Combination) -> None:
        self.scribbling.combination = combination
        for page in self._cut_pages:
            page.show_combination(combination)

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
