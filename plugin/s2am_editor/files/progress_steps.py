# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of work that consists of several steps."""

from __future__ import annotations

from s2am_engine.types import FractionCallback


class ProgressSteps:
    """Divides a progress into equal steps, each of which reports its own fraction."""

    def __init__(self, count: int, progress: FractionCallback | None) -> None:
        """Expect a number of steps; further ones report the end."""
        self._count, self._progress, self._begun = count, progress, 0

    def begin(self) -> FractionCallback:
        """Return the callback of the next step."""
        start, self._begun = self._begun, self._begun + 1

        def report(done: float) -> None:
            if self._progress:
                self._progress(min(1.0, (start + done) / self._count))

        return report
