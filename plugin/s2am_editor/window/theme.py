# SPDX-License-Identifier: GPL-3.0-or-later
"""Appearance: neutral gray palettes for light and dark, the style sheet, and icons in the palette's colors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from string import Template

from PyQt6.QtCore import QByteArray, QObject, QPoint, QRect, QRectF, QSize, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QGuiApplication, QIcon, QIconEngine, QPainter, QPalette, QPixmap
from PyQt6.QtSvg import QSvgRenderer
from PyQt6.QtWidgets import QApplication, QStyleFactory

ICON_FOLDER = Path(__file__).parent / "icons"
STYLE_SHEET = Path(__file__).parent / "style.qss"
ICON_COLOR = "#000000"  # in the SVG files; replaced by the palette's text color


class Appearance(Enum):
    """The user's choice; values are stored in the settings file."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class Colors:
    """One color scheme. `surround` is a neutral gray; `text` has a contrast of at least 7:1 on `window` and `base`."""

    dark: bool
    window: str
    panel: str
    base: str
    raised: str  # buttons
    hover: str
    border: str
    field_border: str  # around what can be clicked; a contrast of at least 3:1 on `panel` and `base`
    text: str
    muted: str
    accent: str
    accent_hover: str
    accent_soft: str  # background of selected items
    on_accent: str  # text on `accent` and `accent_hover`, with a contrast of at least 4.5:1
    success: str  # background of the banner that reports it
    success_edge: str
    surround: str  # around the image
    warning: str  # background of the banner
    warning_edge: str
    danger: str
    checker: tuple[str, str]


LIGHT = Colors(
    dark=False,
    window="#f4f4f3",
    panel="#fafaf9",
    base="#ffffff",
    raised="#ffffff",
    hover="#ececea",
    border="#dcdcd9",
    field_border="#8b8b90",
    text="#1f1f21",
    muted="#66666b",
    accent="#2f66d0",
    accent_hover="#2558bb",
    accent_soft="#e1eafb",
    on_accent="#ffffff",
    surround="#d9d9d8",
    success="#e3f4e6",
    success_edge="#a9d3b0",
    warning="#fdf3dc",
    warning_edge="#e6cf95",
    danger="#b3352b",
    checker=("#ffffff", "#e4e4e4"),
)
DARK = Colors(
    dark=True,
    window="#232325",
    panel="#29292b",
    base="#1c1c1e",
    raised="#343437",
    hover="#3b3b3f",
    border="#3d3d41",
    field_border="#77777d",
    text="#ececee",
    muted="#a0a0a7",
    accent="#4c82e8",
    accent_hover="#5f91ef",
    accent_soft="#2d3c58",
    on_accent="#0d1420",
    surround="#161617",
    success="#20362a",
    success_edge="#3c6b4c",
    warning="#3d3420",
    warning_edge="#6d5b30",
    danger="#ff8a80",
    checker=("#4a4a4c", "#3a3a3c"),
)


class Theme(QObject):
    """Applies palette and style sheet, and follows the system's color scheme unless the user chose one."""

    changed = pyqtSignal()

    def __init__(self, application: QApplication, appearance: Appearance = Appearance.SYSTEM) -> None:
        """Style an application now and on every change of the system's color scheme."""
        super().__init__(application)
        self._application = application
        self._appearance = appearance
        self.colors = LIGHT
        hints = QGuiApplication.styleHints()
        if hints:
            hints.colorSchemeChanged.connect(self._follow_system)
        application.setStyle(QStyleFactory.create("Fusion"))
        self._apply()

    @property
    def appearance(self) -> Appearance:
        """The user's choice."""
        return self._appearance

    def choose(self, appearance: Appearance) -> None:
        """Switch to light, dark, or the system's color scheme."""
        self._appearance = appearance
        self._apply()

    def _follow_system(self) -> None:
        if self._appearance is Appearance.SYSTEM:
            self._apply()

    def _apply(self) -> None:
        self.colors = DARK if self._is_dark() else LIGHT
        self._application.setPalette(palette(self.colors))
        self._application.setStyleSheet(style_sheet(self.colors))
        self.changed.emit()

    def _is_dark(self) -> bool:
        if self._appearance is not Appearance.SYSTEM:
            return self._appearance is Appearance.DARK
        hints = QGuiApplication.styleHints()
        return hints is not None and hints.colorScheme() is Qt.ColorScheme.Dark


