# SPDX-License-Identifier: GPL-3.0-or-later
"""The desktop editor: compositing and harmonizing without another program.

`document` (data and undo), `render` (rendering), `cutout` (masks), `files` and `batch` are independent of widgets;
`window` shows them.
"""
