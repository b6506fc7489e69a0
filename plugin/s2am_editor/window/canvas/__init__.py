# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas: viewport, tiles, and the widget that shows them."""
