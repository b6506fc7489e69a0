# SPDX-License-Identifier: GPL-3.0-or-later
"""Panels around the canvas, each showing one aspect of the document."""
