# SPDX-License-Identifier: GPL-3.0-or-later
"""The scribble tool, and the strokes that belong to each state of the mask that they gave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PyQt6.QtCore import QObject, QPointF, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QKeyEvent, QPainter, QPen, QPolygonF

from s2am_editor.cutout.masks import Combination
from s2am_editor.document.geometry import Point
from s2am_editor.document.raster import TiledMask
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.viewport import Viewport
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.tools.cut_out import CutOut
from s2am_editor.window.tools.tool import Pointer, Tool

SUBJECT_COLOR, BACKGROUND_COLOR = QColor("#31b057"), QColor("#e0483e")


@dataclass(frozen=True, eq=False)
class Stroke:
    """A stroke of image points, on the subject or on its background."""

    points: list[Point]
    on_subject: bool


class ScribbleTool(Tool):
    """Draws scribbles on the subject and, with Alt or the right button, on its background."""

    started = pyqtSignal()  # a stroke begins
    drawn = pyqtSignal()  # a stroke is complete
    discarded = pyqtSignal()  # all strokes are gone
    outlines_mask = True
    cursor = Qt.CursorShape.CrossCursor
    uses_right_button = True

    def __init__(self) -> None:
        """Start without scribbles."""
        super().__init__()
        self.strokes: list[Stroke] = []
        self._line: Stroke | None = None

    @property
    def subject(self) -> list[list[Point]]:
        """The strokes on the subject."""
        return [stroke.points for stroke in self.strokes if stroke.on_subject]

    @property
    def background(self) -> list[list[Point]]:
        """The strokes on its background."""
        return [stroke.points for stroke in self.strokes if not stroke.on_subject]

    def show_strokes(self, strokes: tuple[Stroke, ...]) -> None:
        """Replace the strokes, as after an undo step."""
        self.strokes, self._line = list(strokes), None
        self.repaint.emit()

    def press(self, pointer: Pointer) -> None:
        """Start a stroke."""
        right = pointer.button is Qt.MouseButton.RightButton
        if pointer.button is Qt.MouseButton.LeftButton or right:
            self.started.emit()
            self._line = Stroke([pointer.at], on_subject=not (right or pointer.alt))
            self.strokes.append(self._line)

    def move(self, pointer: Pointer) -> None:
        """Continue it."""
        if self._line is not None:
            self._line.points.append(pointer.at)
            self.repaint.emit()

    def release(self, pointer: Pointer) -> None:
        """End it."""
        if self._line is not None:
            self._line = None
            self.drawn.emit()

    def leave(self) -> None:
        """Discard all strokes."""
        self.show_strokes(())
        self.discarded.emit()

    def key(self, event: QKeyEvent) -> bool:
        """Discard the strokes with its key."""
        if pressed_shortcut(event, "tool", "cut") and self.strokes:
            self.leave()
            return True
        return False

    def paint(self, painter: QPainter, viewport: Viewport, ratio: float) -> None:
        """Draw the strokes."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for stroke in self.strokes:
            places = QPolygonF([QPointF(*viewport.to_view(*point)) for point in stroke.points])
            color = SUBJECT_COLOR if stroke.on_subject else BACKGROUND_COLOR
            for pen_color, wide in ((QColor(255, 255, 255, 200), 5.5), (color, 3.5)):
                pen = QPen(pen_color, wide * ratio, cap=Qt.PenCapStyle.RoundCap, join=Qt.PenJoinStyle.RoundJoin)
                painter.setPen(pen)
                painter.drawPolyline(places) if len(stroke.points) > 1 else painter.drawPoint(places[0])


@dataclass(frozen=True, eq=False)
class _ScribbledState:
    """A mask of a layer, the strokes that gave it, and the mask before the first of them."""

    layer_id: int
    mask: TiledMask | None
    strokes: tuple[Stroke, ...] = ()
    before: TiledMask | None = None


class Scribbling(QObject):
    """Segments a layer by scribbles. Undo and redo of its mask restore the strokes that gave it."""

    changed = pyqtSignal()  # the result of `has_pending`

    def __init__(
        self, tool: ScribbleTool, session: EditorSession, cutting: CutOut, width: Callable[[], float], parent: QObject
    ) -> None:
        """Follow a tool and a session; `width`: of a stroke in image pixels."""
        super().__init__(parent)
        self._tool, self._session, self._cutting, self._width = tool, session, cutting, width
        self._states: list[_ScribbledState] = []
        self._state: _ScribbledState | None = None
        self.combination = Combination.REPLACE
        tool.started.connect(self._begin)
        tool.drawn.connect(self._segment)
        tool.discarded.connect(self._drop_strokes)
        cutting.scribbled.connect(self._keep)
        session.layers_changed.connect(self._follow)
        session.opened.connect(tool.leave)

    @property
    def has_pending(self) -> bool:
        """True if there are strokes without a result: it is not ready, or they lie on the background only."""
        return self._state is not None and len(self._tool.strokes) > len(self._state.strokes)

    def undo_stroke(self) -> bool:
        """Remove the last stroke if it has no result yet. Return False if there is none."""
        if not self.has_pending:
            return False
        self._cutting.cancel()
        self._tool.show_strokes(tuple(self._tool.strokes[:-1]))
        if self.has_pending:
            self._segment()
        self.changed.emit()
        return True

    def _begin(self) -> None:
        layer = self._session.active
        if layer and self._state is None:
            self._state = _ScribbledState(layer.id, layer.mask, before=layer.mask)
            self._states.append(self._state)

    def _segment(self) -> None:
        if self._state and self._tool.subject:
            strokes = self._tool.subject, self._tool.background
            self._cutting.cut_scribbles(*strokes, self._width(), self._state.before, self.combination)
        self.changed.emit()

    def _keep(self, layer_id: int) -> None:
        """Record which strokes gave the layer's new mask."""
        if self._state:
            mask = self._session.document.layer(layer_id).mask
            self._state = _ScribbledState(layer_id, mask, tuple(self._tool.strokes), self._state.before)
            self._states.append(self._state)
            self.changed.emit()

    def _follow(self) -> None:
        """Show the strokes of the active layer's mask, or none after it was changed in another way."""
        if self._cutting.applying_scribbles or not self._states:
            return
        layer = self._session.active
        if layer is None or all(layer.id != state.layer_id for state in self._states):
            self._tool.leave()
            return
        known = (state for state in reversed(self._states) if (state.layer_id, state.mask) == (layer.id, layer.mask))
        state = next(known, None)
        if state is not self._state:
            self._state = state
            self._tool.show_strokes(state.strokes if state else ())
            self.changed.emit()

    def _drop_strokes(self) -> None:
        self._states, self._state = [], None
        self.changed.emit()
