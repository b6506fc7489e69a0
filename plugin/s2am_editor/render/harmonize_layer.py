# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization of a document's layer by a model.

The model gets the layer's original pixels, even after earlier harmonizing, on top of the layers below as they
are rendered, including their harmonization and their groups. Layers above are ignored.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.model import BENEATH, Document, DocumentError, Harmonization, Layer, Reference
from s2am_editor.document.out_of_date import basis_of, with_basis
from s2am_editor.render.blend import render_exactly, scaled_canvas
from s2am_editor.render.cast_shadow import silhouette_of
from s2am_editor.render.export import canvas_coverage, flatten
from s2am_engine.color.adjustments import Sliders
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.arrays import SAMPLED_SIDE, full_scale, subsample
from s2am_engine.image.data import ImageData
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.references import References
from s2am_engine.inference.shading import predict_shading
from s2am_engine.shadow.estimate import ShadowEstimate, estimate_shadow
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.types import FractionCallback

_SHADOW_SIDE = 1024  # pixels of the reduced image that a shadow is estimated from
_INPUT_SHARE = 0.6  # of the progress: preparing the model's input


class LoadedModels:
    """Models by name, loaded on first use and kept. Each model is used by one thread at a time."""

    def __init__(self, device: str | None = None) -> None:
        """Load nothing yet; `device` as for `Harmonizer`."""
        self._device = device
        self._harmonizers: dict[str, Harmonizer] = {}
        self._lock = threading.Lock()

    @contextmanager
    def using(self, name: str) -> Iterator[Harmonizer]:
        """Provide a model's harmonizer. Raises ModelError if the model is unknown or damaged."""
        with self._lock:
            if name not in self._harmonizers:
                self._harmonizers[name] = Harmonizer(name, self._device)
            yield self._harmonizers[name]

    def unload(self, name: str) -> None:
        """Unload a model that was fine-tuned again, renamed or deleted."""
        with self._lock:
            self._harmonizers.pop(name, None)


@dataclass(frozen=True, eq=False)
class HarmonizeInput:
    """Input of a model, all in the document's depth and profile.

    Attributes:
        image: the layer in its original colors on its reference; pixels whose alpha is 0 are ignored.
        mask: H×W, the coverage of the layer.
    """

    image: ImageData
    mask: NDArray[Any]


def prepare_input(
    document: Document,
    layer_id: int,
    reference: Reference = BENEATH,
    progress: FractionCallback | None = None,
    side: int | None = None,
) -> HarmonizeInput:
    """Render a layer on its reference as the input of a model.

    Args:
        document: not changed.
        layer_id: the layer.
        reference: what it is harmonized with.
        progress: see `FractionCallback`.
        side: return only the pixels that `subsample` returns for it; None = all.

    Raises:
        DocumentError: the layer is outside the canvas, covers all of it, or has no reference.
    """
    layer = document.layer(layer_id)
    plain: dict[str, Any] = {"visible": True, "opacity": 1.0, "blend_mode": BlendMode.NORMAL, "group": None}
    original = dataclasses.replace(layer, harmonization=None, shadow=None, finish=None, **plain)
    beneath = _reference_layers(document, layer, reference)
    unadjusted = dataclasses.replace(document, layers=(*beneath, original), adjustment=None)
    image = flatten(unadjusted, side=side, progress=progress)
    mask = canvas_coverage(document, original, side)
    _check_coverage(mask, layer)
    alpha = image.alpha
    if reference.area is not None:
        area = reference.area.to_array()
        area = area if side is None else subsample(area, side)
        alpha = _restrict_to_area(area, mask, alpha, image.pixels.dtype)
    return HarmonizeInput(ImageData(image.pixels, alpha, document.profile), mask)


def find_harmonization(
    document: Document,
    layer_id: int,
    models: LoadedModels,
    model: str,
    reference: Reference = BENEATH,
    sliders: Sliders | None = None,
    progress: FractionCallback | None = None,
) -> Harmonization:
    """Predict the color map of a layer.

    Args:
        document: not changed; pass the result to `commands.set_harmonization`.
        layer_id: the layer.
        models: the loaded models.
        model: name of the model.
        reference: what to harmonize with.
        sliders: values for the result; None = neutral.
        progress: see `FractionCallback`.

    Raises:
        DocumentError: see `prepare_input`.
        ModelError: the model is unknown or damaged.
        FileError, ImageError: a photograph cannot be used, or there are too many of them.
    """
    [harmonization] = find_variants(
        document, layer_id, models, [(model, sliders or Sliders())], reference, progress=progress
    )
    return harmonization


def find_variants(
    document: Document,
    layer_id: int,
    models: LoadedModels,
    choices: Sequence[tuple[str, Sliders]],
    reference: Reference = BENEATH,
    progress: FractionCallback | None = None,
) -> Iterator[Harmonization]:
    """Yield one harmonization of a layer for each choice of a model and slider values, as soon as it is available.

    A model that occurs in several choices runs once. Arguments and errors are those of `find_harmonization`.
    """
    report = progress or (lambda _: None)
    model_input = _model_input(document, layer_id, reference, lambda done: report(done * _INPUT_SHARE))
    predicted: dict[str, Harmonization] = {}
    reduced: dict[int, References] = {}
    for index, (model, sliders) in enumerate(choices):
        report(_INPUT_SHARE + (1 - _INPUT_SHARE) * index / len(choices))
        if model not in predicted:
            with models.using(model) as harmonizer:
                size = harmonizer.input_size
                if reference.photographs and size not in reduced:
                    reduced[size] = _reduce_photographs(reference, size, report)
                predicted[model] = _predict(harmonizer, model_input, reference, reduced.get(size))
        found = dataclasses.replace(predicted[model], sliders=sliders)
        yield with_basis(found, document, document.layer(layer_id))
    report(1.0)


