# SPDX-License-Identifier: GPL-3.0-or-later
"""Color curves: S2CRNet's piecewise-linear curves, and spline curves followed by a matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from s2am_engine.color.map import Chain, ColorMap, Curves, Matrix
from s2am_engine.networks.network import MapNetwork

_EPSILON = 1e-6

CONTROLS = 9
PIECES = 64


def render_curves(pieces: Tensor, pictures: Tensor) -> Tensor:
    """Apply a piecewise-linear curve to each channel (curve rendering of S2CRNet, Liang et al. 2022).

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
    slopes = pieces * count / (pieces.sum(dim=2, keepdim=True) + _EPSILON)
    knots = torch.cat([slopes.new_zeros(batch, channels, 1), slopes.cumsum(dim=2) / count], dim=2)
    values = pictures.flatten(2)
    index = (values.detach() * count).floor().clamp(0, count - 1).long()
    start = knots.gather(2, index)
    slope = slopes.gather(2, index)
    return (start + (values - index / count) * slope).view_as(pictures)


class CurvesAndMatrix(MapNetwork):
    """Network that predicts a tone curve per channel followed by a 3×4 matrix.

    A curve is a smooth deviation from the identity at nine control points.
    """

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`."""
        return [self.apply_matrix(predictions, self.apply_curves(predictions, composite))]

    def apply_curves(self, parameters: Tensor, composite: Tensor) -> Tensor:
        """Apply the curves of parameters (B, P) to (B, 3, H, W)."""
        values = self.curves_and_matrix(parameters)[0]
        return interpolate_curves(values, composite.flatten(2)).view_as(composite)

    def apply_matrix(self, parameters: Tensor, curved: Tensor) -> Tensor:
        """Apply the matrices of parameters (B, P) to the result (B, 3, H, W) of the curves."""
        matrix = self.curves_and_matrix(parameters)[1]
        return torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], curved.flatten(2)).view_as(curved)

    def to_color_map(self, parameters: Tensor) -> ColorMap:
        """See `MapNetwork.to_color_map`."""
        values, matrix = self.curves_and_matrix(parameters.unsqueeze(0))
        return Chain(
            (
                Curves(values[0].double().cpu().numpy().astype(np.float64)),
                Matrix(matrix[0].double().cpu().numpy().astype(np.float64)),
            )
        )

    def curves_and_matrix(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Convert parameters (B, P) to curve values at uniform knots (B, 3, 65) and matrices (B, 3, 4)."""
        controls = parameters[:, : 3 * CONTROLS].unflatten(1, (3, CONTROLS))
        # Quadratic B-splines over the control points: smooth, so gradients stay smooth.
        deviation = torch.einsum("bck,kn->bcn", controls, spline_basis(PIECES + 1).to(controls))
        values = torch.linspace(0, 1, PIECES + 1).to(controls) + deviation
        matrix = torch.eye(3, 4).to(controls) + parameters[:, 3 * CONTROLS :].unflatten(1, (3, 4))
        return values, matrix


def interpolate_curves(values: Tensor, colors: Tensor) -> Tensor:
    """Apply curves given by their values at uniform knots over [0, 1], by linear interpolation.

    Args:
        values: (B, C, K), K ≥ 2.
        colors: (B, C, N); outside [0, 1] like the nearest end.

    Returns:
        (B, C, N).
    """
    pieces = values.shape[2] - 1
    position = colors.clamp(0, 1) * pieces
    index = position.detach().floor().clamp(0, pieces - 1).long()
    low, high = values.gather(2, index), values.gather(2, index + 1)
    return torch.lerp(low, high, position - index)


def spline_basis(count: int) -> Tensor:
    """Return uniform quadratic B-splines at `count` positions on [0, 1]: (CONTROLS, count)."""
    position = torch.linspace(0, 1, count) * (CONTROLS - 1)
    distance = (position - torch.arange(CONTROLS).unsqueeze(1)).abs()
    basis = torch.where(distance < 0.5, 0.75 - distance**2, 0.5 * (1.5 - distance).clamp_min(0) ** 2)
    return basis / basis.sum(dim=0)
