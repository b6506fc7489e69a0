# SPDX-License-Identifier: GPL-3.0-or-later
"""Tasks of networks by name. This module does not import PyTorch, because models are listed without it."""

from __future__ import annotations

from enum import Enum


class Task(Enum):
    """Task of a network."""

    HARMONIZATION = "recolor the foreground"
    ADJUSTABLE_HARMONIZATION = "recolor the foreground by curves and a matrix, which fine-tuning adjusts"
    MASK_FREE_HARMONIZATION = "predict the mask of the pasted region, and recolor it"
    DETECTION = "predict the mask of the pasted region"
    SUBJECT_SELECTION = "predict the mask of the subject"
    LIGHT_PREDICTION = "predict local light"


TASKS = {
    "concord": Task.ADJUSTABLE_HARMONIZATION,
    "connoisseur": Task.ADJUSTABLE_HARMONIZATION,
    "s2am-mask-free": Task.MASK_FREE_HARMONIZATION,
    "dissonance": Task.DETECTION,
    "subject": Task.SUBJECT_SELECTION,
    "light": Task.LIGHT_PREDICTION,
}
"""The networks with another task than `Task.HARMONIZATION`."""


HARMONIZING_TASKS = (Task.HARMONIZATION, Task.ADJUSTABLE_HARMONIZATION, Task.MASK_FREE_HARMONIZATION)


def task_of(network: str) -> Task:
    """Return the task of a network, also of one that this version lacks."""
    return TASKS.get(network, Task.HARMONIZATION)
