# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the color map that makes a layer belong to what it lies on.

The models look at the layer's original pixels, however often it is harmonized, and at what lies beneath it as it is
seen, other harmonized layers included. Layers above it do not count.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2am_editor.compose.flatten import Progress, flatten, whole_cover
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import BENEATH, Document, Harmonization, Layer, Reference
from s2am_engine.color.adjustments import Sliders
from s2am_engine.errors import EngineError
from s2am_engine.image.masks import full_scale

if TYPE_CHECKING:
    from s2am_engine.inference.harmonizer import Harmonizer

LOOKED = 0.6  # the share of the time after which the models begin


class Models:
    """The loaded models, each used by one thread at a time."""

    def __init__(self, device: str = "auto") -> None:
        """Load nothing yet; `device` as for the engine's Harmonizer."""
        self._device = device
        self._loaded: dict[str, Harmonizer] = {}
        self._lock = threading.Lock()

    @contextmanager
    def using(self, name: str) -> Iterator[Harmonizer]:
        """Give a model, loaded when it is first asked for. Raises EngineError for one that is unknown or damaged."""
        from s2am_engine.inference.harmonizer import (
            Harmonizer,  # brings PyTorch along, which the window need not wait for
        )

        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = Harmonizer(name, self._device)
            yield self._loaded[name]

    def forget(self, name: str) -> None:
        """Load a model again when it is next asked for: it was trained anew, renamed or deleted."""
        with self._lock:
            self._loaded.pop(name, None)


@dataclass(frozen=True, eq=False)
class Scene:
    """What a model is shown.

    pixels: H×W×3, the layer with its original colors on its reference. mask: H×W, its cover. alpha: H×W, 0 where
    nothing counts; None = everything does. All in the document's depth and profile.
    """

    pixels: NDArray[Any]
    mask: NDArray[Any]
    alpha: NDArray[Any] | None
    profile: bytes | None


def show(document: Document, layer_id: int, reference: Reference = BENEATH, progress: Progress | None = None) -> Scene:
    """Lay out what a model looks at to harmonize a layer.

    Raises:
        EngineError: the layer is not on the canvas, covers all of it, or has nothing to be compared with.
    """
    layer = document.layer(layer_id)
    shown = dataclasses.replace(layer, visible=True, opacity=1.0, harmonization=None)
    beneath = _reference_layers(document, layer, reference)
    picture = flatten(dataclasses.replace(document, layers=(*beneath, shown)), progress=progress)
    mask = whole_cover(document, shown)
    _check_cover(mask, layer)
    alpha = picture.alpha
    if reference.area is not None:
        alpha = _within(reference.area, mask, alpha, picture.pixels.dtype)
    return Scene(picture.pixels, mask, alpha, document.profile)


def harmonize(
    document: Document,
    layer_id: int,
    models: Models,
    model: str,
    reference: Reference = BENEATH,
    adjustments: Sliders | None = None,
    progress: Progress | None = None,
) -> Harmonization:
    """Find how a layer is to be recolored.

    Args:
        document: it is not changed; `commands.set_harmonization` takes what is returned.
        layer_id: the layer.
        models: the loaded ones.
        model: the name of one.
        reference: what to harmonize with.
        adjustments: the sliders to keep; None = neutral.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: see `show`, and an unknown or damaged model.
    """
    [variant] = variants(document, layer_id, models, [(model, adjustments or Sliders())], reference, progress)
    return variant


def variants(
    document: Document,
    layer_id: int,
    models: Models,
    choices: Sequence[tuple[str, Sliders]],
    reference: Reference = BENEATH,
    progress: Progress | None = None,
) -> Iterator[Harmonization]:
    """Find several ways to recolor a layer, to choose from; each is given as soon as it is found.

    Args:
        document: see `harmonize`.
        layer_id: see `harmonize`.
        models: see `harmonize`.
        choices: models with their sliders; one model with several strengths looks at the picture once.
        reference: see `harmonize`.
        progress: see `harmonize`.
    """
    report = progress or (lambda _: None)
    scene = show(document, layer_id, reference, lambda done: report(done * LOOKED))
    found: dict[str, Harmonization] = {}
    for index, (model, adjustments) in enumerate(choices):
        report(LOOKED + (1 - LOOKED) * index / len(choices))
        if model not in found:
            with models.using(model) as harmonizer:
                found[model] = _found(harmonizer, scene, reference)
        yield dataclasses.replace(found[model], adjustments=adjustments)
    report(1.0)


def _found(harmonizer: Harmonizer, scene: Scene, reference: Reference) -> Harmonization:
    try:
        harmonizer.set_picture(scene.pixels, scene.mask, alpha=scene.alpha, profile=scene.profile)
        return Harmonization(harmonizer.color_map, harmonizer.name, harmonizer.confidence, reference)
    finally:
        harmonizer.forget()  # a scene takes as much memory as the picture


def _reference_layers(document: Document, layer: Layer, reference: Reference) -> tuple[Layer, ...]:
    """The layers that a layer is harmonized with, visible ones alone unless one was chosen."""
    if reference.layer is not None:
        if reference.layer == layer.id:
            raise EngineError(f"“{layer.name}” can't be its own reference: choose another layer.")
        return (dataclasses.replace(document.layer(reference.layer), visible=True, opacity=1.0),)
    beneath = tuple(below for below in document.layers[: document.index(layer.id)] if below.visible)
    if not beneath:
        raise EngineError(
            f"There is nothing beneath “{layer.name}” to harmonize it with: put a background under it, or choose "
            "another layer as the reference."
        )
    return beneath


def _check_cover(mask: NDArray[Any], layer: Layer) -> None:
    """Refuse a layer that leaves nothing to compare with, or is not in sight, in the words of the editor."""
    if not mask.any():
        raise EngineError(f"Nothing of “{layer.name}” lies on the canvas: move it into the picture first.")
    if mask.min() >= full_scale(mask.dtype):
        raise EngineError(
            f"“{layer.name}” covers the whole picture, so that there is nothing to compare it with: cut its subject "
            "out, or make it smaller."
        )


def _within(area: Mask, mask: NDArray[Any], alpha: NDArray[Any] | None, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The alpha with which the painted area and the layer itself alone count.

    Raises:
        EngineError: nothing visible was painted beside the layer.
    """
    painted = area.to_array() >= 128
    counts = painted & (mask == 0) if alpha is None else painted & (mask == 0) & (alpha > 0)
    if not counts.any():
        raise EngineError("The reference area shows nothing beside the layer: paint over a part of the background.")
    counts |= mask > 0
    full = full_scale(dtype)
    return np.where(counts, full if alpha is None else alpha, 0).astype(dtype)
