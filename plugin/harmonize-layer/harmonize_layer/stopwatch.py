# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the time goes, for the log."""

from __future__ import annotations

import time


class Stopwatch:
    """Times parts of the work, one after the other; a part may come more than once."""

    def __init__(self) -> None:
        """Start."""
        self._begun = self._last = time.monotonic()
        self._parts: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """Count the time since the last lap to a part."""
        now = time.monotonic()
        self._parts[part] = self._parts.get(part, 0.0) + now - self._last
        self._last = now

    def __str__(self) -> str:
        """All parts and their seconds."""
        parts = ", ".join(f"{part} {seconds:.3f}" for part, seconds in self._parts.items())
        return f"{self._last - self._begun:.3f} s ({parts})"
