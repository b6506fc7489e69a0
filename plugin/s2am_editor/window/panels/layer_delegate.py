# SPDX-License-Identifier: GPL-3.0-or-later
"""How a layer looks in the list: an eye to hide it, a thumbnail, its name, and what was done to it."""

from __future__ import annotations

from PyQt6.QtCore import QAbstractItemModel, QEvent, QModelIndex, QPoint, QPointF, QRect, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter
from PyQt6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from s2am_editor.document.geometry import Rect
from s2am_editor.window.canvas_painter import checkerboard
from s2am_editor.window.icons import icon
from s2am_editor.window.panels.layer_model import LAYER, SIDE, VISIBLE
from s2am_editor.window.theme import current_colors

EYE = 30  # pixels at the left that hide and show


class LayerDelegate(QStyledItemDelegate):
    """Draws a row, and takes clicks on its eye."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a row."""
        if painter is None:
            return
        colors, layer = current_colors(), index.data(LAYER)
        rect = option.rect.adjusted(2, 1, -2, -1)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        if option.state & QStyle.StateFlag.State_Selected:
            painter.setBrush(QColor(colors.accent_soft))
            painter.drawRoundedRect(rect, 6, 6)
        elif option.state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colors.hover))
            painter.drawRoundedRect(rect, 6, 6)
        eye = QRect(rect.left() + 6, rect.center().y() - 8, 18, 18)
        painter.setOpacity(1.0 if layer.visible else 0.45)
        icon("eye" if layer.visible else "eye-off").paint(painter, eye)
        box = QRect(rect.left() + EYE, rect.center().y() - SIDE // 2 + 1, SIDE, SIDE)
        self._thumbnail(painter, box, index.data(Qt.ItemDataRole.DecorationRole))
        text = rect.adjusted(EYE + SIDE + 10, 0, -8, 0)
        if layer.harmonization is not None:
            icon("harmonize").paint(painter, QRect(text.right() - 16, rect.center().y() - 8, 16, 16))
            text.adjust(0, 0, -22, 0)
        painter.setPen(QColor(colors.text))
        name = option.fontMetrics.elidedText(layer.name, Qt.TextElideMode.ElideRight, text.width())
        painter.drawText(text, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft, name)
        painter.restore()

    def _thumbnail(self, painter: QPainter, box: QRect, image: QImage) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        size = image.size().scaled(box.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(QPoint(0, 0), size)
        place.moveCenter(box.center())
        checkerboard(painter, Rect(place.left(), place.top(), place.right() + 1, place.bottom() + 1), place.topLeft())
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, image)

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex) -> QSize:
        """A row's height."""
        return QSize(120, SIDE + 12)

    def editorEvent(
        self,
        event: QEvent | None,
        model: QAbstractItemModel | None,
        option: QStyleOptionViewItem,
        index: QModelIndex,
    ) -> bool:
        """Hide or show a layer with a click on its eye."""
        if isinstance(event, QMouseEvent) and model and _on_eye(event.position(), option.rect):
            if event.type() is QEvent.Type.MouseButtonRelease:
                model.setData(index, not index.data(VISIBLE), VISIBLE)
            return True
        return super().editorEvent(event, model, option, index)

    def updateEditorGeometry(self, editor: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Rename where the name stands."""
        if editor:
            rect = option.rect.adjusted(EYE + SIDE + 6, 0, -6, 0)
            height = min(rect.height(), editor.sizeHint().height())
            editor.setGeometry(rect.left(), rect.center().y() - height // 2, rect.width(), height)


def _on_eye(place: QPointF, rect: QRect) -> bool:
    return rect.left() <= place.x() <= rect.left() + EYE
