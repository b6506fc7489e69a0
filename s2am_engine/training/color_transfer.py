# SPDX-License-Identifier: GPL-3.0-or-later
"""Color transfer between regions of photographs: how iHarmony4's composites were made (Cong et al., CVPR 2020).

Everything works on batches, on the device of its inputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from s2am_engine.color.srgb import tensor_luma
from s2am_engine.networks.curves import interpolate_curves
from s2am_engine.training.batch_rng import BatchRNG

REGION_SIDE = 64  # pixels per side, at most, from which the distribution of a region is measured
QUANTILES = 16  # quantiles of a distribution
CURVE_KNOTS = 24
CURVE_WIDTH = 0.08  # range of values over which a curve averages the shifts of quantiles
WHOLE_SHARE = 0.6  # share of the transfers to the full degree; the others are partial
LEAST_DEGREE = 0.25
PALE_SHARE = 0.6  # of the references: made paler and flatter, as average photographs are beside published ones
PALEST, FLATTEST = 0.2, 0.5  # least saturation and contrast of those
LIGHTNESS_SHARE = 0.85  # of the transfers: keep most of the region's lightness
LEAST_LIGHTNESS_KEPT = 0.5  # of the change of its mean, the part that is taken back at least
DEVIATION_FLOOR = 0.03  # regularization of the deviations, in sRGB
SQUARE_ROOT_STEPS = 20
LOG_OFFSET = 0.03

_EPSILON = 1e-4


def transfer_colors(
    pictures: Tensor, weights: Tensor, references: Tensor, reference_weights: Tensor, rng: BatchRNG
) -> Tensor:
    """Give each picture the colors of a reference's region, by a random method and to a random degree.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        weights: (B, 1, H, W) in [0, 1], the region whose colors are matched.
        references: (B, 3, h, w) sRGB values in [0, 1].
        reference_weights: (B, 1, h, w) in [0, 1], the region that gives its colors.
        rng: the random numbers.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    references = make_pale(references, reference_weights, rng)
    out = pictures.clone()
    parts = rng.split(*[1 / len(METHODS)] * (len(METHODS) - 1))
    for method, chosen in zip(METHODS, parts, strict=True):
        if len(chosen):
            given = (pictures, weights, references, reference_weights)
            out[chosen] = method(*(tensor.index_select(0, chosen) for tensor in given))
    degree = torch.where(rng.uniform(1, 1, 1) < WHOLE_SHARE, 1.0, rng.uniform_between(LEAST_DEGREE, 1))
    return keep_lightness(pictures, torch.lerp(pictures, out.clamp(0, 1), degree), weights, rng)


def keep_lightness(pictures: Tensor, changed: Tensor, weights: Tensor, rng: BatchRNG) -> Tensor:
    """Take back most of the change of the region's mean luma, in a share of (B, 3, H, W) pictures.

    iHarmony4 keeps composites that people find plausible: their foregrounds differ in luma by at most a tenth, those of
    arbitrary references by a quarter.
    """
    shift = weighted_moments(tensor_luma(changed) - tensor_luma(pictures), weights)[0]
    kept = rng.bernoulli(LIGHTNESS_SHARE) * rng.uniform_between(LEAST_LIGHTNESS_KEPT, 1)
    return (changed - kept * shift).clamp_(0, 1)


def make_pale(pictures: Tensor, weights: Tensor, rng: BatchRNG) -> Tensor:
    """Make a share of the regions of (B, 3, h, w) pictures paler and flatter, to random degrees."""
    chosen = rng.bernoulli(PALE_SHARE)
    saturation, slope = (1 - chosen * (1 - rng.uniform_between(least, 1)) for least in (PALEST, FLATTEST))
    pale = torch.lerp(tensor_luma(pictures), pictures, saturation)
    mean = weighted_moments(pale, weights)[0]
    return torch.lerp(mean, pale, slope)


def match_moments(pictures: Tensor, weights: Tensor, references: Tensor, reference_weights: Tensor) -> Tensor:
    """Match mean and deviation of each channel of a logarithmic opponent space (Reinhard et al., 2001)."""
    return from_opponent(_with_moments(opponent(pictures), weights, opponent(references), reference_weights))


def match_rgb_moments(pictures: Tensor, weights: Tensor, references: Tensor, reference_weights: Tensor) -> Tensor:
    """Match mean and deviation of red, green and blue."""
    return _with_moments(pictures, weights, references, reference_weights)


def _with_moments(values: Tensor, weights: Tensor, wanted: Tensor, wanted_weights: Tensor) -> Tensor:
    mean, deviation = weighted_moments(values, weights)
    wanted_mean, wanted_deviation = weighted_moments(wanted, wanted_weights)
    return (values - mean) * (wanted_deviation / deviation).clamp(0.33, 3.0) + wanted_mean


def match_covariance(pictures: Tensor, weights: Tensor, references: Tensor, reference_weights: Tensor) -> Tensor:
    """Match mean and covariance of RGB by the linear Monge-Kantorovich map (Pitié and Kokaram, 2007).

    T = A^(−1/2) (A^(1/2) B A^(1/2))^(1/2) A^(−1/2) for the covariances A of the picture and B of the reference.
    """
    mean, covariance = weighted_covariance(pictures, weights)
    wanted_mean, wanted = weighted_covariance(references, reference_weights)
    root, inverse = square_roots(covariance)
    matrix = inverse @ square_roots(root @ wanted @ root)[0] @ inverse
    return (matrix @ (pictures.flatten(2) - mean) + wanted_mean).view_as(pictures)


