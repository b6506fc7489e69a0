# SPDX-License-Identifier: GPL-3.0-or-later
"""Handlers of menu actions that need a dialog, the clipboard, the sample or the active layer."""

from __future__ import annotations

import dataclasses
import platform
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from PyQt6.QtCore import pyqtSignal
from PyQt6.QtWidgets import QApplication, QLineEdit, QMessageBox, QPlainTextEdit

import s2am_engine
from s2am_common.atomic import atomic_write
from s2am_common.image_formats import READABLE_SUFFIXES
from s2am_editor.document import commands, frame, layer_tree
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.history import Command
from s2am_editor.document.model import Document, Group, Layer
from s2am_editor.document.raster import Raster
from s2am_editor.render.blend import render_exactly
from s2am_editor.render.export import flatten, flatten_group, merge
from s2am_editor.window import clipboard
from s2am_editor.window.actions import Actions
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.dialogs.canvas_size import CanvasSizeDialog
from s2am_editor.window.dialogs.shortcuts import ShortcutsDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog, FileKind
from s2am_editor.window.document_commands import DocumentCommands
from s2am_editor.window.editor_session import EditorSession
from s2am_editor.window.jobs import BackgroundJob
from s2am_engine.file_harmonizer import map_text
from s2am_engine.image.data import ImageData
from s2am_engine.pytorch import has_torch


