# SPDX-License-Identifier: GPL-3.0-or-later
"""Image degradation by cameras and files: blur or sharpening, sensor noise, JPEG compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.training.batch_rng import BatchRNG

CHROMA_HALVED = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
CHROMA_WHOLE = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444


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


def degrade(pictures: Tensor, rng: BatchRNG, how: Degradation) -> Tensor:
    """Degrade a random part of the images, in the order of a camera's pipeline.

    Args:
        pictures: (B, 3, H, W) sRGB values in [0, 1].
        rng: the random numbers.
        how: the degradations.

    Returns:
        (B, 3, H, W) in [0, 1]; images without degradation are bit-identical.
    """
    out = pictures.clone()
    rng.apply_to_share(out, how.blur_share, lambda some, _, rng: blur(some, rng.uniform_between(0.3, 1.0) * how.blur))
    rng.apply_to_share(out, how.noise_share, lambda some, _, rng: add_noise(some, rng, how))
    rng.apply_to_share(
        out, how.sharpen_share, lambda some, _, rng: sharpen(some, rng.uniform_between(0, 1) * how.sharpen)
    )
    rng.apply_to_share(out, how.jpeg_share, lambda some, _, rng: compress(some, rng, how))
    return out


def blur(pictures: Tensor, deviation: Tensor) -> Tensor:
    """Blur each image (B, 3, H, W) by a Gaussian with its own standard deviation (B, 1, 1, 1), 0 to about 1 pixel."""
    batch, channels, height, width = pictures.shape
    offsets = torch.arange(-3.0, 4.0)
    weights = torch.softmax(-((offsets / deviation.clamp_min(1e-3)) ** 2) / 2, dim=3)
    rows = weights.repeat_interleave(channels, dim=0)  # (B·3, 1, 1, 7)
    planes = F.pad(pictures, (3, 3, 3, 3), mode="replicate").flatten(0, 1).unsqueeze(0)
    smooth = F.conv2d(F.conv2d(planes, rows, groups=len(rows)), rows.transpose(2, 3), groups=len(rows))
    return smooth.view(batch, channels, height, width).clamp(0, 1)


def sharpen(pictures: Tensor, amount: Tensor) -> Tensor:
    """Apply unsharp masking to each image (B, 3, H, W) with its own amount (B, 1, 1, 1)."""
    detail = pictures - blur(pictures, torch.full_like(amount, 0.8))
    return (pictures + amount * detail).clamp(0, 1)


def add_noise(pictures: Tensor, rng: BatchRNG, how: Degradation) -> Tensor:
    """Add sensor noise of a random sensitivity: signal-dependent shot noise and constant read noise.

    Its variance in linear light is a · light + b (Foi et al., 2008), with both a and √b proportional to the gain.
    """
    gain = torch.exp2(how.sensitivity * rng.normal(1, 1, 1))
    linear = srgb_tensor_to_linear(pictures)
    variance = gain * how.shot_noise * linear + (gain * how.read_noise) ** 2
    noisy = linear + variance.sqrt() * rng.normal(*pictures.shape[1:])
    return linear_tensor_to_srgb(noisy.clamp(0, 1))


def compress(pictures: Tensor, rng: BatchRNG, how: Degradation) -> Tensor:
    """Compress each image as a JPEG of random quality."""
    quality = (how.jpeg_worst + (how.jpeg_best - how.jpeg_worst) * rng.uniform()).round().int().tolist()
    halved = (rng.uniform() < how.chroma_halved_share).tolist()
    pixels = (pictures * 255).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
    saved = [through_jpeg(*one) for one in zip(pixels, quality, halved, strict=True)]
    return torch.from_numpy(np.stack(saved)).permute(0, 3, 1, 2) / 255


def through_jpeg(image: NDArray[np.uint8], quality: int, chroma_halved: bool) -> NDArray[np.uint8]:
    """Encode and decode an H×W×3 uint8 image as JPEG, with or without chroma subsampling."""
    sampling = CHROMA_HALVED if chroma_halved else CHROMA_WHOLE
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", image[..., ::-1], settings)
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
