# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of sliders in sections of the dialog."""

from __future__ import annotations

from gi.repository import GimpUi, Gtk

from s2am_common.sliders import SliderSpec


def make_slider(
    window: GimpUi.ProcedureDialog, name: str, spec: SliderSpec, labels: Gtk.SizeGroup
) -> GimpUi.ScaleEntry:
    """Return the slider of an argument in the unit that is shown, with its label as wide as those of the group.

    Args:
        window: the dialog, which keeps the slider.
        name: of the argument.
        spec: the slider's descriptor.
        labels: the group of labels.
    """
    slider = window.get_scale_entry(name, float(spec.factor))
    slider.set_digits(spec.digits)
    labels.add_widget(slider.get_label())
    return slider
