# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmony scores over the bridge equal those of the engine in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from gimp_bridge.harmony_messages import ScoreHarmony
from s2am_common.errors import MaskError
from s2am_engine.image.mask_reading import MaskReading
from s2am_engine.inference.detector import Detector
from tests.bridge.engines import HEIGHT, WIDTH, rgba_of
from tests.engine.pictures import composite
from tests.plugin.local_engine import LocalEngine, replaced


def test_scores_are_those_of_the_detector(tmp_path: Path) -> None:
    pixels, mask = composite(HEIGHT, WIDTH)
    changed = pixels.copy()
    changed[mask > 0] = (255, 0, 255)
    detector = Detector()
    expected = [detector.harmony_score(each, MaskReading(mask)) for each in (pixels, changed)]
    engine = LocalEngine(tmp_path)
    request = ScoreHarmony(
        width=WIDTH, height=HEIGHT, before=rgba_of(pixels), after=rgba_of(changed), mask=mask.tobytes()
    )
    whole = ScoreHarmony(
        width=WIDTH, height=HEIGHT, before=request.before, after=request.after, mask=b"\xff" * mask.size
    )
    with replaced(engine.models_cache, "detector", lambda _: detector):
        found = engine.request(request)
        with pytest.raises(MaskError):
            engine.request(whole)
    assert [found.before, found.after] == pytest.approx(expected, abs=1e-6)
    assert found.before != found.after
