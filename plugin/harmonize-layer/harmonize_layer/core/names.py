# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of new layers."""

from __future__ import annotations

_RESULT = " harmonized"
_SHADOW = " shadow"


def harmonized_name(name: str) -> str:
    """Return the name of the new layer that is made from a layer with a name."""
    return f"{_plain_name(name)}{_RESULT}"


def shadow_name(name: str) -> str:
    """Return the name of the shadow of a layer with a name."""
    return f"{_plain_name(name)}{_SHADOW}"


def _plain_name(name: str) -> str:
    """Return a name without the ending of a new layer, and what GIMP appends to that in copies."""
    return name.partition(_RESULT)[0] or name
