# SPDX-License-Identifier: GPL-3.0-or-later
"""Random recoloring of photographs as in real composites: light, camera, grading, styles.

Everything works on batches (B, 3, H, W) in [0, 1], on their device, with one random set of parameters per image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import tensor_luma
from s2am_engine.networks.curves import render_curves
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_styles import ColorStyles
from s2am_engine.training.recolor_settings import Recoloring
from s2am_engine.training.relight import change_light

CROSSED_SHARE = 0.35  # share of images with different curves per channel, as in cross-processed film and faded prints
CLIPPED_SHARE = 0.4  # share of a region that may be newly clipped to black or white in some channel
DARKEST = 0.02  # values below it or above 1 − it are shifted by a sigmoid, not stretched


def recolor(
    pictures: Tensor,
    weights: Tensor,
    rng: BatchRNG,
    recoloring: Recoloring,
    styles: ColorStyles | None = None,
    strength: Tensor | None = None,
) -> Tensor:
    """Recolor each image with its own random parameters.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        weights: (B, 1, H, W), the region that counts: changes that would clip much of it are reduced.
        rng: the random numbers, on the device of the pictures.
        recoloring: the kinds of change.
        styles: measured styles; None = kinds that need them are left out.
        strength: (B, 1, 1, 1), overall strength of the changes; None = drawn from its range in `recoloring`.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    if strength is None:
        strength = rng.uniform_between(recoloring.weakest, recoloring.strongest)
    out = change_light(pictures, strength, rng, recoloring)
    out = change_tones(out, strength, rng, recoloring)
    out = change_colors(out, strength, rng, recoloring).clamp_(0, 1)
    # Expensive changes are computed only for the images that get them.
    rng.apply_to_share(
        out, recoloring.lut_share, lambda some, at, rng: apply_random_table(some, recoloring.lut * strength[at], rng)
    )
    if styles is not None:
        rng.apply_to_share(out, recoloring.film_share, lambda some, at, rng: styles.apply_film(some, strength[at], rng))
        rng.apply_to_share(
            out, recoloring.preset_share, lambda some, at, rng: styles.apply_preset(some, strength[at], rng)
        )
        rng.apply_to_share(out, recoloring.response_share, lambda some, _, rng: styles.change_response(some, rng))
    return restrain(pictures, out, weights)


def restrain(pictures: Tensor, changed: Tensor, weights: Tensor) -> Tensor:
    """Reduce changes that would clip much of the region."""
    # Every second row and column is enough for a share.
    before, after, region = (tensor[..., ::2, ::2] for tensor in (pictures, changed, weights))
    lost = (is_clipped(after) & ~is_clipped(before)) * region
    share = lost.sum(dim=(2, 3), keepdim=True) / region.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return torch.lerp(pictures, changed, (CLIPPED_SHARE / share).clamp(max=1))


def is_clipped(pictures: Tensor) -> Tensor:
    """Return where any channel is black or white in eight bits: (B, 1, H, W), bool."""
    return (pictures - 0.5).abs_().amax(dim=1, keepdim=True) > 0.5 - 0.5 / 255


