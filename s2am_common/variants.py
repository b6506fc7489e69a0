# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways of harmonizing a layer that editor and GIMP show side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

GENTLE = 0.6
"""Strength of the second variant."""

FIRST_VARIANTS = ("connoisseur", "concord")
"""Models that are tried besides the selected one."""


def first_variants(selected: str, known: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Yield model and share of the strength of each variant: the selected model, gentler, and other models.

    Args:
        selected: name of the selected model.
        known: names of all models.
    """
    yield selected, 1.0
    yield selected, GENTLE
    names = set(known)
    for name in FIRST_VARIANTS:
        if name in names and name != selected:
            yield name, 1.0
