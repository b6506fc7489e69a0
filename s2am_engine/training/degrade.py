# SPDX-License-Identifier: GPL-3.0-or-later
"""Image degradation by cameras and files: blur or sharpening, sensor noise, JPEG compression."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.device_constants import device_constant

# JFIF: BT.601 with full range.
YCC_OF_RGB = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
RGB_OF_YCC = torch.linalg.inv(YCC_OF_RGB)
# ITU-T T.81, tables K.1 and K.2.
LUMA_TABLE = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ]
)
CHROMA_TABLE = torch.full((8, 8), 99)
CHROMA_TABLE[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])


def cosine_basis() -> Tensor:
    """Return the orthonormal cosine transform of length 8: (8, 8)."""
    frequency, position = torch.arange(8.0).unsqueeze(1), torch.arange(8.0)
    basis = 0.5 * torch.cos(math.pi * (position + 0.5) * frequency / 8)
    basis[0] /= 2**0.5
    return basis


COSINE_BASIS = cosine_basis()


@dataclass(frozen=True)
class Degradation:
    """Frequency and strength of each degradation; a share of 0 switches it off."""

    blur_share: float = 0.08
    blur: float = 1.0  # largest deviation in pixels
    sharpen_share: float = 0.08
    sharpen: float = 1.0  # largest amount of unsharp masking
    noise_share: float = 0.15
    shot_noise: float = 3e-4  # variance at white, in linear light, of a medium sensitivity
    read_noise: float = 2e-3  # deviation at black, in linear light, of a medium sensitivity
    sensitivity: float = 1.2  # deviation of the sensitivity in stops
    jpeg_share: float = 0.2
    jpeg_worst: int = 35  # quality
    jpeg_best: int = 95
    chroma_halved_share: float = 0.6  # of the JPEGs, as most programs and cameras write them


def degrade(pictures: Tensor, rng: BatchRNG, degradation: Degradation) -> Tensor:
    """Degrade a random part of the images, in the order of a camera's pipeline.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        rng: the random numbers.
        degradation: their shares and strengths.

    Returns:
        (B, 3, H, W) in [0, 1]; images without degradation are bit-identical.
    """
    out = pictures.clone()
    rng.apply_to_share(
        out, degradation.blur_share, lambda some, _, rng: blur(some, rng.uniform_between(0.3, 1.0) * degradation.blur)
    )
    rng.apply_to_share(out, degradation.noise_share, lambda some, _, rng: add_noise(some, rng, degradation))
    rng.apply_to_share(
        out,
        degradation.sharpen_share,
        lambda some, _, rng: sharpen(some, rng.uniform_between(0, 1) * degradation.sharpen),
    )
    rng.apply_to_share(out, degradation.jpeg_share, lambda some, _, rng: compress(some, rng, degradation))
    return out


def blur(pictures: Tensor, deviation: Tensor) -> Tensor:
    """Blur each image (B, 3, H, W) by a Gaussian with its own standard deviation (B, 1, 1, 1), 0 to about 1 pixel."""
    batch, channels, height, width = pictures.shape
    offsets = torch.arange(-3.0, 4.0, device=pictures.device)
    weights = torch.softmax(-((offsets / deviation.clamp_min(1e-3)) ** 2) / 2, dim=3)
    rows = weights.repeat_interleave(channels, dim=0)  # (B·3, 1, 1, 7)
    planes = F.pad(pictures, (3, 3, 3, 3), mode="replicate").flatten(0, 1).unsqueeze(0)
    smooth = F.conv2d(F.conv2d(planes, rows, groups=len(rows)), rows.transpose(2, 3), groups=len(rows))
    return smooth.view(batch, channels, height, width).clamp(0, 1)


def sharpen(pictures: Tensor, amount: Tensor) -> Tensor:
    """Apply unsharp masking to each image (B, 3, H, W) with its own amount (B, 1, 1, 1)."""
    detail = pictures - blur(pictures, torch.full_like(amount, 0.8))
    return (pictures + amount * detail).clamp(0, 1)


def add_noise(pictures: Tensor, rng: BatchRNG, degradation: Degradation) -> Tensor:
    """Add sensor noise of a random sensitivity: signal-dependent shot noise and constant read noise.

    Its variance in linear light is a · light + b (Foi et al., 2008), with both a and √b proportional to the gain.
    """
    gain = torch.exp2(degradation.sensitivity * rng.normal(1, 1, 1))
    linear = srgb_tensor_to_linear(pictures)
    variance = gain * degradation.shot_noise * linear + (gain * degradation.read_noise) ** 2
    noisy = linear + variance.sqrt() * rng.normal(*pictures.shape[1:])
    return linear_tensor_to_srgb(noisy.clamp(0, 1))


def compress(pictures: Tensor, rng: BatchRNG, degradation: Degradation) -> Tensor:
    """Compress each image as a JPEG of random quality."""
    quality = degradation.jpeg_worst + (degradation.jpeg_best - degradation.jpeg_worst) * rng.uniform()
    return through_jpeg(pictures, quality, rng.uniform() < degradation.chroma_halved_share)


def through_jpeg(pictures: Tensor, quality: Tensor, chroma_halved: Tensor) -> Tensor:
    """Apply the losses of JPEG to each image, on its device (ITU-T T.81, with libjpeg's scaling of the tables).

    Args:
        pictures: (B, 3, H, W) in [0, 1].
        quality: (B), 1 to 100.
        chroma_halved: (B) bool, whether the chroma has half the resolution.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    height, width = pictures.shape[-2:]
    # Whole blocks of the halved chroma.
    padded = F.pad(pictures, (0, -width % 16, 0, -height % 16), mode="replicate")
    to_ycc, to_rgb = (device_constant(rows, pictures.device) for rows in (YCC_OF_RGB, RGB_OF_YCC))
    luma, *chroma = (255 * torch.einsum("ij,bjhw->bihw", to_ycc, padded)).split(1, dim=1)
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).view(-1, 1, 1, 1, 1)
    luma = quantize_blocks(luma - 128, LUMA_TABLE, scale) + 128
    coarse = chroma_halved.view(-1, 1, 1, 1).to(pictures.dtype)
    for number, plane in enumerate(chroma):
        halved = F.interpolate(
            quantize_blocks(F.avg_pool2d(plane, 2), CHROMA_TABLE, scale), scale_factor=2.0, mode="bilinear"
        )
        chroma[number] = torch.lerp(quantize_blocks(plane, CHROMA_TABLE, scale), halved, coarse)
    back = torch.einsum("ij,bjhw->bihw", to_rgb, torch.cat([luma, *chroma], dim=1)) / 255
    return back[..., :height, :width].clamp(0, 1)


def quantize_blocks(plane: Tensor, table: Tensor, scale: Tensor) -> Tensor:
    """Quantize the cosine transform of the 8×8 blocks of a plane.

    Args:
        plane: (B, 1, H, W), about −128 to 127; H and W are multiples of 8.
        table: (8, 8), quantization steps at quality 50.
        scale: (B, 1, 1, 1, 1), percentage of the steps.

    Returns:
        (B, 1, H, W).
    """
    steps = device_constant(table, plane.device) * scale / 100
    basis = device_constant(COSINE_BASIS, plane.device)
    blocks = plane.unflatten(3, (-1, 8)).unflatten(2, (-1, 8)).transpose(3, 4)  # (B, 1, H/8, W/8, 8, 8)
    steps = steps.round().clamp(1, 255).unsqueeze(1)
    kept = (basis @ blocks @ basis.T / steps).round() * steps
    restored = basis.T @ kept @ basis
    return restored.transpose(3, 4).flatten(4, 5).flatten(2, 3)
