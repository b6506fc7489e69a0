# SPDX-License-Identifier: GPL-3.0-or-later
"""Start page: three steps to a result, and recent files."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.menus import menu_text
from s2am_editor.window.theme import application_icon, icon
from s2am_editor.window.widgets.basic import heading, muted_label, primary_button, push_button

SHOWN_RECENT = 5


class StepCard(QFrame):
    """One step: number, icon and text."""

    clicked = pyqtSignal()

    def __init__(self, number: int, icon_name: str, name: str, text: str) -> None:
        """Describe a step."""
        super().__init__()
        self.setObjectName("card")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setFixedSize(224, 132)
        self._icon_name = icon_name
        self._icon = QLabel()
        badge = muted_label(str(number))
        top = QHBoxLayout()
        top.addWidget(self._icon)
        top.addStretch()
        top.addWidget(badge, 0, Qt.AlignmentFlag.AlignTop)
        column = QVBoxLayout(self)
        column.setContentsMargins(16, 14, 16, 14)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(heading(name))
        column.addWidget(muted_label(text))
        column.addStretch()
        self.redraw()

    def redraw(self) -> None:
        """Draw the icon in the current colors."""
        self._icon.setPixmap(icon(self._icon_name).pixmap(QSize(32, 32), self.devicePixelRatioF()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Start the step."""
        if event and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()


class Welcome(QWidget):
    """The page shown while no document is open."""

    open_background = pyqtSignal()
    open_recent = pyqtSignal(object)  # a path
    try_sample = pyqtSignal()

    def __init__(self, settings: EditorSettings) -> None:
        """List the recent files of these settings."""
        super().__init__()
        self._settings = settings
        logo = QLabel()
        logo.setPixmap(application_icon().pixmap(QSize(56, 56), self.devicePixelRatioF()))
        steps = (
            ("image", self.tr("Open a background"), self.tr("Any photograph. Drop it here, or click Open.")),
            (
                "cutout",
                self.tr("Drop a cutout on it"),
                self.tr("An image with transparency, or cut the subject out here."),
            ),
            ("harmonize", self.tr("Harmonize"), self.tr("One click matches the colors. Then fine-tune and export.")),
        )
        self.cards = [StepCard(number, *step) for number, step in enumerate(steps, 1)]
        cards = QHBoxLayout()
        cards.setSpacing(14)
        cards.addStretch()
        for card in self.cards:
            cards.addWidget(card)
        cards.addStretch()
        self.cards[0].setCursor(Qt.CursorShape.PointingHandCursor)
        self.cards[0].clicked.connect(self.open_background)
        self.open_button = primary_button(self.tr("Open a background…"), self.open_background.emit)
        self.sample_button = push_button(self.tr("Try a sample"), self.try_sample.emit)
        buttons = QHBoxLayout()
        buttons.addStretch()
        for button in (self.open_button, self.sample_button):
            button.setMinimumHeight(34)
            buttons.addWidget(button)
        buttons.addStretch()
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addStretch(3)
        column.addWidget(logo, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(heading(self.tr("Make it match"), "title"), 0, Qt.AlignmentFlag.AlignHCenter)
        about = muted_label(self.tr("Put a subject into a photograph; its colors adapt to the background."))
        about.setWordWrap(False)
        column.addWidget(about, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(14)
        column.addLayout(cards)
        column.addSpacing(10)
        column.addLayout(buttons)
        column.addSpacing(10)
        column.addLayout(self._recent)
        column.addStretch(4)
        self.refresh()

    def refresh(self) -> None:
        """List the recent files, and draw the icons in the current colors."""
        while (item := self._recent.takeAt(0)) is not None:
            widget = item.widget()
            if widget:
                widget.deleteLater()
        files = self._settings.recent[:SHOWN_RECENT]
        if files:
            title = muted_label(self.tr("Recent"))
            title.setWordWrap(False)  # it would be as wide as the page
            self._recent.addWidget(title, 0, Qt.AlignmentFlag.AlignHCenter)
        for path in files:
            self._recent.addWidget(self._link(path), 0, Qt.AlignmentFlag.AlignHCenter)
        for card in self.cards:
            card.redraw()

    def _link(self, path: Path) -> QPushButton:
        button = push_button(menu_text(path), lambda: self.open_recent.emit(path))
        button.setProperty("flat", True)
        button.setToolTip(str(path))
        return button
