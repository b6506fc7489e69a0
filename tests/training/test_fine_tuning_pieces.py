# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuning works in small pieces, between which it can be canceled, however many photographs there are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from torch import Tensor

from s2am_engine.training.encoded_pairs import MOST_PAIRS, FoldPairs
from s2am_engine.training.held_out_sheet import FEWEST_SHEET_PAIRS, MOST_SHEET_PAIRS, HeldOutSheet
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.synthetic_pairs import PairMaker


def photographs(count: int, first: int = 0) -> list[Photograph]:
    region = np.pad(np.ones((20, 20), np.bool_), 12)
    return [
        Photograph(str(number), np.random.default_rng(number).integers(0, 256, (44, 44, 3), np.uint8), [region])
        for number in range(first, first + count)
    ]


FOLDS = [photographs(MOST_PAIRS + 4), photographs(9, 100), photographs(8, 200)]


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pairs of each piece of work."""
    counts: list[int] = []
    compose = PairMaker.compose

    def count_and_compose(maker: PairMaker, count: int, rng: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        counts.append(count)
        return compose(maker, count, rng)

    monkeypatch.setattr(PairMaker, "compose", count_and_compose)
    return counts


def test_fold_pairs_make_a_round_in_small_batches(composed: list[int]) -> None:
    source = FoldPairs(32, folds=FOLDS)
    batches = [source.make(step) for step in range(len(source.contents))]
    assert [len(batch.composite) for batch in batches] == composed == [MOST_PAIRS] * 2 + [4] * 2 + [9] * 2 + [8] * 2
    for in_style in (True, False):  # one pair of each photograph
        contents = [source.content(step) for step in range(len(batches)) if source.content(step).in_style is in_style]
        numbers = [range(each.first, each.first + size) for each, size in zip(contents, composed[::2], strict=True)]
        assert [number for part in numbers for number in part] == list(range(sum(map(len, FOLDS))))
    assert [source.content(source.first_step(fold)).first for fold in range(3)] == [0, MOST_PAIRS + 4, MOST_PAIRS + 13]


@pytest.mark.parametrize(("has_time", "pairs"), [(True, MOST_SHEET_PAIRS), (False, FEWEST_SHEET_PAIRS)])
def test_held_out_sheet_makes_one_pair_between_two_reports(
    composed: list[int], monkeypatch: pytest.MonkeyPatch, has_time: bool, pairs: int
) -> None:
    added: list[str] = []
    monkeypatch.setattr(HeldOutSheet, "add", lambda _sheet, _before, _after, loaded: added.append(loaded.name))
    made_before: list[int] = []

    def progress(_done: int, _total: int) -> bool:
        made_before.append(len(composed))
        return has_time

    models: Any = None
    HeldOutSheet("base", "mine").fill(FOLDS, models, [models] * 3, progress)
    assert composed == [1] * pairs
    assert made_before[:pairs] == list(range(pairs))
    assert added[:3] == ["0", "100", "200"]  # of all folds in turn
    assert len(set(added)) == pairs
