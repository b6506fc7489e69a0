# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of parameters in weights files, which are part of the file format."""

from __future__ import annotations

RENAMED_PARTS = {"tell": "embed_context", "centre": "center", "colours": "colors", "recognise": "recognize"}
"""Parts of parameter names as weights saved by earlier versions spell them, and as they are spelled now."""


def current_name(parameter: str) -> str:
    """Return a parameter's name as it is spelled now, from its name in weights saved by any version."""
    return ".".join(RENAMED_PARTS.get(part, part) for part in parameter.split("."))
