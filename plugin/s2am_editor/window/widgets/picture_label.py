# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture that is as large as its place allows."""

from __future__ import annotations

from PyQt6.QtCore import QPoint, QRect, QSize, Qt
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PyQt6.QtWidgets import QWidget

from s2am_editor.window.theme import current_colors


class PictureLabel(QWidget):
    """Shows an image, or a sentence where there is none yet."""

    def __init__(self, text: str = "") -> None:
        """Start with a sentence."""
        super().__init__()
        self._text = text
        self.image = QImage()
        self.setMinimumSize(200, 120)

    def sizeHint(self) -> QSize:
        """Large enough to see something."""
        return QSize(560, 220)

    def show_image(self, image: QImage) -> None:
        """Show another image."""
        self.image = image
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw it in the middle."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QColor(colors.border))
        painter.setBrush(QColor(colors.base))
        painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 8, 8)
        if self.image.isNull():
            painter.setPen(QColor(colors.muted))
            painter.drawText(
                self.rect().adjusted(20, 20, -20, -20),
                Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap,
                self._text,
            )
            return
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        room = self.size() - QSize(16, 16)
        place = QRect(QPoint(0, 0), self.image.size().scaled(room, Qt.AspectRatioMode.KeepAspectRatio))
        place.moveCenter(self.rect().center())
        painter.drawImage(place, self.image)
