# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics: the figures of iHarmony4's convention, on values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data
from skimage.metrics import structural_similarity

from s2am_engine.training.metrics import MOST_DECIBELS, MaskScores, mean, score, score_mask, ssim


def test_score_by_hand() -> None:
    target = np.full((10, 10, 3), 100, np.uint8)
    result, mask = target.copy(), np.zeros((10, 10), np.bool_)
    mask[:5, :4] = True
    result[mask] = 110
    scores = score(result, target, mask)
    assert scores.fmse == pytest.approx(100)
    assert scores.mse == pytest.approx(20)
    assert scores.fpsnr == pytest.approx(28.1308, abs=1e-3)
    assert scores.psnr == pytest.approx(35.1205, abs=1e-3)
    assert 0 < scores.ssim < 1


def test_score_does_not_overflow() -> None:
    black, white = np.zeros((9, 9, 3), np.uint8), np.full((9, 9, 3), 255, np.uint8)
    assert score(black, white, np.ones((9, 9), np.bool_)).mse == 255**2
    assert score(white, black, np.ones((9, 9), np.bool_)).psnr == 0


def test_score_of_a_perfect_result() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    scores = score(picture, picture, np.ones((9, 9), np.bool_))
    assert scores.psnr == MOST_DECIBELS
    assert scores.ssim == pytest.approx(1)


def test_mean_of_scores() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    tiny = wide[:1, :1]
    scores = [score(wide, wide, np.ones((9, 9), np.bool_)), score(tiny, 255 - tiny, np.ones((1, 1), np.bool_))]
    assert mean(scores).ssim == pytest.approx(1)
    assert mean(scores).psnr == pytest.approx((scores[0].psnr + scores[1].psnr) / 2)


def test_score_mask_by_hand() -> None:
    target, found = np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.float32)
    target[:4, :5] = 255  # 20 pixels
    found[2:6, :5] = 0.8  # 20 pixels, of which 10 are right
    found[9] = 0.4  # too low to count as foreground, but part of the error
    scores = score_mask(found, target)
    assert scores.iou == pytest.approx(10 / 30)
    assert scores.f1 == pytest.approx(0.5)
    assert scores.mae == pytest.approx((10 * 1 + 10 * 0.2 + 10 * 0.8 + 10 * 0.4) / 100)


def test_score_mask_extremes() -> None:
    target = np.zeros((6, 6), np.bool_)
    target[:2] = True
    assert score_mask(target, target) == MaskScores(1, 1, 0)
    missed = score_mask(np.zeros_like(target), target)
    assert (missed.iou, missed.f1) == (0, 0)
    assert missed.mae == pytest.approx(1 / 3)
    assert score_mask(target & False, target & False) == MaskScores(1, 1, 0)
    assert mean([MaskScores(1, 1, 0), MaskScores(0, 0.5, 1)]) == MaskScores(0.5, 0.75, 0.5)


@pytest.mark.parametrize("size", [(120, 90), (7, 40), (5, 9), (3, 3)])
def test_ssim_is_that_of_scikit_image(size: tuple[int, int]) -> None:
    target = data.astronaut()[: size[0], 200 : 200 + size[1]]
    noisy = np.clip(target + np.random.default_rng(0).normal(0, 20, target.shape), 0, 255).astype(np.uint8)
    window = min(7, *size) - 1 + min(7, *size) % 2
    expected = structural_similarity(noisy, target, win_size=window, channel_axis=2, data_range=255)
    assert ssim(noisy, target) == pytest.approx(expected, abs=1e-12)
