# SPDX-License-Identifier: GPL-3.0-or-later
"""Start page: three steps to a result, and recent files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.menus import menu_text
from s2am_editor.window.theme import application_icon, icon
from s2am_editor.window.widgets.basic import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.layouts import for_font

SHOWN_RECENT = 5
CARD_SIZE = QSize(224, 132)  # pixels, for the usual font


class StepCard(QFrame):
    """One step: number, icon and text."""

    clicked = pyqtSignal()

    def __init__(self, number: int, icon_name: str, name: str, text: str) -> None:
        """Describe a step."""
        super().__init__()
        self.setObjectName("card")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Minimum)
        self.setMinimumWidth(CARD_SIZE.width() // 2)
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

    def sizeHint(self) -> QSize:
        """The same for all steps."""
        return QSize(*map(for_font, (CARD_SIZE.width(), CARD_SIZE.height())))

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
        about = muted_label(self.tr("Put a subject into a photograph; its colors adapt to the background."))
        about.setWordWrap(False)
        self.cards = self._make_cards()
        self.open_button = primary_button(self.tr("Open a background…"), self.open_background.emit)
        self.sample_button = push_button(self.tr("Try a sample"), self.try_sample.emit)
        for button in (self.open_button, self.sample_button):
            button.setMinimumHeight(34)
        self._recent = QVBoxLayout()
        self._recent.setSpacing(2)
        column = QVBoxLayout(self)
        column.setSpacing(10)
        column.addStretch(3)
        for widget in (logo, heading(self.tr("Make it match"), "title"), about):
            column.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(14)
        column.addLayout(_centered(self.cards, 14))
        column.addSpacing(10)
        column.addLayout(_centered((self.open_button, self.sample_button)))
        column.addSpacing(10)
        column.addLayout(self._recent)
        column.addStretch(4)
        self.refresh()

    def _make_cards(self) -> list[StepCard]:
        """Create the cards of the three steps; a click on the first one opens a background."""
        steps = (
            ("image", self.tr("Open a background"), self.tr("Any photograph. Drop it here, or click Open.")),
            (
                "cutout",
                self.tr("Drop a cutout on it"),
                self.tr("An image with transparency, or cut the subject out here."),
            ),
            ("harmonize", self.tr("Harmonize"), self.tr("One click matches the colors. Then fine-tune and export.")),
        )
        cards = [StepCard(number, *step) for number, step in enumerate(steps, 1)]
        cards[0].setCursor(Qt.CursorShape.PointingHandCursor)
        cards[0].clicked.connect(self.open_background)
        return cards

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


def _centered(widgets: Sequence[QWidget], spacing: int | None = None) -> QHBoxLayout:
    """Return a row of widgets in the middle of its width."""
    row = QHBoxLayout()
    if spacing is not None:
        row.setSpacing(spacing)
    row.addStretch()
    for widget in widgets:
        row.addWidget(widget)
    row.addStretch()
    return row