def change_tones(pictures: Tensor, strength: Tensor, rng: BatchRNG, recoloring: Recoloring) -> Tensor:
    """Apply gamma, contrast about a random pivot, and a random monotone tone curve."""
    gamma = rng.normal(1, 1, 1) + 0.4 * rng.bernoulli(CROSSED_SHARE) * rng.normal(3, 1, 1)
    # The logarithm and its inverse take half the time of the power.
    out = pictures.clamp_min(1e-4).log_().mul_(torch.exp2(strength * recoloring.gamma * gamma)).exp_()
    slope = torch.exp2(strength * recoloring.contrast * rng.normal(1, 1, 1))
    out = change_contrast(out, slope, rng).clamp_(0, 1)

    def bend(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        pieces = rng.normal(1, 6) + 0.5 * rng.bernoulli(CROSSED_SHARE, rank=3) * rng.normal(3, 6)
        pieces = pieces * recoloring.tone_curve * strength[places].view(-1, 1, 1)
        return render_curves(torch.exp(F.interpolate(pieces, size=24, mode="linear", align_corners=True)), some)

    rng.apply_to_share(out, recoloring.tone_curve_share, bend)
    return out


def change_contrast(pictures: Tensor, slope: Tensor, rng: BatchRNG) -> Tensor:
    """Change contrast by a slope (B, 1, 1, 1) about a random pivot, linearly or (mostly) as a sigmoid."""
    pivot = rng.uniform_between(0.25, 0.65)
    out = torch.lerp(pivot, pictures, slope)
    curved = rng.sample_indices(0.6)
    some, steep, middle = pictures.index_select(0, curved), slope[curved], torch.logit(pivot[curved])
    sigmoid = torch.lerp(middle, torch.logit(some, DARKEST), steep).sigmoid_()
    out[curved] = sigmoid.add_(some).sub_(some.clamp(DARKEST, 1 - DARKEST))
    return out


def change_colors(pictures: Tensor, strength: Tensor, rng: BatchRNG, recoloring: Recoloring) -> Tensor:
    """Change saturation and hue, tint shadows and highlights, fade blacks and whites."""
    luma = tensor_luma(pictures)
    saturation = torch.exp2(strength * recoloring.saturation * rng.normal(1, 1, 1))
    chroma = rotate_hue((pictures - luma) * saturation, strength * recoloring.hue * rng.normal(1, 1, 1))
    rng.apply_to_share(
        chroma,
        recoloring.hue_range_share,
        lambda some, at, rng: change_hue_range(some, recoloring.hue_range * strength[at], rng),
    )
    amount = recoloring.split_tone * strength
    shadows, highlights = rng.normal(3, 1, 1) * amount, rng.normal(3, 1, 1) * amount
    tint = (shadows * (1 - luma).square_()).addcmul_(highlights, luma.square())
    fade = recoloring.fade * strength
    lift, lower = rng.normal(1, 1, 1).abs() * fade, rng.normal(1, 1, 1).abs() * fade
    faded = rng.bernoulli(recoloring.fade_share)
    return chroma.add_(luma).add_(tint).mul_(1 - faded * (lift + lower)).add_(faded * lift)


def change_hue_range(chroma: Tensor, amount: Tensor, rng: BatchRNG) -> Tensor:
    """Change saturation and lightness of the colors near a random hue.

    Args:
        chroma: (B, 3, H, W), differences from luma.
        amount: (B, 1, 1, 1), log2 deviation of the saturation.
        rng: the random numbers.

    Returns:
        (B, 3, H, W), differences from the former luma.
    """
    angle = 2 * math.pi * rng.uniform(1, 1, 1)
    red_green, yellow_blue = chroma[:, :1] - chroma[:, 1:2], (chroma[:, :1] + chroma[:, 1:2]) / 2 - chroma[:, 2:]
    size = torch.hypot(red_green, yellow_blue) + 1e-4
    near = ((red_green * angle.cos() + yellow_blue * angle.sin()) / size).clamp_min(0) ** 2
    changed = chroma * torch.exp2(amount * rng.normal(1, 1, 1) * near)
    return changed + 0.5 * amount * rng.normal(1, 1, 1) * near * size


def rotate_hue(chroma: Tensor, angle: Tensor) -> Tensor:
    """Rotate color differences (B, 3, H, W) about the gray axis by (B, 1, 1, 1) radians (Rodrigues' formula)."""
    red, green, blue = chroma.split(1, dim=1)
    cosine, sine = angle.cos(), angle.sin() / 3**0.5
    along = (red + green).add_(blue).mul_((1 - cosine) / 3)
    turned = torch.cat([blue - green, red - blue, green - red], dim=1)
    return turned.mul_(sine).addcmul_(chroma, cosine).add_(along)


def apply_random_table(pictures: Tensor, amount: Tensor, rng: BatchRNG) -> Tensor:
    """Apply a smooth random 3D look-up table, as in film simulations.

    Args:
        pictures: (B, 3, H, W) in [0, 1].
        amount: (B, 1, 1, 1), how far the table's nodes are displaced.
        rng: the random numbers.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    nodes = rng.normal(3, 4, 4, 4) * amount.unsqueeze(4)
    table = F.interpolate(nodes, size=(9, 9, 9), mode="trilinear", align_corners=True)
    # grid_sample's last axis is x = the table's last index; any fixed order of channels is a random table.
    grid = (pictures * 2 - 1).permute(0, 2, 3, 1).unsqueeze(1)
    return (pictures + F.grid_sample(table, grid, align_corners=True, padding_mode="border").squeeze(2)).clamp(0, 1)
