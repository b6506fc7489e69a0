# SPDX-License-Identifier: GPL-3.0-or-later
"""Gain of fine-tuning: intervals over photographs, and the verdict."""

from __future__ import annotations

import math

import numpy as np
import pytest

from s2am_engine.training.gain import (
    SENTENCES,
    ColorErrors,
    FineTuningScores,
    PairScores,
    Verdict,
    judge,
    reduction,
    student_quantile,
)


def pair(photograph: int, before: float, after: float) -> PairScores:
    """Scores of a pair with these color errors."""
    untouched, first, second = (
        ColorErrors(error, 10 * math.log10(255**2 / error)) for error in (2 * before, before, after)
    )
    return PairScores(f"photograph {photograph}", untouched, first, second)


def compare(gains: np.ndarray, pairs: int = 1) -> FineTuningScores:
    """Compare pairs whose color error becomes smaller by these shares, one for each photograph."""
    return FineTuningScores.of(
        [pair(index, 100, 100 * (1 - gain)) for index, gain in enumerate(gains) for _ in range(pairs)]
    )


def test_compared_intervals_contain_the_mean() -> None:
    found = compare(np.linspace(0.05, 0.25, 9), pairs=3)
    assert (found.pairs, found.photographs) == (27, 9)
    assert found.fmse_saved == pytest.approx(0.15)
    assert found.fmse_interval is not None
    assert 0.05 < found.fmse_interval.low < 0.15 < found.fmse_interval.high < 0.25
    assert found.psnr_interval is not None
    assert found.psnr_interval.low < found.psnr_gained < found.psnr_interval.high


def test_compared_more_pairs_of_the_same_photographs_do_not_narrow_the_interval() -> None:
    gains = np.linspace(-0.1, 0.3, 9)
    assert compare(gains, pairs=1).fmse_interval == compare(gains, pairs=20).fmse_interval


def test_compared_intervals_rarely_exclude_zero_by_chance() -> None:
    """Of networks that gain nothing, about one in forty seems better; with plain percentiles it would be twice that."""
    rng = np.random.default_rng(1)
    found = [compare(rng.normal(0, 0.1, 8)).fmse_interval for _ in range(300)]
    assert sum(one is not None and one.low > 0 for one in found) / 300 < 0.05


def test_compared_one_photograph_has_no_interval() -> None:
    assert compare(np.array([0.3]), pairs=5).fmse_interval is None


@pytest.mark.parametrize(
    ("style", "others", "verdict"),
    [
        (compare(np.linspace(0.1, 0.3, 8)), compare(np.zeros(8)), Verdict.BETTER),
        (compare(np.linspace(-0.3, 0.4, 8)), compare(np.zeros(8)), Verdict.NO_COMMON_STYLE),
        (compare(np.linspace(-0.3, -0.1, 8)), compare(np.zeros(8)), Verdict.NO_COMMON_STYLE),
        (compare(np.array([0.2])), compare(np.zeros(8)), Verdict.NO_COMMON_STYLE),
        (compare(np.linspace(0.1, 0.3, 8)), compare(np.full(8, -0.02)), Verdict.WORSE_ON_OTHERS),
    ],
)
def test_judge(style: FineTuningScores, others: FineTuningScores, verdict: Verdict) -> None:
    assert judge(style, others) is verdict


def test_judge_finds_contradictions_of_fmse_and_psnr() -> None:
    """The largest errors of each photograph became smaller, most others larger."""
    pairs = [pair(index, *errors) for index in range(8) for errors in ((1000, 700), (10, 14), (12, 16), (15, 20))]
    found = FineTuningScores.of(pairs)
    assert found.fmse_saved > 0 > found.psnr_gained
    assert judge(found, compare(np.zeros(8))) is Verdict.CONTRADICTORY


def test_every_verdict_has_a_sentence_without_names_of_losses() -> None:
    assert set(SENTENCES) == set(Verdict)
    assert not any("fMSE" in sentence or "PSNR" in sentence for sentence in SENTENCES.values())


def test_reduction_of_errors_of_zero() -> None:
    assert (reduction(0, 0), reduction(0, 1), reduction(2, 1)) == (0.0, -math.inf, 0.5)


def test_student_quantile_agrees_with_tables() -> None:
    for degrees, expected in ((3, 3.182), (7, 2.365), (20, 2.086), (100, 1.984)):
        assert student_quantile(0.975, degrees) == pytest.approx(expected, rel=0.01)
