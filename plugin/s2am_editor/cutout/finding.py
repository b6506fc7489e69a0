# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding what was pasted into a flattened picture: a proposal that a person accepts or refines."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document
from s2am_engine.models.model_store import DETECTOR

if TYPE_CHECKING:
    from s2am_engine.inference.detector import Detector


@dataclass(frozen=True)
class Proposal:
    """What was found. mask: of the layer's size. confidence: 0 to 1, how sure it is that this was pasted."""

    mask: Mask
    confidence: float


class Finder:
    """The model that looks; loaded when it first does. One thread at a time uses it."""

    def __init__(self, model: str = DETECTOR, device: str = "auto") -> None:
        """Load nothing yet; arguments as for the engine's Detector."""
        self._choice = model, device
        self._detector: Detector | None = None
        self._lock = threading.Lock()

    def find(self, document: Document, layer_id: int) -> Proposal:
        """Find what was pasted into a layer's own pixels, or what is likeliest to be. The document is not changed.

        Raises:
            NothingFoundError: nothing was found, or everything.
            EngineError: no such layer, or a damaged model.
        """
        raster = document.layer(layer_id).raster
        with self._lock:
            if self._detector is None:
                from s2am_engine.inference.detector import (
                    Detector,  # brings PyTorch along, which the window need not wait for
                )

                self._detector = Detector(*self._choice)
            found = self._detector.detect(raster.pixels, alpha=raster.alpha, profile=document.profile, likeliest=True)
        return Proposal(Mask.from_array(found.mask), found.confidence)
