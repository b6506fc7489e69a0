# SPDX-License-Identifier: GPL-3.0-or-later
"""The button of the dialog that shows variants side by side."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import GdkPixbuf, Gimp, Gtk

from s2am_common.translation import localized as _

VARIANT_SIZE = (180, 150)
"""Width and height of the image of a variant."""


class VariantPicker:
    """A list of images, each on a button that chooses its model and strength."""

    def __init__(self, config: Gimp.ProcedureConfig, find: Callable[[], None]) -> None:
        """Build the button.

        Args:
            config: the arguments.
            find: called to compute the variants, when the list is opened.
        """
        self._config, self._find = config, find
        self._row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=6, margin=12)
        self._row.set_size_request(-1, VARIANT_SIZE[1])
        self._row.show()
        popover = Gtk.Popover()
        popover.add(self._row)
        self.button = Gtk.MenuButton(label=_("Variants"), popover=popover, sensitive=False)
        self.button.set_tooltip_text(_("Compare several models side by side"))
        self.button.connect("toggled", self._toggled)

    def add(self, model: str, strength: float, shown: GdkPixbuf.Pixbuf) -> None:
        """Append a variant."""
        chosen = Gtk.Button(label=f"{model}, {strength:.0%}", image=Gtk.Image.new_from_pixbuf(shown))
        chosen.set_image_position(Gtk.PositionType.TOP)
        chosen.set_always_show_image(True)
        chosen.connect("clicked", lambda _: self._choose(model, strength))
        self._row.pack_start(chosen, False, False, 0)
        self._row.show_all()
        if len(self._row.get_children()) == 1:
            chosen.grab_focus()  # else Tab would close the list

    def _toggled(self, button: Gtk.MenuButton) -> None:
        if button.get_active():
            for child in self._row.get_children():
                self._row.remove(child)
            self._find()

    def _choose(self, model: str, strength: float) -> None:
        self._config.set_property("model", model)
        self._config.set_property("strength", strength)
        self.button.get_popover().popdown()
