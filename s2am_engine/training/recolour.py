# SPDX-License-Identifier: GPL-3.0-or-later
"""Recolouring photographs in the ways that real composites differ: light, camera, grading, other pictures' colours.

Everything works on batches (B, 3, H, W) in [0, 1] with one random set of parameters a picture, drawn from a
`torch.Generator`, so that a batch costs a few milliseconds and comes out the same for the same seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.networks.curves import render_curves

LUMA = (0.299, 0.587, 0.114)
EPSILON = 1e-4


@dataclass(frozen=True)
class Recolouring:
    """How far and how often each kind of change goes; deviations are of normal distributions."""

    exposure: float = 0.75  # stops
    white_balance: float = 0.22  # log gain of red and blue
    colour_mixing: float = 0.06  # off-diagonal of a matrix in linear light
    falloff: float = 0.35  # stops from centre to edge, in a random direction
    falloff_share: float = 0.15
    contrast: float = 0.55  # log2 of the slope at the pivot
    gamma: float = 0.22  # log2
    tone_curve: float = 0.55  # log slope of a random curve's pieces
    tone_curve_share: float = 0.4
    saturation: float = 0.5  # log2
    hue: float = 0.12  # radians
    split_tone: float = 0.05  # tint of shadows and of highlights
    fade: float = 0.06  # lifted blacks, lowered whites
    look_up_table: float = 0.07  # displacement of a smooth random 3D table's nodes
    look_up_table_share: float = 0.35
    transfer_share: float = 0.25  # statistics of another photograph
    histogram_share: float = 0.08  # tone distribution of another photograph


@dataclass(frozen=True)
class Chance:
    """Random numbers for a batch, from one generator."""

    generator: torch.Generator
    batch: int

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers (B, *shape)."""
        return torch.randn(self.batch, *shape, generator=self.generator)

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1), (B, *shape)."""
        return torch.rand(self.batch, *shape, generator=self.generator)

    def among(self, chosen: Tensor) -> Chance:
        """The same random numbers for a smaller batch."""
        return Chance(self.generator, len(chosen))

    def happens(self, share: float, rank: int = 4) -> Tensor:
        """1 for a share of the batch, else 0; (B, 1, …) of that rank."""
        return (self.uniform(*[1] * (rank - 1)) < share).float()


def recolour(pictures: Tensor, donors: Tensor, weights: Tensor, chance: Chance, how: Recolouring) -> Tensor:
    """Recolour each picture in its own random way.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        donors: (B, 3, H, W), other photographs whose colours may be taken over.
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
    strength = 0.25 + 1.15 * chance.uniform(1, 1, 1)
    strength = torch.where((transferred < how.transfer_share).view(-1, 1, 1, 1), 0.4 * strength, strength)
    out = change_light(out, strength, chance, how)
    out = change_tones(out, strength, chance, how)
    out = change_colours(out, strength, chance, how).clamp(0, 1)
    looks = (chance.uniform() < how.look_up_table_share).nonzero().squeeze(1)
    if len(looks):
        out[looks] = apply_random_table(out[looks], strength[looks], chance.among(looks), how)
    return out


def to_linear(values: Tensor) -> Tensor:
    """Decode sRGB (IEC 61966-2-1)."""
    return torch.where(values <= 0.04045, values / 12.92, ((values.clamp_min(0.04) + 0.055) / 1.055) ** 2.4)


def from_linear(values: Tensor) -> Tensor:
    """Encode sRGB (IEC 61966-2-1)."""
    return torch.where(values <= 0.0031308, values * 12.92, 1.055 * values.clamp_min(0.003) ** (1 / 2.4) - 0.055)


def change_light(pictures: Tensor, strength: Tensor, chance: Chance, how: Recolouring) -> Tensor:
    """Exposure, white balance, a camera's colour mixing and light that falls off to one side, in linear light."""
    batch, _, height, width = pictures.shape
    gains = chance.normal(3, 1, 1) * torch.tensor([1.0, 0.35, 1.0]).view(3, 1, 1) * how.white_balance
    stops = chance.normal(1, 1, 1) * how.exposure
    horizontal = torch.linspace(-1, 1, width).view(1, 1, 1, width)
    vertical = torch.linspace(-1, 1, height).view(1, 1, height, 1)
    slope = chance.normal(2, 1, 1) * how.falloff * chance.happens(how.falloff_share)
    stops = stops + slope[:, :1] * horizontal + slope[:, 1:] * vertical
    linear = to_linear(pictures) * torch.exp(strength * (gains + 0.6931 * stops))
    mixing = chance.normal(3, 3) * how.colour_mixing * strength.view(batch, 1, 1)
    mixing = mixing - torch.diag_embed(mixing.sum(dim=2))  # rows sum to 0: greys stay
    mixed = linear + torch.einsum("bij,bjhw->bihw", mixing, linear)
    # A soft shoulder instead of hard clipping for half of the pictures, as cameras have it.
    shoulder = chance.happens(0.5)
    soft = torch.where(mixed > 0.6, 0.6 + 0.4 * torch.tanh((mixed - 0.6) / 0.4), mixed)
    return from_linear(torch.lerp(mixed, soft, shoulder).clamp(0, 1))


