# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of training on a terminal."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from s2am_engine.cli.terminal import advance
from s2am_engine.training.events import Event, Measuring, Reading, Stepped


class Display:
    """Draws what training tells: a bar on a terminal, and a line for each validation."""

    def __init__(self, *, quiet: bool) -> None:
        """Draw on stderr what passes, and on stdout what is worth keeping, unless it would be in the way."""
        self.quiet = quiet
        self.bar: tqdm[Any] | None = None
        self.what = ""

    def __enter__(self) -> Display:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self.bar:
            self.bar.close()

    def __call__(self, event: Event) -> None:
        """Draw one event."""
        if isinstance(event, Reading):
            advance(self.bar_of("photographs", "photograph"), event.done, event.total)
        elif isinstance(event, Measuring):
            advance(self.bar_of(event.what, "picture"), event.done, event.total)
        elif isinstance(event, Stepped):
            bar = self.bar_of("training", "step")
            bar.set_postfix_str(f"loss {event.loss:.4f}, {event.pictures_per_second:.0f} pictures/s", refresh=False)
            advance(bar, event.step, event.steps or event.step)
        elif not self.quiet:
            mark = ", the best so far" if event.best else ""
            tqdm.write(
                f"step {event.step}: {event.gain:+.2f} dB on held-out pairs{mark}; "
                f"waited for pairs {event.waiting:.0%} of the time",
                file=sys.stdout,
            )

    def bar_of(self, what: str, unit: str) -> tqdm[Any]:
        """The bar for a stretch of the work; a new one where a new stretch begins."""
        if self.bar is None or self.what != what:
            if self.bar:
                self.bar.close()
            self.bar = tqdm(desc=what, unit=unit, disable=None, file=sys.stderr)
            self.what = what
        return self.bar
