# SPDX-License-Identifier: GPL-3.0-or-later
"""Format, quality and place of an exported picture."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtWidgets import QComboBox, QDialog, QFormLayout, QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from s2am_editor.window.dialogs import questions
from s2am_editor.window.session import Session
from s2am_editor.window.settings import Settings
from s2am_editor.window.widgets.buttons import heading, muted_label, primary_button, push_button
from s2am_editor.window.widgets.slider import Slider

BEST = 95


class ExportDialog(QDialog):
    """Asks how and where to; `path` and `quality` are the answer."""

    def __init__(self, session: Session, settings: Settings, parent: QWidget) -> None:
        """Ask about a session's document."""
        super().__init__(parent)
        self.setWindowTitle(self.tr("Export"))
        self.path: Path | None = None
        self._session, self._settings = session, settings
        formats = (
            (".png", self.tr("PNG"), self.tr("Loses nothing; keeps 16 bits and transparency.")),
            (".jpg", self.tr("JPEG"), self.tr("Small; for the web and for prints. No transparency, 8 bits.")),
            (".tif", self.tr("TIFF"), self.tr("Loses nothing; keeps 16 and 32 bits; for other editors.")),
            (".webp", self.tr("WebP"), self.tr("Loses nothing and is smaller than PNG; 8 bits.")),
            (".ora", self.tr("OpenRaster"), self.tr("All layers, for GIMP and Krita.")),
        )
        self._abouts = {suffix: about for suffix, _, about in formats}
        self.formats = QComboBox()
        for suffix, name, _ in formats:
            self.formats.addItem(f"{name} ({suffix})", suffix)
        self._about = muted_label()
        self._slider = Slider(1, 100, BEST)
        self._number = QSpinBox()
        self._number.setRange(1, 100)
        self._number.setValue(BEST)
        self._slider.valueChanged.connect(self._number.setValue)
        self._number.valueChanged.connect(self._slider.setValue)
        self._quality = QWidget()
        row = QHBoxLayout(self._quality)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._slider, 1)
        row.addWidget(self._number)
        self._label = QLabel(self.tr("Quality"))
        form = QFormLayout()
        form.setVerticalSpacing(10)
        form.addRow(self.tr("Format"), self.formats)
        form.addRow("", self._about)
        form.addRow(self._label, self._quality)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(push_button(self.tr("Cancel"), self.reject))
        self.export_button = primary_button(self.tr("Export …"), self._choose)
        self.export_button.setDefault(True)
        buttons.addWidget(self.export_button)
        column = QVBoxLayout(self)
        column.setContentsMargins(20, 18, 20, 16)
        column.setSpacing(14)
        column.addWidget(heading(self.tr("Export the picture as you see it")))
        column.addWidget(muted_label(self.tr("Color profile and metadata of the background go along.")))
        column.addLayout(form)
        column.addStretch()
        column.addLayout(buttons)
        self.setMinimumWidth(420)
        self.formats.currentIndexChanged.connect(self._show_format)
        self.formats.setCurrentIndex(max(0, self.formats.findData(settings.text("export", ".png"))))
        self._show_format()

    @property
    def suffix(self) -> str:
        """The chosen format's."""
        return str(self.formats.currentData())

    @property
    def quality(self) -> int:
        """Of JPEG, 1 to 100."""
        return self._number.value()

    def _show_format(self) -> None:
        self._about.setText(self._abouts[self.suffix])
        for widget in (self._label, self._quality):
            widget.setEnabled(self.suffix == ".jpg")

    def _choose(self) -> None:
        suffix = self.suffix
        name = f"{Path(self._session.title).stem}-harmonized{suffix}"
        pattern = f"{self.formats.currentText()} (*{suffix})"
        path = questions.choose_to_save(self, self._settings, self.tr("Export"), name, pattern)
        if path is None:
            return
        if path.suffix.lower() != suffix and not (suffix == ".jpg" and path.suffix.lower() == ".jpeg"):
            path = path.with_name(path.name + suffix)
        self._settings.set_text("export", suffix)
        self.path = path
        self.accept()
