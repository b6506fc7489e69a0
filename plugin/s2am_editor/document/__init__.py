# SPDX-License-Identifier: GPL-3.0-or-later
"""The document model: immutable layers, the commands that edit them, and undo history."""
