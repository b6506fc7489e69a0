# SPDX-License-Identifier: GPL-3.0-or-later
"""Fingerprints of the inputs of a layer's harmonization or finish, which show whether it is out of date."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum


class Outdated(Enum):
    """A reason why a result no longer fits its layer; the value is its name in project files."""

    PLACEMENT = "placement"
    CUTOUT = "cutout"
    BACKGROUND = "background"


@dataclass(frozen=True)
class Basis:
    """State of a document that a result depends on; two states are equal if the same result would be computed.

    Attributes:
        cutout: of the layer itself: pixels and mask.
        background: of the layers that it was matched to, and of their groups; places are relative to the layer's.
    """

    cutout: Hashable
    background: Hashable
