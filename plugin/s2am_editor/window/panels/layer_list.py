# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the layer list: item model, delegate, and view."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from PyQt6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QEvent,
    QModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSize,
    Qt,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QDropEvent, QImage, QKeyEvent, QMouseEvent, QPainter
from PyQt6.QtWidgets import QAbstractItemView, QListView, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from s2am_editor.document import commands
from s2am_editor.document.layer_tree import GroupNode, Node, Where, layer_tree, layers_in, move_items
from s2am_editor.document.model import Item, Layer
from s2am_editor.render.renderer import layer_thumbnail
from s2am_editor.window.action_table import pressed_shortcut
from s2am_editor.window.canvas.tiles import as_image, checkerboard
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.theme import current_colors, icon
from s2am_engine.image.rect import Rect

VISIBLE_ROLE = Qt.ItemDataRole.UserRole
ROW_ROLE = Qt.ItemDataRole.UserRole + 1
THUMBNAIL_SIDE = 40  # side of a thumbnail in pixels
GROUP_HEIGHT = 34  # of the row of a group
EYE_WIDTH = 30  # width of the visibility button
INDENTATION = 16  # pixels for each group that contains a row


@dataclass(frozen=True, eq=False)
class LayerRow:
    """A row of the list.

    Attributes:
        item: the layer or group.
        depth: number of groups that contain it.
        collapsed: True for a group whose rows are not listed.
        shown: True if it and all groups that contain it are visible.
    """

    item: Item
    depth: int
    collapsed: bool
    shown: bool


