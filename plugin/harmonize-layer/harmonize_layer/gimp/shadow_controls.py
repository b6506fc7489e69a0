# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the dialog about the shadow: a check box, and an expander with its values."""

from __future__ import annotations

from collections.abc import Mapping

from gi.repository import Gimp, GimpUi, GObject, Gtk

from harmonize_layer.core.settings import SHADOW_ARGUMENTS, HarmonizeSettings
from harmonize_layer.gimp.slider_rows import make_slider
from s2am_common.translation import localized as _

_SPACING = 6


class ShadowControls:
    """The sliders of `SHADOW_SLIDERS`, of which some follow estimated values."""

    def __init__(self, window: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> None:
        """Build the widgets.

        Args:
            window: the dialog, which makes check boxes and sliders.
            config: the arguments.
        """
        self._config = config
        self._estimated: list[Gtk.Widget] = []
        rows = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=_SPACING, margin_top=_SPACING)
        rows.pack_start(window.get_widget("shadow-automatic", GObject.TYPE_NONE), False, False, 0)
        labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        for name, spec in SHADOW_ARGUMENTS.items():
            slider = make_slider(window, name, spec, labels)
            rows.pack_start(slider, False, False, 0)
            if spec.automatic:
                self._estimated.append(slider)
        self._values = Gtk.Expander(label=_("Values of the shadow"))
        self._values.add(rows)
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=_SPACING, valign=Gtk.Align.START)
        self.widget.pack_start(window.get_widget("shadow", GObject.TYPE_NONE), False, False, 0)
        self.widget.pack_start(self._values, False, False, 0)

    def update(self, chosen: HarmonizeSettings) -> None:
        """Enable the values that can be changed: none without a shadow, and no estimated one."""
        self._values.set_sensitive(chosen.shadow is not None)
        for slider in self._estimated:
            slider.set_sensitive(not (chosen.shadow and chosen.shadow.automatic))

    def show_values(self, values: Mapping[str, float]) -> None:
        """Set the sliders to automatic values, by slider name."""
        for name, spec in SHADOW_ARGUMENTS.items():
            if spec.name in values:
                self._config.set_property(name, values[spec.name])
