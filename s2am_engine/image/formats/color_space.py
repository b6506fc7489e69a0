# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC profiles for color spaces that files name without a profile: code points (cICP), PNG's gAMA and cHRM, EXIF.

Source: PNG specification, third edition, section 11.3.2; ITU-T H.273 (code points); ICC.1:2001-04 (profile).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Chromaticity = tuple[float, float]
Curve = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_D65: Chromaticity = (0.3127, 0.3290)
_DCI_WHITE: Chromaticity = (0.314, 0.351)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_BT709: tuple[Chromaticity, ...] = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), _D65)
_ADOBE: tuple[Chromaticity, ...] = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)
_ADOBE_GAMMA = 563 / 256
_BT601: tuple[Chromaticity, ...] = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_PRIMARIES: dict[int, tuple[Chromaticity, ...]] = {
    1: _BT709,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _BT601,
    7: _BT601,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI_WHITE),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
"""Red, green, blue and white, by ColourPrimaries of H.273."""

_SRGB_GAMMA = 0.45455
_CURVE_POINTS = 1024


def _srgb(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def _bt709(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(value < 0.081, value / 4.5, ((value + 0.099) / 1.099) ** (1 / 0.45))


def _power(exponent: float) -> Curve:
    return lambda value: value**exponent


_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 14, 15), _bt709),
    4: _power(2.2),
    5: _power(2.8),
    8: _power(1.0),
    13: _srgb,
}
"""Linear light of an encoded value, by TransferCharacteristics of H.273."""

_HDR_CURVES = {16: "PQ", 18: "HLG"}


def hdr_curve_of_cicp(body: bytes) -> str | None:
    """Return PQ or HLG if a cICP chunk names one of them: no ICC profile describes their absolute light."""
    return _HDR_CURVES.get(body[1]) if len(body) == 4 else None


def profile_of_cicp(body: bytes, gray: bool = False) -> bytes | None:
    """Return the profile for a cICP chunk; None for sRGB and for code points that no RGB image can have."""
    if len(body) != 4 or body[2] != 0 or body[3] != 1 or body[:2] == b"\1\x0d":
        return None
    primaries, curve = _PRIMARIES.get(body[0]), _CURVES.get(body[1])
    if primaries is None or curve is None:
        return None
    return _profile(primaries, curve, gray)


def adobe_rgb_profile(gray: bool = False) -> bytes | None:
    """Return the profile of Adobe RGB (1998), for EXIF data that name it."""
    return _profile(_ADOBE, _power(_ADOBE_GAMMA), gray)


def profile_of_gamma(gamma: bytes | None, chromaticities: bytes | None, gray: bool = False) -> bytes | None:
    """Return the profile for the chunks gAMA and cHRM; None if they are missing, invalid, or those of sRGB."""
    encoding = struct.unpack(">I", gamma)[0] / 1e5 if gamma and len(gamma) == 4 else _SRGB_GAMMA
    if not 0.1 <= encoding <= 2:
        return None
    points: tuple[Chromaticity, ...] = _BT709
    if chromaticities and len(chromaticities) == 32:
        values = [value / 1e5 for value in struct.unpack(">8I", chromaticities)]
        white, *points_list = zip(values[::2], values[1::2], strict=True)
        points = (*points_list, white)
        if not all(y > 0 and x + y <= 1 for x, y in points):
            return None
    standard = abs(encoding - _SRGB_GAMMA) < 0.005
    if standard and np.allclose(points, _BT709, atol=0.002):
        return None
    return _profile(points, _srgb if standard else _power(1 / encoding), gray)


def _profile(points: tuple[Chromaticity, ...], curve: Curve, gray: bool) -> bytes | None:
    """Return a display profile, ICC version 2, of red, green, blue and white, with Bradford adaptation to D50."""
    red, green, blue, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in points)
    columns = np.stack([red, green, blue], axis=1)
    try:
        columns = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError:
        return None
    gains = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
    adapted = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ columns
    if not np.isfinite(adapted).all() or np.abs(adapted).max() > 10:
        return None
    light = np.rint(curve(np.linspace(0, 1, _CURVE_POINTS, dtype=np.float64)) * 65535).astype(">u2").tobytes()
    tone = b"curv" + bytes(4) + struct.pack(">I", _CURVE_POINTS) + light
    name = b"color space of the file\0"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(78),
        b"cprt": b"text" + bytes(4) + b"No copyright\0",
        b"wtpt": _xyz(_D50_XYZ),
    }
    if gray:
        tags[b"kTRC"] = tone
    else:
        tags |= {key: _xyz(adapted[:, index]) for index, key in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone)
    return _packed(b"GRAY" if gray else b"RGB ", tags)


def _xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(float(value) * 65536) for value in values))


def _packed(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Return a profile of tags; equal contents are stored once."""
    table, body, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    start = 128 + 4 + 12 * len(tags)
    for tag, value in tags.items():
        if value not in places:
            places[value] = start + len(body)
            body += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", tag, places[value], len(value))
    head = struct.pack(">I4s4s4s4s4s", start + len(body), bytes(4), b"\x02\x40\0\0", b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body
