# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's response to the request for harmony scores."""

from __future__ import annotations

import numpy as np

from gimp_bridge.harmony_messages import HarmonyScores, ScoreHarmony
from gimp_bridge.model_cache import ModelCache, ReportText
from s2am_engine.image.mask_reading import MaskReading


def score_harmony(request: ScoreHarmony, models: ModelCache, report: ReportText) -> HarmonyScores:
    """Score both composites.

    Raises:
        MaskError: the mask leaves no foreground or no visible background.
        EngineError: the detector cannot be loaded.
    """
    shape = request.height, request.width
    mask = MaskReading(np.frombuffer(request.mask, np.uint8).reshape(shape))
    detector, scores = models.detector(report), []
    report("Scoring the harmony")
    with models.computing():
        for pixels in (request.before, request.after):
            rgba = np.frombuffer(pixels, np.uint8).reshape(*shape, 4)
            colors, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
            scores.append(detector.harmony_score(colors, mask, alpha=alpha))
    return HarmonyScores(before=scores[0], after=scores[1])
