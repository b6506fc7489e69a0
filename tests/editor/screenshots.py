# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.editor.screenshots FOLDER`: screenshots of the editor's main states.

Without a display, Qt's offscreen platform is used. Each state is shown in light and dark and in windows of three sizes;
all photographs come with scikit-image. `--docs` writes the smaller ones for the README into docs/ instead.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QImage, QMouseEvent
from PyQt6.QtWidgets import QApplication, QWidget
from skimage import data

from s2am_common.errors import EngineError
from s2am_editor.app import make_application
from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.window.canvas.canvas import Compare
from s2am_editor.window.clipboard import from_image
from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.dialogs.refine_edges import RefineEdgesDialog
from s2am_editor.window.dialogs.shortcuts import ShortcutsDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.jobs import Problem
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Appearance, Theme
from s2am_engine.image.data import ImageData
from tests.statue import STATUE_POSITION, ground, statue

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOWN = {
    "light-harmonized": "editor.png",
    "dark-variants": "editor-variants.png",
    "light-welcome": "editor-welcome.png",
    "light-subject": "editor-subject.png",
    "light-statue-finish": "editor-finish.png",
    "dark-statue-shadow": "editor-shadow.png",
}
WIDTH = 1000  # of a screenshot in docs/
DOCS_SIZE = (1360, 860)
SIZES = ((1264, 672), (1350, 720), (1904, 1032))  # windows on screens of 1280×720, 1366×768 and 1920×1080
TIMEOUT = 600.0  # seconds


