# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a result is from the truth, by iHarmony4's conventions: 8-bit values, the whole picture."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

# What an error of nothing counts as, so that means stay finite.
MOST_DECIBELS = 100.0
# The default window of SSIM is 7×7; smaller pictures get a smaller, odd one.
SSIM_WINDOW = 7


@dataclass(frozen=True)
class Scores:
    """Figures of one picture, or their means over several."""

    psnr: float  # dB, whole picture
    fpsnr: float  # dB, foreground
    mse: float  # whole picture, 8-bit values
    fmse: float  # foreground, 8-bit values
    ssim: float  # whole picture, mean of the channels


def score(result: NDArray[np.uint8], truth: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Scores:
    """Compare H×W×3 uint8 pictures; the H×W mask is True in the foreground."""
    squared = (result.astype(np.float32) - truth.astype(np.float32)) ** 2
    mse = float(squared.mean())
    fmse = float(squared[mask].mean()) if mask.any() else 0.0
    return Scores(decibels(mse), decibels(fmse), mse, fmse, ssim(result, truth))


def decibels(mse: float) -> float:
    """PSNR of a mean square error in 8-bit values, at most 100 dB."""
    return min(MOST_DECIBELS, 10 * math.log10(255**2 / mse)) if mse > 0 else MOST_DECIBELS


def ssim(result: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Structural similarity (Wang et al., 2004), uniform window, mean over channels; 1 = the same."""
    window = min(SSIM_WINDOW, *truth.shape[:2])
    window -= 1 - window % 2
    if window < 3:
        return 1.0 if np.array_equal(result, truth) else math.nan
    return float(structural_similarity(result, truth, win_size=window, channel_axis=2, data_range=255))


def mean(scores: Sequence[Scores]) -> Scores:
    """The mean of each figure; pictures too small for SSIM don't count towards it."""
    rows = np.array([dataclasses.astuple(item) for item in scores])
    return Scores(*(float(value) for value in np.nanmean(rows, axis=0)))
