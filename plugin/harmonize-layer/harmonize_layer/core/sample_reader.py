# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the sample of a finish while the dialog stays responsive; GIMP's functions work in its thread only."""

from __future__ import annotations

from collections.abc import Callable

from harmonize_layer.core.finishing import FinishSample, SampleSteps

STEPS_AT_A_TIME = 8
"""Number of windows that are read before the dialog handles pending events."""


class SampleReader:
    """Carries out the steps of `finishing.sample_steps`, a few in each turn of the dialog's main loop."""

    def __init__(self) -> None:
        """Start without any steps."""
        self._steps: SampleSteps | None = None

    @property
    def is_reading(self) -> bool:
        """True while a sample is being read."""
        return self._steps is not None

    def start(
        self,
        steps: SampleSteps,
        post: Callable[[Callable[[], None]], None],
        is_valid: Callable[[], bool],
        done: Callable[[FinishSample], None],
    ) -> None:
        """Read a sample instead of the one that is being read.

        Args:
            steps: reads it.
            post: calls a function in a later turn of the main loop.
            is_valid: returns whether the layers still exist; if not, reading ends.
            done: gets the sample.
        """
        self.stop()
        self._steps = steps

        def go_on() -> None:
            if self._steps is not steps:
                return
            if not is_valid():
                self.stop()
                return
            try:
                for _ in range(STEPS_AT_A_TIME):
                    next(steps)
            except StopIteration as end:
                self._steps = None
                done(end.value)
            except Exception:
                self._steps = None  # so that it can be read again
                raise
            else:
                post(go_on)

        post(go_on)

    def stop(self) -> None:
        """End reading, and delete the copy of the image that it needs."""
        steps, self._steps = self._steps, None
        if steps is not None:
            steps.close()
