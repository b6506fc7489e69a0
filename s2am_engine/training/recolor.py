# SPDX-License-Identifier: GPL-3.0-or-later
"""Recoloring photographs in the ways that real composites differ: light, camera, grading, other pictures' colors.

Everything works on batches (B, 3, H, W) in [0, 1] with one random set of parameters a picture, drawn from a
`torch.Generator`, so that a batch costs a few milliseconds and comes out the same for the same seed.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import LUMA
from s2am_engine.networks.curves import render_curves
from s2am_engine.training.chance import Chance
from s2am_engine.training.kinds import KINDS, Recoloring
from s2am_engine.training.light import change_light
from s2am_engine.training.transfer import match_tones, transfer_statistics

__all__ = ["KINDS", "Chance", "Recoloring", "recolor"]

CROSSED_SHARE = 0.35  # whose channels have curves of their own, as crossed film and faded prints have
CLIPPED_SHARE = 0.4  # of a region that may newly become black or white in some channel
DARKEST = 0.02  # below it, and above 1 minus it, a sigmoid shifts values instead of stretching them without end


def recolor(pictures: Tensor, donors: Tensor, weights: Tensor, chance: Chance, how: Recoloring) -> Tensor:
    """Recolor each picture in its own random way.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        donors: (B, 3, H, W), other photographs whose colors may be taken over.
        weights: (B, 1, H, W), the region whose statistics count when another photograph's are taken over.
        chance: the random numbers.
        how: the kinds of change.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    out, transferred = pictures.clone(), chance.uniform()
    # Only the pictures that a costly change falls to pay for it.
    for low, high, change in (
        (0.0, how.transfer_share, transfer_statistics),
        (how.transfer_share, how.transfer_share + how.histogram_share, match_tones),
    ):
        chosen = ((transferred >= low) & (transferred < high)).nonzero().squeeze(1)
        if len(chosen):
            out[chosen] = change(pictures[chosen], donors[chosen], weights[chosen], chance.among(chosen))
    # How strong a picture's change is as a whole: composites range from nearly right to absurd.
    strength = chance.between(0.25, 1.4)
    strength = torch.where((transferred < how.transfer_share).view(-1, 1, 1, 1), 0.4 * strength, strength)
    out = change_light(out, strength, chance, how)
    out = change_tones(out, strength, chance, how)
    out = change_colors(out, strength, chance, how).clamp(0, 1)
    chance.change_some(
        out,
        how.look_up_table_share,
        lambda some, places, luck: apply_random_table(some, how.look_up_table * strength[places], luck),
    )
    return restrain(pictures, out, weights)


def restrain(pictures: Tensor, changed: Tensor, weights: Tensor) -> Tensor:
    """Tone down changes that drive much of the region into clipping, as people do with a layer's opacity."""
    # Every second row and column is enough for a share.
    before, after, region = (tensor[..., ::2, ::2] for tensor in (pictures, changed, weights))
    lost = (is_clipped(after) & ~is_clipped(before)) * region
    share = lost.sum(dim=(2, 3), keepdim=True) / region.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return torch.lerp(pictures, changed, (CLIPPED_SHARE / share).clamp(max=1))


def is_clipped(pictures: Tensor) -> Tensor:
    """Where any channel is black or white in eight bits: (B, 1, H, W), bool."""
    return ((pictures < 0.5 / 255) | (pictures > 254.5 / 255)).any(dim=1, keepdim=True)


def change_tones(pictures: Tensor, strength: Tensor, chance: Chance, how: Recoloring) -> Tensor:
    """Gamma, contrast about a random pivot, and a random monotone tone curve (shared or one a channel)."""
    gamma = chance.normal(1, 1, 1) + 0.4 * chance.happens(CROSSED_SHARE) * chance.normal(3, 1, 1)
    out = pictures.clamp_min(1e-4) ** torch.exp2(strength * how.gamma * gamma)
    slope = torch.exp2(strength * how.contrast * chance.normal(1, 1, 1))
    out = change_contrast(out, slope, chance).clamp(0, 1)

    def bend(some: Tensor, places: Tensor, luck: Chance) -> Tensor:
        pieces = luck.normal(1, 6) + 0.5 * luck.happens(CROSSED_SHARE, rank=3) * luck.normal(3, 6)
        pieces = pieces * how.tone_curve * strength[places].view(-1, 1, 1)
        return render_curves(torch.exp(F.interpolate(pieces, size=24, mode="linear", align_corners=True)), some)

    chance.change_some(out, how.tone_curve_share, bend)
    return out


def change_contrast(pictures: Tensor, slope: Tensor, chance: Chance) -> Tensor:
    """Contrast of a slope (B, 1, 1, 1) about a random pivot: as a straight line, or for most as a sigmoid."""
    pivot = chance.between(0.25, 0.65)
    out = pivot + (pictures - pivot) * slope
    curved = chance.chosen(0.6)
    some, steep, middle = pictures[curved], slope[curved], torch.logit(pivot[curved])
    sigmoid = torch.sigmoid(torch.lerp(middle, torch.logit(some, DARKEST), steep))
    out[curved] = some + sigmoid - some.clamp(DARKEST, 1 - DARKEST)
    return out


def change_colors(pictures: Tensor, strength: Tensor, chance: Chance, how: Recoloring) -> Tensor:
    """Saturation, hue, tinted shadows and highlights, faded blacks and whites."""
    luma = (pictures * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    saturation = torch.exp2(strength * how.saturation * chance.normal(1, 1, 1))
    chroma = rotate_hue((pictures - luma) * saturation, strength * how.hue * chance.normal(1, 1, 1))
    amount = how.split_tone * strength
    shadows, highlights = chance.normal(3, 1, 1) * amount, chance.normal(3, 1, 1) * amount
    tint = shadows * (1 - luma) ** 2 + highlights * luma**2
    fade = how.fade * strength
    lift, lower = chance.normal(1, 1, 1).abs() * fade, chance.normal(1, 1, 1).abs() * fade
    faded = chance.happens(how.fade_share)
    out = luma + chroma + tint
    return out * (1 - faded * (lift + lower)) + faded * lift


def rotate_hue(chroma: Tensor, angle: Tensor) -> Tensor:
    """Turn color differences (B, 3, H, W) about the gray axis by (B, 1, 1, 1) radians (Rodrigues' formula)."""
    turned = (chroma.roll(1, dims=1) - chroma.roll(-1, dims=1)) / 3**0.5
    along = chroma.mean(dim=1, keepdim=True)
    return chroma * angle.cos() + turned * angle.sin() + along * (1 - angle.cos())


def apply_random_table(pictures: Tensor, amount: Tensor, chance: Chance) -> Tensor:
    """A smooth random 3D look-up table, as photographers' film and camera looks are.

    Args:
        pictures: (B, 3, H, W) in [0, 1].
        amount: (B, 1, 1, 1), how far the table's nodes are displaced.
        chance: the random numbers.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    nodes = chance.normal(3, 4, 4, 4) * amount.unsqueeze(4)
    table = F.interpolate(nodes, size=(9, 9, 9), mode="trilinear", align_corners=True)
    # grid_sample's last axis is x = the table's last index; any fixed order of channels is a random table.
    grid = (pictures * 2 - 1).permute(0, 2, 3, 1).unsqueeze(1)
    return (pictures + F.grid_sample(table, grid, align_corners=True, padding_mode="border").squeeze(2)).clamp(0, 1)
