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
_JOINT = _KNEE_LINEAR + 1e-8  # at least the rounded power at the knee, so that black stays 0


def srgb_to_linear(encoded: NDArray[Any]) -> Floats:
    """Decode sRGB values to linear light; any shape (1 to 3 axes), nominal range [0, 1], float32 out."""
    return _odd(encoded, _decoded, _KNEE, 1 / _TOE_SLOPE)


def linear_to_srgb(linear: NDArray[Any]) -> Floats:
    """Encode linear light as sRGB values; any shape (1 to 3 axes), nominal range [0, 1], float32 out."""
    return _odd(linear, _encoded, _KNEE_LINEAR, _TOE_SLOPE)


def srgb_slope(linear: NDArray[Any]) -> NDArray[Any]:
    """Return the derivative of `linear_to_srgb`, at most 12.92."""
    above = np.maximum(linear, _KNEE_LINEAR)
    return np.where(linear <= _KNEE_LINEAR, _TOE_SLOPE, (1 + _OFFSET) / _GAMMA * above ** (1 / _GAMMA - 1))


def srgb_tensor_to_linear(encoded: Tensor) -> Tensor:
    """Decode a tensor of sRGB values to linear light (differentiable; linear below black)."""
    # The sum of the parts below and above the knee: conditions are slow, and so are powers beside logarithms.
    raised = encoded.clamp_min(_KNEE).add_(_OFFSET).div_(1 + _OFFSET).log_().mul_(_GAMMA).exp_()
    return (raised - _JOINT).clamp_min(0).add_(encoded.clamp_max(_KNEE), alpha=1 / _TOE_SLOPE)


def linear_tensor_to_srgb(linear: Tensor) -> Tensor:
    """Encode a tensor of linear light as sRGB values (differentiable; linear below black)."""
    curved = (linear.clamp_min(_KNEE_LINEAR).log_().div_(_GAMMA).exp_() * (1 + _OFFSET)).sub_(_OFFSET)
    return curved.minimum(linear * _TOE_SLOPE)  # the line is above the curve beyond the knee, and below it before


def tensor_luma(pictures: Tensor) -> Tensor:
    """Return the luma of gamma-encoded colors, or the luminance of linear light: (B, 3, H, W) to (B, 1, H, W)."""
    red, green, blue = pictures.split(1, dim=1)
    # Numbers instead of a tensor of weights, which would have to be copied to the device.
    return (LUMA[0] * red).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def _odd(values: NDArray[Any], power: Callable[[Floats], Floats], knee: float, toe: float) -> Floats:
    """Continue a power function linearly below a knee, and as an odd function below 0.

    All steps but the first write in place, and OpenCV's functions are several times faster than NumPy's on float32:
    conversions take most of the time of rendering in linear light and in other color spaces.
    """
    values = np.ascontiguousarray(values, np.float32)
    row = values.reshape(1, -1)
    size = np.abs(row)
    curved, below = power(size), (size <= knee).view(np.uint8)
    cv2.copyTo(np.multiply(size, np.float32(toe), out=size), below, curved)
    if not row.min() >= 0:  # also if it is not a number
        np.copysign(curved, row, out=curved)
    return curved.reshape(values.shape)


def _decoded(row: Floats) -> Floats:
    base = row + _OFFSET
    base /= 1 + _OFFSET
    return cv2.pow(base, _GAMMA, dst=base)  # type: ignore[return-value]


def _encoded(row: Floats) -> Floats:
    result: Floats = cv2.pow(row, 1 / _GAMMA)  # type: ignore[assignment]
    result *= 1 + _OFFSET
    result -= _OFFSET
    return result
