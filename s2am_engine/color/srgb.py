# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB transfer curve (IEC 61966-2-1), continued as an odd function below black and as it stands above white."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_KNEE = 0.04045
_KNEE_LINEAR = _KNEE / 12.92


def srgb_to_linear(encoded: NDArray[Any]) -> NDArray[np.float32]:
    """Linear light of sRGB values; any shape (1 to 3 axes), nominal range [0,1], float32 out."""
    return _odd(encoded, lambda x: _power((x + 0.055) / 1.055, 2.4), _KNEE, 1 / 12.92)


def linear_to_srgb(linear: NDArray[Any]) -> NDArray[np.float32]:
    """The sRGB values of linear light; any shape (1 to 3 axes), nominal range [0,1], float32 out."""
    return _odd(linear, lambda x: 1.055 * _power(x, 1 / 2.4) - 0.055, _KNEE_LINEAR, 12.92)


def srgb_slope(linear: NDArray[Any]) -> NDArray[Any]:
    """How fast the sRGB value grows with linear light (derivative of `linear_to_srgb`), at most 12.92."""
    return np.where(linear <= _KNEE_LINEAR, 12.92, 1.055 / 2.4 * np.maximum(linear, _KNEE_LINEAR) ** (1 / 2.4 - 1))


def _odd(
    values: NDArray[Any], power: Callable[[NDArray[Any]], NDArray[Any]], knee: float, toe: float
) -> NDArray[np.float32]:
    values = np.ascontiguousarray(values, np.float32)
    size = np.abs(values)
    bent = np.where(size <= knee, size * np.float32(toe), power(size))
    signed: NDArray[np.float32] = np.copysign(bent, values, dtype=np.float32)
    return signed


def _power(base: NDArray[Any], exponent: float) -> NDArray[Any]:
    """OpenCV's vectorized power: several times faster than numpy's on float32."""
    return np.asarray(cv2.pow(base.reshape(1, -1), exponent)).reshape(base.shape)
