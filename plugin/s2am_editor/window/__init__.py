# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's graphical user interface; the only package that imports Qt."""