class Photographer:
    """Brings a window into each state and takes screenshots."""

    def __init__(self, application: QApplication, theme: Theme, folder: Path, sizes: Sequence[tuple[int, int]]) -> None:
        self._application, self._theme, self._folder, self._sizes = application, theme, folder, sizes
        self._place = tempfile.TemporaryDirectory(prefix="s2am-screenshots-")
        self._appearance = ""
        self.taken: list[Path] = []

    def take_all(self) -> None:
        for appearance, size in itertools.product((Appearance.LIGHT, Appearance.DARK), self._sizes):
            self._theme.choose(appearance)
            self._appearance = appearance.value if size == DOCS_SIZE else f"{size[0]}-{appearance.value}"
            window = MainWindow(EditorSettings(Path(self._place.name) / f"{self._appearance}.ini"))
            window.resize(*size)
            window.show()
            self._states(window)
            window.session.close()
            window.close()

    def _states(self, window: MainWindow) -> None:
        self._wait(window)
        self._take(window, "welcome")
        window.commands.open_sample()
        self._wait(window)
        self._take(window, "placed")
        window.harmonize()
        self._wait(window)
        window.all_actions["split"].trigger()
        self._wait(window)
        self._take(window, "harmonized")
        window.all_actions["side-by-side"].trigger()
        self._wait(window)
        self._take(window, "side-by-side")
        window.canvas.set_compare(Compare.AFTER)
        window.all_actions["adjust-image"].trigger()
        window.sidebar.adjust.rows["warmth"].number.setValue(40)
        window.sidebar.sections["harmonize"].set_open(False)
        self._wait(window)
        self._take(window, "whole-image")
        window.session.undo()
        window.sidebar.sections["harmonize"].set_open(True)
        window.all_actions["adjust-image"].trigger()
        window.variant_commands.show_first()
        self._wait(window)
        self._take(window, "variants")
        window.variants.close_panel()
        self._effects(window)
        window.tool_box.choose("reference")
        self._stroke(window, [(700, 380), (880, 420)])
        self._take(window, "reference")
        self._dialogs(window)
        self._cutting(window)
        self._statue(window)

    def _effects(self, window: MainWindow) -> None:
        """Match the finish of the sample's subject, give it a shadow, put it into a group, and undo all three."""
        window.sidebar.sections["finish"].set_open(True)
        for name in ("harmonize", "adjust", "curves"):
            window.sidebar.sections[name].set_open(False)
        self._finish_and_shadow(window, "")
        window.all_actions["group"].trigger()
        window.tool_box.choose("move")
        self._wait(window)
        self._take(window, "group")
        for _ in range(3):
            window.session.undo()
        for name in ("harmonize", "adjust", "curves"):
            window.sidebar.sections[name].set_open(True)

    def _finish_and_shadow(self, window: MainWindow, prefix: str) -> None:
        """Match the finish of the active layer, then give it a shadow; prefix: of the screenshots' names."""
        window.finishing.match()
        self._wait(window)
        self._take(window, f"{prefix}finish")
        window.sidebar.sections["finish"].set_open(False)
        window.shadows.cast()
        self._wait(window)
        window.tool_box.choose("shadow")
        self._take(window, f"{prefix}shadow")

    def _statue(self, window: MainWindow) -> None:
        """Show finish and shadow of a statue on the ground."""
        document, cutout = Document.from_image(ground(), "Ground"), statue()
        height, width = cutout.pixels.shape[:2]
        center = STATUE_POSITION[0] + width / 2, STATUE_POSITION[1] + height / 2
        window.session.open(document, "Statue")
        window.session.do(commands.add_layers([document.new_layer(cutout, "Horse", center=center)]))
        window.tool_box.choose("move")
        window.harmonize()
        self._wait(window)
        for name, section in window.sidebar.sections.items():
            section.set_open(name in ("finish", "layers"))
        self._finish_and_shadow(window, "statue-")

    def _cutting(self, window: MainWindow) -> None:
        window.session.open(Document.from_image(ImageData(data.astronaut()), "Astronaut"), "Astronaut")
        window.tool_box.choose("box")
        window.all_actions["select-subject"].trigger()
        self._wait(window)
        window.all_actions["mask-overlay"].trigger()
        self._wait(window)
        self._take(window, "subject")
        window.all_actions["mask-composite"].trigger()
        window.session.open(Document.from_image(ImageData(data.chelsea()), "Chelsea"), "Chelsea")
        window.tool_box.choose("scribble")
        self._wait(window)
        self._stroke(window, [(120, 90), (150, 160), (240, 180), (300, 120)])
        self._wait(window)
        self._take(window, "cut-out")
        window.all_actions["mask-overlay"].trigger()
        self._wait(window)
        self._take(window, "mask")
        window.all_actions["mask-composite"].trigger()
        window.all_actions["refine"].trigger()
        self._take(window.findChildren(RefineEdgesDialog)[-1], "refine-edges")
        window.findChildren(RefineEdgesDialog)[-1].close()
        window.show_problem(Problem(EngineError("beach.png is damaged or incomplete: copy or download it again.")))
        window.canvas.zoom_to(12.0, QPointF(window.canvas.rect().center()))
        self._take(window, "pixels")

    def _dialogs(self, window: MainWindow) -> None:
        for name, dialog in (
            ("export", ExportDialog(window.session, window.settings, window)),
            ("fine-tune", FineTuneDialog(window.settings, window)),
            ("batch", BatchDialog(window.settings, window)),
            ("shortcuts", ShortcutsDialog(window.all_actions, window)),
        ):
            dialog.show()
            self._take(dialog, name)
            dialog.close()

    def _stroke(self, window: MainWindow, points: list[tuple[float, float]]) -> None:
        """Draw a stroke through image points with the left button."""
        canvas = window.canvas
        places = [QPoint(*(round(part) for part in canvas.viewport.to_view(*point))) for point in points]
        kinds = [QEvent.Type.MouseButtonPress, *[QEvent.Type.MouseMove] * (len(places) - 1)]
        for kind, place in zip([*kinds, QEvent.Type.MouseButtonRelease], [*places, places[-1]], strict=True):
            button = Qt.MouseButton.NoButton if kind is QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
            held = Qt.MouseButton.NoButton if kind is QEvent.Type.MouseButtonRelease else Qt.MouseButton.LeftButton
            where = QPointF(place), QPointF(canvas.mapToGlobal(place))
            event = QMouseEvent(kind, *where, button, held, Qt.KeyboardModifier.NoModifier)
            self._application.sendEvent(canvas, event)

    def _wait(self, window: MainWindow) -> None:
        end = time.monotonic() + TIMEOUT
        self._pump(0.3)
        while window.jobs.running or not window.canvas.is_current:
            if time.monotonic() > end:
                raise TimeoutError(f"the editor was not ready after {TIMEOUT:.0f} seconds")
            self._pump(0.02)
        self._pump(0.2)

    def _pump(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._application.processEvents()
            time.sleep(0.005)

    def _take(self, widget: QWidget, name: str) -> None:
        self._pump(0.4)
        path = self._folder / f"{self._appearance}-{name}.png"
        grabbed = widget.grab().toImage()
        pixels = from_image(grabbed.convertToFormat(QImage.Format.Format_RGB32)).pixels
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
        self.taken.append(path)


def shrink(source: Path, target: Path) -> None:
    """Write a smaller copy with a palette, for the README."""
    with Image.open(source) as image:
        size = WIDTH, round(image.height * WIDTH / image.width)
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        small.quantize(256, kmeans=3, dither=Image.Dither.FLOYDSTEINBERG).save(target, optimize=True)


def main() -> int:
    """Take all screenshots."""
    parser = argparse.ArgumentParser(prog="python -m tests.editor.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="folder for the screenshots")
    parser.add_argument("--docs", action="store_true", help="write the screenshots of the README")
    options = parser.parse_args()
    if not (options.folder or options.docs):
        parser.error("name a folder, or give --docs")
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="s2am-screenshots-"))
    folder.mkdir(parents=True, exist_ok=True)
    application = make_application()
    sizes = (DOCS_SIZE,) if options.docs else SIZES
    photographer = Photographer(application, Theme(application, Appearance.LIGHT), folder, sizes)
    photographer.take_all()
    for path in photographer.taken:
        print(path)
        if options.docs and path.stem in SHOWN:
            shrink(path, DOCS / SHOWN[path.stem])
    return 0


if __name__ == "__main__":
    sys.exit(main())
