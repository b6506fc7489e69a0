# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources of training pairs: the interface, mixtures, and prefetching in threads."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BatchT = TypeVar("BatchT")

PIECE = 32  # pairs

BATCHES_AHEAD = 2  # batches a worker


class Batch(NamedTuple):
    """A batch of pairs."""

    composite: Tensor  # (B, 3, N, N) in [0, 1]
    mask: Tensor  # (B, 1, N, N) in [0, 1]: the network's input
    target: Tensor  # (B, 3, N, N) in [0, 1]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


@dataclass
class PairSource(ABC):
    """Endless, seeded source of pairs: a step determines its batch, which makes training resumable.

    Pairs are made in pieces. With `world_size` processes, each makes its own batch of a step. Together these are the
    batch that one process would make with `world_size` times the batch size, if that is a multiple of the piece.
    """

    size: int  # N, pixels per side
    batch: int  # pairs per step and process
    seed: int = 0
    piece_size: int = field(default=PIECE, kw_only=True)  # pairs that are made at once; larger ones suit a GPU
    rank: int = field(default=0, init=False)  # of this process
    world_size: int = field(default=1, init=False)

    def make(self, step: int) -> Batch:
        """Make this process's batch of one step; safe to be called from several threads."""
        pieces = -(-self.batch // self.piece_size)
        first = (step * self.world_size + self.rank) * pieces
        counts = [min(self.piece_size, self.batch - self.piece_size * index) for index in range(pieces)]
        made = [self.piece(first + index, count) for index, count in enumerate(counts)]
        if len(made) == 1:
            return made[0]
        return Batch(*(torch.cat(tensors) for tensors in zip(*made, strict=True)))

    @abstractmethod
    def piece(self, index: int, count: int) -> Batch:
        """Make `count` pairs; the same index gives the same pairs."""


@dataclass
class MixedPairs(PairSource):
    """Mixture of two sources with a given share of the second in every piece."""

    sources: tuple[PairSource, PairSource] = field(kw_only=True)
    share: float = field(kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`: shares of less than a pair add up over the pieces."""
        second = int((index + 1) * count * self.share) - int(index * count * self.share)
        counts = (count - second, second)
        parts = [source.piece(index, number) for source, number in zip(self.sources, counts, strict=True) if number]
        return Batch(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))


def resize_square(picture: NDArray[Any], size: int) -> NDArray[Any]:
    """Resize H×W or H×W×3 to size × size by area averaging."""
    return np.asarray(cv2.resize(np.ascontiguousarray(picture), (size, size), interpolation=cv2.INTER_AREA))


def stack_planes(arrays: Sequence[NDArray[np.uint8]], device: torch.device | str) -> Tensor:
    """Stack N×N×3 or N×N uint8 arrays to a (B, C, N, N) tensor in [0, 1] on a device."""
    stacked = torch.from_numpy(np.stack(arrays))
    if torch.device(device).type == "cuda":
        stacked = stacked.pin_memory()  # else the host waits until it is copied
    stacked = stacked.to(device, non_blocking=True)
    # Planes are copied as bytes, a quarter of the size; operations on interleaved channels would take longer.
    planes = stacked.permute(0, 3, 1, 2).contiguous() if stacked.ndim == 4 else stacked.unsqueeze(1)
    return planes.float().div_(255)


class Loader(Generic[BatchT]):
    """Prefetches batches in order, independent of the number of workers.

    Use it as a context manager: at its end the workers stop.
    """

    def __init__(self, make: Callable[[int], BatchT], first: int, workers: int) -> None:
        """Start prefetching.

        Args:
            make: returns the batch of a step; it is called in several threads.
            first: the first step.
            workers: threads; 0 = make each batch on demand.
        """
        self.make = make
        self.next_step = first
        self.waited = 0.0  # seconds, ever
        self.depth = BATCHES_AHEAD * workers
        # Each worker computes in its own thread alone: parallel regions of several would wait for each other.
        self.pool = ThreadPoolExecutor(workers, "pairs", torch.set_num_threads, (1,)) if workers else None
        self.ahead: deque[Future[BatchT]] = deque()

    def __enter__(self) -> Loader[BatchT]:
        """Return the loader."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Cancel pending batches."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def take(self) -> BatchT:
        """Return the next step's batch."""
        started = time.perf_counter()
        if self.pool is None:
            batch = self.make(self.next_step)
        else:
            while len(self.ahead) <= self.depth:
                self.ahead.append(self.pool.submit(self.make, self.next_step + len(self.ahead)))
            batch = self.ahead.popleft().result()
        self.next_step += 1
        self.waited += time.perf_counter() - started
        return batch
