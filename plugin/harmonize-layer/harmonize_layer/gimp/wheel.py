# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouse wheel over the controls of the dialog."""

from __future__ import annotations

from gi.repository import Gdk, GObject, Gtk


def limit_wheel(container: Gtk.Container) -> None:
    """Restrict wheel events to the focused control; over other controls the wheel scrolls the page.

    Args:
        container: holds the sliders, number fields and lists.
    """
    for child in container.get_children():
        if isinstance(child, Gtk.Range | Gtk.SpinButton | Gtk.ComboBox):
            child.connect("scroll-event", _scroll_page)
        elif isinstance(child, Gtk.Container):
            limit_wheel(child)


def _scroll_page(control: Gtk.Widget, _event: Gdk.EventScroll) -> bool:
    """Leave an event of the wheel to the page behind the control, unless the control has the focus."""
    focus = control.get_toplevel().get_focus()
    if focus is None or not (focus == control or focus.is_ancestor(control)):
        GObject.signal_stop_emission_by_name(control, "scroll-event")
    return False
