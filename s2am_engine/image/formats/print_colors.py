# SPDX-License-Identifier: GPL-3.0-or-later
"""CMYK and Lab samples, converted to sRGB: the engine works with RGB and gray."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.srgb import linear_to_srgb
from s2am_engine.image import icc
from s2am_engine.image.arrays import STRIP_PIXELS, full_scale, to_depth
from s2am_engine.types import Pixels

CMYK_NOTE = "is a CMYK image: its colors are converted to sRGB"
CMYK_GUESS_NOTE = "is a CMYK image without a color profile: its colors are converted to sRGB approximately"
LAB_NOTE = "is a Lab image: its colors are converted to sRGB"

_D50 = (0.9642, 1.0, 0.8249)
_XYZ_TO_SRGB = np.array(  # linear sRGB of XYZ (white D50, adapted by Bradford)
    [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
)
_EDGE = 6 / 29


def cmyk_to_srgb(samples: NDArray[Any], profile: bytes | None) -> tuple[Pixels, str]:
    """Convert CMYK samples to sRGB.

    Args:
        samples: H×W×4, uint8 or uint16, full scale = full ink.
        profile: ICC profile of the samples; None or an unusable one = a simple model of ideal inks.

    Returns:
        H×W×3 of the same type, and a note for a person.
    """
    found = icc.convert_cmyk(samples, profile)
    if found is not None:
        return found, CMYK_NOTE
    top = full_scale(samples.dtype)
    result = np.empty((*samples.shape[:2], 3), samples.dtype)
    for row, inks in zip(result, samples, strict=True):
        light = 1 - inks.astype(np.float32) / top
        row[:] = np.rint(light[:, :3] * light[:, 3:] * top)
    return result, CMYK_GUESS_NOTE


def lab_to_srgb(samples: NDArray[Any], *, signed: bool) -> Pixels:
    """Convert CIE Lab samples (white D50) to sRGB; colors outside are clipped.

    Args:
        samples: H×W×3, uint8 or uint16 as stored.
        signed: a and b are two's complement (TIFF's CIELab); False = they are offset by half of the range (ICCLab).

    Returns:
        H×W×3 of the same type.
    """
    top, half = full_scale(samples.dtype), 2 ** (8 * samples.dtype.itemsize - 1)
    result = np.empty_like(samples)
    step = max(1, STRIP_PIXELS // samples.shape[1])
    for start in range(0, len(samples), step):
        part = samples[start : start + step]
        lightness = part[..., 0] * (100 / top)
        stored = part[..., 1:].astype(np.int32)
        stored = np.where(stored >= half, stored - 2 * half, stored) if signed else stored - half
        a, b = np.moveaxis(stored * (128 / half), -1, 0)
        y = (lightness + 16) / 116
        t = np.stack([y + a / 500, y, y - b / 200], axis=-1)
        xyz = np.where(t > _EDGE, t**3, 3 * _EDGE**2 * (t - 4 / 29)) * _D50
        linear = (xyz @ _XYZ_TO_SRGB.T).clip(0, 1)
        result[start : start + step] = to_depth(linear_to_srgb(linear), samples.dtype)
    return result
