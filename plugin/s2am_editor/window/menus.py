# SPDX-License-Identifier: GPL-3.0-or-later
"""The menus and the toolbar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PyQt6.QtCore import QCoreApplication, QObject, QSize, Qt
from PyQt6.QtGui import QAction, QActionGroup
from PyQt6.QtWidgets import QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from s2am_editor.window.actions import MENUS, TOOLBAR, Actions, translated
from s2am_editor.window.canvas import Canvas
from s2am_editor.window.icons import icon
from s2am_editor.window.theme import Appearance, theme_of_application
from s2am_editor.window.widgets.buttons import primary_button

if TYPE_CHECKING:
    from s2am_editor.window.main_window import MainWindow


def tr(text: str) -> str:
    """The text in the person's language."""
    return QCoreApplication.translate("menus", text)


class Menus(QObject):
    """The menu bar's menus, of which one lists the recent files."""

    def __init__(self, window: MainWindow, actions: Actions) -> None:
        """Fill a window's menu bar."""
        super().__init__(window)
        self._window = window
        self._recent = QMenu(tr("Open &recent"), window)
        bar = window.menuBar()
        for title, names in MENUS:
            menu = bar.addMenu(translated(title)) if bar else None
            if menu is None:
                continue
            for name in names:
                if not name:
                    menu.addSeparator()
                elif name == "recent":
                    menu.addMenu(self._recent)
                elif name == "appearance":
                    menu.addMenu(self._appearance())
                else:
                    menu.addAction(actions[name])
        self.list_recent()

    def list_recent(self) -> None:
        """List the files that were open last."""
        self._recent.clear()
        for path in self._window.settings.recent:
            action = self._recent.addAction(path.name)
            if action:
                action.setToolTip(str(path))
                action.triggered.connect(lambda _=False, path=path: self._window.files.open(path))
        self._recent.setEnabled(not self._recent.isEmpty())
        if not self._recent.isEmpty():
            self._recent.addSeparator()
            self._recent.addAction(tr("Clear list"), self._clear)

    def _clear(self) -> None:
        self._window.settings.clear_recent()
        self._window.files.recent_changed.emit()

    def _appearance(self) -> QMenu:
        menu = QMenu(tr("A&ppearance"), self._window)
        group = QActionGroup(menu)
        names = {
            Appearance.SYSTEM: tr("As the system"),
            Appearance.LIGHT: tr("Light"),
            Appearance.DARK: tr("Dark"),
        }
        for appearance, name in names.items():
            action = QAction(name, group)
            action.setCheckable(True)
            action.setChecked(appearance is self._window.settings.appearance)
            action.triggered.connect(lambda _=False, appearance=appearance: self._choose(appearance))
            menu.addAction(action)
        return menu

    def _choose(self, appearance: Appearance) -> None:
        self._window.settings.appearance = appearance
        theme = theme_of_application()
        if theme:
            theme.choose(appearance)


def build_menus(window: MainWindow, actions: Actions) -> Menus:
    """Fill a window's menu bar."""
    return Menus(window, actions)


def build_toolbar(window: MainWindow, actions: Actions, canvas: Canvas) -> QToolBar:
    """Make the bar above the picture: files, steps, zoom, compare, and Export at the right."""
    bar = QToolBar(tr("Toolbar"), window)
    bar.setObjectName("main")
    bar.setMovable(False)
    bar.setIconSize(QSize(20, 20))
    for name in TOOLBAR:
        if name:
            bar.addAction(actions[name])
        else:
            bar.addSeparator()
    bar.addWidget(_hold_button(canvas))
    room = QWidget()
    room.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
    bar.addWidget(room)
    export = primary_button(tr("Export"), actions["export"].trigger)
    export.setToolTip(actions["export"].toolTip())
    bar.addWidget(export)
    return bar


def _hold_button(canvas: Canvas) -> QToolButton:
    button = QToolButton()
    button.setIcon(icon("eye"))
    button.setToolTip(tr("Hold to see the picture before harmonizing (hold C)"))
    button.setAccessibleName(tr("Hold to see before"))
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    button.pressed.connect(lambda: canvas.hold_before(True))
    button.released.connect(lambda: canvas.hold_before(False))
    return button
