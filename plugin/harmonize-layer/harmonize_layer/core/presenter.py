# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's behavior, apart from its widgets: requests to the engine and updates of the preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from gimp_bridge import protocol
from gimp_bridge.background_queue import BackgroundQueue
from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import AdjustResult, HarmonizeResponse
from gimp_bridge.harmony_messages import HarmonyScores
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from gimp_bridge.shadow_messages import ShadowValues
from harmonize_layer.core import messages
from harmonize_layer.core.batch import HarmonizeBatch
from harmonize_layer.core.composite import LayerComposite, predict_color_map, read_composite, request_subject
from harmonize_layer.core.cube_file import write_cube
from harmonize_layer.core.detail import Detail, read_detail
from harmonize_layer.core.edge_preview import EdgePreview, edges_of_composite, edges_of_detail
from harmonize_layer.core.finishing import FinishMeter, FinishSample, find_windows, sample_steps
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.harmonizing import HarmonizeRun, check_result, check_shadow
from harmonize_layer.core.harmony_watch import HarmonyWatch, ShownPreview, log_missing_score
from harmonize_layer.core.host import DialogView, HostImage, HostLayer
from harmonize_layer.core.layers import find_layers
from harmonize_layer.core.masks import check_layer_mask, save_as_channel, save_as_layer_mask
from harmonize_layer.core.messages import LayerError, error_message
from harmonize_layer.core.preview_job import Preview, PreviewJob
from harmonize_layer.core.preview_notes import preview_notes
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.core.sample_reader import SampleReader
from harmonize_layer.core.settings import COMPOSITE_NAMES, FINISH_NAMES, RESULT_NAMES, SHADOW_NAMES, HarmonizeSettings
from harmonize_layer.core.shadows import automatic_values, request_shadow_values
from harmonize_layer.core.variants import VariantJob, variant_jobs
from s2am_common.errors import CancelledError, S2AMError, prefixes


