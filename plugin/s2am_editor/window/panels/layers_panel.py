# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of layers, and what can be done to the chosen one."""

from __future__ import annotations

from PyQt6.QtCore import QItemSelectionModel, QModelIndex, QSignalBlocker, Qt
from PyQt6.QtWidgets import QAbstractItemView, QListView, QVBoxLayout, QWidget

from s2am_editor.document import commands
from s2am_editor.window.panels.layer_delegate import LayerDelegate
from s2am_editor.window.panels.layer_model import LayerModel
from s2am_editor.window.session import Session
from s2am_editor.window.widgets.slider_row import SliderRow


class LayersPanel(QWidget):
    """Choose, rename, hide, reorder by dragging; opacity beneath."""

    def __init__(self, session: Session) -> None:
        """Show a session's layers."""
        super().__init__()
        self._session = session
        self.model = LayerModel(session)
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(LayerDelegate(self.view))
        self.view.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.view.setEditTriggers(
            QAbstractItemView.EditTrigger.DoubleClicked | QAbstractItemView.EditTrigger.EditKeyPressed
        )
        self.view.setMouseTracking(True)
        self.view.setAccessibleName(self.tr("Layers"))
        self.view.setMinimumHeight(110)
        self.view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.opacity = SliderRow(self.tr("Opacity"), self.tr("How much of the layer covers what is beneath"), 0, 1, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.view, 1)
        column.addWidget(self.opacity)
        chosen = self.view.selectionModel()
        if chosen:
            chosen.currentChanged.connect(self._choose)
        self.model.modelReset.connect(self.refresh)
        self.opacity.moved.connect(self._set_opacity)
        session.opened.connect(self.refresh)
        session.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show which layer is the active one."""
        layer = self._session.active
        self.opacity.setEnabled(layer is not None)
        self.opacity.set_value(layer.opacity if layer else 1.0)
        row = self.model.row_of(layer.id) if layer else -1
        chosen = self.view.selectionModel()
        if chosen and self.view.currentIndex().row() != row:
            with QSignalBlocker(chosen):
                chosen.setCurrentIndex(self.model.index(row), QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self.view.viewport().update()  # type: ignore[union-attr]

    def rename(self) -> None:
        """Let the active layer's name be edited."""
        layer = self._session.active
        if layer:
            self.view.edit(self.model.index(self.model.row_of(layer.id)))

    def shift(self, steps: int) -> None:
        """Move the active layer up (or, negative, down) in the stack."""
        layer = self._session.active
        if layer:
            index = self._session.document.index(layer.id) + steps
            self._session.do(commands.move_layer(layer.id, index))

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self._session.select(self.model.layer(index.row()).id)

    def _set_opacity(self, value: float, drag: object) -> None:
        layer = self._session.active
        if layer:
            self._session.do(commands.set_opacity(layer.id, value, drag))