def _model_input(document: Document, layer_id: int, reference: Reference, progress: FractionCallback) -> HarmonizeInput:
    """Return the pixels that a network's input is averaged from: the whole image would take much memory."""
    try:
        return prepare_input(document, layer_id, reference, progress, SAMPLED_SIDE)
    except DocumentError:  # also raised if the layer, or all of its background, falls between the samples
        return prepare_input(document, layer_id, reference, progress)


def find_shadow(document: Document, layer_id: int) -> ShadowEstimate:
    """Estimate the shadow of a layer from its outline and the visible layers below.

    Raises:
        DocumentError: the layer is outside the canvas, or there is no visible layer below.
        ImageError: nothing of the layer is visible.
    """
    layer = document.layer(layer_id)
    if layer.box.intersection(document.rect).is_empty:
        raise _outside(layer)
    zoom = min(1.0, _SHADOW_SIDE / max(document.width, document.height))
    rect = scaled_canvas(document, zoom)
    beneath = dataclasses.replace(document, layers=_reference_layers(document, layer, BENEATH))
    background = render_exactly(beneath, zoom, rect)
    silhouette = silhouette_of(layer, zoom) or Silhouette(np.zeros((1, 1), np.uint8))
    return estimate_shadow(background.pixels, silhouette, background.alpha)


def find_finish(document: Document, layer_id: int, progress: FractionCallback | None = None) -> MeasuredFinish:
    """Measure grain, sharpness and edges of a layer on the visible layers below, and predict the light it lacks.

    Returns:
        A finish with the automatic values.

    Raises:
        DocumentError: see `prepare_input`.
        ModelError: the model of the light is missing or damaged.
    """
    layer = document.layer(layer_id)
    composite = prepare_input(document, layer_id, progress=progress)
    image, mask = composite.image, composite.mask
    measured = image.pixels, mask, image.alpha
    color_map = None if layer.harmonization is None else layer.harmonization.color_map
    around, shading = Surroundings.measure(*measured), predict_shading(image, mask, color_map)
    found = FinishMeasurement.of(SampleWindows.of(*measured), color_map, around)
    automatic, basis = found.automatic(shading), basis_of(document, layer, layer.transform)
    return MeasuredFinish(automatic, automatic, found, around, layer.transform, shading, basis)


def _outside(layer: Layer) -> DocumentError:
    return DocumentError(
        f"“{layer.name}” is outside the canvas: move it into the image first.", code="document.outside"
    )


def _reduce_photographs(reference: Reference, size: int, report: FractionCallback) -> References:
    """Read the photographs of a reference at a network's input size."""
    return References.reduce(reference.photographs, size, lambda _: report(_INPUT_SHARE))


def _predict(
    harmonizer: Harmonizer, model_input: HarmonizeInput, reference: Reference, photographs: References | None
) -> Harmonization:
    result = harmonizer(model_input.image, model_input.mask, references=photographs)
    return Harmonization(result.color_map, result.model, result.confidence, reference, likeness=result.likeness)


def _reference_layers(document: Document, layer: Layer, reference: Reference) -> tuple[Layer, ...]:
    """Return the layers that a layer is harmonized with: the visible ones below, or the selected one."""
    if reference.layer is not None:
        if reference.layer == layer.id:
            raise DocumentError(
                f"“{layer.name}” cannot be its own reference: choose another layer.", code="document.own-reference"
            )
        return (dataclasses.replace(document.layer(reference.layer), visible=True, opacity=1.0, group=None),)
    beneath = tuple(below for below in document.layers[: document.index(layer.id)] if document.shows(below))
    if not beneath:
        raise DocumentError(
            f"There is no visible layer below “{layer.name}” to harmonize it with: put a background under it, or "
            "choose another layer as the reference.",
            code="document.no-reference",
        )
    return beneath


def _check_coverage(mask: NDArray[Any], layer: Layer) -> None:
    """Raise DocumentError for a layer that is outside the canvas, or leaves no background."""
    if not mask.any():
        raise _outside(layer)
    if mask.min() >= full_scale(mask.dtype):
        raise DocumentError(
            f"“{layer.name}” covers the whole image and leaves no background as a reference: cut its subject out, or "
            "scale it down.",
            code="document.no-background",
        )


def _restrict_to_area(
    area: NDArray[np.uint8], mask: NDArray[Any], alpha: NDArray[Any] | None, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return an alpha that excludes everything but the painted area and the layer itself.

    Raises:
        DocumentError: the area contains no visible pixel outside the layer.
    """
    counts = (area >= 128) & (mask == 0)
    if alpha is not None:
        counts &= alpha > 0
    if not counts.any():
        raise DocumentError(
            "The reference area contains no background: paint over a part of the image around the layer.",
            code="document.empty-area",
        )
    counts |= mask > 0
    full = full_scale(dtype)
    return np.where(counts, full if alpha is None else alpha, 0).astype(dtype)