class DialogPresenter:
    """Connects the dialog's widgets with the engine. All methods are called in the dialog's thread."""

    def __init__(
        self,
        view: DialogView,
        image: HostImage,
        layers: Sequence[HostLayer],
        engine: EngineClient,
        read_settings: Callable[[], HarmonizeSettings],
        new_queue: Callable[[], BackgroundQueue],
    ) -> None:
        """Store the dialog's parts.

        Args:
            view: the widgets.
            image: the image.
            layers: the layers to harmonize; the first one is shown.
            engine: used by the jobs in the queue, and by `apply`.
            read_settings: returns the current settings.
            new_queue: returns a queue that carries out requests in another thread.
        """
        self._view, self._image, self._layers = view, image, layers
        self._engine, self._read_settings, self._new_queue = engine, read_settings, new_queue
        self._queue = new_queue()
        self._composite: LayerComposite | None = None
        self._result: HarmonizeResponse | None = None
        self._seen: tuple[object, ...] | None = None
        self._ready = ""
        self._adjusted: AdjustResult | None = None
        self._wanted: Window | None = None
        self._detail: Detail | None = None
        self._edges: EdgePreview | None = None
        self._detail_edges: EdgePreview | None = None
        self._tint = b""
        self._is_applying = False
        self._uncut = b""
        self._shadow: ShadowValues | None = None
        self._models: tuple[protocol.ModelInfo, ...] = ()
        self._harmony = HarmonyWatch()
        self._meter: FinishMeter | None = None
        self._sample = SampleReader()

    @property
    def layers(self) -> Sequence[HostLayer]:
        """The layers to harmonize; after `apply` its results."""
        return self._layers

    @property
    def previewed(self) -> tuple[LayerComposite, HarmonizeResponse] | None:
        """The composite and the engine's result, if the preview is up to date."""
        if not (self._composite and self._result) or self._state() != self._seen:
            return None
        return self._composite, self._result

    def close(self) -> None:
        """End the requests and free the memory of the preview; called when the dialog is closed."""
        self._queue.close()
        self._clear()

    def _clear(self) -> None:
        self._clear_detail()
        self._sample.stop()
        if self._composite and self._composite.stack:
            self._composite.stack.delete()
        self._composite = self._result = self._adjusted = self._edges = self._meter = None
        self._shadow = None
        self._harmony.show(None)

    def _clear_detail(self) -> None:
        if self._detail:
            self._detail.stack.delete()
        self._detail = self._detail_edges = None

    def check_changes(self) -> None:
        """Update the preview if image, selection or layers have changed since it was made; called regularly."""
        if self._is_applying:
            return
        if self._state() != self._seen:
            self.update_composite()
        else:
            self._score_harmony()

    def _score_harmony(self) -> None:
        """Show the harmony of a preview that has not changed since the last call."""
        shown = self._harmony.due()
        if shown is None:
            return

        def done(scores: HarmonyScores) -> None:
            if self._harmony.is_current(shown):
                self._view.show_notes(shown.notes_with(scores))

        self._queue.submit(lambda: self._engine.score_harmony(shown.request()), done, log_missing_score, key="harmony")

    def _is_valid(self) -> bool:
        return self._image.is_valid and all(layer.is_valid for layer in self._layers)

    def _state(self) -> tuple[object, ...]:
        """Return what the composite depends on; () if the image or a layer is gone."""
        if not self._is_valid():
            return ()
        layers = [(layer.position, layer.size, layer.is_visible) for layer in self._layers]
        return (*layers, self._image.glimpse())

    def start(self) -> None:
        """Ask the engine for its status and its models."""
        self._view.show_status("Reading the image", busy=True)
        self._queue.submit(self._list_models, self._show_models, self._show_error, key="models")

    def settings_changed(self, name: str) -> None:
        """Update the preview after an argument has changed."""
        if name in COMPOSITE_NAMES:
            self.update_composite()
        elif name == "model":
            self._predict()
        elif name in RESULT_NAMES:
            self._adjust()
        elif name in FINISH_NAMES:
            if not self._read_settings().finish.is_measured(name):
                self._adjust()
        elif name in SHADOW_NAMES:
            self._shadow_changed(name)

    def update_composite(self) -> None:
        """Read the composite and predict its color map."""
        self._clear()
        self._view.set_ready(False)
        self._seen = self._state()
        try:
            if not self._seen:
                raise messages.gone()
            find_layers(self._image, self._layers)
            settings = self._read_settings()
            composite = read_composite(self._image, self._layers[0], self._layers[1:], settings, for_preview=True)
        except LayerError as error:
            self._show_error(error)
            return
        self._composite = composite
        before = composite.stack.before if composite.stack else composite.rgba
        self._view.show_before(composite.window, before, b"", tinted=False)
        self._predict()

    def show_part(self, window: Window | None) -> None:
        """Show a part of the image at a higher resolution than the composite's; None = no part is magnified."""
        self._wanted = window
        if self._is_applying:
            return
        self._clear_detail()
        if self._result and self._state() == self._seen:
            self._read_detail()
            self._adjust()

    def _read_detail(self) -> None:
        composite, result, settings = self._composite, self._result, self._read_settings()
        if composite is None or result is None:
            return
        wanted = self._wanted
        if wanted is None and self._meter and composite.stack is None and composite.window.scale == 1:
            wanted = composite.window  # a finish needs the layer apart from what is below it
        if wanted:
            self._clear_detail()
            self._detail = read_detail(self._image, self._layers, settings, composite, result, wanted)

    def _measure_finish(self, composite: LayerComposite, result: HarmonizeResponse) -> None:
        """Read what the finish is measured in, then update the preview."""

        def read(sample: FinishSample) -> None:
            self._meter = FinishMeter(composite, result, sample)
            if self._detail is None:
                self._read_detail()
            self._adjust()

        def done(corners: list[tuple[int, int]]) -> None:
            if result is self._result and not self._sample.is_reading:
                steps = sample_steps(self._image, self._layers, self._read_settings(), composite, result, corners)
                self._sample.start(steps, self._queue.post, self._is_valid, read)

        job = lambda: find_windows(self._engine, composite, result, self._report)  # noqa: E731
        self._queue.submit(job, done, self._show_error, key="windows")

    def apply(self, progress: ProgressCallback) -> bool:
        """Harmonize the layers while the dialog stays open, and show the results as the layers to adjust further.

        Args:
            progress: called with each step; may raise CancelledError.

        Returns:
            Whether the image was changed.
        """
        previewed, messages_shown = self.previewed, []

        def harmonize() -> None:
            batch = HarmonizeBatch(
                self._image, self._layers, self._read_settings(), self._engine, progress, likeliest=True
            )
            done = batch.run(previewed)
            self._layers = done.layers
            messages_shown.extend([done.message] if done.message else [])

        cuts_out = previewed is not None and bool(previewed[0].subject)
        if not self._carry_out(harmonize):
            return False
        if cuts_out:
            self._reset_edges()
        self.update_composite()
        if messages_shown:
            self._view.show_notes(messages_shown)
        return True

    def save_mask(self, progress: ProgressCallback, *, as_layer_mask: bool) -> bool:
        """Save the mask that limits the change in the image: as a channel, or as the mask of the first layer.

        Args:
            progress: called with each step; may raise CancelledError.
            as_layer_mask: as a layer mask, whose edges are then part of the layer.

        Returns:
            Whether the image was changed.
        """
        previewed, layer = self.previewed, self._layers[0]
        if previewed is None:
            return False

        def save() -> None:
            composite, result = previewed
            if as_layer_mask:
                check_layer_mask(layer, predicted=result.mask_predicted)
            run = HarmonizeRun(self._image, [layer], self._read_settings(), self._engine, progress, likeliest=True)
            refined = run.refined_mask(layer, composite, result)
            if as_layer_mask:
                save_as_layer_mask(self._image, layer, refined.share)
            else:
                save_as_channel(self._image, layer, refined.mask)

        if not self._carry_out(save):
            return False
        if as_layer_mask:
            self._reset_edges()
            self.update_composite()
        self._view.show_status("The mask is a layer mask now." if as_layer_mask else "The mask is a channel now.")
        return True

    def _reset_edges(self) -> None:
        """Set the edges to 0 after they have become part of a layer mask."""
        self._clear()  # so that no preview is made for each value
        self._view.reset_edges()

    def _carry_out(self, change: Callable[[], None]) -> bool:
        """Change the image while the engine is free; return whether it was changed rather than an error shown."""
        self._queue.close()
        self._sample.stop()
        self._is_applying = True
        try:
            change()
        except CancelledError:
            self._view.show_status("Stopped; the image is unchanged.")
            return False
        except (LayerError, S2AMError) as error:
            self._show_error(error)
            return False
        finally:
            self._is_applying = False
            self._queue = self._new_queue()
        return True

    def save_cube(self, file: Path) -> None:
        """Write the color map that the preview shows to a .cube file, for other programs."""
        adjusted = self._adjusted
        if adjusted is None:
            return

        job = lambda: write_cube(self._engine, adjusted.color_map, file, self._report)  # noqa: E731
        done = lambda _: self._view.show_status(f"Saved {file.name}")  # noqa: E731
        self._queue.submit(job, done, lambda error: self._view.show_status(error_message(error)), key="cube")

    def _list_models(self) -> tuple[protocol.ModelInfo, ...]:
        self._report(ProgressUpdate(text=self._engine.status(self._report).text))
        return self._engine.models(self._report)

    def _show_models(self, models: tuple[protocol.ModelInfo, ...]) -> None:
        self._models = models
        self._view.show_models(models)

    def _predict(self) -> None:
        """Predict the color map of the composite; a predicted mask is kept."""
        composite, before = self._composite, self._result
        self._result = self._meter = None
        self._sample.stop()
        self._view.set_ready(False)
        if composite is None:
            return
        if composite.selects_subject:
            self._select_subject(composite)
            return
        model = self._read_settings().model
        predicted = before.mask if before and before.mask_predicted else b""
        certain = before.mask_certain if before else True

        def job() -> HarmonizeResponse:
            result = predict_color_map(
                self._engine, composite, model, self._report, likeliest=True, predicted=predicted
            )
            return replace(result, mask_certain=certain) if predicted else result

        def done(result: HarmonizeResponse) -> None:
            self._show_result(composite, result)

        self._view.show_status("Analyzing the image", busy=True)
        self._queue.submit(job, done, self._show_error, key="predict")

    def _select_subject(self, composite: LayerComposite) -> None:
        """Select the subject of the layer, then predict the color map of the composite with it."""

        def done(mask: bytes) -> None:
            if composite is self._composite and composite.stack:
                self._uncut = composite.stack.before
                self._composite = composite.with_subject(mask)
                self._predict()

        def failed(error: Exception) -> None:
            is_unclear = isinstance(error, S2AMError) and prefixes(error.code)[-1] == "subject"
            if not (is_unclear and self._view.withdraw_subject()):
                self._show_error(error)

        self._view.show_status("Selecting the subject", busy=True)
        self._queue.submit(lambda: request_subject(self._engine, composite, self._report), done, failed, key="predict")

    def _show_result(self, composite: LayerComposite, result: HarmonizeResponse) -> None:
        if composite is not self._composite:
            return
        self._result = result
        before = composite.stack.before if composite.stack else with_alpha(composite.rgba, result.alpha)
        if composite.subject:
            before = self._uncut
        tinted = result.mask_predicted or bool(composite.subject)
        self._view.show_before(composite.window, before, result.mask, tinted=tinted)
        self._tint = result.mask if tinted else b""
        self._queue.submit(lambda: self._engine.status(self._report), self._show_ready, self._show_error, key="status")
        self._read_detail()
        self._estimate_shadow()
        self._adjust()

    def _shadow_changed(self, name: str) -> None:
        """Update the preview after an argument of the shadow has changed; estimated values are shown already."""
        composite, chosen = self._composite, self._read_settings().shadow
        if composite and chosen and name == "shadow" and composite.stack is None:
            self.update_composite()  # the shadow lies between the layer and what is below it
        elif name == "shadow-automatic" or (chosen and not self._shadow):
            self._estimate_shadow()
            self._adjust()
        elif name == "shadow" or (chosen and not chosen.automatic):
            self._adjust()

    def _estimate_shadow(self) -> None:
        """Ask for the automatic values of the shadow, and show them if they are wanted."""
        composite = self._composite
        if composite is None or self._result is None or self._read_settings().shadow is None:
            return

        def done(values: ShadowValues) -> None:
            if composite is self._composite:
                self._shadow, chosen = values, self._read_settings().shadow
                if chosen and chosen.automatic:
                    self._view.show_shadow_values(automatic_values(values))
                self._adjust()

        job = lambda: request_shadow_values(self._engine, composite, self._report)  # noqa: E731
        self._queue.submit(job, done, self._show_error, key="shadow")

    def _adjust(self) -> None:
        """Update the preview for the current sliders."""
        composite, result, detail = self._composite, self._result, self._detail
        if composite is None or result is None:
            return
        settings = self._read_settings()
        try:
            check_result(self._layers[0], composite.start, settings)
            check_shadow(self._layers[0], result, settings)
        except LayerError as error:
            self._view.set_ready(False)
            self._show_error(error)
            return
        meter = self._meter if settings.applies_finish else None
        if settings.applies_finish and meter is None:
            self._measure_finish(composite, result)
            return
        if settings.edges and self._edges is None:
            self._edges = edges_of_composite(self._layers[0], composite, result)
        if settings.edges and self._detail_edges is None and detail:
            self._detail_edges = edges_of_detail(detail)
        edges = (self._edges, self._detail_edges) if settings.edges else (None, None)
        shadow = self._shadow if settings.shadow else None
        job = PreviewJob(composite, result, settings, detail, *edges, meter, shadow)

        def done(preview: Preview) -> None:
            if result is self._result:
                self._show_preview(job, preview)
                self._adjusted = preview.adjusted
                if preview.finish:
                    self._view.show_finish_values(preview.finish.found.automatic)
                self._view.show_status(self._ready)
                self._view.set_ready(True)

        self._queue.submit(lambda: job.run(self._engine, self._report), done, self._show_error, key="adjust")

    def _show_preview(self, job: PreviewJob, preview: Preview) -> None:
        composite, result = job.composite, job.result
        refined, stack, shadow = preview.refined, composite.stack, preview.shadow
        tint = result.mask if result.mask_predicted or composite.subject else b""
        tint = refined.mask.plane if refined else tint
        if tint != self._tint:
            self._view.show_mask(tint)
            self._tint = tint
        cut = refined.share.plane if refined and composite.subject else composite.subject
        cast = shadow.rgba(self._image, composite.window) if shadow else b""
        after = stack.after(preview.rgba, cut, cast) if stack else with_alpha(preview.rgba, result.alpha)
        self._view.show_after(composite.window, after)
        if preview.detail and preview.detail[0] is self._detail:
            part, rgba, matte = preview.detail
            tint = matte.mask.plane if matte else part.predicted or part.subject
            cut = matte.share.plane if matte and part.subject else part.subject
            cast = shadow.rgba(self._image, part.window) if shadow else b""
            self._view.show_detail(part.window, part.before, part.stack.after(rgba, cut, cast), tint)
        notes = preview_notes(self._layers, job, preview)
        self._view.show_notes(notes)
        before = stack.before if stack else with_alpha(composite.rgba, result.alpha)
        self._harmony.show(ShownPreview(result, composite.window, before, after, tuple(notes)))

    def find_variants(self) -> None:
        """Show the layer harmonized in several ways, one after another."""
        composite, result = self._composite, self._result
        if composite is None or result is None:
            return
        for variant in variant_jobs(composite, result, self._read_settings(), self._models):
            self._find_variant(variant)

    def _find_variant(self, variant: VariantJob) -> None:
        def done(rgba: bytes) -> None:
            if variant.result is self._result:
                window = variant.composite.window
                self._view.show_variant(variant.model, variant.strength, window, variant.blended(rgba))
                self._view.show_status(self._ready)

        job = lambda: variant.run(self._engine, self._report)  # noqa: E731
        self._queue.submit(job, done, self._show_error, key=("variant", variant.model, variant.strength))

    def _report(self, update: ProgressUpdate) -> None:
        """Show progress; called in the thread of the queue."""
        self._queue.post(self._view.show_status, update.text, True)

    def _show_ready(self, status: protocol.EngineStatus) -> None:
        self._ready = f"The engine is {status.text}" if status.state == "ready" else status.text
        self._view.show_status(self._ready)

    def _show_error(self, error: Exception) -> None:
        self._view.clear_after()
        self._view.show_notes([])
        self._view.show_status(error_message(error))
