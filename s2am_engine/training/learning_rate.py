# SPDX-License-Identifier: GPL-3.0-or-later
"""The learning-rate schedule."""

from __future__ import annotations

import math

from s2am_engine.networks.spec import Recipe


def learning_rate(recipe: Recipe, step: int, steps: int | None) -> float:
    """Return the learning rate of a step: a linear warm-up, then a cosine to zero or a constant.

    Args:
        recipe: the settings.
        step: from 0.
        steps: total number of steps; None = not known yet, so the warm-up has its full length.
    """
    warm_up = min(recipe.warm_up, steps // 10) if steps else recipe.warm_up
    rising = min(1.0, (step + 1) / max(1, warm_up))
    falling = 0.5 * (1 + math.cos(math.pi * step / steps)) if recipe.schedule == "cosine" and steps else 1.0
    return recipe.learning_rate * rising * falling