def match_distributions(pictures: Tensor, weights: Tensor, references: Tensor, reference_weights: Tensor) -> Tensor:
    """Match the distribution of each channel by a smooth curve through its quantiles (Fecker et al., 2008)."""
    steps = torch.linspace(0.02, 0.98, QUANTILES, device=pictures.device)
    source = region_quantiles(pictures, weights, steps)
    shift = region_quantiles(references, reference_weights, steps) - source
    # The shift as a function of the value, on a regular grid, smoothed to avoid banding in flat parts.
    grid = torch.linspace(0, 1, CURVE_KNOTS, device=pictures.device).view(1, 1, 1, -1)
    closeness = torch.softmax(-0.5 * ((grid - source.unsqueeze(-1)) / CURVE_WIDTH) ** 2, dim=2)
    knots = (closeness * shift.unsqueeze(-1)).sum(dim=2)
    return pictures + interpolate_curves(knots, pictures.flatten(2)).view_as(pictures)


METHODS: tuple[Callable[[Tensor, Tensor, Tensor, Tensor], Tensor], ...] = (
    match_moments,
    match_rgb_moments,
    match_covariance,
    match_distributions,
)
"""Equally frequent; each maps pictures, weights, references and their weights to pictures of unlimited range."""


def weighted_moments(pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel under weights: (B, 3, 1, 1) each."""
    total = weights.sum(dim=(2, 3), keepdim=True).clamp_min(_EPSILON)
    mean = (pictures * weights).sum(dim=(2, 3), keepdim=True) / total
    variance = ((pictures - mean) ** 2 * weights).sum(dim=(2, 3), keepdim=True) / total
    return mean, variance.clamp_min(_EPSILON).sqrt()


def weighted_covariance(pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean (B, 3, 1) and regularized covariance (B, 3, 3) of the channels under weights."""
    values, shares = pictures.flatten(2), weights.flatten(2)
    shares = shares / shares.sum(dim=2, keepdim=True).clamp_min(_EPSILON)
    mean = (values * shares).sum(dim=2, keepdim=True)
    centered = values - mean
    noise = DEVIATION_FLOOR**2 * torch.eye(3, device=pictures.device)
    return mean, (centered * shares) @ centered.transpose(1, 2) + noise


def square_roots(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the square roots of (B, N, N) positive definite matrices, and their inverses.

    By the Newton-Schulz iteration (Higham, Functions of Matrices, 2008, section 6.3), which needs products only.
    """
    identity = torch.eye(matrices.shape[1], dtype=matrices.dtype, device=matrices.device)
    scale = matrices.diagonal(dim1=1, dim2=2).sum(dim=1).view(-1, 1, 1)
    root, inverse = matrices / scale, identity.expand_as(matrices)
    for _ in range(SQUARE_ROOT_STEPS):
        step = 0.5 * (3 * identity - inverse @ root)
        root, inverse = root @ step, step @ inverse
    return root * scale.sqrt(), inverse / scale.sqrt()


def region_quantiles(pictures: Tensor, weights: Tensor, steps: Tensor) -> Tensor:
    """Return quantiles of each channel over a region, measured on a grid of pixels.

    Args:
        pictures: (B, 3, H, W).
        weights: (B, 1, H, W); pixels above half of the largest weight belong to the region.
        steps: (K) in [0, 1].

    Returns:
        (B, 3, K).
    """
    stride = max(1, pictures.shape[-1] // REGION_SIDE)
    values, shares = (tensor[..., ::stride, ::stride].flatten(2) for tensor in (pictures, weights))
    inside = shares >= (0.5 * shares.amax(dim=2, keepdim=True)).clamp_min(_EPSILON)
    ordered = sort_values(values.masked_fill(~inside, 2.0))
    position = steps * (inside.sum(dim=2, keepdim=True) - 1).clamp_min(0)
    below = position.floor().long().expand(-1, 3, -1)
    above = (below + 1).clamp_max(ordered.shape[2] - 1)
    low, high = ordered.gather(2, below), ordered.gather(2, above).clamp_max(1.0)
    return torch.lerp(low.clamp_max(1.0), high, position - position.floor())


def sort_values(values: Tensor) -> Tensor:
    """Sort along the last axis; on a CPU by NumPy, in a twentieth of the time."""
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(np.asarray(values), axis=-1))
    return values.sort(dim=-1).values


def opponent(pictures: Tensor) -> Tensor:
    """Convert to logarithmic luma and two color differences, similar to Reinhard's decorrelated space."""
    red, green, blue = (pictures.clamp(0, 1) + LOG_OFFSET).log().unbind(dim=1)
    return torch.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], dim=1)


def from_opponent(values: Tensor) -> Tensor:
    """Invert `opponent`."""
    light, red_green, yellow_blue = values.unbind(dim=1)
    blue = light - yellow_blue * (2 / 3)
    yellow = light + yellow_blue / 3
    return torch.stack([yellow + red_green / 2, yellow - red_green / 2, blue], dim=1).exp() - LOG_OFFSET
