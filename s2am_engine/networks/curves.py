# SPDX-License-Identifier: GPL-3.0-or-later
"""Color curves: S2CRNet's piecewise-linear curves, and spline curves followed by a matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from s2am_engine.networks.network import MapNetwork
from s2am_engine.networks.traits import CURVE_CONSTANTS, CurvesAndMatrix, expand_curves

_EPSILON = 1e-6


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
    place = (values.detach() * count).floor_().clamp_(0, count - 1)
    index = place.long()
    start = knots.gather(2, index)
    slope = slopes.gather(2, index)
    return torch.addcmul(start, values - place.div_(count), slope).view_as(pictures)


class CurvesAndMatrixNetwork(MapNetwork):
    """Network that predicts a tone curve per channel followed by a 3×4 matrix.

    A curve is a smooth deviation from the identity at nine control points.
    """

    basis: Tensor
    knots: Tensor
    identity: Tensor

    def __init__(self) -> None:
        """Keep the constants on the network's device."""
        super().__init__()
        for name, value in zip(("basis", "knots", "identity"), CURVE_CONSTANTS, strict=True):
            self.register_buffer(name, torch.tensor(value), persistent=False)

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

    @property
    def prediction_format(self) -> CurvesAndMatrix:
        """See `Network.prediction_format`."""
        return CurvesAndMatrix()

    def curves_and_matrix(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Convert parameters (B, P) to curve values at uniform knots (B, 3, 65) and matrices (B, 3, 4)."""
        return expand_curves(parameters, self.basis, self.knots, self.identity)


def interpolate_curves(values: Tensor, colors: Tensor) -> Tensor:
    """Apply curves given by their values at uniform knots over [0, 1], by linear interpolation.

    Args:
        values: (B, C, K), K ≥ 2.
        colors: (B, C, N); outside [0, 1] like the nearest end.

    Returns:
        (B, C, N).
    """
    position = colors.clamp(0, 1) * (values.shape[2] - 1)
    index = position.detach().long()
    # Beyond the last knot the curve goes on, for the value 1 and its gradient.
    beyond = torch.cat([values[:, :, 1:], 2 * values[:, :, -1:] - values[:, :, -2:-1]], dim=2)
    return torch.lerp(values.gather(2, index), beyond.gather(2, index), position.frac())
