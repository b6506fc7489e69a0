# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuned networks: a base network and a fine-tuned one, blended by style similarity."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
SHRINKAGE = 0.3  # of the covariance toward its diagonal
PRIOR_ODDS = 1.0  # that a background is of the style
NEWTON_STEPS = 20  # of a logistic regression of one variable
LARGEST_LOG_ODDS = 30.0  # to which those of single backgrounds are limited for calibration
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
        square = torch.zeros(BACKGROUND_FEATURES, BACKGROUND_FEATURES)
        self.register_buffer("mean", torch.zeros(BACKGROUND_FEATURES))  # of other styles
        self.register_buffer("whitening", square.clone())  # whitens their distribution
        self.register_buffer("center", torch.zeros(BACKGROUND_FEATURES))  # of the style, whitened
        self.register_buffer("precision", square.clone())  # square root of its inverse covariance
        self.register_buffer("offset", torch.full((1,), 100.0))

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Return probabilities (B,); arguments as for `Network.forward`."""
        fitted = FittedLikeness(self.mean, self.whitening, self.center, self.precision, self.offset)
        return torch.sigmoid(fitted.log_odds(describe_background(composite, mask)))

    @torch.no_grad()
    def fit(self, style: Sequence[Tensor], others: Sequence[Tensor]) -> None:
        """Fit the two normal distributions, and calibrate the log-odds.

        The distributions fit the given photographs better than further ones. The log-odds of each part are therefore
        computed from the other parts, and a logistic regression makes probabilities of them (Platt, Probabilistic
        Outputs for Support Vector Machines, 1999). Many a look, such as a mild film look, cannot be recognized in a
        single background: then the likeness is about that of `PRIOR_ODDS` for all.

        Args:
            style: (N, BACKGROUND_FEATURES), backgrounds of the style, see `describe_background`; one tensor for each
                part of the photographs, at least two.
            others: likewise, backgrounds in other styles.
        """
        kinds = [[part.double() for part in kind] for kind in (style, others)]
        log_odds: list[Tensor] = []
        for index in range(len(style)):
            rest = [torch.cat([*kind[:index], *kind[index + 1 :]]) for kind in kinds]
            fitted = fit_distributions(*rest)
            log_odds += [fitted.log_odds(kind[index]) for kind in kinds]
        labels = torch.cat([torch.full_like(one, 1.0 - index % 2) for index, one in enumerate(log_odds)])
        slope, offset = fit_logistic(torch.cat(log_odds).clamp(-LARGEST_LOG_ODDS, LARGEST_LOG_ODDS), labels)
        found = fit_distributions(*(torch.cat(kind) for kind in kinds)).rescaled(slope, offset + math.log(PRIOR_ODDS))
        for name, value in found._asdict().items():
            getattr(self, name).copy_(value)


class FittedLikeness(NamedTuple):
    """Buffers of `Likeness`."""

    mean: Tensor
    whitening: Tensor
    center: Tensor
    precision: Tensor
    offset: Tensor

    def log_odds(self, described: Tensor) -> Tensor:
        """Return the log-odds (N,) that backgrounds (N, BACKGROUND_FEATURES) are of the style."""
        whitened = (described - self.mean) @ self.whitening.T
        of_others = whitened.square().sum(dim=1)
        of_style = ((whitened - self.center) @ self.precision.T).square().sum(dim=1)
        return 0.5 * (of_others - of_style) + self.offset

    def rescaled(self, slope: float, offset: float) -> FittedLikeness:
        """Return the likeness whose log-odds are `slope` times these, at least 0, plus `offset`."""
        root = math.sqrt(slope)
        return self._replace(
            whitening=root * self.whitening, center=root * self.center, offset=slope * self.offset + offset
        )


def fit_distributions(style: Tensor, others: Tensor) -> FittedLikeness:
    """Fit normal distributions to backgrounds (N, BACKGROUND_FEATURES) of the style and of other styles."""
    covariance = 0.5 * (style.T.cov() + others.T.cov())
    covariance = torch.lerp(covariance, torch.diag(covariance.diagonal()), SHRINKAGE)
    covariance = covariance + FLOOR * torch.eye(BACKGROUND_FEATURES, dtype=covariance.dtype)
    whitening = torch.linalg.inv(torch.linalg.cholesky(covariance))
    mean = others.mean(dim=0)
    precision = torch.eye(BACKGROUND_FEATURES, dtype=covariance.dtype)
    return FittedLikeness(mean, whitening, whitening @ (style.mean(dim=0) - mean), precision, precision.new_zeros(1))


def fit_logistic(values: Tensor, labels: Tensor) -> tuple[float, float]:
    """Fit the probability of label 1 as sigmoid(slope * value + offset), by Newton's method.

    Args:
        values: (N,).
        labels: (N,), 0 or 1; both occur.

    Returns:
        Slope, at least 0, and offset.
    """
    ones = labels.sum()
    # Platt's targets, which keep the slope finite if a threshold separates the labels.
    targets = torch.where(labels > 0.5, (ones + 1) / (ones + 2), 1 / (len(labels) - ones + 2))
    rows = torch.stack([values, torch.ones_like(values)])
    weights = torch.zeros_like(rows[:, 0])
    for _ in range(NEWTON_STEPS):
        found = torch.sigmoid(weights @ rows)
        curvature = (rows * found * (1 - found)) @ rows.T + 1e-6 * torch.eye(2, dtype=rows.dtype)
        weights = weights - torch.linalg.solve(curvature, rows @ (found - targets))
    slope, offset = weights.tolist()
    if slope < 0:  # the values do not tell the labels apart
        return 0.0, float(torch.logit(targets.mean()))
    return slope, offset


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
