# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuned networks: a base network and a fine-tuned one, blended by style similarity."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from s2am_engine.likeness import NEGLIGIBLE
from s2am_engine.networks.network import Network
from s2am_engine.networks.traits import PredictionFormat

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TONES = (0.0, 0.25, 0.6, 1.01)  # limits of shadows, midtones and highlights
BACKGROUND_FEATURES = len(LEVELS) + 2 * (len(LEVELS) - 2) + 2 * (len(TONES) - 1)
SHRINKAGE = 0.3  # of the style's covariance towards a sphere: a few dozen photographs do not determine more
PRIOR = -3.0  # logarithm of the prior odds that a background is of the style
SOFTNESS = 2.0  # log-odds are divided by it
FLOOR = 1e-5  # variance that any feature has


class Personal(Network):
    """Two networks of one class, before and after fine-tuning, blended by the similarity of a background to a style.

    The prediction is interpolated between theirs. For images that do not resemble the style it is the base network's,
    so fine-tuning cannot degrade results on other images.
    """

    def __init__(self, known: Network, learned: Network) -> None:
        """Join two networks of the same class and size."""
        super().__init__()
        self.known, self.learned = known, learned
        self.disagreement_penalty, self.input_scales = known.disagreement_penalty, known.input_scales
        self.likeness = Likeness()

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`."""
        known = self.known.predict(composite, mask)
        share = self.likeness(composite, mask)
        if not bool((share > NEGLIGIBLE).any()):  # skip the second network
            return known
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

    Two normal distributions of a background's tones and tints are compared (quadratic discriminant analysis). Before
    fitting, every image counts as being of the style.
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
        whitened = (describe_background(composite, mask) - self.mean) @ self.whitening.T
        of_others = whitened.square().sum(dim=1)
        of_style = ((whitened - self.center) @ self.precision.T).square().sum(dim=1)
        return torch.sigmoid((0.5 * (of_others - of_style) + self.offset) / SOFTNESS)

    @torch.no_grad()
    def fit(self, style: Tensor, others: Tensor) -> None:
        """Fit the two normal distributions.

        Args:
            style: (N, BACKGROUND_FEATURES), backgrounds of the style, see `describe_background`.
            others: (M, BACKGROUND_FEATURES) backgrounds in other styles.
        """
        style, others = style.double(), others.double()
        mean, covariance = others.mean(dim=0), others.T.cov()
        covariance = covariance + torch.diag(0.01 * covariance.diagonal() + FLOOR)
        whitening = torch.linalg.inv(torch.linalg.cholesky(covariance))
        whitened = (style - mean) @ whitening.T
        own = whitened.T.cov()
        own = torch.lerp(
            own, own.trace() / BACKGROUND_FEATURES * torch.eye(BACKGROUND_FEATURES, dtype=own.dtype), SHRINKAGE
        )
        precision = torch.linalg.inv(torch.linalg.cholesky(own))
        found = FittedLikeness(mean, whitening, whitened.mean(dim=0), precision, precision.logdet().view(1) + PRIOR)
        for name, value in found._asdict().items():
            getattr(self, name).copy_(value)


class FittedLikeness(NamedTuple):
    """Buffers of `Likeness`."""

    mean: Tensor
    whitening: Tensor
    center: Tensor
    precision: Tensor
    offset: Tensor


def describe_background(composite: Tensor, mask: Tensor) -> Tensor:
    """Describe a background by quantiles of lightness and of two color differences, and by tints of three tones.

    Args:
        composite: (B, 3, H, W) sRGB values in [0, 1].
        mask: (B, 1, H, W) in [0, 1].

    Returns:
        (B, BACKGROUND_FEATURES).
    """
    # If the mask covers everything, use all pixels.
    covered = mask.flatten(1) > 0.5
    hidden = covered & ~covered.all(dim=1, keepdim=True)
    red, green, blue = composite.float().flatten(2).masked_fill(hidden.unsqueeze(1), torch.nan).unbind(dim=1)
    light = (red + green + blue) / 3
    tints = torch.stack([red - green, blue - green], dim=1)  # (B, 2, N)
    levels = torch.tensor(LEVELS, device=composite.device)
    tones = [torch.nanquantile(light, levels, dim=1).T]
    tones += [torch.nanquantile(tint, levels[1:-1], dim=1).T for tint in tints.unbind(dim=1)]
    overall = tints.nanmean(dim=2)
    for low, high in pairwise(TONES):
        within = (light >= low) & (light < high)
        mean = tints.masked_fill(~within.unsqueeze(1), torch.nan).nanmean(dim=2)
        tones.append(torch.where(mean.isnan(), overall, mean))
    return torch.cat(tones, dim=1)
