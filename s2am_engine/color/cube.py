# SPDX-License-Identifier: GPL-3.0-or-later
"""Export of color maps as .cube files, the Adobe/IRIDAS "Cube LUT" format that editors, ffmpeg and OpenColorIO read."""

from __future__ import annotations

import numpy as np

from s2am_engine.types import Doubles, Floats

MAX_CUBE_SIZE = 256
"""The largest LUT_3D_SIZE that the format allows."""


def identity_lattice(size: int) -> Doubles:
    """Return the identity as a table (size, size, size, 3), indexed [r, g, b], in [0, 1]."""
    axis = np.linspace(0, 1, size)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def format_cube(table: Floats, title: str) -> str:
    """Return a table (N, N, N, 3), indexed [r, g, b], as .cube text.

    Red changes fastest and the domain is [0, 1]. Values are not clamped: the format allows any number, and programs
    that interpolate between unclamped values render colors near black and white better.
    """
    size = table.shape[0]
    name = "".join(c if c.isprintable() and c.isascii() and c != '"' else "_" for c in title)[:200]
    head = f'TITLE "{name}"\nLUT_3D_SIZE {size}\nDOMAIN_MIN 0.0 0.0 0.0\nDOMAIN_MAX 1.0 1.0 1.0\n\n'
    rows = table.transpose(2, 1, 0, 3).reshape(-1, 3).tolist()
    return head + "".join(f"{r:.7f} {g:.7f} {b:.7f}\n" for r, g, b in rows)
