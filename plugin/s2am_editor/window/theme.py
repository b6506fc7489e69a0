# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's look: neutral grays, so that colors are judged rightly, light or dark as the system is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from PyQt6.QtCore import QObject, Qt, pyqtSignal
from PyQt6.QtGui import QColor, QGuiApplication, QPalette
from PyQt6.QtWidgets import QApplication, QStyleFactory

from s2am_editor.window.style_sheet import style_sheet


class Appearance(Enum):
    """What the person chose; the value is what settings keep."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True)
class Colors:
    """One look. `surround` lies around the picture and is neutral; `text` on `window` and `base` has a contrast ≥ 7."""

    dark: bool
    window: str
    panel: str
    base: str
    raised: str  # buttons
    hover: str
    border: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    accent_soft: str  # behind what is chosen
    on_accent: str
    surround: str
    warning: str  # behind a banner
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
    text="#1f1f21",
    muted="#66666b",
    accent="#2f66d0",
    accent_hover="#2558bb",
    accent_soft="#e1eafb",
    on_accent="#ffffff",
    surround="#d9d9d8",
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
    text="#ececee",
    muted="#a0a0a7",
    accent="#4c82e8",
    accent_hover="#5f91ef",
    accent_soft="#2d3c58",
    on_accent="#ffffff",
    surround="#161617",
    warning="#3d3420",
    warning_edge="#6d5b30",
    danger="#ff8a80",
    checker=("#4a4a4c", "#3a3a3c"),
)


class Theme(QObject):
    """The application's look, which changes with the system's while the person chose nothing else."""

    changed = pyqtSignal()

    def __init__(self, application: QApplication, appearance: Appearance = Appearance.SYSTEM) -> None:
        """Dress an application, now and whenever the system changes from light to dark."""
        super().__init__(application)
        self._application = application
        self._appearance = appearance
        self.colors = LIGHT
        hints = QGuiApplication.styleHints()
        if hints:
            hints.colorSchemeChanged.connect(self._follow)
        application.setStyle(QStyleFactory.create("Fusion"))
        self._dress()

    @property
    def appearance(self) -> Appearance:
        """What the person chose."""
        return self._appearance

    def choose(self, appearance: Appearance) -> None:
        """Take a look, or the system's."""
        self._appearance = appearance
        self._dress()

    def _follow(self) -> None:
        if self._appearance is Appearance.SYSTEM:
            self._dress()

    def _dress(self) -> None:
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
    """A look as Qt's widgets ask for it."""
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


def current_colors() -> Colors:
    """The look of the application as it is dressed now."""
    theme = theme_of_application()
    return theme.colors if theme else LIGHT


def theme_of_application() -> Theme | None:
    """The application's theme, if it was dressed."""
    application = QApplication.instance()
    return application.findChild(Theme) if application else None


def copy_text(text: str) -> None:
    """Put a text on the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard:
        clipboard.setText(text)
