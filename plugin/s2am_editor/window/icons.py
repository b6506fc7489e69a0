# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's icons: lines on a grid of 24, drawn in the color that the text beside them has."""

from __future__ import annotations

from PyQt6.QtCore import QByteArray, QPoint, QRect, QRectF, QSize, Qt
from PyQt6.QtGui import QColor, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PyQt6.QtSvg import QSvgRenderer
from PyQt6.QtWidgets import QApplication

_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="{color}" '
    'stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round">{drawing}</svg>'
)


def _paths(*lines: str) -> str:
    return "".join(f'<path d="{line}"/>' for line in lines)


def _filled(line: str) -> str:
    return f'<path d="{line}" fill="{{color}}" stroke="none"/>'


_DRAWINGS = {
    "open": _paths(
        "M3 7.5A1.5 1.5 0 0 1 4.5 6H9l2 2.5h8.5A1.5 1.5 0 0 1 21 10v8a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.5 0 0 1 3 18z"
    ),
    "add-layer": _paths("M12 4 3.5 8.5 12 13l8.5-4.5z", "M4 13l8 4.2 3-1.6", "M18.5 14v6", "M15.5 17h6"),
    "save": _paths("M5 4h11l3 3v13H5z", "M8 4v5h7V4", "M8 20v-6h8v6"),
    "export": _paths("M12 15V4", "M8 7.5 12 3.8l4 3.7", "M5 13v6.5h14V13"),
    "undo": _paths("M8.5 5 4.5 9l4 4", "M5 9h8.5a5.5 5.5 0 0 1 0 11H9"),
    "redo": _paths("M15.5 5l4 4-4 4", "M19 9h-8.5a5.5 5.5 0 0 0 0 11H15"),
    "move": _paths(
        "M12 3v18",
        "M3 12h18",
        "M9.5 5.5 12 3l2.5 2.5",
        "M9.5 18.5 12 21l2.5-2.5",
        "M5.5 9.5 3 12l2.5 2.5",
        "M18.5 9.5 21 12l-2.5 2.5",
    ),
    "hand": _paths(
        "M8 12.5V6.2a1.4 1.4 0 0 1 2.8 0V11",
        "M10.8 11V4.9a1.4 1.4 0 0 1 2.8 0V11",
        "M13.6 11V6a1.4 1.4 0 0 1 2.8 0v6",
        "M16.4 9.5a1.4 1.4 0 0 1 2.8 0v5c0 4-2.4 6.5-6 6.5-3 0-4.3-1.2-6-4l-2.7-4.4a1.4 1.4 0 0 1 2.3-1.5L8 13",
    ),
    "box": _paths(
        "M4 8V4h4",
        "M16 4h4v4",
        "M20 16v4h-4",
        "M8 20H4v-4",
        "M12 8.2c1.7 0 2.6 1.2 2.6 2.6S13.7 13.6 12 13.6s-2.6-1.4-2.6-2.8S10.3 8.2 12 8.2z",
        "M8 17.5c.6-1.9 2-2.7 4-2.7s3.4.8 4 2.7",
    ),
    "scribble": _paths("M3.5 16c2-7 4.5-9 5.5-8s-2.5 8-.5 8 3-7.5 5-7-1 6.5 1 6.8 2.5-3 6-3.3"),
    "brush": _paths(
        "M20 4c-5 2.5-8.5 6-10.3 8.8l1.7 1.7C14.5 12.8 17.8 9 20 4z",
        "M9 13.5c-2.5-.2-4 1.3-4.2 3.3-.1 1.3-.6 2.2-1.6 2.9 3.6.9 7.3-.3 7.5-4.1",
    ),
    "eraser": _paths("M13.5 5 20 11.5 12 19.5H8L4 15.5z", "M9 9.5l6.5 6.5", "M12 19.5h8"),
    "reference": _paths(
        "M12 3.5v3", "M12 17.5v3", "M3.5 12h3", "M17.5 12h3", "M12 6.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11z"
    )
    + _filled("M12 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4z"),
    "harmonize": _paths("M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17z")
    + _filled("M12 3.5a8.5 8.5 0 0 1 0 17z")
    + _paths("M12 8.5a3.5 3.5 0 0 0 0 7"),
    "compare": _paths("M4 5h16v14H4z", "M12 3v18") + _filled("M12 5h8v14h-8z"),
    "variants": _paths("M4 4.5h7v6.5H4z", "M13 4.5h7v6.5h-7z", "M4 13h7v6.5H4z", "M13 13h7v6.5h-7z"),
    "eye": _paths(
        "M2.5 12C5 7.7 8.2 5.8 12 5.8s7 1.9 9.5 6.2c-2.5 4.3-5.7 6.2-9.5 6.2S5 16.3 2.5 12z",
        "M12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z",
    ),
    "eye-off": _paths("M4 9.5c2 3.7 4.7 5.5 8 5.5s6-1.8 8-5.5", "M6.5 13 5 15.5", "M12 15v3", "M17.5 13l1.5 2.5"),
    "duplicate": _paths("M8.5 8.5H20V20H8.5z", "M15.5 8.5V4H4v11.5h4.5"),
    "delete": _paths("M4.5 6.5h15", "M9 6.5V4h6v2.5", "M6.5 6.5 7.3 20h9.4l.8-13.5", "M10.2 10.5v6", "M13.8 10.5v6"),
    "up": _paths("M12 19V5", "M6.5 10.5 12 5l5.5 5.5"),
    "down": _paths("M12 5v14", "M6.5 13.5 12 19l5.5-5.5"),
    "flip-horizontal": _paths("M12 3v18", "M9 7 3.5 18H9z", "M15 7l5.5 11H15z"),
    "flip-vertical": _paths("M3 12h18", "M7 9 18 3.5V9z", "M7 15l11 5.5V15z"),
    "reset": _paths("M4.5 12a7.5 7.5 0 1 0 2.4-5.5L4.5 8.7", "M4.5 4.2v4.5H9"),
    "fit": _paths("M4 9V4h5", "M15 4h5v5", "M20 15v5h-5", "M9 20H4v-5"),
    "zoom-in": _paths(
        "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z", "M15.5 15.5 20.5 20.5", "M10.5 7.5v6", "M7.5 10.5h6"
    ),
    "zoom-out": _paths("M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z", "M15.5 15.5 20.5 20.5", "M7.5 10.5h6"),
    "close": _paths("M6 6l12 12", "M18 6 6 18"),
    "check": _paths("M4.5 12.5 9.5 17.5 19.5 6.5"),
    "copy": _paths("M8.5 8.5H20V20H8.5z", "M15.5 8.5V4H4v11.5h4.5"),
    "warning": _paths("M12 4 2.8 19.5h18.4z", "M12 10v4.5", "M12 17v.1"),
    "find": _paths(
        "M4 8V5a1 1 0 0 1 1-1h3",
        "M16 4h3a1 1 0 0 1 1 1v3",
        "M20 16v3a1 1 0 0 1-1 1h-3",
        "M8 20H5a1 1 0 0 1-1-1v-3",
        "M12 7.5l1.2 3.3L16.5 12l-3.3 1.2L12 16.5l-1.2-3.3L7.5 12l3.3-1.2z",
    ),
    "teach": _paths(
        "M12 4 2.5 8.5 12 13l9.5-4.5z", "M6.5 11v5c1.5 1.5 3.3 2.2 5.5 2.2s4-.7 5.5-2.2v-5", "M21.5 8.5v5.5"
    ),
    "batch": _paths("M4 4h6v6H4z", "M4 14h6v6H4z", "M13.5 6h7", "M13.5 8.8h4.5", "M13.5 16h7", "M13.5 18.8h4.5"),
    "edge": _paths("M4 20c2-9 7-14 16-16")
    + _paths("M7.5 20.5c1.7-7 6-11.3 13-13")
    + _paths("M11 21c1.5-5 4.6-8.1 9.5-9.5"),
    "picture": _paths(
        "M3.5 5h17v14h-17z", "M3.5 16.5 9 11.5l4 3.6 3-2.6 4.5 4", "M15.5 8.2a1.2 1.2 0 1 0 0 2.4 1.2 1.2 0 0 0 0-2.4z"
    ),
    "cut-out": _paths("M12 4.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z", "M5.5 19.5c.5-4.3 2.8-6.5 6.5-6.5s6 2.2 6.5 6.5z"),
    "more": _filled("M5 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z")
    + _filled("M12 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z")
    + _filled("M19 10.5a1.5 1.5 0 1 0 0 3 1.5 1.5 0 0 0 0-3z"),
    "pause": _paths("M8.5 5v14", "M15.5 5v14"),
    "play": _paths("M7.5 4.5v15l12-7.5z"),
    "chevron-down": _paths("M7 10l5 5 5-5"),
    "chevron-right": _paths("M10 7l5 5-5 5"),
}
ICONS = tuple(_DRAWINGS)
"""The names of all icons."""


