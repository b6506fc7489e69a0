# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of blocks, and operations on them that write to it: allocating arrays anew would take more memory and time."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.types import Floats


class Scratch:
    """Arrays that are reused from block to block, by one thread."""

    def __init__(self) -> None:
        """Allocate nothing yet; arrays grow to the size of the largest block."""
        self._memory: dict[str, NDArray[np.uint8]] = {}
        self._arrays: dict[tuple[str, tuple[int, ...], type[np.generic]], NDArray[Any]] = {}

    def array(self, name: str, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
        """Return a contiguous array of undefined content, in the memory of all arrays of this name."""
        key = name, shape, dtype
        if (found := self._arrays.get(key)) is None:
            size = math.prod(shape) * np.dtype(dtype).itemsize
            memory = self._memory.get(name)
            if memory is None or len(memory) < size:
                memory = self._memory[name] = np.empty(size, np.uint8)
                self._arrays = {other: array for other, array in self._arrays.items() if other[0] != name}
            found = self._arrays[key] = memory[:size].view(dtype).reshape(shape)
        return found

    def floats(self, name: str, shape: tuple[int, ...]) -> Floats:
        """Return an `array` of float32."""
        return self.array(name, shape, np.float32)


def repeat_channels(weight: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
    """Return a weight (h, w), uint8 or float32, three times (h, w, 3); three times as fast as `cv2.merge`."""
    return cv2.cvtColor(weight, cv2.COLOR_GRAY2RGB, dst=out)


def times(colors: NDArray[Any], weight: Floats, out: Floats | None = None, spare: Floats | None = None) -> Floats:
    """Return colors (h, w, 3) times a weight (h, w); several times faster than NumPy's broadcasting.

    Args:
        colors: h×w×3.
        weight: h×w.
        out: array for the result, which may be `colors` itself; None = a new one.
        spare: array of the shape of the colors, needed if these are `out`, to be overwritten; None = a new one.
    """
    factors = repeat_channels(weight, spare if out is colors else out)
    return np.asarray(cv2.multiply(colors, factors, dst=factors if out is None else out), np.float32)
