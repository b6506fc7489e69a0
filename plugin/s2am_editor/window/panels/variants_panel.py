# SPDX-License-Identifier: GPL-3.0-or-later
"""What several models and strengths make of a layer, side by side, to pick from."""

from __future__ import annotations

from PyQt6.QtCore import QSize, Qt, pyqtSignal
from PyQt6.QtGui import QImage, QKeyEvent, QMouseEvent, QPixmap
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from s2am_editor.window.widgets.buttons import heading, muted_label, small_button

HEIGHT = 120  # of a picture


class VariantCard(QFrame):
    """One picture that can be chosen."""

    chosen = pyqtSignal(object)  # the card

    def __init__(self, image: QImage, name: str, value: object) -> None:
        """Show a picture and its name; `value` is what is chosen with it."""
        super().__init__()
        self.value = value
        self.setObjectName("variant")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAccessibleName(name)
        self.setToolTip(self.tr("Use “{0}”").format(name))
        picture = QLabel()
        ratio = self.devicePixelRatioF()
        pixmap = QPixmap.fromImage(image).scaledToHeight(
            round(HEIGHT * ratio), Qt.TransformationMode.SmoothTransformation
        )
        pixmap.setDevicePixelRatio(ratio)
        picture.setPixmap(pixmap)
        label = muted_label(name)
        label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        column = QVBoxLayout(self)
        column.setContentsMargins(5, 5, 5, 3)
        column.setSpacing(3)
        column.addWidget(picture)
        column.addWidget(label)

    def set_chosen(self, on: bool) -> None:
        """Mark it as the one in use."""
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


class VariantsPanel(QWidget):
    """A strip beneath the picture; hidden until variants are asked for."""

    picked = pyqtSignal(object)  # the value of a variant
    closed = pyqtSignal()

    def __init__(self) -> None:
        """Start hidden and empty."""
        super().__init__()
        self.setObjectName("variants")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.cards: list[VariantCard] = []
        self._row = QHBoxLayout()
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(4)
        self._row.addStretch()
        inside = QWidget()
        inside.setLayout(self._row)
        inside.setObjectName("sidebar")
        scroll = QScrollArea()
        scroll.setObjectName("sidebarScroll")
        scroll.setWidget(inside)
        scroll.setWidgetResizable(True)
        scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setFixedHeight(HEIGHT + 52)
        top = QHBoxLayout()
        top.addWidget(heading(self.tr("Variants")))
        top.addWidget(muted_label(self.tr("Click one to use it; the sliders go on from there.")), 1)
        top.addWidget(small_button("close", self.tr("Close variants"), self.close_strip))
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 10, 6)
        column.setSpacing(4)
        column.addLayout(top)
        column.addWidget(scroll)
        self.hide()

    def begin(self) -> None:
        """Show the strip without variants."""
        for card in self.cards:
            card.deleteLater()
        self.cards = []
        self.show()

    def add(self, image: QImage, name: str, value: object) -> None:
        """Add a variant at the end."""
        card = VariantCard(image, name, value)
        card.chosen.connect(self._choose)
        self.cards.append(card)
        self._row.insertWidget(self._row.count() - 1, card)

    def close_strip(self) -> None:
        """Put the strip away."""
        self.hide()
        self.closed.emit()

    def sizeHint(self) -> QSize:
        """As high as a picture with its name."""
        return QSize(400, HEIGHT + 92)

    def _choose(self, chosen: VariantCard) -> None:
        for card in self.cards:
            card.set_chosen(card is chosen)
        self.picked.emit(chosen.value)
