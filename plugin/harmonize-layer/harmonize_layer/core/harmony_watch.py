# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice of the preview that gets a harmony score: one that is unchanged for a moment, so no slider waits for it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from gimp_bridge.color_messages import HarmonizeResponse
from gimp_bridge.harmony_messages import HarmonyScores, ScoreHarmony
from harmonize_layer.core.geometry import Window
from s2am_common.translation import localized as _

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ShownPreview:
    """The composite before and after, RGBA, with the engine's result and the notes on it."""

    result: HarmonizeResponse
    window: Window
    before: bytes
    after: bytes
    notes: tuple[str, ...]

    def request(self) -> ScoreHarmony:
        """Return the request for its scores."""
        columns, rows = self.window.columns, self.window.rows
        return ScoreHarmony(width=columns, height=rows, before=self.before, after=self.after, mask=self.result.mask)

    def notes_with(self, scores: HarmonyScores) -> list[str]:
        """Return the notes and the scores."""
        before, after = f"{scores.before:.0%}", f"{scores.after:.0%}"
        return [*self.notes, _(f"Harmony: {before} before, {after} after.")]


class HarmonyWatch:
    """The preview that is shown, and whether it waits for a score."""

    def __init__(self) -> None:
        """Start without a preview."""
        self._shown: ShownPreview | None = None
        self._is_settled = self._is_scored = False

    def show(self, preview: ShownPreview | None) -> None:
        """Replace the preview; None = none is shown."""
        self._shown, self._is_settled, self._is_scored = preview, False, False

    def is_current(self, preview: ShownPreview) -> bool:
        """Return whether a preview is still the one that is shown."""
        return preview is self._shown

    def due(self) -> ShownPreview | None:
        """Return the preview to score now: once, if it was shown at the last call already."""
        if self._shown is None or self._is_scored:
            return None
        self._is_scored, self._is_settled = self._is_settled, True
        return self._shown if self._is_scored else None


def log_missing_score(error: Exception) -> None:
    """Log why there is no score: a foreground that covers all that is visible has none, which is no fault."""
    logger.info("No harmony score: %s", error)
