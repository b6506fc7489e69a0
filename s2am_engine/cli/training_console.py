# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of training on a terminal."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from s2am_engine.cli.terminal import advance
from s2am_engine.training.events import Phase, TrainingEvent

UNITS = {Phase.READING: "photograph", Phase.TRAINING: "step", Phase.MEASURING: "image"}


class ProgressDisplay:
    """Draws a bar on stderr, and a line on stdout for each validation."""

    def __init__(self, *, quiet: bool) -> None:
        """Start without a bar; if quiet, nothing goes to stdout."""
        self.quiet = quiet
        self.bar: tqdm[Any] | None = None
        self.title = ""

    def __enter__(self) -> ProgressDisplay:
        """Return the display."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bar."""
        if self.bar:
            self.bar.close()

    def __call__(self, event: TrainingEvent) -> None:
        """Draw an event."""
        title = f"{event.phase.value} {event.subject}".strip()
        if self.bar is None or self.title != title:
            if self.bar:
                self.bar.close()
            self.bar, self.title = tqdm(desc=title, unit=UNITS[event.phase], disable=None, file=sys.stderr), title
        if event.phase is Phase.TRAINING:
            speed = f"loss {event.loss:.4f}, {event.images_per_second:.0f} images/s"
            self.bar.set_postfix_str(speed, refresh=False)
        advance(self.bar, event.done, event.total or event.done)
        if event.validation and not self.quiet:
            mark = ", the best so far" if event.validation.is_best else ""
            tqdm.write(
                f"step {event.validation.step}: {event.validation.gain:+.2f} dB on held-out pairs{mark}; "
                f"waited for pairs {event.waiting:.0%} of the time",
                file=sys.stdout,
            )
