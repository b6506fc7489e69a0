# SPDX-License-Identifier: GPL-3.0-or-later
"""Uses of models, which decide the models that an error message proposes; see `model_store.suitable_models`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2am_engine.networks.tasks import Task

if TYPE_CHECKING:
    from s2am_engine.models.model_store import Card


@dataclass(frozen=True)
class Purpose:
    """A use of models.

    suits: returns whether the model of a card is suitable.
    further: returns the names of suitable models that have no card.
    """

    suits: Callable[[Card], bool]
    further: Callable[[], Collection[str]] = tuple


ANY_USE = Purpose(lambda _: True)
"""Uses for which every model is suitable, such as exporting."""
HARMONIZATION = Purpose(lambda card: card.recolors)
FINE_TUNING = Purpose(lambda card: card.adjustable)
"""The base models of fine-tuning."""
DETECTION = Purpose(lambda card: card.task in (Task.DETECTION, Task.MASK_FREE_HARMONIZATION))
