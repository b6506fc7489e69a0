# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge between GIMP and the engine.

The client's modules run inside GIMP's own Python and import the standard library alone; the rest is the engine's side.
"""

from __future__ import annotations

CLIENT_FILES = (
    "__init__.py",
    "background.py",
    "channel.py",
    "client.py",
    "places.py",
    "protocol.py",
    "starter.py",
    "strips.py",
    "wire.py",
)
"""The modules that a plug-in takes along."""
