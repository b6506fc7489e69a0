# SPDX-License-Identifier: GPL-3.0-or-later
"""Tones and tints of an image's background."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

LEVELS = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TONES = (0.0, 0.25, 0.6, 1.01)  # limits of shadows, midtones and highlights
BACKGROUND_FEATURES = len(LEVELS) + 2 * (len(LEVELS) - 2) + 2 * (len(TONES) - 1)


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
