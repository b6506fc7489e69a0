# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the parts of an image in several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

from s2am_engine.types import FractionCallback

_Part = TypeVar("_Part")


def run_in_threads(
    render: Callable[[_Part], None], parts: list[_Part], progress: FractionCallback | None, workers: int
) -> None:
    """Render all parts, as strips, in this thread, the only one that reports progress, and in `workers` − 1 others."""
    waiting: SimpleQueue[_Part] = SimpleQueue()
    for part in parts:
        waiting.put(part)
    workers = min(workers, len(parts))

    def work(report: FractionCallback | None) -> None:
        while (part := _next(waiting)) is not None:
            render(part)
            if report:
                report(max(0, len(parts) - waiting.qsize() - workers) / len(parts))

    if workers <= 1:
        work(progress)
        return
    with ThreadPoolExecutor(workers - 1, "render") as pool:
        helpers = [pool.submit(work, None) for _ in range(workers - 1)]
        try:
            work(progress)
        finally:
            while _next(waiting) is not None:  # canceled: the helpers stop after their current part
                pass
        for helper in helpers:
            helper.result()


def _next(waiting: SimpleQueue[_Part]) -> _Part | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None
