# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages about the harmony of a layer with its background."""

from __future__ import annotations

from dataclasses import dataclass

from gimp_bridge.protocol import Message, Request, check_message_size


@dataclass(frozen=True, kw_only=True)
class HarmonyScores(Message):
    """The harmony scores, 0 (recognized as pasted) to 1, see `Detector.harmony_score`."""

    kind = "harmony-scores"
    before: float
    after: float


@dataclass(frozen=True, kw_only=True)
class ScoreHarmony(Request[HarmonyScores]):
    """Score a composite before and after a change.

    before, after: RGBA.
    mask: plane, the foreground, see `HarmonizeResponse`.
    """

    kind = "score-harmony"
    width: int
    height: int
    before: bytes
    after: bytes
    mask: bytes

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_message_size(self.width, self.height)
        plane = self.width * self.height
        if (len(self.before), len(self.after), len(self.mask)) != (4 * plane, 4 * plane, plane):
            raise ValueError("pixels and mask must have the size of the image")
