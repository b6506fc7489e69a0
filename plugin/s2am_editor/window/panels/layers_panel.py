# SPDX-License-Identifier: GPL-3.0-or-later
"""The layer list, with opacity and blend mode of the active layer or group."""

from __future__ import annotations

from functools import partial

from PyQt6.QtCore import (
    QCoreApplication,
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSignalBlocker,
    Qt,
    QTimer,
    pyqtSignal,
)
from PyQt6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from s2am_common.sliders import SliderSpec
from s2am_editor.document import commands
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.layer_tree import set_pass_through
from s2am_editor.document.model import Group
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.panels.layer_list import LayerDelegate, LayerModel, LayerView
from s2am_editor.window.widgets.basic import ChoiceBox
from s2am_editor.window.widgets.layouts import align_labels
from s2am_editor.window.widgets.sliders import SliderRow

PASS_THROUGH = "pass through"  # of groups: their layers are mixed with the layers below one by one


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
    """The layer list, with opacity and blend mode of the active layer or group below."""

    menu_wanted = pyqtSignal(QPoint)  # where on the screen the context menu of the active layer opens
    renamed = pyqtSignal()  # the name editor was closed

    def __init__(self, session: EditorSession) -> None:
        """Show a session's layers."""
        super().__init__()
        self._session = session
        self.model = LayerModel(session)
        self.view = LayerView(self.model)
        delegate = LayerDelegate(self.view)
        # After the view has taken the focus back from the editor:
        delegate.closeEditor.connect(lambda *_: QTimer.singleShot(0, self.renamed.emit))
        delegate.collapse_toggled.connect(self.model.toggle_collapsed)
        self.view.setItemDelegate(delegate)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._ask_for_menu)
        self.view.setAccessibleName(self.tr("Layers"))
        self.blend_modes = self._make_blend_modes()
        label = QLabel(self.tr("Blend mode"))
        label.setBuddy(self.blend_modes)
        mixing = QHBoxLayout()
        mixing.setSpacing(8)
        mixing.addWidget(label)
        mixing.addWidget(self.blend_modes, 1)
        opacity = SliderSpec("opacity", 0, 1, 1, self.tr("Opacity"), self.tr("How opaque the layer is"))
        self.opacity = SliderRow(opacity)
        align_labels([label, self.opacity.label])
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

    def _make_blend_modes(self) -> ChoiceBox:
        modes = ChoiceBox()
        modes.setToolTip(self.tr("How the layer is mixed with the layers below"))
        modes.setAccessibleName(self.tr("Blend mode"))
        for mode, text in blend_mode_names().items():
            modes.addItem(text, mode)
        return modes

    def refresh(self) -> None:
        """Show the active layer or group, its opacity and its blend mode."""
        item = self._session.active_item
        self.opacity.setEnabled(item is not None)
        self.opacity.set_value(item.opacity if item else 1.0)
        self.blend_modes.setEnabled(item is not None)
        is_group = isinstance(item, Group)
        if is_group != (self.blend_modes.findData(PASS_THROUGH) >= 0):
            if is_group:
                self.blend_modes.insertItem(0, self.tr("Pass through"), PASS_THROUGH)
            else:
                self.blend_modes.removeItem(0)
        shown = PASS_THROUGH if isinstance(item, Group) and not item.isolated else None
        mode = item.blend_mode if item else BlendMode.NORMAL
        self.blend_modes.setCurrentIndex(self.blend_modes.findData(shown or mode))
        row = self.model.row_of(item.id) if item else -1
        chosen = self.view.selectionModel()
        if chosen and self.view.currentIndex().row() != row:
            with QSignalBlocker(chosen):
                chosen.setCurrentIndex(self.model.index(row), QItemSelectionModel.SelectionFlag.ClearAndSelect)
            self._select()
            self.view.repaint_rows()

    def rename(self) -> None:
        """Edit the name of the active layer or group."""
        item = self._session.active_item
        if item:
            self.view.edit(self.model.index(self.model.row_of(item.id)))

    def _select(self) -> None:
        self._session.select_all_of([self.model.item(index.row()).id for index in self.view.selectedIndexes()])

    def _ask_for_menu(self, place: QPoint) -> None:
        index = self.view.indexAt(place)
        viewport = self.view.viewport()
        if index.isValid() and viewport:
            if self.model.item(index.row()) not in self._session.selected_items:
                self._choose(index)
            self.menu_wanted.emit(viewport.mapToGlobal(place))

    def _choose(self, index: QModelIndex) -> None:
        if index.isValid():
            self._session.select(self.model.item(index.row()).id)

    def _set_blend_mode(self, index: int) -> None:
        item, mode = self._session.active_item, self.blend_modes.itemData(index)
        if item:
            passes = mode == PASS_THROUGH
            self._session.do(set_pass_through(item.id) if passes else commands.set_blend_mode(item.id, mode))

    def _set_opacity(self, value: float, drag: object) -> None:
        item = self._session.active_item
        if item:
            self._session.do(commands.set_opacity(item.id, value, drag))
