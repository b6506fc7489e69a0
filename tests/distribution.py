# SPDX-License-Identifier: GPL-3.0-or-later
"""Distribution of the tests over the workers of pytest-xdist: by file, and one worker for each GIMP, the longest first.

Tests of a file share fixtures, and all tests in a GIMP share its start.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_GIMP_VERSION = re.compile(r"^tests/gimp/.*\[(gimp\d+\.\d+)\b")


class UnitScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Gives the tests of a unit (see `unit_of`) to the same worker."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the unit of a test."""
        return unit_of(nodeid)


def unit_of(nodeid: str) -> str:
    """Return the unit that a test is run with: the GIMP that it runs in, or its file."""
    found = _GIMP_VERSION.match(nodeid)
    return found[1] if found else nodeid.split("::", 1)[0]


def longest_first(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Sort tests: units that drive GIMP, then those with tests marked as slow, then the others in their order."""
    items = list(items)
    slow = {unit_of(item.nodeid) for item in items if item.get_closest_marker("slow")}

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("gimp"):
            return 0
        return 1 if unit_of(item.nodeid) in slow else 2

    return sorted(items, key=rank)
