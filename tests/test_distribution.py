# SPDX-License-Identifier: GPL-3.0-or-later
"""The tests of a file, and those in one GIMP, run in one worker; the longest come first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.distribution import longest_first, unit_of


@dataclass
class Item:
    """A collected test with its markers."""

    nodeid: str
    markers: set[str] = field(default_factory=set)

    def get_closest_marker(self, name: str) -> str | None:
        """Return a marker, if the test has it."""
        return name if name in self.markers else None


def test_tests_in_one_gimp_are_a_unit_across_files() -> None:
    units = {
        unit_of(f"tests/gimp/{test}")
        for test in (
            "test_files.py::test_open[gimp3.0-a.png]",
            "test_windows.py::test_undo[gimp3.0-False]",
            "test_windows.py::test_escape[gimp3.2]",
        )
    }
    assert units == {"gimp3.0", "gimp3.2"}
    assert unit_of("tests/plugin/test_plugin.py::test_versions[gimp3.0]") == "tests/plugin/test_plugin.py"


def test_longest_come_first() -> None:
    items: list[Any] = [
        Item("tests/a.py::test_fast"),
        Item("tests/b.py::test_fast"),
        Item("tests/b.py::test_slow", {"slow"}),
        Item("tests/gimp/c.py::test_it[gimp3.0]", {"gimp"}),
    ]
    assert longest_first(items) == [items[3], items[1], items[2], items[0]]
