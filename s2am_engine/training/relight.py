# SPDX-License-Identifier: GPL-3.0-or-later
"""Random light and cameras: exposure, white balance, color temperature, falloff, shadows and highlights, responses.

Everything works on batches (B, 3, H, W), on the device of its inputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear, tensor_luma
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.device_constants import device_constant
from s2am_engine.training.recolor_settings import Recoloring

MID_GRAY, MID_GRAY_SHOWN = 0.18, 0.46  # in linear light, and encoded as sRGB (and by most cameras)
WARMEST, NOON, COOLEST = 2200.0, 5500.0, 15000.0  # kelvin: candle or last sun, noon, blue hour
DIMMING = 2.5  # stops by which uncorrected light is darker than at noon, for the warmest and the coolest light

XYZ_OF_SRGB = torch.tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Bradford's sharpened cones (Lam, 1985), in which ICC profiles adapt white.
CONES_OF_XYZ = torch.tensor([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
CONES_OF_SRGB = CONES_OF_XYZ @ XYZ_OF_SRGB
SRGB_OF_CONES = torch.linalg.inv(CONES_OF_SRGB)
BALANCE = torch.tensor([1.0, 0.35, 1.0])  # deviations of white balance, of red, green and blue


def change_light(pictures: Tensor, strength: Tensor, rng: BatchRNG, recoloring: Recoloring) -> Tensor:
    """Simulate other lighting, exposure and camera response for each image.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        strength: (B, 1, 1, 1), how far each image's changes go.
        rng: the random numbers.
        recoloring: the kinds of change.

    Returns:
        (B, 3, H, W) sRGB values in [0, 1].
    """
    cameras = rng.sample_indices(recoloring.camera_share)
    took, shows = (draw_camera(rng.subset(cameras), recoloring.camera * strength[cameras]) for _ in range(2))
    linear = srgb_tensor_to_linear(pictures)
    linear[cameras] = took.decode(pictures.index_select(0, cameras))
    linear = apply_matrices(linear, draw_matrices(strength, rng, recoloring))
    linear = change_shadows_and_highlights(linear, recoloring.shadows_and_highlights * strength, rng)
    shade(linear, strength, rng, recoloring)
    rng.apply_to_share(linear, recoloring.shoulder_share, lambda bright, *_: roll_off(bright))
    shown = linear_tensor_to_srgb(linear)
    shown[cameras] = shows.encode(linear.index_select(0, cameras))
    return shown.clamp_(0, 1)


def change_shadows_and_highlights(linear: Tensor, stops: Tensor, rng: BatchRNG) -> Tensor:
    """Expose the darker and the brighter tones differently, by luminance.

    Args:
        linear: (B, 3, H, W) linear light.
        stops: (B, 1, 1, 1), deviation of the two exposures.
        rng: the random numbers.

    Returns:
        (B, 3, H, W) linear light.
    """
    brightness = linear_tensor_to_srgb(tensor_luma(linear)).clamp_(0, 1)
    shadows, highlights = (stops * rng.normal(1, 1, 1) for _ in range(2))
    return linear * (shadows * (1 - brightness).square_()).addcmul_(highlights, brightness.square()).exp2_()


def apply_matrices(linear: Tensor, matrices: Tensor) -> Tensor:
    """Apply a matrix (B, 3, 3) to each picture's colors (B, 3, H, W)."""
    return torch.bmm(matrices, linear.flatten(2)).view_as(linear)


def draw_matrices(strength: Tensor, rng: BatchRNG, recoloring: Recoloring) -> Tensor:
    """Draw exposure, white balance, relighting and channel mixing as one matrix.

    Returns:
        (B, 3, 3) for linear sRGB.
    """
    amount = strength.view(-1, 1, 1)
    mixing = rng.normal(3, 3) * recoloring.color_mixing * amount
    matrices = (
        torch.eye(3, device=rng.device) + mixing - torch.diag_embed(mixing.sum(dim=2))
    )  # rows sum to 1: grays stay
    scenes = rng.sample_indices(recoloring.relighting_share)
    before, after = (draw_temperature(rng.subset(scenes)) for _ in range(2))
    matrices[scenes] = matrices[scenes] @ relighting(before, after, recoloring.relighting * strength[scenes].flatten())
    gains = rng.normal(1, 3) * device_constant(BALANCE, rng.device) * recoloring.white_balance
    stops = rng.normal(1, 1) * recoloring.exposure
    return matrices * torch.exp(amount * (gains + 0.6931 * stops))


def draw_temperature(rng: BatchRNG) -> Tensor:
    """Draw correlated color temperatures (B) in kelvin, uniform in their reciprocal (Judd, 1933)."""
    return 1 / (1 / WARMEST + (1 / COOLEST - 1 / WARMEST) * rng.uniform())


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
    scales = torch.diag_embed(cones * dimmed.unsqueeze(1))
    device = scales.device
    return device_constant(SRGB_OF_CONES, device) @ scales @ device_constant(CONES_OF_SRGB, device)


def white(temperature: Tensor) -> Tensor:
    """Return the cone response (B, 3) to light of a correlated color temperature (B) at unit luminance."""
    x, y = locus(temperature).unbind(dim=1)
    return torch.stack([x / y, torch.ones_like(x), (1 - x - y) / y], dim=1) @ device_constant(CONES_OF_XYZ, x.device).T


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


def shade(linear: Tensor, strength: Tensor, rng: BatchRNG, recoloring: Recoloring) -> None:
    """Apply light falloff and soft patches of light to some of the images (B, 3, H, W), in place."""

    def slope(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        height, width = some.shape[2:]
        down, right = (torch.linspace(-1, 1, count, device=some.device) for count in (height, width))
        down = down.view(-1, 1)
        stops = rng.normal(1, 1, 1) * down + rng.normal(1, 1, 1) * right
        return some * torch.exp2(recoloring.falloff * strength[places] * stops)

    def patches(some: Tensor, places: Tensor, rng: BatchRNG) -> Tensor:
        cloudy = F.interpolate(rng.normal(1, 4, 4), size=some.shape[2:], mode="bicubic", align_corners=True)
        stops = rng.normal(1, 1, 1) * torch.sigmoid(4 * cloudy)
        return some * torch.exp2(recoloring.patches * strength[places] * stops)

    rng.apply_to_share(linear, recoloring.falloff_share, slope)
    rng.apply_to_share(linear, recoloring.patches_share, patches)


def roll_off(linear: Tensor, start: float = 0.6) -> Tensor:
    """Compress highlights by a soft shoulder instead of clipping."""
    room = 1 - start
    above = (linear - start).clamp_min(0)  # 0 below, for a condition for each pixel is slow
    return above.div_(room).tanh_().mul_(room).add_(linear.clamp_max(start))


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
        raised = (light.clamp_min(0).log_() * self.power).exp_()  # a fifth of the time of a power
        return (1 + self.knee) * raised / (raised + self.knee)

    def decode(self, values: Tensor) -> Tensor:
        """Convert values in [0, 1] to linear light (B, 3, H, W)."""
        return (self.knee * values / (1 + self.knee - values)).log_().div_(self.power).exp_()


def draw_camera(rng: BatchRNG, spread: Tensor) -> Camera:
    """Draw a random camera per image, with similar rendering of middle gray; `spread` is (B, 1, 1, 1)."""
    knee = 0.8 * torch.exp(spread * rng.normal(1, 1, 1))
    shown = MID_GRAY_SHOWN + 0.04 * spread * rng.normal(1, 1, 1)
    power = torch.log(knee * shown / (1 + knee - shown)) / math.log(MID_GRAY)
    return Camera(knee, power)
