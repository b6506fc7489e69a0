# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps for tests: one of each kind, and a hypothesis strategy."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2am_engine.color.map import Blend, Chain, ColorMap, Curves, Matrix, Separated


def some_map(kind: str, seed: int = 0) -> ColorMap:
    """Return a strong but plausible map of the kind, different for each seed."""
    rng = np.random.default_rng(seed)
    if kind == "curves":
        knots = int(rng.choice([2, 5, 65, 300]))
        return Curves(np.linspace(0, 1, knots) + rng.normal(0, 0.1, (3, knots)))
    if kind in ("matrix", "linear"):
        return Matrix(np.eye(3, 4) + rng.normal(0, 0.1, (3, 4)), linear=kind == "linear")
    if kind == "blend":
        return Blend(some_map("linear", seed), float(rng.random()))
    if kind == "separated":
        return Separated(some_map("curves", seed), float(rng.random()), float(rng.random()))
    parts = rng.choice(["curves", "matrix", "linear"], int(rng.integers(0, 4)))
    return Chain(tuple(some_map(str(part), seed + i) for i, part in enumerate(parts)))


KINDS = ("curves", "matrix", "linear", "blend", "separated", "chain")
any_map = st.builds(some_map, st.sampled_from(KINDS), st.integers(0, 10_000))


def colors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Return random colors (count, 3) in [0, 1]."""
    return np.random.default_rng(seed).random((count, 3), np.float32)
