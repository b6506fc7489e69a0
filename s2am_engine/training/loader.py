# SPDX-License-Identifier: GPL-3.0-or-later
"""Making batches ahead, so that the network never waits for them.

Threads do it, not processes: nothing is copied, no shared memory runs out, it works alike on every system and inside a
program with windows, and the work is done in libraries that release Python's lock.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from s2am_engine.training.pairs import Batch, Source

AHEAD = 2  # batches a worker


class Loader:
    """The batches of a source from one step on, in order, whatever the number of workers.

    Use it as a context manager: at its end the workers stop.
    """

    def __init__(self, source: Source, first: int, workers: int) -> None:
        """Start making batches.

        Args:
            source: where they come from.
            first: the first step.
            workers: threads; 0 = make each batch when it is asked for.
        """
        self.source = source
        self.next_step = first
        self.waited = 0.0  # seconds, ever
        self.depth = AHEAD * workers
        self.pool = ThreadPoolExecutor(workers, "pairs") if workers else None
        self.ahead: deque[Future[Batch]] = deque()

    def __enter__(self) -> Loader:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Drop what is being made."""
        if self.pool:
            self.pool.shutdown(cancel_futures=True)

    def take(self) -> Batch:
        """The next step's batch."""
        started = time.perf_counter()
        if self.pool is None:
            batch = self.source.make(self.next_step)
        else:
            while len(self.ahead) <= self.depth:
                self.ahead.append(self.pool.submit(self.source.make, self.next_step + len(self.ahead)))
            batch = self.ahead.popleft().result()
        self.next_step += 1
        self.waited += time.perf_counter() - started
        return batch
