# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer list: item model, delegate, and panel."""

from __future__ import annotations

from functools import partial
from typing import Any

from PyQt6.QtCore import (
    QAbstractItemModel,
    QAbstractListModel,
    QCoreApplication,
    QEvent,
    QItemSelectionModel,
    QMimeData,
    QModelIndex,
    QPoint,
    QPointF,
    QRect,
    QSignalBlocker,
    QSize,
    Qt,
    QTimer,
    pyqtSignal,
)
from PyQt6.QtGui import QColor, QImage, QMouseEvent, QPainter
from PyQt6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QLabel,
    QListView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from s2am_editor.document import commands
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Rect
from s2am_editor.document.model import Layer
from s2am_editor.render.renderer import layer_thumbnail
from s2am_editor.window.canvas.tiles import as_image, checkerboard
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.theme import current_colors, icon
from s2am_editor.window.widgets.basic import ChoiceBox
from s2am_editor.window.widgets.sliders import SliderRow

VISIBLE_ROLE = Qt.ItemDataRole.UserRole
LAYER_ROLE = Qt.ItemDataRole.UserRole + 1
THUMBNAIL_SIDE = 40  # side of a thumbnail in pixels
EYE_WIDTH = 30  # width of the visibility button


class LayerModel(QAbstractListModel):
    """The layers as a list for Qt's views, the topmost first; renaming, hiding and dragging become commands."""

    def __init__(self, session: EditorSession) -> None:
        """Show a session's layers."""
        super().__init__()
        self._session = session
        self._layers: tuple[Layer, ...] = ()
        self._thumbnails: dict[int, tuple[Layer, QImage]] = {}
        session.opened.connect(self._reset)
        session.layers_changed.connect(self._update)
        self._reset()

    def layer(self, row: int) -> Layer:
        """Return the layer of a row."""
        layer = self._layers[len(self._layers) - 1 - row]
        return next((now for now in self._session.document.layers if now.id == layer.id), layer)

    def row_of(self, layer_id: int | None) -> int:
        """Return the row of a layer; -1 if there is none."""
        return next((row for row in range(len(self._layers)) if self.layer(row).id == layer_id), -1)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of layers."""
        return 0 if parent is not None and parent.isValid() else len(self._layers)

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return a row's data."""
        if not index.isValid() or index.row() >= len(self._layers):
            return None
        layer = self.layer(index.row())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return layer.name
        if role == Qt.ItemDataRole.AccessibleTextRole:
            states = (
                (not layer.visible, self.tr("hidden")),
                (layer.locked, self.tr("locked")),
                (layer.harmonization is not None, self.tr("harmonized")),
            )
            return ", ".join([layer.name, *(word for applies, word in states if applies)])
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._describe(layer)
        if role == Qt.ItemDataRole.DecorationRole:
            return self._thumbnail(layer)
        if role == VISIBLE_ROLE:
            return layer.visible
        if role == LAYER_ROLE:
            return layer
        return QSize(120, THUMBNAIL_SIDE + 12) if role == Qt.ItemDataRole.SizeHintRole else None

    def setData(self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole) -> bool:
        """Rename a layer, or show or hide it."""
        layer = self.layer(index.row())
        if role == VISIBLE_ROLE:
            return self._session.do(commands.set_visible(layer.id, bool(value)))
        if role == Qt.ItemDataRole.EditRole:
            return self._session.do(commands.rename_layer(layer.id, str(value)))
        return False

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Rows can be selected, renamed and dragged; drops go between them."""
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
        """Move the dragged layer to where it was dropped."""
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

    def _update(self) -> None:
        before, after = self._layers, self._session.document.layers
        if [layer.id for layer in before] != [layer.id for layer in after]:
            self.beginResetModel()
            self._layers = after
            self.endResetModel()
            return
        self._layers = after
        for place, (then, now) in enumerate(zip(before, after, strict=True)):
            if then is not now:
                index = self.index(len(self._layers) - 1 - place)
                self.dataChanged.emit(index, index)

    def _thumbnail(self, layer: Layer) -> QImage:
        known = self._thumbnails.get(layer.id)
        if known and known[0].raster is layer.raster and known[0].mask is layer.mask:
            return known[1]
        image = as_image(layer_thumbnail(layer, 2 * THUMBNAIL_SIDE, self._session.document.profile), opaque=False)
        self._thumbnails[layer.id] = (layer, image)
        return image

    def _describe(self, layer: Layer) -> str:
        size = self.tr("{0} × {1} pixels").format(*layer.size)
        if layer.harmonization is None:
            return f"{layer.name}\n{size}"
        by = self.tr("harmonized with {0}").format(layer.harmonization.model)
        return f"{layer.name}\n{size}, {by}"


class LayerDelegate(QStyledItemDelegate):
    """Draws a row, and handles clicks on its visibility button."""

    def paint(self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Draw a row."""
        if painter is None:
            return
        colors, layer = current_colors(), index.data(LAYER_ROLE)
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
        box = QRect(
            rect.left() + EYE_WIDTH, rect.center().y() - THUMBNAIL_SIDE // 2 + 1, THUMBNAIL_SIDE, THUMBNAIL_SIDE
        )
        self._thumbnail(painter, box, index.data(Qt.ItemDataRole.DecorationRole))
        text = rect.adjusted(EYE_WIDTH + THUMBNAIL_SIDE + 10, 0, -8, 0)
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
        """Return a row's size."""
        return QSize(120, THUMBNAIL_SIDE + 12)

    def editorEvent(
        self,
        event: QEvent | None,
        model: QAbstractItemModel | None,
        option: QStyleOptionViewItem,
        index: QModelIndex,
    ) -> bool:
        """Show or hide a layer when its visibility button is clicked."""
        if isinstance(event, QMouseEvent) and model and _on_eye(event.position(), option.rect):
            if event.type() is QEvent.Type.MouseButtonRelease:
                model.setData(index, not index.data(VISIBLE_ROLE), VISIBLE_ROLE)
            return True
        return super().editorEvent(event, model, option, index)

    def updateEditorGeometry(self, editor: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Place the name editor over the name."""
        if editor:
            rect = option.rect.adjusted(EYE_WIDTH + THUMBNAIL_SIDE + 6, 0, -6, 0)
            height = min(rect.height(), editor.sizeHint().height())
            editor.setGeometry(rect.left(), rect.center().y() - height // 2, rect.width(), height)


def _on_eye(place: QPointF, rect: QRect) -> bool:
    return rect.left() <= place.x() <= rect.left() + EYE_WIDTH


def blend_mode_names() -> dict[BlendMode, str]:
    """Return the names of the blend modes in the user's language."""
    translate = partial(QCoreApplication.translate, "LayersPanel")
    return {
        BlendMode.NORMAL: translate("Normal"),
        BlendMode.DARKEN: translate("Darken"),
        BlendMode.MULTIPLY: translate("Multiply"),
        BlendMode.COLOR_BURN: translate("Color burn"),
        BlendMode.LIGHTEN: translate("Lighten"),
        BlendMode.SCREEN: translate("Screen"),
        BlendMode.COLOR_DODGE: translate("Color dodge"),
        BlendMode.ADD: translate("Add"),
        BlendMode.OVERLAY: translate("Overlay"),
        BlendMode.SOFT_LIGHT: translate("Soft light"),
        BlendMode.HARD_LIGHT: translate("Hard light"),
        BlendMode.DIFFERENCE: translate("Difference"),
        BlendMode.HUE: translate("Hue"),
        BlendMode.SATURATION: translate("Saturation"),
        BlendMode.COLOR: translate("Color"),
        BlendMode.LUMINOSITY: translate("Luminosity"),
    }


class LayersPanel(QWidget):
    """The layer list, with the active layer's opacity below."""

    menu_wanted = pyqtSignal(QPoint)  # where on the screen the context menu of the active layer opens
    renamed = pyqtSignal()  # the name editor was closed

    def __init__(self, session: EditorSession) -> None:
        """Show a session's layers."""
        super().__init__()
        self._session = session
        self.model = LayerModel(session)
        self.view = QListView()
        self.view.setModel(self.model)
        delegate = LayerDelegate(self.view)
        # After the view has taken the focus back from the editor:
        delegate.closeEditor.connect(lambda *_: QTimer.singleShot(0, self.renamed.emit))
        self.view.setItemDelegate(delegate)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._ask_for_menu)
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.view.setMouseTracking(True)
        self.view.setAccessibleName(self.tr("Layers"))
        self.view.setMinimumHeight(110)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.blend_modes = ChoiceBox()
        self.blend_modes.setToolTip(self.tr("How the layer is mixed with the layers below"))
        self.blend_modes.setAccessibleName(self.tr("Blend mode"))
        for mode, text in blend_mode_names().items():
            self.blend_modes.addItem(text, mode)
        label = QLabel(self.tr("Blend mode"))
        label.setBuddy(self.blend_modes)
        label.setMinimumWidth(76)
        mixing = QHBoxLayout()
        mixing.setSpacing(8)
        mixing.addWidget(label)
        mixing.addWidget(self.blend_modes, 1)
        self.opacity = SliderRow(self.tr("Opacity"), self.tr("How opaque the layer is"), 0, 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.view, 1)
        column.addLayout(mixing)
        column.addWidget(self.opacity)
        chosen = self.view.selectionModel()
        if chosen:
            chosen.currentChanged.connect(self._choose)
            chosen.selectionChanged.connect(lambda *_: self._select())
        self.model.modelReset.connect(self.refresh)
        self.opacity.moved.connect(self._set_opacity)
        self.blend_modes.activated.connect(self._set_blend_mode)
        session.opened.connect(self.refresh)
        session.layers_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which layer is active, and its opacity."""
        layer = self._session.active
        self.opacity.setEnabled(layer is not None)
        self.opacity.set_value(layer.opacity if layer else 1.0)
        self.blend_modes.setEnabled(layer is not None)
        mode = layer.blend_mode if layer else BlendMode.NORMAL
        self.blend_modes.setCurrentIndex(list(BlendMode).index(mode))
        row = self.model.row_of(layer.id) if layer else -1
        chosen = self.view.selectionModel()
        if chosen and self.view.currentIndex().row() != row:
            with QSignalBlocker(chosen):
                chosen.setCurrentIndex(self.model.index(row), QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self._select()
            self.view.viewport().update()  # type: ignore[union-attr]

    def rename(self) -> None:
        """Edit the active layer's name."""
        layer = self._session.active
        if layer:
            self.view.edit(self.model.index(self.model.row_of(layer.id)))

    def shift(self, steps: int) -> None:
        """Move the active layer up (or, negative, down) in the stack."""
        layer = self._session.active
        if layer:
            index = self._session.document.index(layer.id) + steps
            self._session.do(commands.move_layer(layer.id, index))

    def _select(self) -> None:
        self._session.select_all_of([self.model.layer(index.row()).id for index in self.view.selectedIndexes()])

    def _ask_for_menu(self, place: QPoint) -> None:
        index = self.view.indexAt(place)
        viewport = self.view.viewport()
        if index.isValid() and viewport:
            if self.model.layer(index.row()) not in self._session.selected:
                self._choose(index)
            self.menu_wanted.emit(viewport.mapToGlobal(place))

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self._session.select(self.model.layer(index.row()).id)

    def _set_blend_mode(self, index: int) -> None:
        layer = self._session.active
        if layer:
            self._session.do(commands.set_blend_mode(layer.id, self.blend_modes.itemData(index)))

    def _set_opacity(self, value: float, drag: object) -> None:
        layer = self._session.active
        if layer:
            self._session.do(commands.set_opacity(layer.id, value, drag))
