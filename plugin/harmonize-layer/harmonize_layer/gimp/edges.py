# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of the dialog for the edges of the mask, and for saving the mask in the image."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp, GimpUi, Gtk

from harmonize_layer.core.settings import EDGE_ARGUMENTS
from harmonize_layer.gimp.slider_rows import make_slider
from s2am_common.translation import localized as _


class EdgeSection:
    """The sliders of the edges, and two buttons that save the mask."""

    def __init__(
        self, window: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig, save: Callable[[bool], None]
    ) -> None:
        """Build the section; it is open if the edges are refined.

        Args:
            window: the dialog.
            config: the arguments.
            save: saves the mask: as a layer mask (True) or as a channel.
        """
        self._config = config
        self.channel = _button(
            _("Save Mask as Channel"), _("Add the mask with its edges to the image as a channel"), lambda: save(False)
        )
        self.layer_mask = _button(
            _("Save Mask as Layer Mask"),
            _("Cut the layer out with the mask; the edges are part of it then"),
            lambda: save(True),
        )
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin_top=6)
        labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        for name, spec in EDGE_ARGUMENTS.items():
            slider = make_slider(window, name, spec, labels)
            column.pack_start(slider, False, False, 0)
        for button in (self.channel, self.layer_mask):
            column.pack_start(button, False, False, 0)
        self.widget = Gtk.Expander(label=_("Edges"), expanded=any(map(config.get_property, EDGE_ARGUMENTS)))
        self.widget.add(column)

    def set_ready(self, ready: bool, has_layer_mask: bool) -> None:
        """Allow or forbid saving the mask."""
        self.channel.set_sensitive(ready)
        self.layer_mask.set_sensitive(ready and not has_layer_mask)

    def reset(self) -> None:
        """Set all values to 0."""
        for name, spec in EDGE_ARGUMENTS.items():
            if self._config.get_property(name) != spec.default:
                self._config.set_property(name, spec.default)


def _button(text: str, about: str, clicked: Callable[[], None]) -> Gtk.Button:
    button = Gtk.Button(label=text, sensitive=False)
    button.set_tooltip_text(about)
    button.connect("clicked", lambda _: clicked())
    return button
