# SPDX-License-Identifier: GPL-3.0-or-later
"""Fitting the likeness of backgrounds to the style of a set of photographs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from s2am_engine.networks.background import describe_background
from s2am_engine.networks.personal import Likeness
from s2am_engine.training.events import EventCallback, Phase, TrainingEvent
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.style_pairs import IN_STYLE, OTHER_STYLES, StyleMap, without_style
from s2am_engine.training.synthetic_pairs import PairKinds, PairMaker

BACKGROUNDS = 512  # number of backgrounds of each kind
BACKGROUND_SIDE = 96  # pixels
BATCH = 32


def fit_likeness(
    seen: Sequence[Photograph], unseen: Sequence[Photograph], style: StyleMap, report: EventCallback
) -> Likeness:
    """Fit the likeness to backgrounds in a style, and calibrate it on other photographs of the style.

    Args:
        seen: photographs of the style.
        unseen: further ones, for the calibration.
        style: of the photographs; with it removed, they are the other styles.
        report: receives progress.
    """
    batches = BACKGROUNDS // BATCH
    steps: list[tuple[Sequence[Photograph], PairKinds]] = [
        (seen, IN_STYLE),
        (without_style(seen, style), OTHER_STYLES),
        (unseen, IN_STYLE),
    ]
    found: list[Tensor] = []
    for photographs, kinds in steps:
        pairs = PairMaker(BACKGROUND_SIDE, BATCH, 4, photographs=photographs, kinds=kinds)
        described = []
        for step in range(batches):
            batch = pairs.make(step)
            described.append(describe_background(batch.composite, batch.mask))
            report(TrainingEvent(Phase.PREPARING, len(found) * batches + step + 1, len(steps) * batches))
        found.append(torch.cat(described))
    likeness = Likeness()
    likeness.fit(*found)
    return likeness
