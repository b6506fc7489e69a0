# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons, labels, collapsible section, path chooser, image display and line plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PyQt6.QtCore import QCoreApplication, QPoint, QPointF, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPolygonF, QResizeEvent, QWheelEvent
from PyQt6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from s2am_editor.window.theme import current_colors, icon

_SHORTEST_HINT, _SHORTEST_HEADING = 16, 4  # characters
MAX_SHEET_SCALE = 2  # factor by which a small image is enlarged at most
_RIGHT, _TOP, _BOTTOM = 10.0, 24.0, 8.0  # margins around the plot; the left one depends on its labels
_LABEL_GAP = 6.0  # to both sides of a label of the axis


def small_button(icon_name: str, tip: str, clicked: Callable[[], object], *, checkable: bool = False) -> QToolButton:
    """Create a button with an icon only; the tool tip is its accessible name, too."""
    button = QToolButton()
    button.setIcon(icon(icon_name))
    button.setIconSize(QSize(18, 18))
    button.setToolTip(tip)
    button.setAccessibleName(tip)
    button.setCheckable(checkable)
    button.clicked.connect(lambda: clicked())
    return button


def primary_button(text: str, clicked: Callable[[], object]) -> QPushButton:
    """Create the default button of a view."""
    button = push_button(text, clicked)
    button.setProperty("primary", True)
    return button


def push_button(text: str, clicked: Callable[[], object], icon_name: str | None = None) -> QPushButton:
    """Create an ordinary button."""
    button = QPushButton(text)
    if icon_name:
        button.setIcon(icon(icon_name))
    button.clicked.connect(lambda: clicked())
    return button


if TYPE_CHECKING:
    _InputWidget = QWidget
else:
    _InputWidget = object  # a class cannot have two bases of Qt


class FocusedWheel(_InputWidget):
    """Mixin for input widgets: the wheel changes the value only while the widget has the focus.

    Otherwise the panel behind scrolls; scrolling over the widget does not focus it.
    """

    def __init__(self, *arguments: Any) -> None:
        """Pass the arguments to the widget."""
        super().__init__(*arguments)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the event to the panel, unless the widget has the focus."""
        if event and not self.hasFocus():
            event.ignore()
        else:
            super().wheelEvent(event)


class ChoiceBox(FocusedWheel, QComboBox):
    """A combo box."""


class WholeNumberBox(FocusedWheel, QSpinBox):
    """A field for a whole number."""


class NumberBox(FocusedWheel, QDoubleSpinBox):
    """A field for a number."""


def plain_progress_bar() -> QProgressBar:
    """Create a bar without a text in it."""
    bar = QProgressBar()
    bar.setTextVisible(False)
    bar.setAccessibleName(QCoreApplication.translate("widgets", "Progress"))
    return bar


def muted_label(text: str = "") -> QLabel:
    """Create a label in a muted color."""
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    return label


def heading(text: str, role: str = "heading") -> QLabel:
    """Create a heading; the role `title` is larger than `heading`."""
    label = QLabel(text)
    label.setProperty("role", role)
    return label


def rule() -> QFrame:
    """Create a horizontal separator."""
    line = QFrame()
    line.setObjectName("rule")
    return line


class Section(QWidget):
    """A heading with small buttons, above content that it shows or hides."""

    toggled = pyqtSignal(bool)

    def __init__(self, name: str, content: QWidget, *buttons: QWidget) -> None:
        """Put content below a heading."""
        super().__init__()
        self._content = content
        self.heading = QToolButton()
        self.heading.setText(name)
        self.heading.setCheckable(True)
        self.heading.setIconSize(QSize(14, 14))
        self.heading.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.heading.setStyleSheet(
            "QToolButton, QToolButton:checked { background: transparent; font-weight: 600; padding: 2px 0; }"
        )
        self.heading.setToolTip(self.tr("Show or hide this section"))
        self.heading.toggled.connect(self._toggle)
        row = QHBoxLayout()
        row.setSpacing(2)
        row.addWidget(self.heading)
        row.addStretch()
        for button in buttons:
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(14, 8, 14, 10)
        column.setSpacing(6)
        column.addLayout(row)
        column.addWidget(content)
        self.heading.setChecked(True)

    @property
    def is_open(self) -> bool:
        """True if the content is shown."""
        return self.heading.isChecked()

    def set_open(self, on: bool) -> None:
        """Show or hide the content."""
        self.heading.setChecked(on)

    def _toggle(self, on: bool) -> None:
        self.heading.setIcon(icon("chevron-down" if on else "chevron-right"))
        self._content.setVisible(on)
        self.toggled.emit(on)


class ElidedHint(QLabel):
    """A muted line, shortened to the room there is, and not shown where that is only a few letters; see its tooltip."""

    def __init__(self, text: str, shortest: int = _SHORTEST_HINT) -> None:
        """Show a text, or at least so many letters of it."""
        super().__init__()
        self._shortest = shortest
        self.setProperty("role", "muted")
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.show_text(text)

    def show_text(self, text: str) -> None:
        """Show another text."""
        self._whole = text
        self.setToolTip(text)
        self.setAccessibleName(text)
        self.updateGeometry()
        self._shorten()

    def sizeHint(self) -> QSize:
        """Wide enough for the whole text."""
        self.ensurePolished()
        # Text as wide as its label would be shortened: widths are rounded.
        return QSize(self.fontMetrics().horizontalAdvance(self._whole) + 2, super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """No width at all."""
        return QSize(0, super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Show as much of the text as fits."""
        super().resizeEvent(event)
        self._shorten()

    def _shorten(self) -> None:
        fits = self.fontMetrics().elidedText(self._whole, Qt.TextElideMode.ElideRight, self.width())
        self.setText(fits if len(fits) >= min(self._shortest, len(self._whole)) else "")


