# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing layers: read the composites, ask the engine, render, and only then change the image in one undo step.

GIMP's Cancel kills the plug-in, so the image must stay untouched until all results are ready.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from gimp_bridge.client import EngineClient, PixelSource, ProgressCallback, ReadRows
from gimp_bridge.protocol import Adjust, HarmonizeResponse, ProgressUpdate
from harmonize_layer.core.composite import LayerComposite, predict_color_map, read_composite
from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer, Matrix3
from harmonize_layer.core.layers import layer_masks, leaves, needs_copy, source_copy
from harmonize_layer.core.metadata import LayerMetadata, load_metadata, original_of, save_metadata
from harmonize_layer.core.settings import HarmonizeSettings
from s2am_common.errors import S2AMError

LARGEST_GAIN = 2.0
"""Largest gain of the effect's operation."""

NOTICEABLE_RMSE = 2.0
"""Difference between effect and color map, in 8-bit levels, above which the dialog mentions it."""


@dataclass(frozen=True)
class PredictedMask:
    """The detector's mask of a window, where it limits the change."""

    plane: bytes
    window: Window


@dataclass(frozen=True)
class FinishedLayer:
    """A layer whose result is ready.

    pixels: pairs of a layer and one with its new pixels, which is not in the image yet; several for a group in place.
    effects: their gains, in the order in which they are applied.
    mask: limits the effect; None = the selection limits it.
    """

    layer: HostLayer
    metadata: LayerMetadata
    pixels: Sequence[tuple[HostLayer, HostLayer]] = ()
    effects: Sequence[Matrix3] = ()
    mask: PredictedMask | None = None


@dataclass
class Stopwatch:
    """Durations of the steps, for the log."""

    _start: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)
    _steps: dict[str, float] = field(default_factory=dict)

    def lap(self, step: str) -> None:
        """Add the time since the last call to a step."""
        now = time.monotonic()
        self._steps[step] = self._steps.get(step, 0.0) + now - self._last
        self._last = now

    def __str__(self) -> str:
        """Return all steps and their seconds."""
        steps = ", ".join(f"{step} {seconds:.3f}" for step, seconds in self._steps.items())
        return f"{self._last - self._start:.3f} s ({steps})"


class EngineStartup:
    """A thread that starts the engine while the composite is read."""

    def __init__(self, engine: EngineClient) -> None:
        """Start the thread; until `wait` returns, only it uses the engine."""
        self._engine = engine
        self._thread = threading.Thread(target=self._start, daemon=True)
        self._thread.start()

    def _start(self) -> None:
        with contextlib.suppress(S2AMError):  # the first request reports it
            self._engine.status()

    def wait(self, progress: ProgressCallback) -> None:
        """Wait until the engine accepts requests."""
        while self._thread.is_alive():
            progress(ProgressUpdate(text="Starting the engine"))
            self._thread.join(0.1)


@dataclass(frozen=True)
class HarmonizeRun:
    """One call of the procedure.

    image, layers: the image, and its layers to harmonize.
    engine: used by nothing else meanwhile.
    progress: called with each step.
    """

    image: HostImage
    layers: Sequence[HostLayer]
    settings: HarmonizeSettings
    engine: EngineClient
    progress: ProgressCallback
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def run(self, previewed: tuple[LayerComposite, HarmonizeResponse] | None = None) -> None:
        """Harmonize all layers and put the results into the image.

        Args:
            previewed: the composite of the first layer and the engine's result for it, if the dialog has them.

        Raises:
            LayerError: the layers cannot be harmonized.
            S2AMError: the engine failed.
        """
        startup = None if previewed else EngineStartup(self.engine)
        composites = [previewed[0] if previewed else self._read(self.layers[0])]
        if startup:
            startup.wait(self.progress)
        composites += [self._read(layer) for layer in self.layers[1:]]
        results = [previewed[1] if previewed else None, *[None] * (len(self.layers) - 1)]
        finished = [
            self._finish(layer, composite, result)
            for layer, composite, result in zip(self.layers, composites, results, strict=True)
        ]
        insert_results(self.image, finished, self.settings)
        self.stopwatch.lap("inserting")

    def _read(self, layer: HostLayer) -> LayerComposite:
        self.progress(ProgressUpdate(text=f"Reading “{layer.name}”"))
        others = [other for other in self.layers if other.id != layer.id]
        composite = read_composite(self.image, layer, others, self.settings)
        self.stopwatch.lap("reading")
        return composite

    def _finish(self, layer: HostLayer, composite: LayerComposite, result: HarmonizeResponse | None) -> FinishedLayer:
        settings, as_effect = self.settings, self.settings.result == "effect"
        if result is None:
            likeliest = settings.mask == "detect"
            result = predict_color_map(self.engine, composite, settings.model, self.progress, likeliest=likeliest)
        samples = result.samples if as_effect else b""
        adjust = Adjust(color_map=result.color_map, sliders=settings.sliders, samples=samples)
        adjusted = self.engine.adjust(adjust, self.progress)
        self.stopwatch.lap("predicting")
        metadata = LayerMetadata(settings.result, settings.model, settings.sliders, adjusted.color_map)
        mask = PredictedMask(result.mask, composite.window) if result.mask_predicted else None
        if as_effect:
            pixels = [(layer, self._original_pixels(layer))] if original_of(layer) else []
            return FinishedLayer(layer, metadata, pixels, effect_gains(layer, adjusted.matrix), mask)
        parts = list(leaves(layer)) if settings.result == "in-place" else [layer]
        pixels = [(part, self._recolored(part, adjusted.color_map, mask)) for part in parts]
        self.stopwatch.lap("rendering")
        return FinishedLayer(layer, metadata, pixels)

    def _original_pixels(self, layer: HostLayer) -> HostLayer:
        """Return a new layer with the pixels that a harmonized layer had before."""
        with source_copy(self.image, layer) as (_, source):
            new = self.image.blank_like(source)
            new.copy_pixels(source)
        return new

    def _recolored(self, layer: HostLayer, color_map: dict[str, Any], mask: PredictedMask | None) -> HostLayer:
        """Return a new layer with the recolored pixels."""
        opened = source_copy(self.image, layer) if needs_copy(layer) else nullcontext((self.image, layer))
        with opened as (_, source):
            new = self.image.blank_like(source)
            access = source.pixel_access(new)
            self.engine.render(
                color_map,
                access.layout,
                self._pixel_source(layer, source, access.read, mask),
                access.write,
                native=access.native,
                progress=self.progress,
            )
            access.flush()
        return new

    def _pixel_source(
        self, layer: HostLayer, source: HostLayer, read: ReadRows, mask: PredictedMask | None
    ) -> PixelSource:
        selection = self.image.selection if self.settings.reference != "selection" else None
        return PixelSource(
            pixels=read,
            layer_masks=tuple(_plane_rows(each, source) for each in layer_masks(layer)),
            selection=_plane_rows(selection, source) if selection else None,
            predicted=_enlarged_rows(self.image, mask, source) if mask else None,
        )


