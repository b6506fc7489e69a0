# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering: documents to pixels for the screen and for files, and to the input of the models."""
