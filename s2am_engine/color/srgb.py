# SPDX-License-Identifier: GPL-3.0-or-later
"""sRGB (IEC 61966-2-1): the transfer function for NumPy arrays and for tensors, and the luma of encoded colors.

The transfer function is continued as an odd function below black and unchanged above white.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in the luma of gamma-encoded values (ITU-R BT.709, whose primaries are those of sRGB)."""

_KNEE = 0.04045  # encoded value below which the function is linear
_TOE_SLOPE = 12.92
_OFFSET = 0.055
_GAMMA = 2.4
_KNEE_LINEAR = _KNEE / _TOE_SLOPE


def srgb_to_linear(encoded: NDArray[Any]) -> Floats:
    """Decode sRGB values to linear light; any shape (1 to 3 axes), nominal range [0, 1], float32 out."""
    return _odd(encoded, lambda x: _power((x + _OFFSET) / (1 + _OFFSET), _GAMMA), _KNEE, 1 / _TOE_SLOPE)


def linear_to_srgb(linear: NDArray[Any]) -> Floats:
    """Encode linear light as sRGB values; any shape (1 to 3 axes), nominal range [0, 1], float32 out."""
    return _odd(linear, lambda x: (1 + _OFFSET) * _power(x, 1 / _GAMMA) - _OFFSET, _KNEE_LINEAR, _TOE_SLOPE)


def srgb_slope(linear: NDArray[Any]) -> NDArray[Any]:
    """Return the derivative of `linear_to_srgb`, at most 12.92."""
    above = np.maximum(linear, _KNEE_LINEAR)
    return np.where(linear <= _KNEE_LINEAR, _TOE_SLOPE, (1 + _OFFSET) / _GAMMA * above ** (1 / _GAMMA - 1))


def srgb_tensor_to_linear(encoded: Tensor) -> Tensor:
    """Decode a tensor of sRGB values to linear light (differentiable; linear below black)."""
    above = encoded.clamp_min(_KNEE)
    return ((above + _OFFSET) / (1 + _OFFSET)).pow(_GAMMA).where(encoded > _KNEE, encoded / _TOE_SLOPE)


def linear_tensor_to_srgb(linear: Tensor) -> Tensor:
    """Encode a tensor of linear light as sRGB values (differentiable; linear below black)."""
    above = linear.clamp_min(_KNEE_LINEAR)
    return ((1 + _OFFSET) * above.pow(1 / _GAMMA) - _OFFSET).where(linear > _KNEE_LINEAR, linear * _TOE_SLOPE)


def _odd(values: NDArray[Any], power: Callable[[NDArray[Any]], NDArray[Any]], knee: float, toe: float) -> Floats:
    values = np.ascontiguousarray(values, np.float32)
    size = np.abs(values)
    curved = np.where(size <= knee, size * np.float32(toe), power(size))
    signed: Floats = np.copysign(curved, values, dtype=np.float32)
    return signed


def _power(base: NDArray[Any], exponent: float) -> NDArray[Any]:
    """Raise to a power with OpenCV, several times faster than NumPy on float32."""
    return np.asarray(cv2.pow(base.reshape(1, -1), exponent)).reshape(base.shape)
