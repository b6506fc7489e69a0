# SPDX-License-Identifier: GPL-3.0-or-later
"""Network inputs: reduced sRGB copies of an image and its mask, without the transparent parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import ImageError, MaskError
from s2am_engine.image import profiles
from s2am_engine.image.masks import Pixels, full_scale

# Pixels are sampled on a grid of about this many rows and columns, then averaged: as good for a network as averaging
# all of them, at a tenth of the cost for 24 megapixels.
SAMPLED_SIDE = 512
MIN_VISIBILITY = 1e-4  # relative to the most visible pixel; pixels below it count as transparent

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class NetworkInput:
    """Input of a network.

    composite: N×N×3 sRGB in [0, 1].
    mask: N×N in [0, 1].
    samples: K×3 foreground colors in the image's own profile, K > 0.
    """

    composite: Floats
    mask: Floats
    samples: NDArray[np.uint8]


def make_network_input(
    pixels: Pixels, mask: Pixels, alpha: Pixels | None, profile: bytes | None, size: int
) -> NetworkInput:
    """Reduce an image and its mask to a network's input size.

    Transparent pixels (alpha 0) do not count: in their place the input repeats colors of the visible background, which
    keeps its statistics those of the visible part.

    Args:
        pixels: H×W×3, uint8, uint16 or float32.
        mask: H×W, any mask dtype.
        alpha: H×W of the pixels' dtype, or None.
        profile: ICC profile of the pixels; None = sRGB.
        size: N, the side of the input.

    Raises:
        MaskError: the visible part has no foreground or no background.
        ImageError: float pixels that are not numbers.
    """
    # A region that falls between the samples is rare: only then all pixels are read.
    for side in (SAMPLED_SIDE, max(mask.shape)):
        weights = to_unit(sample(mask, side))
        visible = None if alpha is None else to_unit(sample(alpha, side))
        foreground = weights if visible is None else weights * visible
        has_background = bool(((weights < 1) & (visible is None or visible > 0)).any())
        if foreground.any() and has_background:
            break
    if not foreground.any():
        raise MaskError("The foreground is transparent everywhere.", code="mask.invisible")
    if not has_background:
        raise MaskError(
            "No visible pixel is left for the background: make the mask smaller, or add a background.",
            code="mask.no-background",
        )
    own = to_bytes(sample(pixels, side))
    composite, small_mask = reduce(profiles.to_srgb(own, profile), weights, visible, size)
    # Averages of 1 can be 1.0000001.
    return NetworkInput(composite, small_mask.clip(0, 1), own[foreground >= 0.5 * foreground.max()])


def reduce_image(pixels: Pixels, alpha: Pixels | None, profile: bytes | None, size: int) -> Floats:
    """Reduce an image without a mask; the arguments are those of `make_network_input`.

    Returns:
        N×N×3 sRGB in [0, 1].

    Raises:
        ImageError: the image is transparent everywhere, or its pixels are not numbers.
    """
    for side in (SAMPLED_SIDE, max(pixels.shape[:2])):
        own = sample(pixels, side)
        visible = None if alpha is None else to_unit(sample(alpha, side))
        if visible is None or visible.any():
            break
    else:
        raise ImageError("The image is transparent everywhere.", code="image.transparent")
    no_mask = np.zeros(own.shape[:2], np.float32)
    return reduce(profiles.to_srgb(to_bytes(own), profile), no_mask, visible, size)[0]


def sample(array: Pixels, side: int) -> Pixels:
    """Return a view of every k-th row and column, about `side` of each."""
    steps = [max(1, length // side) for length in array.shape[:2]]
    return array[steps[0] // 2 :: steps[0], steps[1] // 2 :: steps[1]]


def to_unit(array: Pixels) -> Floats:
    """Convert a mask, alpha or pixels of any dtype to float32 in [0, 1]."""
    return np.asarray(np.clip(array / np.float32(full_scale(array.dtype)), 0, 1), np.float32)


def to_bytes(pixels: Pixels) -> NDArray[np.uint8]:
    """Convert pixels of any depth to contiguous uint8.

    Raises:
        ImageError: float pixels that are not numbers.
    """
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    unit = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    if not np.isfinite(unit).all():
        raise ImageError(
            "The image contains values that are not numbers: export it again without them.", code="image.not-finite"
        )
    return np.asarray(np.rint(np.clip(unit, 0, 1) * 255), np.uint8)


def reduce(srgb: NDArray[np.uint8], weights: Floats, visible: Floats | None, size: int) -> tuple[Floats, Floats]:
    """Average sampled pixels and mask, weighted by visibility (None: all visible), to N×N×3 in [0, 1] and N×N."""
    if visible is None:
        # Channel by channel: float copies of all channels would double the memory.
        channels = [shrink(srgb[..., c].astype(np.float32), size) for c in range(3)]
        return np.stack(channels, axis=2) / np.float32(255), shrink(weights, size)
    shares = shrink(visible, size)
    least = np.float32(MIN_VISIBILITY) * shares.max()
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
