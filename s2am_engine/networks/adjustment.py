# SPDX-License-Identifier: GPL-3.0-or-later
"""Adjustment of a frozen network's color maps to the style of a set of photographs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.background import BACKGROUND_FEATURES, describe_background
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.traits import CONTROLS

CURVE_PARAMETERS, MATRIX_PARAMETERS = 3 * CONTROLS, 12
PARAMETERS = CURVE_PARAMETERS + MATRIX_PARAMETERS
FEATURES = PARAMETERS + 2 * BACKGROUND_FEATURES
HIDDEN_UNITS = 48
DROPOUT = 0.2
MOST_DEVIATIONS = 4.0  # to which standardized features are limited: unusual images are not extrapolated
FEATURE_FLOOR = 1e-3


class Adjustment(nn.Module):
    """Small perceptron that adjusts curves and a matrix to a style.

    From the base network's parameters and the colors of foreground and background it predicts how much of the base
    network's map is applied, and how much of the style's map (an affine map from average photographs to the style,
    the same for every image). At first it changes nothing.

    Two outputs are enough: with a change of each coefficient besides, the error in the style was as low, and that in
    other styles higher.
    """

    style_map: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        """Create an adjustment without a style."""
        super().__init__()
        self.register_buffer("style_map", torch.zeros(MATRIX_PARAMETERS))  # difference from the identity
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        last = nn.Linear(HIDDEN_UNITS, 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.perceptron = nn.Sequential(nn.Linear(FEATURES, HIDDEN_UNITS), nn.GELU(), nn.Dropout(DROPOUT), last)

    @torch.no_grad()
    def fit(self, style_map: Tensor, features: Tensor) -> None:
        """Set what is not trained.

        Args:
            style_map: (3, 4), from average photographs to those of the style, sRGB in [0, 1].
            features: (N, FEATURES) of composites in the style, as `describe` gives them.
        """
        self.style_map.copy_((style_map - torch.eye(3, 4)).flatten())
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0) + FEATURE_FLOOR)

    def forward(self, parameters: Tensor, composite: Tensor, mask: Tensor) -> Tensor:
        """Return adjusted parameters.

        Args:
            parameters: (B, PARAMETERS) of the base network, see `CurvesAndMatrix`.
            composite: (B, 3, H, W) sRGB values in [0, 1].
            mask: (B, 1, H, W) in [0, 1].

        Returns:
            (B, PARAMETERS).
        """
        standardized = (describe(parameters, composite, mask) - self.mean) / self.deviation
        found = self.perceptron(standardized.clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS)).to(parameters)
        base, style = found.split(1, dim=1)
        return parameters * (1 + base) + style * F.pad(self.style_map.to(parameters), (CURVE_PARAMETERS, 0))


def describe(parameters: Tensor, composite: Tensor, mask: Tensor) -> Tensor:
    """Return (B, FEATURES): the base network's parameters, and the colors of foreground and background."""
    regions = [describe_background(composite, one) for one in (1 - mask, mask)]
    return torch.cat([parameters.float(), *regions], dim=1)


class AdjustedNetwork(CurvesAndMatrixNetwork):
    """A frozen network and the adjustment of its predictions, for training the adjustment."""

    def __init__(self, known: CurvesAndMatrixNetwork, adjustment: Adjustment) -> None:
        """Join them; the network is frozen."""
        super().__init__()
        self.known, self.adjustment = known.eval().requires_grad_(False), adjustment
        self.disagreement_penalty, self.input_scales = known.disagreement_penalty, known.input_scales

    def train(self, mode: bool = True) -> AdjustedNetwork:
        """Set the mode of the adjustment; the frozen network stays in evaluation mode."""
        super().train(mode)
        self.known.eval()
        return self

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`."""
        with torch.no_grad():
            known = self.known.predict(composite, mask)
        adjusted: Tensor = self.adjustment(known, composite, mask)
        return adjusted
