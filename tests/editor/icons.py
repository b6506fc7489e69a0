# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.editor.icons`: draw the icon files of the desktops from s2am_setup/icons/s2am.svg."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageQt
from PyQt6.QtGui import QGuiApplication, QImage, QPainter
from PyQt6.QtSvg import QSvgRenderer

from s2am_setup import desktop

ICONS = Path(desktop.__file__).parent / "icons"
SIZE = 1024
WINDOWS_SIZES = (16, 24, 32, 48, 64, 128, 256)


def draw_icons(folder: Path = ICONS) -> None:
    """Write s2am.png (256 pixels), s2am.ico and s2am.icns next to s2am.svg."""
    canvas = QImage(SIZE, SIZE, QImage.Format.Format_ARGB32)
    canvas.fill(0)
    painter = QPainter(canvas)
    QSvgRenderer(str(folder / "s2am.svg")).render(painter)
    painter.end()
    icon = ImageQt.fromqimage(canvas).convert("RGBA")
    icon.save(folder / "s2am.icns")
    icon.save(folder / "s2am.ico", sizes=[(size, size) for size in WINDOWS_SIZES])
    icon.resize((256, 256), Image.Resampling.LANCZOS).save(folder / "s2am.png", optimize=True)


if __name__ == "__main__":
    application = QGuiApplication([])
    draw_icons()
