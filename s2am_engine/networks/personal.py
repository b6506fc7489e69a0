# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuned networks: a base network and a fine-tuned one, blended by style similarity."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2am_engine.likeness import NEGLIGIBLE
from s2am_engine.networks.adjustment import Adjustment
from s2am_engine.networks.background import BACKGROUND_FEATURES, describe_background
from s2am_engine.networks.network import Network
from s2am_engine.networks.traits import PredictionFormat

SHRINKAGE = 0.3  # of the covariance toward its diagonal: a few dozen photographs do not determine more
RECOGNIZED = 0.92  # share of the style's backgrounds whose likeness is at least one half
SOFTNESS = 2.0  # log-odds are divided by it
FLOOR = 1e-5  # variance that any feature has


class Personal(Network):
    """A base network and its fine-tuned counterpart, blended by the similarity of a background to a style.

    The counterpart is an adjustment of the base network's maps or, for networks of other maps, a second network. The
    prediction is interpolated between both. For images that do not resemble the style it is the base network's, so
    fine-tuning cannot degrade results on other images.
    """

    def __init__(self, known: Network, learned: Network | Adjustment) -> None:
        """Join a network with its adjustment, or with another network of its class and size."""
        super().__init__()
        self.known, self.learned = known, learned
        self.disagreement_penalty, self.input_scales = known.disagreement_penalty, known.input_scales
        self.likeness = Likeness()

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`."""
        known = self.known.predict(composite, mask)
        share = self.likeness(composite, mask)
        if not bool((share > NEGLIGIBLE).any()):  # skip the fine-tuned part
            return known
        if isinstance(self.learned, Adjustment):
            learned: Tensor = self.learned(known, composite, mask)
        else:
            learned = self.learned.predict(composite, mask)
        return torch.lerp(known, learned, share.view(-1, *[1] * (known.ndim - 1)))

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`."""
        return self.known.render(predictions, composite)

    @property
    def prediction_format(self) -> PredictionFormat:
        """See `Network.prediction_format`."""
        return self.known.prediction_format


class Likeness(nn.Module):
    """Probability that an image's background is of a style rather than of other styles.

    Two normal distributions of a background's tones and tints are compared. `fit` gives both the same covariance
    (linear discriminant analysis): a few dozen photographs do not determine one of their own. Before fitting, every
    image counts as being of the style.
    """

    mean: Tensor
    whitening: Tensor
    center: Tensor
    precision: Tensor
    offset: Tensor

    def __init__(self) -> None:
        """Create the buffers that `fit` fills."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(BACKGROUND_FEATURES))  # of other styles
        self.register_buffer(
            "whitening", torch.zeros(BACKGROUND_FEATURES, BACKGROUND_FEATURES)
        )  # whitens their distribution
        self.register_buffer("center", torch.zeros(BACKGROUND_FEATURES))  # of the style, whitened
        self.register_buffer(
            "precision", torch.zeros(BACKGROUND_FEATURES, BACKGROUND_FEATURES)
        )  # square root of its inverse covariance
        self.register_buffer("offset", torch.full((1,), 100.0))

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Return probabilities (B,); arguments as for `Network.forward`."""
        return self.of_described(describe_background(composite, mask))

    def of_described(self, described: Tensor) -> Tensor:
        """Return probabilities (N,) for descriptions of backgrounds (N, BACKGROUND_FEATURES)."""
        return torch.sigmoid(self.log_odds(described) / SOFTNESS)

    def log_odds(self, described: Tensor) -> Tensor:
        """Return the log-odds (N,) that backgrounds (N, BACKGROUND_FEATURES) are of the style."""
        whitened = (described - self.mean) @ self.whitening.T
        of_others = whitened.square().sum(dim=1)
        of_style = ((whitened - self.center) @ self.precision.T).square().sum(dim=1)
        return 0.5 * (of_others - of_style) + self.offset

    @torch.no_grad()
    def fit(self, style: Tensor, others: Tensor) -> None:
        """Fit the two normal distributions; log-odds of 0 are then halfway between their centers.

        Args:
            style: (N, BACKGROUND_FEATURES), backgrounds of the style, see `describe_background`.
            others: (M, BACKGROUND_FEATURES) backgrounds in other styles.
        """
        style, others = style.double(), others.double()
        covariance = 0.5 * (style.T.cov() + others.T.cov())
        covariance = torch.lerp(covariance, torch.diag(covariance.diagonal()), SHRINKAGE)
        identity = torch.eye(BACKGROUND_FEATURES, dtype=covariance.dtype)
        whitening = torch.linalg.inv(torch.linalg.cholesky(covariance + FLOOR * identity))
        mean = others.mean(dim=0)
        center = whitening @ (style.mean(dim=0) - mean)
        found = FittedLikeness(mean, whitening, center, identity, mean.new_zeros(1))
        for name, value in found._asdict().items():
            getattr(self, name).copy_(value)

    @torch.no_grad()
    def calibrate(self, log_odds: Tensor) -> None:
        """Set the threshold: the likeness of `RECOGNIZED` of the backgrounds with these log-odds (N,) is at least 0.5.

        They should be of photographs to which the likeness was not fitted; those fit better than further ones.
        """
        self.offset -= torch.quantile(log_odds, 1 - RECOGNIZED)


class FittedLikeness(NamedTuple):
    """Buffers of `Likeness`."""

    mean: Tensor
    whitening: Tensor
    center: Tensor
    precision: Tensor
    offset: Tensor
