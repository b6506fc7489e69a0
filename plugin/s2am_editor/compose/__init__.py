# SPDX-License-Identifier: GPL-3.0-or-later
"""What a document looks like: on the screen at any zoom, in an export, and to a model that harmonizes one layer."""
