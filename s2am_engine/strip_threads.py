# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on the strips of an image in several threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from s2am_engine.types import FractionCallback


def run_in_threads(
    render: Callable[[slice], None], strips: list[slice], progress: FractionCallback | None, workers: int
) -> None:
    """Render all strips in this thread, the only one that reports progress, and in `workers` − 1 others."""
    waiting: SimpleQueue[slice] = SimpleQueue()
    for strip in strips:
        waiting.put(strip)
    workers = min(workers, len(strips))

    def work(report: FractionCallback | None) -> None:
        while (strip := _next(waiting)) is not None:
            render(strip)
            if report:
                report(max(0, len(strips) - waiting.qsize() - workers) / len(strips))

    if workers <= 1:
        work(progress)
        return
    with ThreadPoolExecutor(workers - 1, "render") as pool:
        helpers = [pool.submit(work, None) for _ in range(workers - 1)]
        try:
            work(progress)
        finally:
            while _next(waiting) is not None:  # canceled: the helpers stop after their current strip
                pass
        for helper in helpers:
            helper.result()


def _next(waiting: SimpleQueue[slice]) -> slice | None:
    try:
        return waiting.get_nowait()
    except Empty:
        return None
