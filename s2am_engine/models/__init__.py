# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundled and personal models: cards, weights, and the files that hold them."""
