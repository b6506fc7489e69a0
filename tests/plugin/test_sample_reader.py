# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading the sample of a finish in turns of the main loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import pytest
from harmonize_layer.core.finishing import SampleSteps
from harmonize_layer.core.sample_reader import STEPS_AT_A_TIME, SampleReader


def steps(count: int, taken: list[int], error: Exception | None = None) -> SampleSteps:
    def each() -> Any:
        for number in range(count):
            taken.append(number)
            yield
        if error:
            raise error
        return "sample"

    return cast(SampleSteps, each())


def test_steps_are_taken_a_few_at_a_time() -> None:
    reader, turns, taken, read = SampleReader(), list[Callable[[], None]](), list[int](), list[Any]()
    reader.start(steps(STEPS_AT_A_TIME + 1, taken), turns.append, lambda: True, read.append)
    turns.pop()()
    assert len(taken) == STEPS_AT_A_TIME
    assert reader.is_reading
    turns.pop()()
    assert read == ["sample"]
    assert not reader.is_reading


def test_sample_can_be_read_again_after_an_error() -> None:
    reader, turns, read = SampleReader(), list[Callable[[], None]](), list[Any]()
    reader.start(steps(1, [], ValueError("gone")), turns.append, lambda: True, read.append)
    with pytest.raises(ValueError, match="gone"):
        turns.pop()()
    assert not reader.is_reading
    reader.start(steps(1, []), turns.append, lambda: True, read.append)
    turns.pop()()
    assert read == ["sample"]
