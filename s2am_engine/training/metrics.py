# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a result is from the truth, by iHarmony4's conventions: 8-bit values, the whole picture; and a found mask."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from s2am_engine.image.masks import Pixels
from s2am_engine.inference.network_input import to_unit

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


@dataclass(frozen=True)
class MaskScores:
    """How well a mask was found in one picture, or the means over several."""

    iou: float  # intersection over union, 0 to 1
    f1: float  # harmonic mean of precision and recall, 0 to 1
    mae: float  # mean absolute error of the soft mask, 0 to 1


_Figures = TypeVar("_Figures", Scores, MaskScores)


def score(result: NDArray[np.uint8], truth: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Scores:
    """Compare H×W×3 uint8 pictures; the H×W mask is True in the foreground."""
    squared = (result.astype(np.float32) - truth.astype(np.float32)) ** 2
    mse = float(squared.mean())
    fmse = float(squared[mask].mean()) if mask.any() else 0.0
    return Scores(decibels(mse), decibels(fmse), mse, fmse, ssim(result, truth))


def score_mask(found: Pixels, truth: Pixels) -> MaskScores:
    """Compare H×W masks of any mask dtype, whose foreground is what is above half of full scale."""
    soft, true = to_unit(found), to_unit(truth)
    here, there = soft > 0.5, true > 0.5
    both, either = int((here & there).sum()), int((here | there).sum())
    error = float(np.abs(soft - true).mean())
    # Two masks without foreground are the same.
    return MaskScores(both / either, 2 * both / (both + either), error) if either else MaskScores(1.0, 1.0, error)


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


def mean(scores: Sequence[_Figures]) -> _Figures:
    """The mean of each figure; pictures too small for SSIM don't count towards it."""
    rows = np.array([dataclasses.astuple(item) for item in scores])
    return type(scores[0])(*(float(value) for value in np.nanmean(rows, axis=0)))
