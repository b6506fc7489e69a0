# SPDX-License-Identifier: GPL-3.0-or-later
"""Random recoloring of photographs as in real composites: light, camera, grading, color transfer.

Everything works on batches (B, 3, H, W) in [0, 1] with one random set of parameters per image, drawn from a
`torch.Generator`, so a batch takes a few milliseconds and is reproducible by its seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import LUMA, linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.errors import TrainingError
from s2am_engine.networks.curves import render_curves
from s2am_engine.training.batch_rng import BatchRNG

CROSSED_SHARE = 0.35  # share of images with different curves per channel, as in cross-processed film and faded prints
CLIPPED_SHARE = 0.4  # share of a region that may be newly clipped to black or white in some channel
DARKEST = 0.02  # values below it or above 1 − it are shifted by a sigmoid, not stretched

KINDS: dict[str, tuple[str, ...]] = {
    "exposure": ("exposure",),
    "white-balance": ("white_balance",),
    "relighting": ("relighting", "relighting_share"),
    "falloff": ("falloff", "falloff_share"),
    "patches": ("patches", "patches_share"),
    "color-mixing": ("color_mixing",),
    "camera": ("camera", "camera_share"),
    "shoulder": ("shoulder_share",),
    "gamma": ("gamma",),
    "contrast": ("contrast",),
    "tone-curve": ("tone_curve", "tone_curve_share"),
    "saturation": ("saturation",),
    "hue": ("hue",),
    "split-tone": ("split_tone",),
    "fade": ("fade", "fade_share"),
    "look-up-table": ("lut", "lut_share"),
    "transfer": ("transfer_share",),
    "histogram": ("histogram_share",),
}
"""Each kind of change, and the fields of `Recoloring` any of which switches it off if it is 0."""

MID_GRAY, MID_GRAY_SHOWN = 0.18, 0.46  # in linear light, and encoded as sRGB (and by most cameras)
WARMEST, NOON, COOLEST = 2200.0, 5500.0, 15000.0  # kelvin: candle or last sun, noon, blue hour
DIMMING = 2.5  # stops by which uncorrected light is darker than at noon, for the warmest and the coolest light

XYZ_OF_SRGB = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Bradford's sharpened cones (Lam, 1985), in which ICC profiles adapt white.
CONES_OF_XYZ = torch.tensor([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
CONES_OF_SRGB = CONES_OF_XYZ @ XYZ_OF_SRGB
SRGB_OF_CONES = torch.linalg.inv(CONES_OF_SRGB)

_EPSILON = 1e-4


def recolor(pictures: Tensor, references: Tensor, weights: Tensor, rng: BatchRNG, how: Recoloring) -> Tensor:
    """Recolor each image with its own random parameters.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        references: (B, 3, H, W), other photographs whose colors may be transferred.
        weights: (B, 1, H, W), the region whose statistics are matched in color transfer.
        rng: the random numbers.
        how: the kinds of change.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    out, transferred = pictures.clone(), rng.uniform()
    # Expensive changes are computed only for the images that get them.
    for low, high, change in (
        (0.0, how.transfer_share, transfer_statistics),
        (how.transfer_share, how.transfer_share + how.histogram_share, match_tones),
    ):
        chosen = ((transferred >= low) & (transferred < high)).nonzero().squeeze(1)
        if len(chosen):
            out[chosen] = change(pictures[chosen], references[chosen], weights[chosen], rng.subset(chosen))
    # Overall strength per image: composites range from nearly right to absurd.
    strength = rng.uniform_between(0.25, 1.4)
    strength = torch.where((transferred < how.transfer_share).view(-1, 1, 1, 1), 0.4 * strength, strength)
    out = change_light(out, strength, rng, how)
    out = change_tones(out, strength, rng, how)
    out = change_colors(out, strength, rng, how).clamp(0, 1)
    rng.apply_to_share(
        out,
        how.lut_share,
        lambda some, places, rng: apply_random_table(some, how.lut * strength[places], rng),
    )
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
    return ((pictures < 0.5 / 255) | (pictures > 254.5 / 255)).any(dim=1, keepdim=True)


