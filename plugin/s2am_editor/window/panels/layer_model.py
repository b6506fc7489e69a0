# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's layers as a list for Qt's views, the uppermost first."""

from __future__ import annotations

from typing import Any

from PyQt6.QtCore import QAbstractListModel, QMimeData, QModelIndex, QSize, Qt
from PyQt6.QtGui import QImage

from s2am_editor.compose.renderer import layer_thumbnail
from s2am_editor.document import commands
from s2am_editor.document.model import Document, Layer
from s2am_editor.window.session import Session
from s2am_editor.window.tiles import as_image

VISIBLE = Qt.ItemDataRole.UserRole
LAYER = Qt.ItemDataRole.UserRole + 1
SIDE = 40  # of a thumbnail, in pixels of the widget


class LayerModel(QAbstractListModel):
    """Names, visibility and thumbnails; renaming, hiding and dragging become commands."""

    def __init__(self, session: Session) -> None:
        """Follow a session."""
        super().__init__()
        self._session = session
        self._layers: tuple[Layer, ...] = ()
        self._thumbnails: dict[int, tuple[Layer, QImage]] = {}
        session.opened.connect(self._reset)
        session.changed.connect(self._update)
        self._reset()

    def layer(self, row: int) -> Layer:
        """The layer of a row."""
        return self._layers[len(self._layers) - 1 - row]

    def row_of(self, layer_id: int | None) -> int:
        """The row of a layer; -1 if there is none."""
        return next((row for row in range(len(self._layers)) if self.layer(row).id == layer_id), -1)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """How many layers there are."""
        return 0 if parent is not None and parent.isValid() else len(self._layers)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a row shows."""
        if not index.isValid() or index.row() >= len(self._layers):
            return None
        layer = self.layer(index.row())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return layer.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return layer.name if layer.visible else self.tr("{0}, hidden").format(layer.name)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._describe(layer)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnail(layer)
        if role == VISIBLE:
            return layer.visible
        if role == LAYER:
            return layer
        return QSize(120, SIDE + 12) if role == Qt.ItemDataRole.SizeHintRole else None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a layer, or hide or show it."""
        layer = self.layer(index.row())
        if role == VISIBLE:
            return self._session.do(commands.set_visible(layer.id, bool(value)))
        if role == Qt.ItemDataRole.EditRole:
            return self._session.do(commands.rename_layer(layer.id, str(value)))
        return False

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Rows can be chosen, renamed and dragged; between them one can be dropped."""
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEditable
        return flags | Qt.ItemFlag.ItemIsDragEnabled

    def supportedDropActions(self) -> Qt.DropAction:
        """Layers are moved."""
        return Qt.DropAction.MoveAction

    def dropMimeData(
        self, data: QMimeData | None, action: Qt.DropAction, row: int, column: int, parent: QModelIndex
    ) -> bool:
        """Put the dragged layer where it was dropped."""
        dragged = self._session.active
        if dragged is None:
            return False
        target = row if row >= 0 else parent.row() if parent.isValid() else len(self._layers)
        if target > self.row_of(dragged.id):
            target -= 1
        self._session.do(commands.move_layer(dragged.id, len(self._layers) - 1 - target))
        return False  # the rows follow the document: the view must not remove any itself

    def _reset(self) -> None:
        self.beginResetModel()
        self._layers = self._session.document.layers if self._session.is_open else ()
        self._thumbnails.clear()
        self.endResetModel()

    def _update(self, before: Document, after: Document) -> None:
        if before.layers == after.layers:
            return
        if [layer.id for layer in before.layers] != [layer.id for layer in after.layers]:
            self.beginResetModel()
            self._layers = after.layers
            self.endResetModel()
            return
        old, self._layers = self._layers, after.layers
        for place, (then, now) in enumerate(zip(old, after.layers, strict=True)):
            if then is not now:
                index = self.index(len(self._layers) - 1 - place)
                self.dataChanged.emit(index, index)

    def _thumbnail(self, layer: Layer) -> QImage:
        known = self._thumbnails.get(layer.id)
        if known and known[0].raster is layer.raster and known[0].mask is layer.mask:
            return known[1]
        image = as_image(layer_thumbnail(layer, 2 * SIDE, self._session.document.profile), opaque=False)
        self._thumbnails[layer.id] = (layer, image)
        return image

    def _describe(self, layer: Layer) -> str:
        size = self.tr("{0} × {1} pixels").format(*layer.size)
        if layer.harmonization is None:
            return f"{layer.name}\n{size}"
        by = self.tr("harmonized by {0}").format(layer.harmonization.model)
        return f"{layer.name}\n{size}, {by}"
