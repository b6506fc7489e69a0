# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps for tests: one of each kind, and any that hypothesis thinks of."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2am_engine.color.color_map import Blend, Chain, ColorMap, Curves, Lut3D, Matrix, Polynomial


def some_map(kind: str, seed: int = 0) -> ColorMap:
    """A strong but not absurd map of the kind, different for each seed."""
    rng = np.random.default_rng(seed)
    if kind == "curves":
        knots = int(rng.choice([2, 5, 65, 300]))
        return Curves(np.linspace(0, 1, knots) + rng.normal(0, 0.1, (3, knots)))
    if kind in ("matrix", "linear"):
        return Matrix(np.eye(3, 4) + rng.normal(0, 0.1, (3, 4)), linear=kind == "linear")
    if kind == "polynomial":
        degree = int(rng.integers(1, 4))
        terms = (4, 10, 20)[degree - 1]
        return Polynomial(degree, np.eye(3, terms, k=1) + rng.normal(0, 0.05, (3, terms)))
    if kind == "lut":
        size = int(rng.integers(2, 9))
        axis = np.linspace(0, 1, size)
        identity = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
        return Lut3D(identity + rng.normal(0, 0.05, identity.shape))
    if kind == "blend":
        return Blend(some_map("linear", seed), float(rng.random()))
    parts = rng.choice(["curves", "matrix", "linear", "polynomial"], int(rng.integers(0, 4)))
    return Chain(tuple(some_map(str(part), seed + i) for i, part in enumerate(parts)))


KINDS = ("curves", "matrix", "linear", "polynomial", "lut", "blend", "chain")
any_map = st.builds(some_map, st.sampled_from(KINDS), st.integers(0, 10_000))


def colors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Random colors (count, 3) in [0,1]."""
    return np.random.default_rng(seed).random((count, 3), np.float32)
