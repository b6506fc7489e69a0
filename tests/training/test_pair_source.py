# SPDX-License-Identifier: GPL-3.0-or-later
"""Loader: prefetching, order, errors and cancellation."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
import torch

from s2am_common.errors import EngineError
from s2am_engine.training.pair_source import Batch, Loader, PairSource
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.synthetic_pairs import PairMaker


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_loader_order_is_independent_of_workers(workers: int, photographs: list[Photograph]) -> None:
    source = PairMaker(32, 12, 5, photographs=photographs)
    with Loader(source.make, 3, workers) as loader:
        for step in range(3, 10):
            for found, expected in zip(loader.take(), source.make(step), strict=True):
                assert torch.equal(found, expected)


@dataclass
class Slow(PairSource):
    """Takes its time."""

    fails_at: int = -1

    def piece(self, index: int, count: int) -> Batch:
        if index == self.fails_at:
            raise EngineError("A picture can't be read.")
        time.sleep(0.05)
        nothing = torch.zeros(count, 1, 2, 2)
        return Batch(nothing, nothing, nothing)


def test_loader_prefetches_batches() -> None:
    waited = {}
    for workers in (0, 2):
        with Loader(Slow(2, 8).make, 0, workers) as loader:
            loader.take()
            first = loader.waited
            for _ in range(4):
                time.sleep(0.06)  # the network's step
                loader.take()
            waited[workers] = loader.waited - first
    assert waited[0] >= 4 * 0.05
    assert waited[2] < 0.5 * waited[0]


@pytest.mark.parametrize("workers", [0, 2])
def test_loader_raises_errors_of_workers(workers: int) -> None:
    with Loader(Slow(2, 8, fails_at=2).make, 0, workers) as loader:
        loader.take()
        loader.take()
        with pytest.raises(EngineError, match="can't be read"):
            loader.take()


def test_loader_exit_cancels_pending_batches() -> None:
    made: list[int] = []

    class Counting(Slow):
        def piece(self, index: int, count: int) -> Batch:
            made.append(index)
            return super().piece(index, count)

    with Loader(Counting(2, 8).make, 0, 1) as loader:
        loader.take()
    after = len(made)
    time.sleep(0.15)
    assert len(made) == after <= 3
