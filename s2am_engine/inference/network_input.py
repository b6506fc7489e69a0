# SPDX-License-Identifier: GPL-3.0-or-later
"""Network inputs: reduced sRGB copies of an image and its mask, without the transparent parts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from s2am_common.errors import ImageError, MaskError
from s2am_engine.image import icc
from s2am_engine.image.arrays import SAMPLED_SIDE, sample_pixels, subsample, to_uint8, to_unit
from s2am_engine.image.data import ImageData
from s2am_engine.types import Bytes, Floats, Mask

MAX_FOREGROUND_SAMPLES = 4096
"""Foreground colors that a color map is converted to a profile by; 20 times as many give the same map within 1 %."""

MIN_VISIBILITY = 1e-4  # relative to the most visible pixel; pixels below it count as transparent


@dataclass(frozen=True)
class NetworkInput:
    """Input of a network.

    composite: N×N×3 sRGB in [0, 1].
    mask: N×N in [0, 1].
    samples: K×3 foreground colors in the image's own profile, evenly spaced, 0 < K ≤ MAX_FOREGROUND_SAMPLES.
    """

    composite: Floats
    mask: Floats
    samples: Bytes


def make_network_input(image: ImageData, mask: Mask, size: int) -> NetworkInput:
    """Reduce an image and its mask to a network's input size.

    Transparent pixels (alpha 0) do not count: in their place the input repeats colors of the visible background, which
    keeps its statistics those of the visible part.

    Args:
        image: the composite, with its alpha and profile.
        mask: H×W, any mask dtype.
        size: N, the side of the input.

    Raises:
        MaskError: the visible part has no foreground or no background.
        ImageError: float pixels that are not numbers.
    """
    # A region that falls between the samples is rare: only then all pixels are read.
    for side in (SAMPLED_SIDE, max(mask.shape)):
        weights = to_unit(subsample(mask, side))
        visible = None if image.alpha is None else to_unit(subsample(image.alpha, side))
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
    own = to_uint8(sample_pixels(image.pixels, side))
    composite, small_mask = average_visible(icc.to_srgb(own, image.profile), weights, visible, size)
    chosen = np.flatnonzero(foreground >= 0.5 * foreground.max())
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MAX_FOREGROUND_SAMPLES)).astype(np.intp)]
    # Averages of 1 can be 1.0000001.
    return NetworkInput(composite, small_mask.clip(0, 1), own.reshape(-1, 3)[chosen])


def reduce_image(image: ImageData, size: int) -> Floats:
    """Reduce an image without a mask, as `make_network_input` does.

    Returns:
        N×N×3 sRGB in [0, 1].

    Raises:
        ImageError: the image is transparent everywhere, or its pixels are not numbers.
    """
    for side in (SAMPLED_SIDE, max(image.pixels.shape[:2])):
        own = sample_pixels(image.pixels, side)
        visible = None if image.alpha is None else to_unit(subsample(image.alpha, side))
        if visible is None or visible.any():
            break
    else:
        raise ImageError("The image is transparent everywhere.", code="image.transparent")
    no_mask = np.zeros(own.shape[:2], np.float32)
    return average_visible(icc.to_srgb(to_uint8(own), image.profile), no_mask, visible, size)[0]


def average_visible(srgb: Bytes, weights: Floats, visible: Floats | None, size: int) -> tuple[Floats, Floats]:
    """Average sampled pixels and mask, weighted by visibility (None: all visible), to N×N×3 in [0, 1] and N×N."""
    if visible is None:
        # Channel by channel: floats of all samples at once are most of the memory that a prediction needs.
        channels = [shrink(np.asarray(srgb[..., c], np.float32), size) for c in range(3)]
        return np.asarray(cv2.merge(channels) / np.float32(255), np.float32), shrink(weights, size)
    shares = shrink(visible, size)
    least = np.float32(MIN_VISIBILITY) * shares.max()
    divisor = np.maximum(shares, least)
    composite = np.asarray(shrink(srgb * visible[..., None], size) / (255 * divisor[..., None]), np.float32)
    mask = np.asarray(shrink(weights * visible, size) / divisor, np.float32)
    hidden = shares < least
    if hidden.any():
        # Drawn at random from the reference, with a fixed seed: the same image gives the same network input.
        reference = composite[~hidden & (mask <= max(0.5, float(mask[~hidden].min())))]
        chosen = np.random.default_rng(0).integers(len(reference), size=int(hidden.sum()))
        composite[hidden], mask[hidden] = reference[chosen], 0
    return composite, mask


def shrink(array: Floats, size: int) -> Floats:
    """Resize to size × size by area averaging."""
    return np.asarray(cv2.resize(array, (size, size), interpolation=cv2.INTER_AREA), np.float32)
