# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP's plug-in: reads a layer and what is beneath it, asks the engine, and shows and keeps the answer.

It runs in GIMP's own Python: the standard library, `gi`, and the bridge's client beside it, nothing else.
"""
