# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the dialog about the finish: a slider for each value, with its measured value and a reset."""

from __future__ import annotations

from collections.abc import Mapping

from gi.repository import Gimp, GimpUi, GObject, Gtk

from harmonize_layer.core.settings import FINISH_ARGUMENTS, FINISH_AUTOMATIC, FinishSettings, HarmonizeSettings
from harmonize_layer.gimp.slider_rows import make_slider
from s2am_common.sliders import FINISH_SLIDERS, SliderSpec
from s2am_common.translation import localized as _

_SPACING = 6
_WIDTH = 400  # pixels: with their resets, the sliders have room to be moved


class FinishControls:
    """An expander with the sliders of `FINISH_SLIDERS`."""

    def __init__(self, window: GimpUi.ProcedureDialog, config: Gimp.ProcedureConfig) -> None:
        """Build the widgets.

        Args:
            window: the dialog, which makes the sliders.
            config: the arguments.
        """
        self._config = config
        self._sliders: dict[str, Gtk.Widget] = {}
        self._measured = Gtk.Label(xalign=0, wrap=True, max_width_chars=40, no_show_all=True)
        rows = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=_SPACING, margin_top=_SPACING)
        rows.set_size_request(_WIDTH, -1)
        matches = Gtk.Grid(column_spacing=2 * _SPACING, row_spacing=_SPACING)
        for number, argument in enumerate(FINISH_AUTOMATIC):  # in two columns: one row would widen the dialog
            matches.attach(window.get_widget(argument, GObject.TYPE_NONE), number % 2, number // 2, 1, 1)
        rows.pack_start(matches, False, False, 0)
        labels = Gtk.SizeGroup(mode=Gtk.SizeGroupMode.HORIZONTAL)
        for name, spec in FINISH_ARGUMENTS.items():
            slider = make_slider(window, name, spec, labels)
            self._sliders[spec.name] = slider
            row = Gtk.Box(orientation=Gtk.Orientation.HORIZONTAL, spacing=_SPACING)
            row.pack_start(slider, True, True, 0)
            row.pack_start(self._new_reset(name), False, False, 0)
            rows.pack_start(row, False, False, 0)
        rows.pack_start(self._measured, False, False, 0)
        self.widget = Gtk.Expander(label=_("Finish"))
        self.widget.set_tooltip_text(_("Light, grain, sharpness and edges of the layer"))
        self.widget.add(rows)

    def update(self, chosen: HarmonizeSettings) -> None:
        """Enable the values that can be changed: none of a layer effect, and no measured one."""
        for name, slider in self._sliders.items():
            slider.set_sensitive(name not in chosen.finish.automatic)
        self.widget.get_child().set_sensitive(chosen.result != "effect")
        if chosen.finish.changes_pixels:
            self.widget.set_expanded(True)

    def show_values(self, chosen: FinishSettings, values: Mapping[str, float]) -> None:
        """Show measured values by slider name, and set the sliders that follow them."""
        for argument, spec in FINISH_ARGUMENTS.items():
            if spec.name in chosen.automatic:
                self._config.set_property(argument, values[spec.name])
        specs = [FINISH_SLIDERS[name] for name in values]
        found = ", ".join(f"{_(spec.label)} {_number(spec, values[spec.name])}" for spec in specs)
        self._measured.set_text(_(f"Matching values: {found}"))
        self._measured.show()

    def _new_reset(self, argument: str) -> Gtk.Widget:
        button = Gtk.Button.new_from_icon_name(GimpUi.ICON_RESET, Gtk.IconSize.BUTTON)
        label = _(FINISH_ARGUMENTS[argument].label)
        button.set_tooltip_text(_(f"Reset {label}"))
        button.connect("clicked", lambda _button: self._reset(argument))
        return button

    def _reset(self, argument: str) -> None:
        """Restore the value that changes nothing."""
        automatic = f"{argument}-automatic"
        if automatic in FINISH_AUTOMATIC:
            self._config.set_property(automatic, False)
        self._config.set_property(argument, FINISH_ARGUMENTS[argument].default)


def _number(spec: SliderSpec, value: float) -> str:
    """Return a value as the slider shows it."""
    if spec.unit == "%":
        return f"{value * spec.factor:.{spec.digits}f} %"
    return f"{value:+.{spec.digits}f}" if value else "0"