def change_tones(pictures: Tensor, strength: Tensor, rng: BatchRNG, how: Recoloring) -> Tensor:
    """Apply gamma, contrast about a random pivot, and a random monotone tone curve."""
    gamma = rng.normal(1, 1, 1) + 0.4 * rng.bernoulli(CROSSED_SHARE) * rng.normal(3, 1, 1)
    out = pictures.clamp_min(1e-4) ** torch.exp2(strength * how.gamma * gamma)
    slope = torch.exp2(strength * how.contrast * rng.normal(1, 1, 1))
    out = change_contrast(out, slope, rng).clamp(0, 1)

    def bend(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        pieces = rng.normal(1, 6) + 0.5 * rng.bernoulli(CROSSED_SHARE, rank=3) * rng.normal(3, 6)
        pieces = pieces * how.tone_curve * strength[places].view(-1, 1, 1)
        return render_curves(torch.exp(F.interpolate(pieces, size=24, mode="linear", align_corners=True)), some)

    rng.apply_to_share(out, how.tone_curve_share, bend)
    return out


def change_contrast(pictures: Tensor, slope: Tensor, rng: BatchRNG) -> Tensor:
    """Change contrast by a slope (B, 1, 1, 1) about a random pivot, linearly or (mostly) as a sigmoid."""
    pivot = rng.uniform_between(0.25, 0.65)
    out = pivot + (pictures - pivot) * slope
    curved = rng.sample_indices(0.6)
    some, steep, middle = pictures[curved], slope[curved], torch.logit(pivot[curved])
    sigmoid = torch.sigmoid(torch.lerp(middle, torch.logit(some, DARKEST), steep))
    out[curved] = some + sigmoid - some.clamp(DARKEST, 1 - DARKEST)
    return out


def change_colors(pictures: Tensor, strength: Tensor, rng: BatchRNG, how: Recoloring) -> Tensor:
    """Change saturation and hue, tint shadows and highlights, fade blacks and whites."""
    luma = (pictures * torch.tensor(LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    saturation = torch.exp2(strength * how.saturation * rng.normal(1, 1, 1))
    chroma = rotate_hue((pictures - luma) * saturation, strength * how.hue * rng.normal(1, 1, 1))
    amount = how.split_tone * strength
    shadows, highlights = rng.normal(3, 1, 1) * amount, rng.normal(3, 1, 1) * amount
    tint = shadows * (1 - luma) ** 2 + highlights * luma**2
    fade = how.fade * strength
    lift, lower = rng.normal(1, 1, 1).abs() * fade, rng.normal(1, 1, 1).abs() * fade
    faded = rng.bernoulli(how.fade_share)
    out = luma + chroma + tint
    return out * (1 - faded * (lift + lower)) + faded * lift


def rotate_hue(chroma: Tensor, angle: Tensor) -> Tensor:
    """Rotate color differences (B, 3, H, W) about the gray axis by (B, 1, 1, 1) radians (Rodrigues' formula)."""
    turned = (chroma.roll(1, dims=1) - chroma.roll(-1, dims=1)) / 3**0.5
    along = chroma.mean(dim=1, keepdim=True)
    return chroma * angle.cos() + turned * angle.sin() + along * (1 - angle.cos())


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


@dataclass(frozen=True)
class Recoloring:
    """Strength and frequency of each kind of change; a share is a fraction of the images, the rest are deviations."""

    exposure: float = 0.75  # stops
    white_balance: float = 0.22  # log gain of red and blue
    relighting: float = 0.4  # share of the color cast and dimming that white balance does not remove, 0 to 1
    relighting_share: float = 0.15
    falloff: float = 0.35  # stops from center to edge, in a random direction
    falloff_share: float = 0.15
    patches: float = 0.8  # stops of soft patches of light or shade
    patches_share: float = 0.05
    color_mixing: float = 0.06  # off-diagonal of a matrix in linear light
    camera: float = 0.7  # log of the light at which a camera's response saturates
    camera_share: float = 0.2
    shoulder_share: float = 0.5  # highlights roll off instead of clipping
    gamma: float = 0.22  # log2
    contrast: float = 0.55  # log2 of the slope at the pivot
    tone_curve: float = 0.55  # log slope of a random curve's pieces
    tone_curve_share: float = 0.4
    saturation: float = 0.5  # log2
    hue: float = 0.12  # radians
    split_tone: float = 0.05  # tint of shadows and of highlights
    fade: float = 0.06  # lifted blacks, lowered whites
    fade_share: float = 0.3
    lut: float = 0.07  # displacement of a smooth random 3D table's nodes
    lut_share: float = 0.35
    transfer_share: float = 0.25  # statistics of another photograph
    histogram_share: float = 0.08  # tone distribution of another photograph

    def without(self, *kinds: str) -> Recoloring:
        """Return the settings with some kinds of change switched off, for ablations.

        Raises:
            EngineError: a kind that is not in `KINDS`.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise TrainingError(
                    f"There is no recoloring “{kind}”: choose among {', '.join(KINDS)}.", code="training.recoloring"
                )
        return replace(self, **{name: 0.0 for kind in kinds for name in KINDS[kind]})


def change_light(pictures: Tensor, strength: Tensor, rng: BatchRNG, how: Recoloring) -> Tensor:
    """Simulate other lighting, exposure and camera response for each image.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        strength: (B, 1, 1, 1), how far each image's changes go.
        rng: the random numbers.
        how: the kinds of change.

    Returns:
        (B, 3, H, W) sRGB values in [0, 1].
    """
    cameras = rng.sample_indices(how.camera_share)
    took, shows = (draw_camera(rng.subset(cameras), how.camera * strength[cameras]) for _ in range(2))
    linear = srgb_tensor_to_linear(pictures)
    linear[cameras] = took.decode(pictures[cameras])
    linear = apply_matrices(linear, draw_matrices(strength, rng, how))
    shade(linear, strength, rng, how)
    rng.apply_to_share(linear, how.shoulder_share, lambda bright, *_: roll_off(bright))
    shown = linear_tensor_to_srgb(linear)
    shown[cameras] = shows.encode(linear[cameras])
    return shown.clamp(0, 1)


def apply_matrices(linear: Tensor, matrices: Tensor) -> Tensor:
    """Apply a matrix (B, 3, 3) to each picture's colors (B, 3, H, W)."""
    return torch.bmm(matrices, linear.flatten(2)).view_as(linear)


def draw_matrices(strength: Tensor, rng: BatchRNG, how: Recoloring) -> Tensor:
    """Draw exposure, white balance, relighting and channel mixing as one matrix.

    Returns:
        (B, 3, 3) for linear sRGB.
    """
    amount = strength.view(-1, 1, 1)
    mixing = rng.normal(3, 3) * how.color_mixing * amount
    matrices = torch.eye(3) + mixing - torch.diag_embed(mixing.sum(dim=2))  # rows sum to 1: grays stay
    scenes = rng.sample_indices(how.relighting_share)
    before, after = (draw_temperature(rng.subset(scenes)) for _ in range(2))
    matrices[scenes] = matrices[scenes] @ relighting(before, after, how.relighting * strength[scenes].flatten())
    gains = rng.normal(1, 3) * torch.tensor([1.0, 0.35, 1.0]) * how.white_balance
    stops = rng.normal(1, 1) * how.exposure
    return matrices * torch.exp(amount * (gains + 0.6931 * stops))


def draw_temperature(rng: BatchRNG) -> Tensor:
    """Draw correlated color temperatures (B) in kelvin, uniform in their reciprocal (Judd, 1933)."""
    return 1 / torch.lerp(torch.tensor(1 / WARMEST), torch.tensor(1 / COOLEST), rng.uniform())


def relighting(before: Tensor, after: Tensor, kept: Tensor) -> Tensor:
    """Return the color change between the lights of two times of day.

    The cones' responses are scaled as von Kries has it, and the exposure follows the light down at both ends of the
    day. Cameras, like eyes, compensate for most of both; `kept` is the rest.

    Args:
        before: (B) the correlated color temperature in kelvin that the image was taken at, 2200 to 15000.
        after: (B) the simulated one.
        kept: (B) the part of cast and dimming that the camera's balance leaves, 0 to 1.

    Returns:
        (B, 3, 3) matrices for linear sRGB.
    """
    cones = (white(after) / white(before)) ** kept.unsqueeze(1)
    dimmed = torch.exp2(kept * (daytime(after) - daytime(before)))
    return SRGB_OF_CONES @ torch.diag_embed(cones * dimmed.unsqueeze(1)) @ CONES_OF_SRGB


def white(temperature: Tensor) -> Tensor:
    """Return the cone response (B, 3) to light of a correlated color temperature (B) at unit luminance."""
    x, y = locus(temperature).unbind(dim=1)
    return torch.stack([x / y, torch.ones_like(x), (1 - x - y) / y], dim=1) @ CONES_OF_XYZ.T


def locus(temperature: Tensor) -> Tensor:
    """Return chromaticities x, y (B, 2): black body up to 4000 K, daylight from 5000 K, interpolated in between.

    Black body: Kim et al., US patent 7024034 (2006), 1667 to 25000 K. Daylight: CIE 15:2004 after Judd, MacAdam and
    Wyszecki (1964), 4000 to 25000 K.
    """
    t = 1000 / temperature
    body_x = cubic_polynomial(t, -0.2661239, -0.2343589, 0.8776956, 0.179910)
    body_x = torch.where(temperature > 4000, cubic_polynomial(t, -3.0258469, 2.1070379, 0.2226347, 0.240390), body_x)
    body_y = cubic_polynomial(body_x, -0.9549476, -1.37418593, 2.09137015, -0.16748867)
    body_y = torch.where(
        temperature < 2222, cubic_polynomial(body_x, -1.1063814, -1.34811020, 2.18555832, -0.20219683), body_y
    )
    body_y = torch.where(
        temperature > 4000, cubic_polynomial(body_x, 3.0817580, -5.87338670, 3.75112997, -0.37001483), body_y
    )
    day_x = cubic_polynomial(t, -4.6070, 2.9678, 0.09911, 0.244063)
    day_x = torch.where(temperature > 7000, cubic_polynomial(t, -2.0064, 1.9018, 0.24748, 0.237040), day_x)
    day_y = cubic_polynomial(day_x, 0.0, -3.0, 2.87, -0.275)
    body, day = torch.stack([body_x, body_y], dim=1), torch.stack([day_x, day_y], dim=1)
    return torch.lerp(body, day, ((temperature - 4000) / 1000).clamp(0, 1).unsqueeze(1))


def cubic_polynomial(t: Tensor, cubic: float, square: float, linear: float, constant: float) -> Tensor:
    """Evaluate a polynomial of degree 3 by Horner's scheme."""
    return ((cubic * t + square) * t + linear) * t + constant


def daytime(temperature: Tensor) -> Tensor:
    """Return the exposure (B, at most 0) in stops relative to noon for a correlated color temperature (B)."""
    mired = 1 / temperature - 1 / NOON
    end = torch.where(mired > 0, 1 / WARMEST - 1 / NOON, 1 / COOLEST - 1 / NOON)
    return -DIMMING * (mired / end) ** 2


def shade(linear: Tensor, strength: Tensor, rng: BatchRNG, how: Recoloring) -> None:
    """Apply light falloff and soft patches of light to some of the images (B, 3, H, W), in place."""

    def slope(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        height, width = some.shape[2:]
        down, right = torch.linspace(-1, 1, height).view(-1, 1), torch.linspace(-1, 1, width)
        stops = rng.normal(1, 1, 1) * down + rng.normal(1, 1, 1) * right
        return some * torch.exp2(how.falloff * strength[places] * stops)

    def patches(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        cloudy = F.interpolate(rng.normal(1, 4, 4), size=some.shape[2:], mode="bicubic", align_corners=True)
        stops = rng.normal(1, 1, 1) * torch.sigmoid(4 * cloudy)
        return some * torch.exp2(how.patches * strength[places] * stops)

    rng.apply_to_share(linear, how.falloff_share, slope)
    rng.apply_to_share(linear, how.patches_share, patches)


def roll_off(linear: Tensor, start: float = 0.6) -> Tensor:
    """Compress highlights by a soft shoulder instead of clipping."""
    room = 1 - start
    return torch.where(linear > start, start + room * torch.tanh((linear - start) / room), linear)


@dataclass(frozen=True)
class Camera:
    """Camera response V = (1 + k) Lⁿ / (Lⁿ + k), from black 0 to white 1 (Naka and Rushton, 1966).

    Small k is hard (deep shadows, highlights that roll off early), large k plain gamma; together they span what
    Grossberg and Nayar (2004) measured of film and digital cameras.
    """

    knee: Tensor  # (B, 1, 1, 1), k > 0
    power: Tensor  # (B, 1, 1, 1), n > 0

    def encode(self, light: Tensor) -> Tensor:
        """Convert linear light (B, 3, H, W) to values."""
        raised = light.clamp_min(0) ** self.power
        return (1 + self.knee) * raised / (raised + self.knee)

    def decode(self, values: Tensor) -> Tensor:
        """Convert values in [0, 1] to linear light (B, 3, H, W)."""
        return (self.knee * values / (1 + self.knee - values)) ** (1 / self.power)


def draw_camera(rng: BatchRNG, spread: Tensor) -> Camera:
    """Draw a random camera per image, with similar rendering of middle gray; `spread` is (B, 1, 1, 1)."""
    knee = 0.8 * torch.exp(spread * rng.normal(1, 1, 1))
    shown = MID_GRAY_SHOWN + 0.04 * spread * rng.normal(1, 1, 1)
    power = torch.log(knee * shown / (1 + knee - shown)) / torch.log(torch.tensor(MID_GRAY))
    return Camera(knee, power)


def weighted_moments(pictures: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of each channel under weights: (B, 3, 1, 1) each."""
    total = weights.sum(dim=(2, 3), keepdim=True).clamp_min(_EPSILON)
    mean = (pictures * weights).sum(dim=(2, 3), keepdim=True) / total
    variance = ((pictures - mean) ** 2 * weights).sum(dim=(2, 3), keepdim=True) / total
    return mean, variance.clamp_min(_EPSILON).sqrt()


def opponent(pictures: Tensor) -> Tensor:
    """Convert to logarithmic luma and two color differences, similar to Reinhard's decorrelated space."""
    red, green, blue = (pictures.clamp(0, 1) + 0.03).log().unbind(dim=1)
    return torch.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue], dim=1)


def from_opponent(values: Tensor) -> Tensor:
    """Invert `opponent`."""
    light, red_green, yellow_blue = values.unbind(dim=1)
    blue = light - yellow_blue * (2 / 3)
    yellow = light + yellow_blue / 3
    return torch.stack([yellow + red_green / 2, yellow - red_green / 2, blue], dim=1).exp() - 0.03


def transfer_statistics(pictures: Tensor, references: Tensor, weights: Tensor, rng: BatchRNG) -> Tensor:
    """Transfer another photograph's mean and deviation, to a random degree (Reinhard et al., 2001).

    Half of the batch in plain RGB, half in a logarithmic opponent space.
    """
    degree = 0.25 + 0.75 * rng.uniform(1, 1, 1)
    space = rng.bernoulli(0.5)
    values = torch.lerp(pictures, opponent(pictures), space)
    mean, deviation = weighted_moments(values, weights)
    wanted_mean, wanted_deviation = weighted_moments(
        torch.lerp(references, opponent(references), space), torch.ones_like(weights)
    )
    scale = (wanted_deviation / deviation).clamp(0.4, 2.5)
    moved = (values - mean) * (1 + degree * (scale - 1)) + mean + degree * (wanted_mean - mean)
    return torch.where(space > 0, from_opponent(moved), moved).clamp(0, 1)


def match_tones(pictures: Tensor, references: Tensor, weights: Tensor, rng: BatchRNG, levels: int = 12) -> Tensor:
    """Match each channel's distribution to another photograph's at a dozen quantiles, to a random degree."""
    steps = torch.linspace(0.02, 0.98, levels)
    # Every third row and column is enough for quantiles, and sorting dominates the cost.
    region = torch.where(weights > 0.5, pictures, torch.nan)[..., ::3, ::3].flatten(2)
    source = torch.nan_to_num(torch.nanquantile(region, steps, dim=2).permute(1, 2, 0), nan=0.5)
    wanted = torch.quantile(references[..., ::3, ::3].flatten(2), steps, dim=2).permute(1, 2, 0)
    degree = 0.2 + 0.6 * rng.uniform(1, 1)
    shift = (wanted - source) * degree
    # The shift as a function of the value, on a regular grid, smoothed to avoid banding in flat parts.
    grid = torch.linspace(0, 1, 24).view(1, 1, 1, -1)
    closeness = torch.softmax(-((grid - source.unsqueeze(-1)) ** 2) / 0.01, dim=2)
    knots = (closeness * shift.unsqueeze(-1)).sum(dim=2)
    position = pictures.flatten(2).clamp(0, 1) * 23
    index = position.floor().clamp(0, 22).long()
    low, high = knots.gather(2, index), knots.gather(2, index + 1)
    return (pictures.flatten(2) + torch.lerp(low, high, position - index)).view_as(pictures).clamp(0, 1)
