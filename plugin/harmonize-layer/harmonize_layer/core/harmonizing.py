# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing layers: read the composites, ask the engine, render, and only then change the image in one undo step.

GIMP's Cancel kills the plug-in, so the image must stay untouched until all results are ready.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust, AdjustResult, HarmonizeResponse
from gimp_bridge.layer_pixels import PixelSource, ReadRows
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core import messages
from harmonize_layer.core.composite import (
    LayerComposite,
    PredictedComposite,
    read_composite,
    request_color_map,
    request_subject,
)
from harmonize_layer.core.effect_gains import effect_gains
from harmonize_layer.core.finishing import FinishMeter, MeasuredLayer, find_windows, read_sample, sample_steps
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import Digests, HostDrawable, HostImage, HostLayer
from harmonize_layer.core.inserting import FinishedLayer, insert_results
from harmonize_layer.core.layers import (
    check_locks,
    effect_targets,
    layer_masks,
    leaves,
    prepare_twin,
    temporary,
)
from harmonize_layer.core.masks import (
    RefinedMask,
    WindowMask,
    enlarged_rows,
    full_window,
    pixel_rows,
    plane_rows,
    request_refined_mask,
)
from harmonize_layer.core.metadata import LayerMetadata
from harmonize_layer.core.recognition import recognize_changed
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.shadows import (
    CastingLayer,
    chosen_values,
    new_shadow_layer,
    request_shadow_values,
)
from harmonize_layer.core.starting_point import StartingPoint
from s2am_common.errors import CancelledError, S2AMError


