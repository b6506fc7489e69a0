# SPDX-License-Identifier: GPL-3.0-or-later
"""3D tables as .cube text, the Adobe/IRIDAS "Cube LUT" format that editors, ffmpeg and OpenColorIO read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import EngineError

_LARGEST = 256  # the format's own limit on LUT_3D_SIZE


def format_cube(table: NDArray[np.float32], title: str) -> str:
    """A table (N,N,N,3), indexed [r,g,b], as .cube text.

    Red changes fastest and the domain is [0,1]. Values are not clamped: the format allows any number, and a program
    that interpolates between unclamped values renders colors near black and white better.
    """
    size = table.shape[0]
    name = "".join(c if c.isprintable() and c.isascii() and c != '"' else "_" for c in title)[:200]
    head = f'TITLE "{name}"\nLUT_3D_SIZE {size}\nDOMAIN_MIN 0.0 0.0 0.0\nDOMAIN_MAX 1.0 1.0 1.0\n\n'
    rows = table.transpose(2, 1, 0, 3).reshape(-1, 3).tolist()
    return head + "".join(f"{r:.7f} {g:.7f} {b:.7f}\n" for r, g, b in rows)


def parse_cube(text: str) -> NDArray[np.float32]:
    """The table (N,N,N,3), indexed [r,g,b], of .cube text.

    Raises EngineError for anything but a complete 3D table over the domain [0,1].
    """
    keywords, rows = _split(text)
    if "LUT_1D_SIZE" in keywords:
        raise EngineError("This .cube file holds one-dimensional curves; only 3D tables can be read.")
    try:
        size = int(keywords["LUT_3D_SIZE"])
        domain = [[float(v) for v in keywords.get(key, default).split()] for key, default in _DOMAIN]
        values = np.array([[float(v) for v in row.split()] for row in rows], np.float32)
    except (KeyError, ValueError) as problem:
        raise EngineError(f"This is not a readable .cube file ({problem}); export it again.") from problem
    if domain != [[0.0] * 3, [1.0] * 3]:
        raise EngineError("This .cube file has a domain other than 0 to 1; export it again with the standard domain.")
    if not 2 <= size <= _LARGEST or values.shape != (size**3, 3) or not np.isfinite(values).all():
        raise EngineError(f"This .cube file is damaged: a 3D table of size {size} needs {size**3} rows of 3 numbers.")
    return np.ascontiguousarray(values.reshape(size, size, size, 3).transpose(2, 1, 0, 3))


_DOMAIN = (("DOMAIN_MIN", "0 0 0"), ("DOMAIN_MAX", "1 1 1"))


def _split(text: str) -> tuple[dict[str, str], list[str]]:
    """Keyword lines as a dictionary and the lines of numbers; comments and blank lines are left out."""
    keywords: dict[str, str] = {}
    rows = []
    for line in text.lstrip("\ufeff").splitlines():
        line = line.strip()
        if line[:1].isalpha() and not line.lower().startswith(("nan", "inf")):
            key, _, value = line.partition(" ")
            keywords[key.upper()] = value.strip()
        elif line and not line.startswith("#"):
            rows.append(line)
    return keywords, rows
