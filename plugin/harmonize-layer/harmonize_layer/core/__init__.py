# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's logic: dataclasses and functions that run without GIMP."""