class LayerModel(QAbstractListModel):
    """The layers and groups as a list for Qt's views, the topmost first; changes by the user become commands."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's layers."""
        super().__init__()
        self._session = session
        self._rows: tuple[LayerRow, ...] = ()
        self._collapsed: set[int] = set()  # ids of groups
        self._thumbnails: dict[int, tuple[Layer, QImage]] = {}
        session.opened.connect(self._reset)
        session.layers_changed.connect(self._update)
        self._reset()

    def item(self, row: int) -> Item:
        """Return the layer or group of a row, as it is now."""
        known = self._rows[row].item
        return next((now for now in self._session.document.items if now.id == known.id), known)

    def row_of(self, item_id: int | None) -> int:
        """Return the row of a layer or group, or of the collapsed group that contains it; -1 if there is none."""
        found = next((row for row, shown in enumerate(self._rows) if shown.item.id == item_id), -1)
        if found < 0 and item_id is not None and self._session.is_open:
            document = self._session.document
            item = next((one for one in document.items if one.id == item_id), None)
            outer = document.groups_of(item)[-1:] if item else ()
            return self.row_of(outer[0].id) if outer else -1
        return found

    def toggle_collapsed(self, group_id: int) -> None:
        """List the rows of a group, or only the group itself."""
        self._collapsed ^= {group_id}
        self._update()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows."""
        return 0 if parent is not None and parent.isValid() else len(self._rows)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a row's data."""
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        item = self.item(index.row())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return item.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return ", ".join(self._spoken(self._rows[index.row()], item))
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._describe(item)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnail(item) if isinstance(item, Layer) else None
        if role == VISIBLE_ROLE:
            return item.visible
        if role == ROW_ROLE:
            return self._rows[index.row()]
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a layer or group, or show or hide it."""
        item = self.item(index.row())
        if role == VISIBLE_ROLE:
            return self._session.do(commands.set_visible(item.id, bool(value)))
        if role == Qt.ItemDataRole.EditRole:
            return self._session.do(commands.rename_item(item.id, str(value)))
        return False

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Rows can be selected, renamed and dragged; drops go between them and onto groups."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
        flags |= Qt.ItemFlag.ItemIsDragEnabled
        is_group = not isinstance(self._rows[index.row()].item, Layer)
        return flags | Qt.ItemFlag.ItemIsDropEnabled if is_group else flags

    def supportedDropActions(self) -> Qt.DropAction:
        """Layers are moved."""
        return Qt.DropAction.MoveAction

    def move(self, rows: Sequence[int], target: int, place: QAbstractItemView.DropIndicatorPosition) -> None:
        """Move rows to where they were dropped; `target`: the row at the pointer, -1 below all rows."""
        item_ids = [self._rows[row].item.id for row in rows]
        if target < 0:
            self._session.do(move_items(item_ids, layer_tree(self._session.document)[0].id, "below"))
            return
        row, positions = self._rows[target], QAbstractItemView.DropIndicatorPosition
        is_group = not isinstance(row.item, Layer)
        into_group = is_group and (place is positions.OnItem or (place is positions.BelowItem and not row.collapsed))
        where: Where = "above" if place is positions.AboveItem else "below"
        self._session.do(move_items(item_ids, row.item.id, "inside" if into_group else where))

    def _reset(self) -> None:
        self.beginResetModel()
        self._collapsed.clear()
        self._thumbnails.clear()
        self._rows = self._list_rows()
        self.endResetModel()

    def _list_rows(self) -> tuple[LayerRow, ...]:
        if not self._session.is_open:
            return ()
        return tuple(self._rows_of(layer_tree(self._session.document), 0, True))

    def _rows_of(self, nodes: Sequence[Node], depth: int, shown: bool) -> Iterator[LayerRow]:
        for node in reversed(nodes):
            if isinstance(node, GroupNode):
                collapsed, visible = node.id in self._collapsed, shown and node.group.visible
                yield LayerRow(node.group, depth, collapsed, visible)
                if not collapsed:
                    yield from self._rows_of(node.children, depth + 1, visible)
            else:
                yield LayerRow(node, depth, False, shown and node.visible)

    def _update(self) -> None:
        before, after = self._rows, self._list_rows()
        if _structure(before) != _structure(after):
            self.beginResetModel()
            self._rows = after
            self.endResetModel()
            return
        self._rows = after
        for row, (then, now) in enumerate(zip(before, after, strict=True)):
            if then.item is not now.item or then.shown != now.shown:
                index = self.index(row)
                self.dataChanged.emit(index, index)

    def _thumbnail(self, layer: Layer) -> QImage:
        known = self._thumbnails.get(layer.id)
        if known and known[0].raster is layer.raster and known[0].mask is layer.mask:
            return known[1]
        image = as_image(layer_thumbnail(layer, 2 * THUMBNAIL_SIDE, self._session.document.profile), opaque=False)
        self._thumbnails[layer.id] = (layer, image)
        return image

    def _spoken(self, row: LayerRow, item: Item) -> Iterator[str]:
        yield item.name
        layer = item if isinstance(item, Layer) else None
        for applies, word in (
            (layer is None, self.tr("group")),
            (row.collapsed, self.tr("collapsed")),
            (not item.visible, self.tr("hidden")),
            (layer is not None and layer.locked, self.tr("locked")),
            (layer is not None and layer.harmonization is not None, self.tr("harmonized")),
        ):
            if applies:
                yield word
        if row.depth:
            yield self.tr("in “{0}”").format(self._session.document.groups_of(item)[-1].name)

    def _describe(self, item: Item) -> str:
        if not isinstance(item, Layer):
            count = len(layers_in(self._session.document, item.id))
            return f"{item.name}\n{self.tr('Group of {0} layers').format(count)}"
        size = self.tr("{0} × {1} pixels").format(*item.size)
        if item.harmonization is None:
            return f"{item.name}\n{size}"
        by = self.tr("harmonized with {0}").format(item.harmonization.model)
        return f"{item.name}\n{size}, {by}"


class LayerDelegate(QStyledItemDelegate):
    """Draws a row, and handles clicks on its visibility button and on the triangle of a group."""

    collapse_toggled = pyqtSignal(int)  # id of a group

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a row."""
        if painter is None:
            return
        colors, row = current_colors(), index.data(ROW_ROLE)
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
        visible = index.data(VISIBLE_ROLE)
        eye = QRect(rect.left() + 6, rect.center().y() - 8, 18, 18)
        painter.setOpacity(1.0 if row.shown else 0.45)
        icon("eye" if visible else "eye-off").paint(painter, eye)
        box = _picture_box(option.rect, row.depth)
        text = QRect(rect)
        text.setLeft(box.right() + 10)
        text.setRight(rect.right() - 8)
        if isinstance(row.item, Layer):
            self._thumbnail(painter, box, index.data(Qt.ItemDataRole.DecorationRole))
            if row.item.harmonization is not None:
                icon("harmonize").paint(painter, QRect(text.right() - 16, rect.center().y() - 8, 16, 16))
                text.adjust(0, 0, -22, 0)
        else:
            icon("chevron-right" if row.collapsed else "chevron-down").paint(painter, _triangle(box))
            icon("group").paint(painter, QRect(box.right() - 21, box.center().y() - 9, 20, 20))
        painter.setPen(QColor(colors.text))
        name = option.fontMetrics.elidedText(index.data(), Qt.TextElideMode.ElideRight, text.width())
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
        """Return a row's size: a group has no thumbnail."""
        is_layer = isinstance(index.data(ROW_ROLE).item, Layer)
        return QSize(120, THUMBNAIL_SIDE + 12 if is_layer else GROUP_HEIGHT)

    def editorEvent(
        self,
        event: QEvent | None,
        model: QAbstractItemModel | None,
        option: QStyleOptionViewItem,
        index: QModelIndex,
    ) -> bool:
        """Show or hide a row when its visibility button is clicked; collapse or expand a group at its triangle."""
        if not isinstance(event, QMouseEvent) or model is None:
            return super().editorEvent(event, model, option, index)
        released, row = event.type() is QEvent.Type.MouseButtonRelease, index.data(ROW_ROLE)
        if _on_eye(event.position(), option.rect):
            if released:
                model.setData(index, not index.data(VISIBLE_ROLE), VISIBLE_ROLE)
            return True
        on_triangle = _triangle(_picture_box(option.rect, row.depth)).contains(event.position().toPoint())
        if on_triangle and not isinstance(row.item, Layer):
            if released:
                self.collapse_toggled.emit(row.item.id)
            return True
        return super().editorEvent(event, model, option, index)

    def updateEditorGeometry(self, editor: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Place the name editor over the name."""
        if editor:
            left = _picture_box(option.rect, index.data(ROW_ROLE).depth).right() + 6
            height = min(option.rect.height(), editor.sizeHint().height())
            top = option.rect.center().y() - height // 2
            editor.setGeometry(left, top, option.rect.right() - 6 - left, height)


class LayerView(QListView):
    """The list of rows; a drop moves the selected ones, and the left and right keys collapse and expand groups."""

    def __init__(self, model: LayerModel) -> None:
        """Show a model."""
        super().__init__()
        self._rows = model
        self.setModel(model)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed)
        self.setMouseTracking(True)
        self.setMinimumHeight(110)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def dropEvent(self, event: QDropEvent | None) -> None:
        """Move the selected rows; the rows follow the document, so the view must not remove any itself."""
        if event is None or event.source() is not self:
            return
        dragged = [index.row() for index in self.selectedIndexes()]
        target = self.indexAt(event.position().toPoint())
        self._rows.move(dragged, target.row(), self.dropIndicatorPosition())
        event.setDropAction(Qt.DropAction.IgnoreAction)
        event.accept()
        self.setState(QAbstractItemView.State.NoState)
        self.repaint_rows()  # without the drop indicator

    def repaint_rows(self) -> None:
        """Draw all rows again."""
        viewport = self.viewport()
        if viewport:
            viewport.update()

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Collapse a group with the left arrow key, and expand it with the right one."""
        index, pressed = self.currentIndex(), pressed_shortcut(event, "tool", "layers") if event else None
        if pressed and index.isValid():
            row = index.data(ROW_ROLE)
            if not isinstance(row.item, Layer) and row.collapsed != pressed[1]:
                self._rows.toggle_collapsed(row.item.id)
                return
        super().keyPressEvent(event)


def _structure(rows: Sequence[LayerRow]) -> list[tuple[int, int, bool]]:
    return [(row.item.id, row.depth, row.collapsed) for row in rows]


def _picture_box(rect: QRect, depth: int) -> QRect:
    """Return the place of a row's thumbnail, or of a group's triangle and icon."""
    left = rect.left() + 2 + EYE_WIDTH + INDENTATION * depth
    return QRect(left, rect.center().y() - THUMBNAIL_SIDE // 2 + 1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)


def _triangle(box: QRect) -> QRect:
    return QRect(box.left(), box.center().y() - 8, 16, 16)


def _on_eye(place: QPointF, rect: QRect) -> bool:
    return rect.left() <= place.x() <= rect.left() + EYE_WIDTH
