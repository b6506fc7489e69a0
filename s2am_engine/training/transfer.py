# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over another photograph's colors: its mean and deviation, or its distribution of tones."""

from __future__ import annotations

import torch
from torch import Tensor

from s2am_engine.training.chance import Chance

EPSILON = 1e-4


def moments(pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel under weights: (B, 3, 1, 1) each."""
    total = weights.sum(dim=(2, 3), keepdim=True).clamp_min(EPSILON)
    mean = (pictures * weights).sum(dim=(2, 3), keepdim=True) / total
    variance = ((pictures - mean) ** 2 * weights).sum(dim=(2, 3), keepdim=True) / total
    return mean, variance.clamp_min(EPSILON).sqrt()


def opponent(pictures: Tensor) -> Tensor:
    """Logarithmic luma and two color differences, close to Reinhard's decorrelated space."""
    red, green, blue = (pictures.clamp(0, 1) + 0.03).log().unbind(dim=1)
    return torch.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], dim=1)


def from_opponent(values: Tensor) -> Tensor:
    """Invert `opponent`."""
    light, red_green, yellow_blue = values.unbind(dim=1)
    blue = light - yellow_blue * (2 / 3)
    yellow = light + yellow_blue / 3
    return torch.stack([yellow + red_green / 2, yellow - red_green / 2, blue], dim=1).exp() - 0.03


def transfer_statistics(pictures: Tensor, donors: Tensor, weights: Tensor, chance: Chance) -> Tensor:
    """Give the region the mean and deviation of another photograph, to a random degree (Reinhard et al., 2001).

    Half of the batch in plain RGB, half in a logarithmic opponent space.
    """
    degree = 0.25 + 0.75 * chance.uniform(1, 1, 1)
    space = chance.happens(0.5)
    values = torch.lerp(pictures, opponent(pictures), space)
    mean, deviation = moments(values, weights)
    wanted_mean, wanted_deviation = moments(torch.lerp(donors, opponent(donors), space), torch.ones_like(weights))
    scale = (wanted_deviation / deviation).clamp(0.4, 2.5)
    moved = (values - mean) * (1 + degree * (scale - 1)) + mean + degree * (wanted_mean - mean)
    return torch.where(space > 0, from_opponent(moved), moved).clamp(0, 1)


def match_tones(pictures: Tensor, donors: Tensor, weights: Tensor, chance: Chance, levels: int = 12) -> Tensor:
    """Give each channel of the region another photograph's distribution, at a dozen quantiles, to a random degree."""
    steps = torch.linspace(0.02, 0.98, levels)
    # Every third row and column is enough for quantiles, and sorting is what costs here.
    region = torch.where(weights > 0.5, pictures, torch.nan)[..., ::3, ::3].flatten(2)
    source = torch.nan_to_num(torch.nanquantile(region, steps, dim=2).permute(1, 2, 0), nan=0.5)
    wanted = torch.quantile(donors[..., ::3, ::3].flatten(2), steps, dim=2).permute(1, 2, 0)
    degree = 0.2 + 0.6 * chance.uniform(1, 1)
    shift = (wanted - source) * degree
    # The shift as a function of the value, on a regular grid, smoothed so that flat parts don't break.
    grid = torch.linspace(0, 1, 24).view(1, 1, 1, -1)
    closeness = torch.softmax(-((grid - source.unsqueeze(-1)) ** 2) / 0.01, dim=2)
    knots = (closeness * shift.unsqueeze(-1)).sum(dim=2)
    position = pictures.flatten(2).clamp(0, 1) * 23
    index = position.floor().clamp(0, 22).long()
    low, high = knots.gather(2, index), knots.gather(2, index + 1)
    return (pictures.flatten(2) + torch.lerp(low, high, position - index)).view_as(pictures).clamp(0, 1)