@dataclass(frozen=True)
class LayerChange:
    """A change of the pixels of a layer.

    color_map: with the sliders.
    mask: limits the change; None = only transparency, masks and selection do.
    finish: of the recolored pixels; None = none.
    subject: the subject of the layer, whose edges the finish takes for those of the layer.
    """

    color_map: dict[str, Any]
    mask: WindowMask | None = None
    finish: MeasuredLayer | None = None
    subject: WindowMask | None = None


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
    likeliest: see `Harmonize`; the dialog shows what was detected.
    """

    image: HostImage
    layers: Sequence[HostLayer]
    settings: HarmonizeSettings
    engine: EngineClient
    progress: ProgressCallback
    likeliest: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def run(self, previewed: PredictedComposite | None = None) -> list[HostLayer]:
        """Harmonize all layers and put the results into the image.

        Args:
            previewed: the composite of the first layer and its prediction, if the dialog has them.

        Returns:
            The harmonized layers: new ones, or the layers themselves.

        Raises:
            LayerError: the layers cannot be harmonized, or one of them was removed meanwhile.
            S2AMError: the engine failed.
        """
        try:
            return replace(self, progress=self._checked)._run(previewed)
        except CancelledError:
            raise
        except Exception as error:  # of any kind: GIMP returns None for what is gone
            if self._is_there:
                raise
            raise messages.gone() from error

    @property
    def _is_there(self) -> bool:
        return self.image.is_valid and all(layer.is_valid for layer in self.layers)

    def _checked(self, update: ProgressUpdate) -> None:
        """Report progress, unless the layers are gone: then GIMP would show a message for each call that fails."""
        if not self._is_there:
            raise messages.gone()
        self.progress(update)

    def _run(self, previewed: PredictedComposite | None) -> list[HostLayer]:
        if previewed is None:
            recognize_changed(self.layers, self.engine, self.progress)
        startup = None if previewed else EngineStartup(self.engine)
        composites = [previewed.composite if previewed else self._read(self.layers[0])]
        if startup:
            startup.wait(self.progress)
        composites += [self._read(layer) for layer in self.layers[1:]]
        for layer, composite in zip(self.layers, composites, strict=True):
            check_result(layer, composite.start, self.settings)
        with temporary(self.image.new_like()) as staging:
            finished = []
            for number, (layer, composite) in enumerate(zip(self.layers, composites, strict=True)):
                step = replace(self, progress=numbered(self.progress, number, len(self.layers)))
                predicted = previewed if previewed and number == 0 else step._predict(composite)
                finished.append(step._finish(layer, predicted, staging))
            self.progress(ProgressUpdate(text="Inserting the result"))
            harmonized = insert_results(self.image, finished, self.settings)
        self.stopwatch.lap("inserting")
        return harmonized

    def _read(self, layer: HostLayer) -> LayerComposite:
        self.progress(ProgressUpdate(text=f"Reading “{layer.name}”"))
        others = [other for other in self.layers if other.id != layer.id]
        composite = read_composite(self.image, layer, others, self.settings)
        self.stopwatch.lap("reading")
        return composite

    def _finish(self, layer: HostLayer, predicted: PredictedComposite, staging: HostImage) -> FinishedLayer:
        """Return all that is needed to put the result of a layer into the image.

        Args:
            layer: the layer.
            predicted: its composite, and the prediction.
            staging: holds new layers until then.
        """
        settings, composite, result = self.settings, predicted.composite, predicted.result
        start = composite.start
        self.progress(ProgressUpdate(text="Recoloring the layer"))
        check_shadow(layer, result, settings)
        samples = result.samples if settings.result == "effect" else b""
        adjust = Adjust(color_map=result.color_map, sliders=settings.sliders, samples=samples)
        adjusted = self.engine.request(adjust, self.progress)
        self.stopwatch.lap("predicting")
        mask = WindowMask(result.mask, composite.window) if result.mask_predicted else None
        subject = WindowMask(composite.subject, composite.window) if composite.subject else None
        if settings.edges:
            share = self.refined_mask(layer, predicted).share
            mask, subject = (None, share) if subject else (share, None)
        shadow = self._shadow(layer, composite, subject, staging)
        metadata = self._metadata(start, result, adjusted, cuts_out=subject is not None)
        if settings.result == "effect":
            pixels = [(layer, self._original_pixels(layer, start, staging))] if start.original else []
            gains = effect_gains(layer, adjusted.matrix)
            return FinishedLayer(layer, start, metadata, pixels, gains, mask, subject, shadow)
        finish = self._measured_finish(layer, predicted, adjusted.color_map)
        if finish:
            metadata = replace(metadata, finish=settings.finish.arguments(finish.sliders))
        change = LayerChange(adjusted.color_map, mask, finish, subject if finish else None)
        changed = changed_layers(layer, settings.result)
        recolored = [self._recolored(part, start, change, staging) for part in changed]
        self.stopwatch.lap("rendering")
        pixels = [(part, new) for part, (new, _) in zip(changed, recolored, strict=True)]
        digests = recolored[0][1] if changed == [layer] else None
        return FinishedLayer(layer, start, metadata, pixels, subject=subject, shadow=shadow, digests=digests)

    def _predict(self, composite: LayerComposite) -> PredictedComposite:
        """Ask the engine for the color map of a composite, after its subject if that is to be selected."""
        composite = self._cut_out(composite)
        likeliest = self.likeliest or self.settings.mask == "detect"
        request = composite.request(self.settings.model, likeliest=likeliest)
        result = request_color_map(self.engine, composite, request, self.progress)
        return PredictedComposite(composite, result)

    def _metadata(
        self, start: StartingPoint, result: HarmonizeResponse, adjusted: AdjustResult, *, cuts_out: bool
    ) -> LayerMetadata:
        """Return the metadata of a harmonized layer, without its finish.

        Args:
            start: the pixels that the layer is harmonized from.
            result: the engine's result for the layer.
            adjusted: the color map with the sliders.
            cuts_out: the layer gets a mask of its subject, which includes the edges.
        """
        settings = self.settings
        metadata = LayerMetadata(
            settings.result,
            settings.model,
            settings.sliders,
            adjusted.color_map,
            reference=settings.reference,
            mask=settings.mask,
            mask_predicted=result.mask_predicted,
            edges={} if cuts_out else settings.edge_arguments,
        )
        if start.is_own_result and start.metadata:
            original = start.metadata.original
            metadata = replace(metadata, original=original, original_digest=start.original_digest)
        if settings.shadow:
            metadata = replace(metadata, shadow=settings.shadow.arguments, shadow_identity=secrets.token_hex(16))
        return metadata

    def _measured_finish(
        self, layer: HostLayer, predicted: PredictedComposite, color_map: dict[str, Any]
    ) -> MeasuredLayer | None:
        """Measure the finish of a layer, if the settings ask for one."""
        if not self.settings.applies_finish:
            return None
        layers = [layer, *(other for other in self.layers if other.id != layer.id)]
        corners = find_windows(self.engine, predicted, self.progress)
        sample = read_sample(sample_steps(self.image, layers, self.settings, predicted, corners))
        meter = FinishMeter(predicted, sample)
        measured = meter.measure(self.engine, self.settings.finish, color_map, self.progress)
        self.stopwatch.lap("measuring")
        return measured

    def _shadow(
        self, layer: HostLayer, composite: LayerComposite, subject: WindowMask | None, staging: HostImage
    ) -> HostLayer | None:
        """Return a new layer with the shadow, if the settings ask for one."""
        if self.settings.shadow is None:
            return None
        values = chosen_values(self.settings.shadow, request_shadow_values(self.engine, composite, self.progress))
        with self._source(layer, composite.start) as source:
            position = layer.position if composite.start.original else source.position
            area = PixelArea(*position, *source.size)
            masks = [plane_rows(mask, area) for mask in layer_masks(layer)]
            masks += [enlarged_rows(self.image, subject, area)] if subject else []
            silhouette = CastingLayer(area, _alpha_rows(source), masks)
            shadow = new_shadow_layer(self.engine, silhouette, values, staging, self.progress)
        self.stopwatch.lap("shadow")
        return shadow

    def _cut_out(self, composite: LayerComposite) -> LayerComposite:
        """Return a composite with its subject, if that is to be selected."""
        if not composite.selects_subject or composite.stack is None:
            return composite
        try:
            return composite.with_subject(request_subject(self.engine, composite, self.progress))
        finally:
            composite.stack.delete()

    @contextmanager
    def _source(self, layer: HostLayer, start: StartingPoint) -> Iterator[HostLayer]:
        """Provide a layer with the pixels that a layer is harmonized from, in the image or a copy."""
        shown = start.original or layer
        applies_own = start.keeps_own_effects and shown.has_own_effects
        if not (shown.other_effects or shown.is_floating or applies_own):
            yield shown
            return
        with temporary(self.image.duplicate()) as copy:
            yield prepare_twin(copy, shown, keeps_own_effects=applies_own)

    def _original_pixels(self, layer: HostLayer, start: StartingPoint, staging: HostImage) -> HostLayer:
        """Return a new layer with the pixels that a harmonized layer had before."""
        with self._source(layer, start) as source:
            new = staging.add_blank(source)
            new.copy_pixels(source)
        return new

    def _recolored(
        self, layer: HostLayer, start: StartingPoint, change: LayerChange, staging: HostImage
    ) -> tuple[HostLayer, Digests | None]:
        """Return a new layer with the changed pixels, and digests unless a copy of the layer was read."""
        with self._source(layer, start) as source:
            new = staging.add_blank(source)
            position = layer.position if start.original else source.position
            access = source.pixel_access(new)
            try:
                self.engine.render(
                    change.color_map,
                    access.layout,
                    self._pixel_source(layer, PixelArea(*position, *source.size), access.read, change),
                    access.write,
                    native=access.native,
                    finish=change.finish.at(position) if change.finish else None,
                    progress=self.progress,
                )
            finally:
                access.flush()  # also after an error: GIMP kills a plug-in that writes to a deleted layer later
            is_copy = source.id != (start.original or layer).id
        return new, None if is_copy else access.digests()

    @property
    def _limiting_selection(self) -> HostDrawable | None:
        return self.image.selection if self.settings.reference != "selection" else None

    def refined_mask(self, layer: HostLayer, predicted: PredictedComposite) -> RefinedMask:
        """Return the mask of a layer at full resolution, its edges refined by the settings.

        A subject's mask is not limited by the selection: as a layer mask, it would hide the rest of the subject.

        Args:
            layer: the layer.
            predicted: its composite, and the prediction.
        """
        composite = predicted.composite
        mask = composite.subject or predicted.predicted_mask
        selection = None if composite.subject else self._limiting_selection
        with self._source(layer, composite.start) as shown:
            position = layer.position if composite.start.original else shown.position
            window = full_window(self.image.size, PixelArea(*position, *shown.size))
            source = PixelSource(
                pixels=pixel_rows(shown, position, window),
                layer_masks=tuple(plane_rows(layer_mask, window.area) for layer_mask in layer_masks(layer)),
                selection=plane_rows(selection, window.area) if selection else None,
                predicted=enlarged_rows(self.image, WindowMask(mask, composite.window), window.area) if mask else None,
            )
            refined = request_refined_mask(self.engine, window, source, self.settings.edges, self.progress)
        self.stopwatch.lap("refining the mask")
        return refined

    def _pixel_source(self, layer: HostLayer, area: PixelArea, read: ReadRows, change: LayerChange) -> PixelSource:
        # With refined edges, the mask includes the selection.
        selection = None if change.mask and self.settings.edges else self._limiting_selection
        masks = [plane_rows(mask, area) for mask in layer_masks(layer)]
        if change.subject:
            masks.append(enlarged_rows(self.image, change.subject, area))
        return PixelSource(
            pixels=read,
            layer_masks=tuple(masks),
            selection=plane_rows(selection, area) if selection else None,
            predicted=enlarged_rows(self.image, change.mask, area) if change.mask else None,
        )


def numbered(progress: ProgressCallback, number: int, count: int) -> ProgressCallback:
    """Return a callback that reports the progress of one of several steps, counted from 0, as that of all."""
    if count == 1:
        return progress

    def report(update: ProgressUpdate) -> None:
        fraction = (number + (update.fraction or 0.0)) / count
        progress(ProgressUpdate(text=f"{number + 1} of {count}: {update.text}", fraction=fraction))

    return report


def changed_layers(layer: HostLayer, result: str) -> list[HostLayer]:
    """Return the layers that get new pixels: the layer itself, or those of a group.

    A new layer of a group that passes through is a copy of the group, so that its layers keep their modes.
    """
    return list(leaves(layer)) if result == "in-place" or layer.passes_through else [layer]


def check_result(layer: HostLayer, start: StartingPoint, settings: HarmonizeSettings) -> None:
    """Check that GIMP can put a result into the place that the settings choose.

    Raises:
        LayerError: a lock forbids it, layer effects would be lost, or this GIMP does not offer the plug-in's.
    """
    if settings.result == "effect" and not layer.image.offers_effects:
        raise messages.no_effects()
    if settings.result == "new-layer" and not start.is_own_result:
        if settings.hide_original and layer.is_visibility_locked:
            raise messages.visibility_locked(layer.name)
        if layer.parent:
            check_locks(layer, [layer.parent])
        return
    changed = list(effect_targets(layer)) if settings.result == "effect" else changed_layers(layer, settings.result)
    check_locks(layer, changed)
    if settings.result != "effect" and start.original is None:
        for part in changed:
            if part.other_effects:
                raise messages.has_effects(part.name, part.other_effects)


def check_shadow(layer: HostLayer, result: HarmonizeResponse, settings: HarmonizeSettings) -> None:
    """Check that a shadow fits below a layer.

    Raises:
        LayerError: the layer holds the background as well.
    """
    if settings.shadow and result.mask_predicted:
        raise messages.no_shadow(layer.name)


def _alpha_rows(layer: HostLayer) -> ReadRows:
    """Return a function that reads rows of a layer's alpha."""
    return lambda row, rows: layer.read("A u8", PixelArea(0, row, layer.size[0], rows))