def palette(colors: Colors) -> QPalette:
    """Return a color scheme as a Qt palette."""
    roles = {
        QPalette.ColorRole.Window: colors.window,
        QPalette.ColorRole.WindowText: colors.text,
        QPalette.ColorRole.Base: colors.base,
        QPalette.ColorRole.AlternateBase: colors.panel,
        QPalette.ColorRole.Text: colors.text,
        QPalette.ColorRole.Button: colors.raised,
        QPalette.ColorRole.ButtonText: colors.text,
        QPalette.ColorRole.BrightText: colors.danger,
        QPalette.ColorRole.ToolTipBase: colors.raised,
        QPalette.ColorRole.ToolTipText: colors.text,
        QPalette.ColorRole.PlaceholderText: colors.muted,
        QPalette.ColorRole.Highlight: colors.accent,
        QPalette.ColorRole.HighlightedText: colors.on_accent,
        QPalette.ColorRole.Link: colors.accent,
        QPalette.ColorRole.Mid: colors.border,
        QPalette.ColorRole.Light: colors.raised,
        QPalette.ColorRole.Midlight: colors.hover,
        QPalette.ColorRole.Dark: colors.border,
        QPalette.ColorRole.Shadow: colors.surround,
    }
    made = QPalette()
    for role, color in roles.items():
        made.setColor(role, QColor(color))
    faint = QColor(colors.text)
    faint.setAlphaF(0.38)
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        made.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return made


def style_sheet(colors: Colors) -> str:
    """Return the style sheet of a color scheme."""
    shade = "dark" if colors.dark else "light"
    rules = Template(STYLE_SHEET.read_text(encoding="utf-8").partition("*/")[2])
    return rules.substitute(vars(colors), icons=ICON_FOLDER.as_posix(), shade=shade)


def current_colors() -> Colors:
    """Return the color scheme in use."""
    theme = theme_of_application()
    return theme.colors if theme else LIGHT


def theme_of_application() -> Theme | None:
    """Return the application's theme; None before one was created."""
    application = QApplication.instance()
    return application.findChild(Theme) if application else None


def icon(name: str) -> QIcon:
    """Return the icon of the file `icons/NAME.svg`; it follows the palette.

    Raises:
        FileNotFoundError: no such icon.
    """
    return QIcon(_PaletteIconEngine(_svg(name)))


def application_icon() -> QIcon:
    """Return the program's own icon."""
    made = QIcon()
    for side in (16, 32, 48, 64, 128, 256):
        pixmap = _transparent(QSize(side, side))
        painter = QPainter(pixmap)
        QSvgRenderer(QByteArray(_svg("application").encode())).render(painter)
        painter.end()
        made.addPixmap(pixmap)
    return made


class _PaletteIconEngine(QIconEngine):
    """Draws an SVG in the palette's current text color."""

    def __init__(self, svg: str) -> None:
        super().__init__()
        self._svg = svg

    def clone(self) -> QIconEngine:
        return _PaletteIconEngine(self._svg)

    def paint(self, painter: QPainter | None, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        if painter:
            svg = self._svg.replace(ICON_COLOR, _icon_color(mode))
            QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(rect))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        pixmap = _transparent(size)
        painter = QPainter(pixmap)
        self.paint(painter, QRect(QPoint(0, 0), size), mode, state)
        painter.end()
        return pixmap


@cache
def _svg(name: str) -> str:
    return (ICON_FOLDER / f"{name}.svg").read_text(encoding="utf-8")


def _transparent(size: QSize) -> QPixmap:
    pixmap = QPixmap(size)
    pixmap.fill(Qt.GlobalColor.transparent)
    return pixmap


def _icon_color(mode: QIcon.Mode) -> str:
    group = QPalette.ColorGroup.Disabled if mode is QIcon.Mode.Disabled else QPalette.ColorGroup.Active
    color = QColor(QApplication.palette().color(group, QPalette.ColorRole.ButtonText))
    if mode is QIcon.Mode.Disabled:  # the replaced color has no alpha channel: blend with the background instead
        background = QApplication.palette().color(QPalette.ColorRole.Window)
        share = color.alphaF()
        pairs = zip(color.getRgbF()[:3], background.getRgbF()[:3], strict=True)
        color = QColor.fromRgbF(*(share * a + (1 - share) * b for a, b in pairs))
    return color.name()
