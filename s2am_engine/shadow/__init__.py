# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows of a foreground on its background, as a layer of their own beneath it."""
