# SPDX-License-Identifier: GPL-3.0-or-later
"""A strip of variants to choose from, below the canvas."""

from __future__ import annotations

from PyQt6.QtCore import QEvent, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QEnterEvent, QImage, QKeyEvent, QMouseEvent, QPixmap
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from s2am_editor.document.model import Harmonization
from s2am_editor.window.canvas.canvas import MIN_CANVAS_SIZE
from s2am_editor.window.panels.harmonize_panel import Variant
from s2am_editor.window.widgets.basic import heading, muted_label, push_button, small_button
from s2am_editor.window.widgets.layouts import for_font

MIN_PREVIEW_HEIGHT, PREVIEW_HEIGHT = 80, 190  # pixels of a preview in a low window, and in a high one
OTHERS_HEIGHT = 284  # pixels of a window around canvas and previews: bars, and the texts of the strip


class VariantCard(QFrame):
    """A preview that can be chosen."""

    chosen = pyqtSignal(object)  # the card
    hovered = pyqtSignal(object)  # the card, or None when the pointer leaves it

    def __init__(self, image: QImage, name: str, about: str, value: Variant, height: int) -> None:
        """Show a preview of a height and its name; `about`: how it was made; `value`: the variant."""
        super().__init__()
        self.value = value
        self._image, self._preview = image, QLabel()
        self.setObjectName("variant")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(name)
        self.setToolTip(about)
        label = muted_label(name)
        label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(5, 5, 5, 3)
        column.setSpacing(3)
        column.addWidget(self._preview, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(label)
        self.set_height(height)

    def set_height(self, height: int) -> None:
        """Show the preview in another height, in pixels."""
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap.fromImage(self._image)
        pixmap = pixmap.scaledToHeight(round(height * ratio), Qt.TransformationMode.SmoothTransformation)
        pixmap.setDevicePixelRatio(ratio)
        self._preview.setPixmap(pixmap)

    def set_chosen(self, on: bool) -> None:
        """Mark it as the current one."""
        self.setProperty("chosen", on)
        style = self.style()
        if style:
            style.unpolish(self)
            style.polish(self)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Choose it."""
        self.chosen.emit(self)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Choose it with Return or Space."""
        if event and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit(self)
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent | None) -> None:
        """Show it on the canvas."""
        self.hovered.emit(self)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent | None) -> None:
        """Show the document again."""
        self.hovered.emit(None)
        super().leaveEvent(event)


class VariantsPanel(QWidget):
    """A strip of previews below the canvas; hidden at first."""

    picked = pyqtSignal(object)  # a Variant
    hovered = pyqtSignal(object)  # a Variant to show on the canvas, or None
    more_wanted = pyqtSignal()

    def __init__(self) -> None:
        """Start hidden and empty."""
        super().__init__()
        self.setObjectName("variants")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.cards: list[VariantCard] = []
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(8)
        self._row.addStretch()
        inside = QWidget()
        inside.setLayout(self._row)
        inside.setObjectName("sidebar")
        self._height = PREVIEW_HEIGHT
        self._scroll = scroll = QScrollArea()
        scroll.setObjectName("sidebarScroll")
        scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.more_button = push_button(self.tr("More"), self.more_wanted.emit)
        self.more_button.setToolTip(self.tr("Try all other models, too"))
        top = QHBoxLayout()
        top.addWidget(heading(self.tr("Variants")))
        about = self.tr("Point at one to see it in the image, click to use it; the sliders stay available.")
        top.addWidget(muted_label(about), 1)
        top.addWidget(self.more_button)
        top.addWidget(small_button("close", self.tr("Close variants"), self.close_panel))
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 10, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(scroll)
        self.hide()
        self._apply_height()

    def fit(self, window_height: int) -> None:
        """Show previews that leave room for the canvas in a window of a height."""
        room = window_height - for_font(OTHERS_HEIGHT) - MIN_CANVAS_SIZE.height()
        self._height = min(max(room, MIN_PREVIEW_HEIGHT), PREVIEW_HEIGHT)
        self._apply_height()

    def _apply_height(self) -> None:
        self._scroll.setFixedHeight(self._height + for_font(52))
        for card in self.cards:
            card.set_height(self._height)

    def begin(self) -> None:
        """Clear and show the strip."""
        for card in self.cards:
            card.deleteLater()
        self.cards = []
        self.show()

    @property
    def models(self) -> set[str]:
        """The models of the variants shown."""
        return {card.value.harmonization.model for card in self.cards}

    def add(self, image: QImage, name: str, about: str, variant: Variant) -> None:
        """Append a variant."""
        card = VariantCard(image, name, about, variant, self._height)
        card.chosen.connect(lambda card: self.picked.emit(card.value))
        card.hovered.connect(lambda card: self.hovered.emit(card.value if card else None))
        self.cards.append(card)
        self._row.insertWidget(self._row.count() - 1, card)

    def mark(self, harmonization: Harmonization | None) -> None:
        """Mark the variant that the document contains, if it is one of these."""
        for card in self.cards:
            card.set_chosen(card.value.harmonization is harmonization)

    def close_panel(self) -> None:
        """Hide the strip."""
        self.hovered.emit(None)
        self.hide()

    def sizeHint(self) -> QSize:
        """The height of a preview with its name."""
        return QSize(400, self._height + for_font(92))
