# SPDX-License-Identifier: GPL-3.0-or-later
"""The desktop editor: composite and harmonize without any other program.

`document` (what is edited, undo), `compose` (drawing it), `cutout` (masks), `files` and `batch` know nothing of
widgets; `window` shows them.
"""
