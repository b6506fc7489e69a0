# SPDX-License-Identifier: GPL-3.0-or-later
"""What networks see of a picture: a small sRGB copy of it and of its mask, without what is transparent."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import EngineError
from s2am_engine.image import profiles
from s2am_engine.image.masks import Pixels, full_scale

# Pixels are first sampled on a grid of about this many a side, then averaged: as good as averaging all of them for
# what a thumbnail is for, and a tenth of the cost at 24 megapixels.
SAMPLED_SIDE = 512
SMALLEST_WEIGHT = 1e-4  # of what is visible most; below it nothing is

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkInput:
    """A small copy of a composite."""

    composite: Floats  # N×N×3 sRGB in [0, 1]
    mask: Floats  # N×N in [0, 1]
    samples: NDArray[np.uint8]  # K×3 foreground colors in the picture's own profile, K > 0


def make_network_input(
    pixels: Pixels, mask: Pixels, alpha: Pixels | None, profile: bytes | None, size: int
) -> NetworkInput:
    """Sample and average a picture down to what a network sees.

    Transparent pixels (alpha 0) never count: where the picture is transparent, the thumbnail repeats colors of the
    visible background, so that its statistics stay those of the visible part.

    Args:
        pixels: H×W×3, uint8, uint16 or float32.
        mask: H×W, any mask dtype.
        alpha: H×W of the pixels' dtype, or None.
        profile: the ICC profile of the pixels; None = sRGB.
        size: N, the thumbnail's side.

    Raises:
        EngineError: the visible part has no foreground or no background, or the pixels hold no numbers.
    """
    # A region that falls between the samples is rare enough to pay for looking at every pixel.
    for side in (SAMPLED_SIDE, max(mask.shape)):
        weights = to_unit(sample(mask, side))
        visible = None if alpha is None else to_unit(sample(alpha, side))
        foreground = weights if visible is None else weights * visible
        has_background = bool(((weights < 1) & (visible is None or visible > 0)).any())
        if foreground.any() and has_background:
            break
    if not foreground.any():
        raise EngineError("The foreground is transparent everywhere: give a mask of something visible.")
    if not has_background:
        raise EngineError("No visible pixel is left for the background: make the mask smaller, or add a background.")
    own = to_bytes(sample(pixels, side))
    composite, small_mask = reduce(profiles.to_srgb(own, profile), weights, visible, size)
    # Averages of 1 can be 1.0000001.
    return NetworkInput(composite, small_mask.clip(0, 1), own[foreground >= 0.5 * foreground.max()])


def reduce_image(pixels: Pixels, alpha: Pixels | None, profile: bytes | None, size: int) -> Floats:
    """Sample and average a picture whose foreground is not known yet; the arguments are those of `make_network_input`.

    Returns:
        N×N×3 sRGB in [0, 1].

    Raises:
        EngineError: the whole picture is transparent, or its pixels hold no numbers.
    """
    for side in (SAMPLED_SIDE, max(pixels.shape[:2])):
        own = sample(pixels, side)
        visible = None if alpha is None else to_unit(sample(alpha, side))
        if visible is None or visible.any():
            break
    else:
        raise EngineError("The picture is transparent everywhere: give one that shows something.")
    nowhere = np.zeros(own.shape[:2], np.float32)
    return reduce(profiles.to_srgb(to_bytes(own), profile), nowhere, visible, size)[0]


def sample(array: Pixels, side: int) -> Pixels:
    """Take every k-th row and column, so that about `side` of each are left: a view."""
    steps = [max(1, length // side) for length in array.shape[:2]]
    return array[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]]


def to_unit(array: Pixels) -> Floats:
    """A mask, alpha or pixels of any dtype as float32 in [0, 1]."""
    return np.asarray(np.clip(array / np.float32(full_scale(array.dtype)), 0, 1), np.float32)


def to_bytes(pixels: Pixels) -> NDArray[np.uint8]:
    """Pixels of any depth as contiguous uint8.

    Raises:
        EngineError: float pixels that are not numbers.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    unit = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    if not np.isfinite(unit).all():
        raise EngineError("The picture contains values that are not numbers: export it again without them.")
    return np.asarray(np.rint(np.clip(unit, 0, 1) * 255), np.uint8)


def reduce(srgb: NDArray[np.uint8], weights: Floats, visible: Floats | None, size: int) -> tuple[Floats, Floats]:
    """Average sampled pixels, weighted by their visibility (None: all visible), down to N×N×3 and N×N."""
    if visible is None:
        # Channel by channel: the float copies are what takes the memory here.
        channels = [shrink(srgb[..., c].astype(np.float32), size) for c in range(3)]
        return np.stack(channels, axis=2) / np.float32(255), shrink(weights, size)
    shares = shrink(visible, size)
    least = np.float32(SMALLEST_WEIGHT) * shares.max()
    divisor = np.maximum(shares, least)
    composite = np.asarray(shrink(srgb * visible[..., None], size) / (255 * divisor[..., None]), np.float32)
    mask = np.asarray(shrink(weights * visible, size) / divisor, np.float32)
    hidden = shares < least
    if hidden.any():
        # Drawn at random from the reference, with a fixed seed: the same picture gives the same thumbnail.
        reference = composite[~hidden & (mask <= max(0.5, float(mask[~hidden].min())))]
        chosen = np.random.default_rng(0).integers(len(reference), size=int(hidden.sum()))
        composite[hidden], mask[hidden] = reference[chosen], 0
    return composite, mask


def shrink(array: Floats, size: int) -> Floats:
    """Resize to size × size by area averaging."""
    return np.asarray(cv2.resize(array, (size, size), interpolation=cv2.INTER_AREA), np.float32)
