# SPDX-License-Identifier: GPL-3.0-or-later
"""S2CRNet's piecewise-linear color curve, differentiable."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-6


def render_curves(pieces: Tensor, pictures: Tensor) -> Tensor:
    """Apply a piecewise-linear curve to each channel (S2CRNet's curve rendering, systems.md section 4).

    out = (Σ_i clamp(x − i/L, 0, 1/L) · p_i) · L / (Σ_i p_i + ε)

    Written as a look-up between knots, which is the same function at a cost that does not grow with L; the curve is
    continued with its outermost slope beyond [0, 1].

    Args:
        pieces: (B, C, L) slopes p, up to the common factor that the normalization takes out.
        pictures: (B, C, H, W).

    Returns:
        (B, C, H, W).
    """
    batch, channels, count = pieces.shape
    slopes = pieces * count / (pieces.sum(dim=2, keepdim=True) + EPSILON)
    knots = torch.cat([slopes.new_zeros(batch, channels, 1), slopes.cumsum(dim=2) / count], dim=2)
    values = pictures.flatten(2)
    index = (values.detach() * count).floor().clamp(0, count - 1).long()
    start = knots.gather(2, index)
    slope = slopes.gather(2, index)
    return (start + (values - index / count) * slope).view_as(pictures)
