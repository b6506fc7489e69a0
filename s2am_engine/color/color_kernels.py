# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays beneath the color maps: their parameters, and how polynomials and 3D tables are evaluated fast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float32]

# Colors at a time: twenty numbers for each fit the L2 cache, and there are enough of them to outweigh Python's calls.
_CHUNK = 8192


def parameter(name: str, values: ArrayLike, shape: tuple[int | None, ...]) -> Floats:
    """A read-only copy as float32. Raises ValueError for another shape (None: any length) and for NaN or infinity."""
    given = np.array(values, np.float32, order="C")
    if given.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, given.shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have the shape ({wanted}), not {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError(f"{name} must be finite numbers")
    given.setflags(write=False)
    return given


def towards(identity: NDArray[np.floating[Any]], values: Floats, strength: float) -> Floats:
    """Parameters between those that change nothing (strength 0) and the given ones (1)."""
    return (identity + strength * (values - identity)).astype(np.float32)


def identity_table(size: int) -> NDArray[np.float64]:
    """The table (size, size, size, 3), indexed [r,g,b], that changes nothing."""
    axis = np.linspace(0, 1, size)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)


def evaluate_inside(colors: Floats, evaluate: Callable[[Floats], Floats]) -> Floats:
    """`evaluate` of colors (N,3), N small, for colors (1,N,3) of any N and any value.

    Colors outside [0,1] move as the nearest color inside does: neither polynomials nor tables say anything there.
    """
    result = np.empty_like(colors)
    for start in range(0, colors.shape[1], _CHUNK):
        given, out = (a[0, start : start + _CHUNK] for a in (colors, result))
        inside = np.clip(given, 0, 1)
        np.subtract(given, inside, out=out)
        out += evaluate(inside)
    return result


def polynomial(coefficients: Floats, degree: int, colors: Floats) -> Floats:
    """Coefficients (3, terms) in the order of `color_fit.exponents`, colors (N,3) in [0,1]."""
    terms = np.empty((coefficients.shape[1], len(colors)), np.float32)
    terms[0] = 1
    terms[1:4] = colors.T
    if degree > 1:
        for channel, row in ((1, 4), (2, 7), (3, 9)):  # rr rg rb, gg gb, bb
            np.multiply(terms[channel], terms[channel:4], out=terms[row : row + 4 - channel])
    if degree > 2:
        for channel, square, row in ((1, 4, 10), (2, 7, 16), (3, 9, 19)):  # r·(rr … bb), g·(gg gb bb), b·bb
            np.multiply(terms[channel], terms[square:10], out=terms[row : row + 10 - square])
    return (coefficients @ terms).T


def trilinear(table: Floats, colors: Floats) -> Floats:
    """Table (N,N,N,3) indexed [r,g,b], colors (N,3) in [0,1]."""
    size = table.shape[0]
    share = colors * np.float32(size - 1)
    index = np.minimum(share.astype(np.intp), size - 2)
    share -= index
    # Each channel's share three times over: numpy is much faster on two full arrays than when it broadcasts to threes.
    shares: list[Floats] = [np.repeat(share[:, c], 3).reshape(-1, 3) for c in range(3)]
    base = (index[:, 0] * size + index[:, 1]) * size + index[:, 2]
    return _between_corners(table.reshape(-1, 3), base, shares, [size * size, size, 1])


def _between_corners(rows: Floats, base: NDArray[np.intp], shares: list[Floats], strides: list[int]) -> Floats:
    """What the table's rows at `base` and, along each axis left, one stride further make in those shares."""
    if not shares:
        corner: Floats = rows.take(base, axis=0, mode="clip")
        return corner
    low = _between_corners(rows, base, shares[1:], strides[1:])
    high = _between_corners(rows, base + strides[0], shares[1:], strides[1:])
    high -= low
    high *= shares[0]
    low += high
    return low
