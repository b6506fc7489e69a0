# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons of the dialog that open a list: further references, and named presets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gi.repository import Gimp, Gtk

from harmonize_layer.core.host import HostLayer
from harmonize_layer.core.messages import error_message
from harmonize_layer.core.presets import Presets
from harmonize_layer.gimp.arguments import read_arguments
from s2am_common.errors import S2AMError
from s2am_common.translation import localized as _

_LIST_HEIGHT = 260
_MARGIN = 12


class ReferencePicker:
    """The further references: layers of the image to check, and image files to add and remove."""

    def __init__(self, window: Gtk.Window, config: Gimp.ProcedureConfig, candidates: Sequence[HostLayer]) -> None:
        """Build the button.

        Args:
            window: the dialog.
            config: the arguments.
            candidates: the layers that can be chosen.
        """
        self._window, self._config = window, config
        chosen = read_arguments(config)
        names = [layer.name for layer in candidates]
        self._files = list(chosen.also_match_files)
        self._layers = [(name, _check(name, name in chosen.also_match_layers, self._layers_changed)) for name in names]
        if not set(chosen.also_match_layers) <= set(names):  # those of another image
            config.set_property("also-match-layers", [name for name in names if name in chosen.also_match_layers])
        self._file_list = Gtk.Box(orientation=Gtk.Orientation.VERTICAL)
        add = Gtk.Button(label=_("_Add Images…"), use_underline=True)
        add.connect("clicked", self._add_files)
        self.button = _button([check for _layer, check in self._layers] + [self._file_list, add])
        self._show_files()

    def _layers_changed(self, *_: object) -> None:
        chosen = [name for name, check in self._layers if check.get_active()]
        self._config.set_property("also-match-layers", chosen)
        self._show_count()

    def _add_files(self, *_arguments: object) -> None:
        chooser = Gtk.FileChooserNative.new(
            _("Choose images to match"), self._window, Gtk.FileChooserAction.OPEN, _("_Open"), _("_Cancel")
        )
        chooser.set_select_multiple(True)
        if chooser.run() == Gtk.ResponseType.ACCEPT:
            self._files += [name for name in chooser.get_filenames() if name not in self._files]
            self._files_changed()
        chooser.destroy()

    def _files_changed(self) -> None:
        self._config.set_property("also-match-files", self._files)
        self._show_files()

    def _show_files(self) -> None:
        for child in self._file_list.get_children():
            self._file_list.remove(child)
        for file in self._files:
            check = _check(Path(file).name, True, lambda *_, removed=file: self._remove(removed))
            check.set_tooltip_text(file)
            self._file_list.pack_start(check, False, False, 0)
        self._file_list.show_all()
        self._show_count()

    def _remove(self, file: str) -> None:
        self._files.remove(file)
        self._files_changed()

    def _show_count(self) -> None:
        layers = sum(bool(check.get_active()) for _layer, check in self._layers)
        parts = [_(f"Layers: {layers}")] if layers else []
        parts += [_(f"Images: {len(self._files)}")] if self._files else []
        self.button.set_label(", ".join(parts) or _("Nothing else"))


class PresetMenu:
    """The named presets: apply one, save the current values, delete one."""

    def __init__(self, config: Gimp.ProcedureConfig, presets: Presets, report: Callable[[str], None]) -> None:
        """Build the button.

        Args:
            config: the arguments.
            presets: the user's presets.
            report: shows a sentence.
        """
        self._config, self._presets, self._report = config, presets, report
        self._list = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._name = Gtk.Entry(placeholder_text=_("Name"))
        self._save = Gtk.Button(label=_("Save"), use_underline=True)
        self._save.connect("clicked", self._save_clicked)
        self._name.connect("changed", self._name_changed)
        row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
        row.pack_start(self._name, True, True, 0)
        row.pack_start(self._save, False, False, 0)
        self.button = _button([self._list, row])
        self.button.set_label(_("Presets"))
        self._show()

    def _show(self) -> None:
        for child in self._list.get_children():
            self._list.remove(child)
        for name, values in self._presets.load().items():
            row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6)
            apply = Gtk.Button(label=name, relief=Gtk.ReliefStyle.NONE, hexpand=True)
            apply.connect("clicked", lambda _, chosen=values: self._apply(chosen))
            delete = Gtk.Button.new_from_icon_name("edit-delete", Gtk.IconSize.BUTTON)
            delete.set_tooltip_text(_(f"Delete “{name}”"))
            delete.connect("clicked", lambda _, gone=name: self._change(lambda: self._presets.delete(gone)))
            row.pack_start(apply, True, True, 0)
            row.pack_start(delete, False, False, 0)
            self._list.pack_start(row, False, False, 0)
        self._list.show_all()
        self._name_changed()

    def _apply(self, values: dict[str, Any]) -> None:
        for name, value in values.items():
            self._config.set_property(name, value)
        self.button.get_popover().popdown()

    def _save_clicked(self, *_: object) -> None:
        name = self._name.get_text().strip()
        if name:
            self._change(lambda: self._presets.save(name, self._config))

    def _change(self, do: Callable[[], None]) -> None:
        try:
            do()
        except S2AMError as error:
            self._report(error_message(error))
        self._show()

    def _name_changed(self, *_arguments: object) -> None:
        name = self._name.get_text().strip()
        self._save.set_sensitive(bool(name))
        self._save.set_label(_("Replace") if name in self._presets.load() else _("Save"))


def _check(text: str, active: bool, toggled: Callable[..., None]) -> Gtk.CheckButton:
    check = Gtk.CheckButton(label=text, active=active)
    check.connect("toggled", toggled)
    return check


def _button(children: Sequence[Gtk.Widget]) -> Gtk.MenuButton:
    """Return a button that opens a list, which scrolls if it is long."""
    column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=_MARGIN)
    for child in children:
        column.pack_start(child, False, False, 0)
    scrolled = Gtk.ScrolledWindow(
        hscrollbar_policy=Gtk.PolicyType.NEVER, max_content_height=_LIST_HEIGHT, propagate_natural_height=True
    )
    scrolled.add(column)
    scrolled.show_all()
    popover = Gtk.Popover()
    popover.add(scrolled)
    return Gtk.MenuButton(popover=popover)