class WindowCommands(DocumentCommands):
    """Opens dialogs over a window, and copies, pastes and saves in the background."""

    model_added = pyqtSignal(str)  # the name of a fine-tuned model

    def export(self) -> None:
        """Ask for format, quality and file name, then export."""
        dialog = ExportDialog(self._session, self._settings, self._window)
        if dialog.exec() and dialog.path is not None:
            self._files.export(dialog.path, dialog.options)

    def choose_photographs(self) -> list[Path]:
        """Ask for photographs whose look a layer is to be matched to; none if the user cancels."""
        patterns = " ".join(f"*{suffix}" for suffix in READABLE_SUFFIXES)
        images = self.tr("Photographs ({0})").format(patterns)
        return standard_dialogs.choose_to_open(self._window, self._settings, self.tr("Match photographs"), images)

    def copy_image(self) -> None:
        """Copy the flattened document to the clipboard."""
        document = self._session.document
        self._jobs.start(
            self.tr("Copying"),
            lambda job: flatten(document, progress=job.progress),
            clipboard.copy_image,
            self.failed.emit,
        )

    def canvas_size(self) -> None:
        """Ask for another size of the canvas."""
        dialog = CanvasSizeDialog(self._session.document, self._window)
        if dialog.exec():
            self._session.do(commands.set_canvas(dialog.chosen, "Canvas size"))

    def cut_layer(self) -> None:
        """Copy the active layer as `copy_layer` does, and delete it once it is on the clipboard."""
        layer = self._session.active
        if layer is not None:
            cut = commands.chain("Cut layer", [commands.remove_layer(layer.id)])
            self.copy_layer(lambda: self._session.do(cut))

    def copy_layer(self, then: Callable[[], object] = lambda: None) -> None:
        """Copy the active layer's visible pixels with its colors as shown, and their place; then call a function."""
        document, layer = self._session.document, self._session.active
        if layer is None:
            return
        alone = dataclasses.replace(
            layer, visible=True, opacity=1.0, blend_mode=BlendMode.NORMAL, group=None, shadow=None
        )
        area = frame.Frame.of(layer).box
        center = (area.left + area.right) / 2, (area.top + area.bottom) / 2

        def work(_: BackgroundJob) -> ImageData:
            return render_exactly(dataclasses.replace(document, layers=(alone,)), 1.0, area)

        def done(image: ImageData) -> None:
            clipboard.copy_image(image, center)
            then()

        self._jobs.start(self.tr("Copying"), work, done, self.failed.emit)

    def paste(self, *, in_place: bool = False) -> None:
        """Paste files or an image from the clipboard; a focused text field gets the text instead.

        Args:
            in_place: a copied layer gets the place from which it was copied.
        """
        focused, data = QApplication.focusWidget(), clipboard.clipboard_data()
        if isinstance(focused, QLineEdit | QPlainTextEdit):
            focused.paste()
        elif not self._files.paste(data, clipboard.place_of(data) if in_place else None):
            self.noted.emit(self.tr("The clipboard contains no image. Copy one, or drop a file here."))

    def save_map(self) -> None:
        """Save the active layer's color map as a .cube or .json file."""
        layer = self._session.active
        if layer is None or layer.harmonization is None:
            return
        color_map = layer.harmonization.color_map
        kinds = (
            FileKind(self.tr("Look-up table for other programs"), (".cube",)),
            FileKind(self.tr("s2am color map"), (".json",)),
        )
        start = self._session.folder / f"{_file_name(layer.name)}.cube"
        path = standard_dialogs.choose_to_save(self._window, self._settings, self.tr("Save color map"), start, kinds)
        if path is None:
            return

        def work(_: BackgroundJob) -> None:
            with atomic_write(path) as file:
                file.write(map_text(color_map, path).encode())

        title = self.tr("Saving {0}").format(path.name)
        self._jobs.start(title, work, lambda _: self._files.written.emit(path), self.failed.emit, writes=True)

    def merge_down(self) -> None:
        """Merge the active group, or the active layer into the one below it."""
        document, upper = self._session.document, self._session.active
        if upper is None:
            self._merge_group()
            return
        beside = layer_tree.siblings(document, upper)
        index = beside.index(upper)
        lower = beside[index - 1] if index > 0 else None
        if not isinstance(lower, Layer):
            self.noted.emit(self.tr("There is no layer below to merge with."))
            return

        def done(merged: tuple[Raster, int, int]) -> None:
            layers = self._session.document.layers if self._session.is_open else ()
            if upper in layers and lower in layers:  # neither has changed meanwhile
                self._session.do(commands.merge_layers(upper.id, lower.id, *merged))

        self._jobs.start(self.tr("Merging"), lambda _: merge(lower, upper, document), done, self.failed.emit)

    def _merge_group(self) -> None:
        document, group = self._session.document, self._session.active_group
        if group is None:
            return
        layers = layer_tree.layers_in(document, group.id)

        def done(merged: tuple[Raster, int, int]) -> None:
            now = self._session.document if self._session.is_open else None
            if now and group in now.groups and layer_tree.layers_in(now, group.id) == layers:  # nothing has changed
                self._session.do(layer_tree.merge_group(group.id, *merged))

        self._jobs.start(self.tr("Merging"), lambda _: flatten_group(group, document), done, self.failed.emit)

    def open_sample(self) -> None:
        """Open the sample composite: an astronaut in front of a rocket."""

        def work(job: BackgroundJob) -> tuple[Document, Layer]:
            from s2am_engine.image import sample

            job.progress(-1)
            document = Document.from_image(sample.sample_background(), self.tr("Rocket"))
            cutout = sample.sample_layer()
            height, width = cutout.pixels.shape[:2]
            center = sample.SAMPLE_POSITION[0] + width / 2, sample.SAMPLE_POSITION[1] + height / 2
            return document, document.new_layer(cutout, self.tr("Astronaut"), center=center)

        def show(made: tuple[Document, Layer]) -> None:
            document, layer = made
            self._session.open(document, self.tr("Sample"))
            self._session.do(commands.add_layers([layer]))

        def start() -> None:
            replace = self._files.replace_later()
            done = partial(replace, show)
            self._jobs.start(self.tr("Opening the sample"), work, done, self.failed.emit)

        self._files.when_saved(start)

    def fine_tune(self) -> None:
        """Open the dialog that fine-tunes a model; where PyTorch is missing, first the one that adds it."""
        if not has_torch():
            from s2am_editor.window.dialogs.add_pytorch import AddPyTorchDialog

            adding = AddPyTorchDialog(self._window)
            adding.added.connect(self.fine_tune)
            adding.show()
            return
        from s2am_editor.window.dialogs.fine_tune import FineTuneDialog

        dialog = FineTuneDialog(self._settings, self._window)
        dialog.kept.connect(self.model_added)
        dialog.show()

    def batch(self) -> None:
        """Open the batch dialog."""
        from s2am_editor.window.dialogs.batch import BatchDialog

        BatchDialog(self._settings, self._window).show()

    def show_shortcuts(self, actions: Actions) -> None:
        """Open the list of keyboard shortcuts."""
        ShortcutsDialog(actions, self._window).show()

    def about(self) -> None:
        """Show version and license."""
        text = self.tr(
            "s2am {0}\nMakes a pasted foreground match its background.\n\nPython {1}. License: GPL-3.0-or-later."
        )
        QMessageBox.about(
            self._window, self.tr("About s2am"), text.format(s2am_engine.__version__, platform.python_version())
        )


