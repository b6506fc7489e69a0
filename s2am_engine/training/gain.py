# SPDX-License-Identifier: GPL-3.0-or-later
"""Gain of a fine-tuned network over its base on held-out photographs, with confidence intervals and a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from s2am_engine.training.metrics import Scores, decibels, mean

CONFIDENCE = 0.95
RESAMPLES = 4000
MOST_LOST_ON_OTHERS = 0.01  # tolerated relative increase of the color error in other styles


@dataclass(frozen=True)
class Interval:
    """Confidence interval of a figure."""

    low: float
    high: float


@dataclass(frozen=True)
class ColorErrors:
    """Color error of one image, or the means over several."""

    fmse: float  # of the foreground, 8-bit values
    psnr: float  # dB, whole image

    @classmethod
    def of_foreground(cls, fmse: float, area: float) -> ColorErrors:
        """Return the errors of an image whose background is right; area: share of it that is foreground."""
        return cls(fmse, decibels(fmse * area))

    @classmethod
    def of_scores(cls, scores: Scores) -> ColorErrors:
        """Keep two of all scores."""
        return cls(scores.fmse, scores.psnr)


@dataclass(frozen=True)
class PairScores:
    """Errors of one held-out pair."""

    photograph: str  # name of the photograph of which the pair was made
    untouched: ColorErrors
    before: ColorErrors
    after: ColorErrors

    @property
    def fmse_saved(self) -> float:
        """Relative reduction of the foreground's mean square error; negative = it increased."""
        return reduction(self.before.fmse, self.after.fmse)


@dataclass(frozen=True)
class FineTuningScores:
    """Mean scores on one set of pairs before and after fine-tuning."""

    untouched: ColorErrors
    before: ColorErrors
    after: ColorErrors
    pairs: int
    photographs: int
    fmse_interval: Interval | None  # of `fmse_saved`; None: there is one photograph only
    psnr_interval: Interval | None  # of `psnr_gained`

    @classmethod
    def of(cls, scores: Sequence[PairScores]) -> FineTuningScores:
        """Compare pairs, of at least one photograph; the intervals are those of `bootstrap`."""
        untouched, before, after = (
            mean([getattr(one, name) for one in scores]) for name in ("untouched", "before", "after")
        )
        names = {name: row for row, name in enumerate(sorted({one.photograph for one in scores}))}
        sums = np.zeros((len(names), 4))
        for one in scores:
            gained = one.after.psnr - one.before.psnr
            sums[names[one.photograph]] += (one.before.fmse, one.after.fmse, gained, 1)
        drawn = resample(sums)
        saved = 1 - drawn[:, 1] / np.maximum(drawn[:, 0], 1e-9)
        intervals = (percentiles(figures, len(names)) for figures in (saved, drawn[:, 2] / drawn[:, 3]))
        return cls(untouched, before, after, len(scores), len(names), *intervals)

    @property
    def fmse_saved(self) -> float:
        """Relative reduction of the foreground's mean square error; negative = it increased."""
        return reduction(self.before.fmse, self.after.fmse)

    @property
    def psnr_gained(self) -> float:
        """Gain of PSNR in dB; negative = loss."""
        return self.after.psnr - self.before.psnr


class Verdict(Enum):
    """Verdict on a fine-tuned model."""

    BETTER = "better"
    NO_COMMON_STYLE = "no common look"  # the gain on the photographs' look may be chance, or is a loss
    CONTRADICTORY = "contradictory"  # large color errors became smaller, but most pairs worse
    WORSE_ON_OTHERS = "forgets"  # in JSON output since version 0.1


SENTENCES = {
    Verdict.BETTER: "The new model is better on photographs with this look.",
    Verdict.NO_COMMON_STYLE: (
        "These photographs have no common look that “{base}” does not know yet, so no model was made. What helps: "
        "more photographs, photographs with people or things in front, edited photographs rather than raw ones."
    ),
    Verdict.CONTRADICTORY: (
        "A few large color errors became smaller, but most composites became worse, so no model was made. What helps: "
        "more photographs, and only those that have the look."
    ),
    Verdict.WORSE_ON_OTHERS: (
        "A new model would be better for this look, but worse for photographs with another one, so none was made. "
        "What helps: more photographs that have nothing but the look in common."
    ),
}
"""A sentence for each verdict, with advice; `base` is the name of the base model."""


def judge(style: FineTuningScores, others: FineTuningScores) -> Verdict:
    """Return the verdict on a fine-tuned network.

    Args:
        style: on held-out photographs as they are.
        others: on the same photographs in other styles.
    """
    if style.fmse_interval is None or style.fmse_interval.low <= 0:
        return Verdict.NO_COMMON_STYLE
    if style.psnr_gained < 0:
        return Verdict.CONTRADICTORY
    return Verdict.WORSE_ON_OTHERS if is_worse_on_others(others) else Verdict.BETTER


def is_worse_on_others(others: FineTuningScores) -> bool:
    """Return whether a fine-tuned network is worse on pairs in other styles."""
    return others.fmse_saved < -MOST_LOST_ON_OTHERS


def reduction(before: float, after: float) -> float:
    """Return the relative reduction of an error; 0 if there was none before and after."""
    if before <= 0:
        return 0.0 if after <= 0 else -math.inf
    return 1 - after / before


def resample(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw photographs with replacement and add up their figures, (P, F) each: (RESAMPLES, F).

    Pairs of one photograph are alike, so photographs are drawn, not pairs (cluster bootstrap; Field & Welsh,
    Bootstrapping clustered data, JRSS B 2007). The seed is fixed: the same scores give the same interval.
    """
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(sums), size=(RESAMPLES, len(sums)))
    return np.asarray(sums[drawn].sum(axis=1))


def percentiles(figures: NDArray[np.float64], photographs: int) -> Interval | None:
    """Return the expanded percentile interval (Hesterberg, What Teachers Should Know about the Bootstrap, 2015).

    Plain percentiles are too narrow for few photographs. None: there is one photograph only.
    """
    if photographs < 2:
        return None
    quantile = math.sqrt(photographs / (photographs - 1)) * student_quantile((1 + CONFIDENCE) / 2, photographs - 1)
    tail = 1 - NormalDist().cdf(quantile)
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Interval(float(low), float(high))


def student_quantile(probability: float, degrees: int) -> float:
    """Return a quantile of Student's t distribution (Abramowitz & Stegun, 26.7.5; within 1 % from 3 degrees on)."""
    z = NormalDist().inv_cdf(probability)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / degrees**power for power, term in enumerate(terms))