class ElidedHeading(ElidedHint):
    """A heading that is shortened where there is no room for all of it."""

    def __init__(self, text: str) -> None:
        """Show a text."""
        super().__init__(text, _SHORTEST_HEADING)
        self.setProperty("role", "heading")
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)


class PathRow(QWidget):
    """A button to choose a file or folder, with its path next to it."""

    changed = pyqtSignal()

    def __init__(self, choose: Callable[[], Path | None]) -> None:
        """Choose with a function that returns None if the user cancels."""
        super().__init__()
        self._choose = choose
        self.path: Path | None = None
        self._label = QLabel(self.tr("Not chosen yet"))
        self._label.setTextFormat(Qt.TextFormat.PlainText)
        self._label.setProperty("role", "muted")
        self._label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._button = push_button(self.tr("Choose…"), self._ask)
        row.addWidget(self._button)
        row.addWidget(self._label, 1)

    def set_path(self, path: Path) -> None:
        """Choose a path, as if the user had, and show it."""
        self.path = path
        self._label.setText(str(path))
        self._label.setToolTip(str(path))
        self._button.setAccessibleDescription(str(path))
        self.changed.emit()

    def _ask(self) -> None:
        path = self._choose()
        if path is not None:
            self.set_path(path)


class ImageLabel(QWidget):
    """Shows an image scaled to fit, or a text while there is none."""

    def __init__(self, text: str = "") -> None:
        """Start with a text."""
        super().__init__()
        self._text = text
        self.image = QImage()
        self.setMinimumSize(200, 120)

    def sizeHint(self) -> QSize:
        """A useful size."""
        return QSize(560, 220)

    def show_image(self, image: QImage) -> None:
        """Show another image."""
        self.image = image
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint the image, centered."""
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
        available = self.size() - QSize(16, 16)
        place = QRect(QPoint(0, 0), self.image.size().scaled(available, Qt.AspectRatioMode.KeepAspectRatio))
        place.moveCenter(self.rect().center())
        painter.drawImage(place, self.image)


class SheetView(QScrollArea):
    """Shows an image of many rows as wide as possible, and scrolls to the rows below."""

    def __init__(self, text: str = "") -> None:
        """Start with a text."""
        super().__init__()
        self._label = ImageLabel(text)
        self.setWidget(self._label)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(160)

    @property
    def image(self) -> QImage:
        """The image shown; null if there is none."""
        return self._label.image

    def show_image(self, image: QImage) -> None:
        """Show another image."""
        self._label.show_image(image)
        self._give_height()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Keep the image as wide as the view."""
        super().resizeEvent(event)
        self._give_height()

    def _give_height(self) -> None:
        viewport = self.viewport()
        if viewport and not self.image.isNull():
            width = min(viewport.width(), MAX_SHEET_SCALE * self.image.width())
            self._label.setMinimumHeight(round(self.image.height() * width / self.image.width()))
        else:
            self._label.setMinimumHeight(0)


