# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapters between the plug-in's logic and GIMP, GEGL and GTK."""