def icon(name: str) -> QIcon:
    """An icon that follows the palette, by its name; KeyError for one that was never drawn."""
    return QIcon(_Engine(_DRAWINGS[name]))


def application_icon() -> QIcon:
    """The program's own: two halves that become one, in our accent."""
    drawing = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
        '<rect width="64" height="64" rx="14" fill="#2f66d0"/>'
        '<circle cx="32" cy="32" r="19" fill="#ffffff" fill-opacity=".25"/>'
        '<path d="M32 13a19 19 0 0 1 0 38z" fill="#ffffff"/><path d="M32 22a10 10 0 0 0 0 20z" fill="#ffffff"/>'
        '<path d="M32 22a10 10 0 0 1 0 20z" fill="#2f66d0"/></svg>'
    )
    made = QIcon()
    for side in (16, 32, 48, 64, 128, 256):
        made.addPixmap(_drawn(drawing, QSize(side, side)))
    return made


class _Engine(QIconEngine):
    """Draws an icon in the palette's color of the moment."""

    def __init__(self, drawing: str) -> None:
        super().__init__()
        self._drawing = drawing

    def clone(self) -> QIconEngine:
        return _Engine(self._drawing)

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter:
            svg = _FRAME.format(color=_color(mode), drawing=self._drawing).replace("{color}", _color(mode))
            QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(rect))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = QPixmap(size)
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap


def _color(mode: QIcon.Mode) -> str:
    group = QPalette.ColorGroup.Disabled if mode is QIcon.Mode.Disabled else QPalette.ColorGroup.Active
    color = QColor(QApplication.palette().color(group, QPalette.ColorRole.ButtonText))
    if mode is QIcon.Mode.Disabled:  # SVG's stroke takes no alpha: mix it with what is behind
        behind = QApplication.palette().color(QPalette.ColorRole.Window)
        share = color.alphaF()
        parts = [share * a + (1 - share) * b for a, b in zip(_rgb(color), _rgb(behind), strict=True)]
        color = QColor.fromRgbF(*parts)
    return color.name()


def _rgb(color: QColor) -> tuple[float, float, float]:
    return color.redF(), color.greenF(), color.blueF()


def _drawn(svg: str, size: QSize) -> QPixmap:
    pixmap = QPixmap(size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    QSvgRenderer(QByteArray(svg.encode())).render(painter)
    painter.end()
    return pixmap
