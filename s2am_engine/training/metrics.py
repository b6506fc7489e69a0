# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit of harmonized images and of predicted masks, and their means."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.arrays import to_unit
from s2am_engine.types import Pixels

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MOST_DECIBELS = 100.0  # PSNR of identical images, which keeps means finite
SSIM_WINDOW = 7  # pixels; smaller images get a smaller, odd window
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

_Figures = TypeVar("_Figures", bound="DataclassInstance")


@dataclass(frozen=True)
class Scores:
    """Scores of one image, or their means over several."""

    psnr: float  # dB, whole image
    fpsnr: float  # dB, foreground
    mse: float  # whole image, 8-bit values
    fmse: float  # foreground, 8-bit values
    ssim: float  # whole image, mean of the channels


@dataclass(frozen=True)
class MaskScores:
    """Scores of a predicted mask, or their means over several."""

    iou: float  # intersection over union, 0 to 1
    f1: float  # harmonic mean of precision and recall, 0 to 1
    mae: float  # mean absolute error of the soft mask, 0 to 1


def score(result: NDArray[np.uint8], target: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Scores:
    """Compare H×W×3 uint8 pictures; the H×W mask is True in the foreground."""
    squared = (result.astype(np.float32) - target.astype(np.float32)) ** 2
    mse = float(squared.mean())
    fmse = float(squared[mask].mean()) if mask.any() else 0.0
    return Scores(decibels(mse), decibels(fmse), mse, fmse, ssim(result, target))


def score_mask(found: Pixels, target: Pixels) -> MaskScores:
    """Compare H×W masks of any mask dtype, whose foreground is above half of full scale."""
    soft, true = to_unit(found), to_unit(target)
    here, there = soft > 0.5, true > 0.5
    both, either = int((here & there).sum()), int((here | there).sum())
    error = float(np.abs(soft - true).mean())
    # Two masks without foreground are the same.
    return MaskScores(both / either, 2 * both / (both + either), error) if either else MaskScores(1.0, 1.0, error)


def decibels(mse: float) -> float:
    """Return the PSNR of a mean square error in 8-bit levels, at most 100 dB."""
    return min(MOST_DECIBELS, 10 * math.log10(255**2 / mse)) if mse > 0 else MOST_DECIBELS


def ssim(result: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Return the structural similarity (Wang et al., 2004), uniform window, mean over channels.

    Equal to scikit-image's, which is not installed for it: sample covariance, and whole windows only.

    Args:
        result: H×W×3 image.
        target: H×W×3 image.

    Returns:
        −1 to 1; not a number for different images of less than 3 pixels on a side.
    """
    window = min(SSIM_WINDOW, *target.shape[:2])
    window -= 1 - window % 2
    if window < 3:
        return 1.0 if np.array_equal(result, target) else math.nan

    def mean_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
        margin = window // 2
        means = cv2.blur(values, (window, window))
        return np.asarray(means[margin : values.shape[0] - margin, margin : values.shape[1] - margin])

    x, y = result.astype(np.float64), target.astype(np.float64)
    mean_x, mean_y = mean_of(x), mean_of(y)
    sample = window**2 / (window**2 - 1)
    variances = sample * (mean_of(x * x) - mean_x**2 + mean_of(y * y) - mean_y**2)
    covariance = sample * (mean_of(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    return float((luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2)).mean())


def mean(scores: Sequence[_Figures]) -> _Figures:
    """Return the mean of each score over the images for which it is a number; not a number if there are none."""
    rows = np.array([dataclasses.astuple(item) for item in scores])
    valid = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        means = np.where(valid, rows, 0).sum(axis=0) / valid.sum(axis=0)
    return type(scores[0])(*(float(value) for value in means))