class Plot(QWidget):
    """A line plot of values over steps."""

    def __init__(self, title: str, form: str = "{0:.3g}", *, zero: bool = False) -> None:
        """Create an empty plot.

        Args:
            title: the plotted quantity.
            form: format of a value.
            zero: always include 0 in the range.
        """
        super().__init__()
        self._title, self._form, self._zero = title, form, zero
        self.points: list[tuple[float, float]] = []
        self.setMinimumSize(200, 130)
        self.setAccessibleName(title)

    def sizeHint(self) -> QSize:
        """Wider than high."""
        return QSize(280, 150)

    def clear(self) -> None:
        """Remove all points."""
        self.points = []
        self.update()

    def add(self, step: float, value: float) -> None:
        """Append a point."""
        self.points.append((step, value))
        self.setAccessibleDescription(self._form.format(value))
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Paint title, axis and line."""
        colors = current_colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(colors.border), 1))
        painter.setBrush(QColor(colors.base))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        painter.setPen(QColor(colors.muted))
        painter.drawText(QPointF(10, 17), self._title)
        if not self.points:
            return
        last = self._form.format(self.points[-1][1])
        painter.setPen(QColor(colors.text))
        width = painter.fontMetrics().horizontalAdvance(last)
        painter.drawText(QPointF(self.width() - width - 10, 17), last)
        self._draw(painter)

    def _draw(self, painter: QPainter) -> None:
        colors = current_colors()
        values = [value for _, value in self.points]
        low, high = min(values), max(values)
        if self._zero:
            low, high = min(low, 0.0), max(high, 0.0)
        span = high - low or 1.0
        first, end = self.points[0][0], max(self.points[-1][0], self.points[0][0] + 1)
        small = painter.font()
        small.setPointSizeF(max(6.0, small.pointSizeF() * 0.85))
        painter.setFont(small)
        labels = {value: self._form.format(value) for value in (low, high, *([0.0] if self._zero else []))}
        widest = max(painter.fontMetrics().horizontalAdvance(label) for label in labels.values())
        left = widest + 2 * _LABEL_GAP
        area = QRectF(left, _TOP + 6, self.width() - left - _RIGHT, self.height() - _TOP - _BOTTOM - 14)

        def place(step: float, value: float) -> QPointF:
            x = area.left() + (step - first) / (end - first) * area.width()
            return QPointF(x, area.bottom() - (value - low) / span * area.height())

        for value, label in labels.items():
            y = place(first, value).y()
            painter.setPen(QPen(QColor(colors.border), 1))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(colors.muted))
            box = QRectF(_LABEL_GAP, y - 8, widest, 16)
            painter.drawText(box, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, label)
        line = QPolygonF([place(*point) for point in self.points])
        painter.setPen(QPen(QColor(colors.accent), 2, join=Qt.PenJoinStyle.RoundJoin))
        if len(self.points) > 1:
            painter.drawPolyline(line)
        painter.setBrush(QColor(colors.accent))
        painter.drawEllipse(line[len(self.points) - 1], 2.5, 2.5)