def _file_name(name: str) -> str:
    """Return a layer's name without the characters that file names cannot contain."""
    return "".join("-" if letter in '<>:"/\\|?*' or not letter.isprintable() else letter for letter in name)


class LayerCommands:
    """Layer menu handlers; each does nothing if there is no active layer or group that it can apply to.

    Those that make sense for several layers apply to all that are selected, in one undo step.
    """

    def __init__(self, session: EditorSession) -> None:
        """Work on a session's active layer."""
        self._session = session

    def duplicate(self) -> None:
        """Put a copy above the layer or group."""
        if layer := self._session.active:
            self._session.do(commands.duplicate_layer(layer.id))
        elif group := self._session.active_group:
            self._session.do(layer_tree.duplicate_group(group.id, commands.copy_name(group)))

    def group(self, name: str) -> None:
        """Put the selected layers and groups into a new group with this name."""
        self._session.do(layer_tree.group_items([item.id for item in self._session.selected_items], name))

    def ungroup(self) -> None:
        """Dissolve the group, or else the one that contains the layer."""
        if item := self._session.active_item:
            groups = [*self._session.document.groups_of(item), item]
            found = [group for group in groups if isinstance(group, Group)]
            if found:
                self._session.do(layer_tree.ungroup(found[-1].id))

    def shift(self, steps: int) -> None:
        """Move the layer or group up (1) or down (-1) in the stack."""
        if item := self._session.active_item:
            self._session.do(layer_tree.shift_item(item.id, steps))

    def delete(self) -> None:
        """Delete the layers."""
        self._apply_to_all("Delete layer", lambda layer: commands.remove_layer(layer.id))

    def toggle_visible(self) -> None:
        """Show or hide the layers and groups, as the active one."""
        if active := self._session.active_item:
            visible = not active.visible
            steps = [commands.set_visible(item.id, visible) for item in self._session.selected_items]
            self._session.do(commands.chain("Show" if visible else "Hide", steps))

    def toggle_locked(self) -> None:
        """Lock or unlock the layers, as the active one."""
        if selected := self._session.selected:
            locked = not selected[0].locked
            name = "Lock layer" if locked else "Unlock layer"
            self._apply_to_all(name, lambda layer: commands.set_locked(layer.id, locked))

    def _apply_to_all(self, name: str, command: Callable[[Layer], Command]) -> None:
        selected = self._session.selected
        if selected:
            self._session.do(commands.chain(name, [command(layer) for layer in selected]))

    def flip(self, axis: Literal["x", "y"]) -> None:
        """Mirror the layer about the center of its visible pixels: "x" swaps left and right, "y" top and bottom."""
        layer = self._session.active
        if layer is None:
            return
        name = "Flip horizontally" if axis == "x" else "Flip vertically"
        self._session.do(commands.set_transform(layer.id, frame.flip(layer, axis), name))

    def reset_transform(self) -> None:
        """Restore the layer's original size and orientation about its center."""
        if layer := self._session.active:
            transform = frame.untransformed(layer)
            self._session.do(commands.set_transform(layer.id, transform, "Reset transform"))