def change_tones(pictures: Tensor, strength: Tensor, chance: Chance, how: Recolouring) -> Tensor:
    """Gamma, contrast about a random pivot, and a random monotone tone curve (shared or one a channel)."""
    per_channel = chance.happens(0.35)
    gamma = chance.normal(1, 1, 1) + 0.4 * per_channel * chance.normal(3, 1, 1)
    out = pictures.clamp_min(1e-4) ** torch.exp2(strength * how.gamma * gamma)
    slope = torch.exp2(strength * how.contrast * chance.normal(1, 1, 1))
    pivot = 0.25 + 0.4 * chance.uniform(1, 1, 1)
    steep = torch.sigmoid(torch.logit(out, 0.02) * slope + torch.logit(pivot) * (1 - slope))
    straight = pivot + (out - pivot) * slope
    out = torch.lerp(straight, steep, chance.happens(0.6)).clamp(0, 1)
    pieces = chance.normal(1, 6) + 0.5 * per_channel.view(-1, 1, 1) * chance.normal(3, 6)
    pieces = pieces * how.tone_curve * strength.view(-1, 1, 1) * chance.happens(how.tone_curve_share, rank=3)
    smooth = F.interpolate(pieces.expand(-1, 3, -1), size=24, mode="linear", align_corners=True)
    return render_curves(torch.exp(smooth), out)


def change_colours(pictures: Tensor, strength: Tensor, chance: Chance, how: Recolouring) -> Tensor:
    """Saturation, hue, tinted shadows and highlights, faded blacks and whites."""
    luma = (pictures * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    saturation = torch.exp2(strength * how.saturation * chance.normal(1, 1, 1))
    chroma = rotate_hue((pictures - luma) * saturation, strength * how.hue * chance.normal(1, 1, 1))
    amount = how.split_tone * strength
    shadows, highlights = chance.normal(3, 1, 1) * amount, chance.normal(3, 1, 1) * amount
    tint = shadows * (1 - luma) ** 2 + highlights * luma**2
    fade = how.fade * strength
    lift, lower = chance.normal(1, 1, 1).abs() * fade, chance.normal(1, 1, 1).abs() * fade
    faded = chance.happens(0.3)
    out = luma + chroma + tint
    return out * (1 - faded * (lift + lower)) + faded * lift


def rotate_hue(chroma: Tensor, angle: Tensor) -> Tensor:
    """Turn colour differences (B, 3, H, W) about the grey axis by (B, 1, 1, 1) radians (Rodrigues' formula)."""
    turned = (chroma.roll(1, dims=1) - chroma.roll(-1, dims=1)) / 3**0.5
    along = chroma.mean(dim=1, keepdim=True)
    return chroma * angle.cos() + turned * angle.sin() + along * (1 - angle.cos())


def apply_random_table(pictures: Tensor, strength: Tensor, chance: Chance, how: Recolouring) -> Tensor:
    """A smooth random 3D look-up table, as photographers' film and camera looks are."""
    batch = pictures.shape[0]
    nodes = chance.normal(3, 4, 4, 4) * how.look_up_table
    nodes = nodes * strength.view(batch, 1, 1, 1, 1)
    table = F.interpolate(nodes, size=(9, 9, 9), mode="trilinear", align_corners=True)
    # grid_sample's last axis is x = the table's last index; any fixed order of channels is a random table.
    grid = (pictures * 2 - 1).permute(0, 2, 3, 1).unsqueeze(1)
    return (pictures + F.grid_sample(table, grid, align_corners=True, padding_mode="border").squeeze(2)).clamp(0, 1)


def moments(pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel under weights: (B, 3, 1, 1) each."""
    total = weights.sum(dim=(2, 3), keepdim=True).clamp_min(EPSILON)
    mean = (pictures * weights).sum(dim=(2, 3), keepdim=True) / total
    variance = ((pictures - mean) ** 2 * weights).sum(dim=(2, 3), keepdim=True) / total
    return mean, variance.clamp_min(EPSILON).sqrt()


def opponent(pictures: Tensor) -> Tensor:
    """Logarithmic luma and two colour differences, close to Reinhard's decorrelated space."""
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
