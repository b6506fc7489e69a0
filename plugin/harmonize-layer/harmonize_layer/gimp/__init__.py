# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters between the plug-in's logic and GIMP, GEGL and GTK, in the versions that are chosen here."""

import gi

for _namespace, _version in {
    "Babl": "0.1",
    "Gdk": "3.0",
    "GdkPixbuf": "2.0",
    "Gegl": "0.4",
    "Gimp": "3.0",
    "GimpUi": "3.0",
    "Gtk": "3.0",
}.items():
    gi.require_version(_namespace, _version)
