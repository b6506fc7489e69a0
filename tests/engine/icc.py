# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC version 2 profiles made from primaries and a tone curve (ICC.1:2001-04), for tests."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]
Primaries = tuple[tuple[float, float], tuple[float, float], tuple[float, float]]

D65, D50 = (0.3127, 0.3290), (0.34567, 0.35850)
SRGB: Primaries = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
P3: Primaries = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE: Primaries = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def srgb_curve(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decode an sRGB value to linear light (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def adobe_curve(value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decode an Adobe RGB (1998) value to linear light."""
    return value ** (563 / 256)


def xyz_matrix(primaries: Primaries) -> NDArray[np.float64]:
    """Linear RGB with white D65 → XYZ with white D65 (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
    white = np.array([D65[0] / D65[1], 1, (1 - D65[0] - D65[1]) / D65[1]])
    return columns * np.linalg.solve(columns, white)


def rgb_profile(primaries: Primaries, curve: Curve) -> bytes:
    """Return a display profile of RGB primaries (white D65, adapted to D50 by Bradford)."""
    whites = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in (D65, D50)]
    gains = (BRADFORD @ whites[1]) / (BRADFORD @ whites[0])
    columns = (np.linalg.inv(BRADFORD) @ np.diag(gains) @ BRADFORD @ xyz_matrix(primaries)).T
    tags = {name + b"XYZ": _xyz(column) for name, column in zip((b"r", b"g", b"b"), columns, strict=True)}
    tags |= {name + b"TRC": _curve(curve) for name in (b"r", b"g", b"b")}
    return _profile(b"RGB ", tags | {b"wtpt": _xyz(whites[1])})


def gray_profile(curve: Curve) -> bytes:
    """A gray display profile."""
    x, y = D50
    return _profile(b"GRAY", {b"kTRC": _curve(curve), b"wtpt": _xyz(np.array([x / y, 1, (1 - x - y) / y]))})


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _curve(curve: Curve) -> bytes:
    table = np.rint(curve(np.linspace(0, 1, 1024, dtype=np.float64)) * 65535).astype(">u2").tobytes()
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + table


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    name = b"made for a test\0"
    tags = tags | {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
    }
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        value += bytes(-len(value) % 4)
        table += struct.pack(">4sII", tag, at + len(body), len(value))
        body += value
    head = struct.pack(">I4s4s4s4s4s", at + len(body), bytes(4), b"\x02\x40\0\0", b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body
