# SPDX-License-Identifier: GPL-3.0-or-later
"""The menu bar, the context menus and the toolbar, made from the table in `action_table`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from PyQt6.QtCore import QObject, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QMainWindow, QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from s2am_editor.window.action_table import MENUS, TOOLBAR, translated_action
from s2am_editor.window.actions import Actions
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.theme import Appearance, icon, theme_of_application
from s2am_editor.window.tools.move_tool import layers_at
from s2am_editor.window.widgets.basic import primary_button

MAX_NAME = 40
"""Letters of a file's or folder's name in a menu."""


class Menus(QObject):
    """The menus of the menu bar; one of them lists the recent files."""

    open_recent = pyqtSignal(object)  # a path
    recent_cleared = pyqtSignal()

    def __init__(self, window: QMainWindow, actions: Actions, settings: EditorSettings) -> None:
        """Fill a window's menu bar."""
        super().__init__(window)
        self._window, self._settings = window, settings
        self._recent = QMenu(self.tr("Open &recent"), window)
        self._recent.setToolTipsVisible(True)
        bar = window.menuBar()
        for title, names in MENUS:
            menu = bar.addMenu(translated_action(title)) if bar else None
            if menu:
                self._fill(menu, names, actions)
        self.list_recent()

    def _fill(self, menu: QMenu, names: Iterable[str], actions: Actions) -> None:
        for name in names:
            if not name:
                menu.addSeparator()
            elif name == "recent":
                menu.addMenu(self._recent)
            elif name == "appearance":
                menu.addMenu(self._appearance())
            else:
                menu.addAction(actions[name])

    def list_recent(self) -> None:
        """List the files that were opened or saved last."""
        self._recent.clear()
        for path in self._settings.recent:
            action = self._recent.addAction(menu_text(path))
            if action:
                action.setToolTip(str(path))
                action.triggered.connect(lambda _=False, path=path: self.open_recent.emit(path))
        self._recent.setEnabled(not self._recent.isEmpty())
        if not self._recent.isEmpty():
            self._recent.addSeparator()
            self._recent.addAction(self.tr("Clear list"), self._clear_recent)

    def _clear_recent(self) -> None:
        self._settings.clear_recent()
        self.recent_cleared.emit()

    def _appearance(self) -> QMenu:
        menu = QMenu(self.tr("A&ppearance"), self._window)
        group = QActionGroup(menu)
        names = {
            Appearance.SYSTEM: self.tr("Follow system"),
            Appearance.LIGHT: self.tr("Light theme"),
            Appearance.DARK: self.tr("Dark theme"),
        }
        for appearance, name in names.items():
            action = QAction(name, group)
            action.setCheckable(True)
            action.setChecked(appearance is self._settings.appearance)
            action.triggered.connect(lambda _=False, appearance=appearance: self._choose_appearance(appearance))
            menu.addAction(action)
        return menu

    def _choose_appearance(self, appearance: Appearance) -> None:
        self._settings.appearance = appearance
        theme = theme_of_application()
        if theme:
            theme.choose(appearance)


def layer_menu(actions: Actions, parent: QWidget) -> QMenu:
    """Create the context menu of a layer: what the menu bar offers for it."""
    menu = QMenu(parent)
    menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    names = next(names for title, names in MENUS if "delete" in names)
    for name in ("harmonize", "variants", "", *names):
        if name:
            menu.addAction(actions[name])
        else:
            menu.addSeparator()
    return menu


def canvas_menu(actions: Actions, session: EditorSession, place: tuple[float, float], parent: QWidget) -> QMenu:
    """Create the context menu of a point of the image: the layers there, and what can be done with the active one.

    `place`: x and y, in pixels of the image.
    """
    menu = layer_menu(actions, parent)
    first = menu.actions()[0]
    under = layers_at(session, place)
    select = QMenu(parent.tr("&Select layer"), menu)
    for layer in under:
        action = select.addAction(layer.name.replace("&", "&&"))
        if action:
            action.setCheckable(True)
            action.setChecked(layer is session.active)
            action.triggered.connect(lambda _=False, layer=layer: session.select(layer.id))
    if under:
        menu.insertMenu(first, select)
    for name in ("paste", "fit"):
        menu.insertAction(first, actions[name])
    menu.insertSeparator(first)
    return menu


def build_toolbar(window: QMainWindow, actions: Actions, hold_before: Callable[[bool], object]) -> QToolBar:
    """Create the toolbar above the canvas; `hold_before(True)` shows the image before harmonizing."""
    bar = QToolBar(window.tr("Toolbar"), window)
    bar.setObjectName("main")
    bar.setMovable(False)
    bar.setIconSize(QSize(20, 20))
    for name in TOOLBAR:
        if name:
            bar.addAction(actions[name])
        else:
            bar.addSeparator()
    hold = QToolButton()
    hold.setIcon(icon("eye"))
    hold.setToolTip(window.tr("Hold to see the image before harmonizing (or hold C)"))
    hold.setAccessibleName(window.tr("Hold to see the image before harmonizing"))
    hold.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    hold.pressed.connect(lambda: hold_before(True))
    hold.released.connect(lambda: hold_before(False))
    bar.addWidget(hold)
    spacer = QWidget()
    spacer.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    bar.addWidget(spacer)
    export = primary_button(window.tr("Export"), actions["export"].trigger)
    export.setToolTip(actions["export"].toolTip())
    bar.addWidget(export)
    return bar


def menu_text(path: Path) -> str:
    """Return a file's name and folder as the text of a menu entry or button, in which & marks a key."""
    name, folder = _shortened(path.name), _shortened(path.parent.name or str(path.parent))
    return f"{name}  –  {folder}".replace("&", "&&")


def _shortened(name: str) -> str:
    """Return a name without its middle if it is long; its end has the number of a photograph, and the suffix."""
    half = MAX_NAME // 2
    return name if len(name) <= MAX_NAME else f"{name[:half].rstrip()}…{name[-half:].lstrip()}"
