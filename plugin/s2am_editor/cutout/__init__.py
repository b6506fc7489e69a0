# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a subject out: masks from alpha, a box, scribbles, a brush, or what is found; and clean edges."""
