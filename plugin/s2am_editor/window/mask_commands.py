# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving the mask of a layer to a file, and loading one."""

from __future__ import annotations

import re
from pathlib import Path

from PyQt6.QtWidgets import QInputDialog

from s2am_common.errors import MaskError, with_advice
from s2am_common.image_formats import READABLE_SUFFIXES
from s2am_common.translation import localized
from s2am_editor.cutout.masks import alpha_to_mask
from s2am_editor.document import commands
from s2am_editor.document.model import DocumentError, Layer
from s2am_editor.document.raster import TiledMask
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.standard_dialogs import FileKind
from s2am_editor.window.document_commands import DocumentCommands
from s2am_editor.window.jobs import EDITOR_ADVICE, BackgroundJob, Problem
from s2am_engine.image.arrays import to_uint8
from s2am_engine.image.mask_reading import BY_RULES, MaskOptions, MaskReading, read_mask_file
from s2am_engine.image.masks import MASK_SUFFIXES, check_mask_size, save_mask

_CODES_OF_CHOICES = ("mask.entries", "mask.no-entry")


class MaskCommands(DocumentCommands):
    """Handlers of the menu entries “Save mask” and “Load mask”."""

    def save(self) -> None:
        """Save the active layer's mask, or else its transparency, as a gray image of the layer's size."""
        layer = self._session.active
        if layer is None:
            return
        try:
            mask = layer.mask or alpha_to_mask(layer)
        except DocumentError as error:
            self.failed.emit(Problem(error))
            return
        kinds = [FileKind(self.tr("Gray image"), MASK_SUFFIXES)]
        title, start = self.tr("Save mask"), self._session.folder / f"{layer.name.replace('/', '-')}_mask.png"
        path = standard_dialogs.choose_to_save(self._window, self._settings, title, start, kinds)
        if path is None:
            return

        def work(_: BackgroundJob) -> None:
            save_mask(path, mask.to_array())

        title = self.tr("Saving {0}").format(path.name)
        self._jobs.start(title, work, lambda _: self._files.written.emit(path), self.failed.emit, writes=True)

    def load(self) -> None:
        """Replace the active layer's mask by that of an image file of the layer's size."""
        layer = self._session.active
        if layer is None:
            return
        patterns = self.tr("Images ({0})").format(" ".join(f"*{suffix}" for suffix in READABLE_SUFFIXES))
        chosen = standard_dialogs.choose_to_open(self._window, self._settings, self.tr("Load mask"), patterns)
        if not chosen:
            return
        self._load(layer, chosen[0], BY_RULES)

    def _load(self, layer: Layer, path: Path, options: MaskOptions) -> None:
        width, height = layer.size

        def work(_: BackgroundJob) -> MaskReading:
            reading = read_mask_file(path, options)
            check_mask_size(reading.mask, (height, width), path.name)
            return reading

        def done(reading: MaskReading) -> None:
            self._session.do(commands.set_mask(layer.id, TiledMask.from_array(to_uint8(reading.mask)), "Load mask"))
            hint = ""
            if reading.hint:
                hint = with_advice(MaskError(reading.hint, code=reading.hint_code), EDITOR_ADVICE, localized)
            if sentences := " ".join(filter(None, (*map(localized, reading.notes), hint))):
                self.noted.emit(sentences)

        def failed(problem: Problem) -> None:
            if isinstance(problem.error, MaskError) and problem.error.code in _CODES_OF_CHOICES:
                self._choose_entries(layer, path, problem.sentence)
            else:
                self.failed.emit(problem)

        self._jobs.start(self.tr("Loading {0}").format(path.name), work, done, failed)

    def _choose_entries(self, layer: Layer, path: Path, sentence: str) -> None:
        """Ask which entries of a palette, or which labels, are foreground, and load the mask with them."""
        question = f"{sentence}\n\n{self.tr('Numbers, with spaces between them:')}"
        text, accepted = QInputDialog.getText(self._window, self.tr("Load mask"), question)
        numbers = tuple(int(number) for number in re.findall(r"\d+", text))
        if accepted and numbers:
            self._load(layer, path, MaskOptions(entries=numbers))
