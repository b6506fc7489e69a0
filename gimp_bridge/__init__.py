# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between GIMP and the engine; it comes with the plug-in's issue.

`protocol` and `client` will run inside GIMP's own Python, so they import the standard library alone; `server` and
`launch` are the engine's side. tests/test_architecture.py already holds them to that.
"""