def _plane_rows(plane: HostDrawable, layer: HostLayer) -> ReadRows:
    """Return a function that reads a mask or selection in the coordinates of a layer."""
    (x, y), (left, top), (width, _) = layer.position, plane.position, layer.size
    return lambda row, rows: plane.read("Y u8", PixelArea(x - left, y - top + row, width, rows))


def _enlarged_rows(image: HostImage, mask: PredictedMask, layer: HostLayer) -> ReadRows:
    """Return a function that reads a predicted mask in the coordinates of a layer."""
    (x, y), (width, _) = layer.position, layer.size
    return lambda row, rows: image.enlarge(mask.plane, mask.window, PixelArea(x, y + row, width, rows))


# -- the layer effect: gains in linear light, which GIMP applies with gegl:channel-mixer


def effect_gains(layer: HostLayer, matrix: Sequence[float]) -> list[Matrix3]:
    """Return the gains of the effects that together apply a matrix.

    Args:
        layer: the effect computes in its color space.
        matrix: 3×3 row by row, in linear light with sRGB primaries.

    Returns:
        One matrix, or several to apply one after another if its gains exceed the range of the operation.
    """
    gains: Matrix3 = [matrix[start : start + 3] for start in (0, 3, 6)]
    spaces = layer.color_matrices()
    if spaces is not None:
        from_srgb, to_srgb = spaces
        gains = multiply_matrices(multiply_matrices(from_srgb, gains), to_srgb)
    effects: list[Matrix3] = []
    while max(abs(gain) for row in gains for gain in row) > LARGEST_GAIN:
        effects.append([[LARGEST_GAIN if row == column else 0.0 for column in range(3)] for row in range(3)])
        gains = [[gain / LARGEST_GAIN for gain in row] for row in gains]
    return [*effects, gains]


def multiply_matrices(first: Matrix3, second: Matrix3) -> list[list[float]]:
    """Return the product of two matrices."""
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*second, strict=True)] for row in first
    ]


# -- changing the image


def insert_results(image: HostImage, finished: Sequence[FinishedLayer], settings: HarmonizeSettings) -> None:
    """Put all results into the image, in one undo step."""
    with image.undo_group():
        for each in finished:
            if each.layer.is_floating:
                each.layer.anchor_as_layer()
            if each.metadata.result == "effect":
                _insert_effect(image, each, limit_to_selection=settings.reference != "selection")
            elif each.metadata.result == "in-place" or original_of(each.layer):
                _replace_pixels(image, each)
            else:
                _insert_above(image, each, settings.hide_original)


def _insert_above(image: HostImage, finished: FinishedLayer, hide_original: bool) -> None:
    layer, ((_, new),) = finished.layer, finished.pixels
    layer.remove_own_effects()
    image.insert_above(new, layer)
    new.copy_attributes(layer)
    save_metadata(new, replace(finished.metadata, original=layer.tattoo))
    if hide_original:
        layer.set_visible(False)
    image.select_layer(new)


def _replace_pixels(image: HostImage, finished: FinishedLayer) -> None:
    before = load_metadata(finished.layer)
    for layer, new in finished.pixels:
        _overwrite(image, layer, new)
    original = before.original if before and original_of(finished.layer) else 0
    save_metadata(finished.layer, replace(finished.metadata, original=original))


def _overwrite(image: HostImage, layer: HostLayer, new: HostLayer) -> None:
    layer.remove_own_effects()
    if layer.has_effects:
        layer.merge_effects()  # the new pixels come from a copy with merged effects
    with image.selected(None, None):
        layer.replace_pixels(new)


def _insert_effect(image: HostImage, finished: FinishedLayer, *, limit_to_selection: bool) -> None:
    layer, mask = finished.layer, finished.mask
    layer.remove_own_effects()
    for target, new in finished.pixels:
        _overwrite(image, target, new)
    if mask is None and limit_to_selection:
        layer.append_effects(finished.effects)
    else:
        with image.selected(mask.plane if mask else None, mask.window if mask else None):
            layer.append_effects(finished.effects)
    before = load_metadata(layer)
    save_metadata(layer, replace(finished.metadata, original=before.original if before else 0))
