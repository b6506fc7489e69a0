# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer's own pixels, and their halvings, from which any zoom is drawn."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]

DEPTHS = {np.dtype(np.uint8): cv2.CV_8U, np.dtype(np.uint16): cv2.CV_16U, np.dtype(np.float32): cv2.CV_32F}
"""OpenCV's names of the depths that pixels have."""

_STRIP_PIXELS = 1 << 18


@dataclass(frozen=True, eq=False)
class Raster:
    """A layer's own pixels: H×W×3 uint8, uint16 or float32, and their alpha H×W of the same type, None = opaque.

    The arrays are made read-only. A raster is equal to itself alone, so that caches can go by it.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    _coarser: list[Raster] = field(default_factory=list, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        """Close the arrays to writing."""
        self.pixels.flags.writeable = False
        if self.alpha is not None:
            self.alpha.flags.writeable = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def nbytes(self) -> int:
        """Memory of the pixels and the alpha; the halvings add a third at most."""
        return self.pixels.nbytes + (0 if self.alpha is None else self.alpha.nbytes)

    def level(self, index: int) -> Raster:
        """The pixels halved `index` times, sides rounded up; made when first asked for, from any thread."""
        if index == 0:
            return self
        with self._lock:
            while len(self._coarser) < index:
                self._coarser.append(_halved(self._coarser[-1] if self._coarser else self))
            return self._coarser[index - 1]


def _halved(fine: Raster) -> Raster:
    """Means of 2×2 pixels; what is transparent does not count for the colors."""
    width, height = fine.size
    size = -(-width // 2), -(-height // 2)
    pixels = np.empty((size[1], size[0], 3), fine.pixels.dtype)
    alpha = None if fine.alpha is None else np.empty((size[1], size[0]), fine.pixels.dtype)
    step = max(2, _STRIP_PIXELS // width // 2 * 2)
    for top in range(0, height, step):
        block = _even(fine.pixels[top : top + step])
        rows = slice(top // 2, top // 2 + block.shape[0] // 2)
        if fine.alpha is None or alpha is None:
            pixels[rows] = _means(block)
        else:
            cover = _even(fine.alpha[top : top + step])
            alpha[rows] = _means(cover)
            uniform = cover.min() == cover.max()
            pixels[rows] = _means(block) if uniform else _weighted_means(block, cover)
    return Raster(pixels, alpha)


def _even(block: Pixels) -> Pixels:
    """A block with its last row or column repeated where their number is odd."""
    rows, columns = block.shape[:2]
    if rows % 2 == columns % 2 == 0:
        return block
    return cv2.copyMakeBorder(block, 0, rows % 2, 0, columns % 2, cv2.BORDER_REPLICATE)


def _means(block: Pixels) -> Pixels:
    return cv2.resize(block, (block.shape[1] // 2, block.shape[0] // 2), interpolation=cv2.INTER_AREA)


def _weighted_means(block: Pixels, cover: Pixels) -> Pixels:
    products = cv2.multiply(block, cv2.merge([cover] * 3), dtype=cv2.CV_32F)
    shares = _means(cover.astype(np.float32))
    sums = cv2.divide(
        _means(products), cv2.merge([np.maximum(shares, np.float32(1e-6))] * 3), dtype=DEPTHS[block.dtype]
    )
    hidden = (shares == 0).view(np.uint8)
    return cv2.copyTo(_means(block), hidden, sums)
