# SPDX-License-Identifier: GPL-3.0-or-later
"""The preview of the dialog: the composite that was read, the engine's results for it, and their updates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import AdjustResult
from gimp_bridge.harmony_messages import HarmonyScores
from gimp_bridge.request_channel import ProgressCallback
from gimp_bridge.shadow_messages import ShadowValues
from harmonize_layer.core import messages
from harmonize_layer.core.composite import (
    LayerComposite,
    PredictedComposite,
    read_composite,
    request_color_map,
    request_subject,
)
from harmonize_layer.core.detail import Detail, read_detail
from harmonize_layer.core.edge_preview import EdgePreview, edges_of_composite, edges_of_detail
from harmonize_layer.core.engine_requests import EngineRequests
from harmonize_layer.core.finishing import FinishMeter, FinishSample, find_windows, sample_steps
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.harmonizing import check_result, check_shadow
from harmonize_layer.core.harmony_watch import HarmonyWatch, ShownPreview, log_missing_score
from harmonize_layer.core.host import DialogView, HostImage, HostLayer
from harmonize_layer.core.layers import find_layers
from harmonize_layer.core.messages import LayerError
from harmonize_layer.core.preview_job import Preview, PreviewJob
from harmonize_layer.core.preview_notes import preview_notes
from harmonize_layer.core.recognition import find_changed, recognize_changed
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.core.sample_reader import SampleReader
from harmonize_layer.core.settings import COMPOSITE_NAMES, FINISH_NAMES, RESULT_NAMES, SHADOW_NAMES, HarmonizeSettings
from harmonize_layer.core.shadows import automatic_values, request_shadow_values
from s2am_common.errors import S2AMError, prefixes


class LivePreview:
    """The first layer before and after, in steps of which each change repeats only the later ones.

    read the composite → select its subject → predict its color map → adjust it and render the preview

    Magnified parts, the sample of a finish, and the automatic values of a shadow are read or estimated when the last
    step first needs them.

    layers: the layers to harmonize; those before Apply again where its result was undone.
    composite: that of the first layer; None = not read yet.
    predicted: the composite and its prediction; None = not predicted yet.
    adjusted: the color map that is shown; None = none.
    """

    def __init__(
        self,
        view: DialogView,
        image: HostImage,
        layers: Sequence[HostLayer],
        requests: EngineRequests,
        read_settings: Callable[[], HarmonizeSettings],
    ) -> None:
        """Store the parts; `read` makes the first preview.

        Args:
            view: the widgets.
            image: the image.
            layers: the layers to harmonize.
            requests: carries out the requests.
            read_settings: returns the current settings.
        """
        self.layers = layers
        self._followed = [layers]
        self.composite: LayerComposite | None = None
        self.predicted: PredictedComposite | None = None
        self.adjusted: AdjustResult | None = None
        self._view, self._image, self._requests, self._read_settings = view, image, requests, read_settings
        self._state_read: tuple[object, ...] | None = None  # the `_state` when the composite was read
        self._before_subject = b""  # the blended pixels, without a subject cut out
        self._tint = b""  # the mask that is shown
        self._magnified: Window | None = None
        self._detail: Detail | None = None
        self._edges: EdgePreview | None = None
        self._detail_edges: EdgePreview | None = None
        self._shadow: ShadowValues | None = None
        self._meter: FinishMeter | None = None
        self._sample = SampleReader()
        self._harmony = HarmonyWatch()

    @property
    def current(self) -> PredictedComposite | None:
        """The composite and its prediction, if the image has not changed since it was read."""
        return self.predicted if self.predicted and self._state() == self._state_read else None

    def clear(self) -> None:
        """Free the memory of the preview."""
        self._clear_detail()
        self._sample.stop()
        if self.composite and self.composite.stack:
            self.composite.stack.delete()
        self.composite = self.predicted = self.adjusted = self._edges = self._meter = None
        self._shadow = None
        self._harmony.show(None)

    def _clear_detail(self) -> None:
        if self._detail:
            self._detail.stack.delete()
        self._detail = self._detail_edges = None

    def follow(self, layers: Sequence[HostLayer]) -> None:
        """Show the results of Apply, which are the layers to harmonize from now on."""
        self._followed.append(layers)
        self.layers = layers

    def _find_followed(self) -> None:
        """Choose the last layers that are in the image, as people undo and redo Apply while the dialog is open."""
        existing = (layers for layers in reversed(self._followed) if all(layer.is_valid for layer in layers))
        self.layers = next(existing, self.layers)

    def stop_reading(self) -> None:
        """Stop reading the sample of a finish."""
        self._sample.stop()

    def _is_valid(self) -> bool:
        return self._image.is_valid and all(layer.is_valid for layer in self.layers)

    def _state(self) -> tuple[object, ...]:
        """Return all that the composite depends on; () if the image or a layer is gone."""
        if not self._is_valid():
            return ()
        layers = [(layer.position, layer.size, layer.is_visible) for layer in self.layers]
        return (*layers, self._image.glimpse())

    # -- changes

    def check_changes(self) -> None:
        """Update the preview if image, selection or layers have changed since it was made; called regularly."""
        self._find_followed()
        if self._state() != self._state_read:
            self.read()
        else:
            self._score_harmony()

    def settings_changed(self, name: str) -> None:
        """Update the preview after an argument has changed."""
        if name in COMPOSITE_NAMES:
            self.read()
        elif name == "model":
            self._predict()
        elif name in RESULT_NAMES:
            self._adjust()
        elif name in FINISH_NAMES:
            if not self._read_settings().finish.is_measured(name):
                self._adjust()
        elif name in SHADOW_NAMES:
            self._shadow_changed(name)

    def show_part(self, window: Window | None) -> None:
        """Show a part of the image at a higher resolution than the composite's; None = no part is magnified."""
        self._magnified = window
        if self._requests.is_suspended:
            return
        self._clear_detail()
        if self.current:
            self._read_detail()
            self._adjust()

    def _shadow_changed(self, name: str) -> None:
        """Update the preview after an argument of the shadow has changed; estimated values are shown already."""
        composite, chosen = self.composite, self._read_settings().shadow
        if composite and chosen and name == "shadow" and composite.stack is None:
            self.read()  # the shadow lies between the layer and what is below it
        elif name == "shadow-automatic" or (chosen and not self._shadow):
            self._estimate_shadow()
            self._adjust()
        elif name == "shadow" or (chosen and not chosen.automatic):
            self._adjust()

    # -- steps

    def read(self) -> None:
        """Read the composite and predict its color map."""
        self.clear()
        self._view.set_ready(False)
        self._state_read = self._state()
        try:
            if not self._state_read:
                raise messages.gone()
            find_layers(self._image, self.layers)
            self._recognize_changed()
            settings = self._read_settings()
            composite = read_composite(self._image, self.layers[0], self.layers[1:], settings, for_preview=True)
        except (LayerError, S2AMError) as error:
            self._requests.show_error(error)
            return
        self.composite = composite
        before = composite.stack.before if composite.stack else composite.rgba
        self._view.show_before(composite.window, before, b"", tinted=False)
        self._predict()

    def _recognize_changed(self) -> None:
        """Compare the layers with their originals, if both were changed while the dialog is open. Raises S2AMError."""
        if any(True for _ in find_changed(self.layers)):
            with self._requests.suspended():
                recognize_changed(self.layers, self._requests.engine, lambda _: None)

    def _predict(self) -> None:
        """Predict the color map of the composite; a predicted mask is kept."""
        composite, before = self.composite, self.predicted
        self.predicted = self._meter = None
        self._sample.stop()
        self._view.set_ready(False)
        if composite is None:
            return
        if composite.selects_subject:
            self._select_subject(composite)
            return
        model = self._read_settings().model
        mask = before.predicted_mask if before else b""
        certain = before.result.mask_certain if before else True

        def predict(engine: EngineClient, report: ProgressCallback) -> PredictedComposite:
            request = composite.request(model, likeliest=True, predicted=mask)
            result = request_color_map(engine, composite, request, report)
            return PredictedComposite(composite, replace(result, mask_certain=certain) if mask else result)

        self._view.show_status("Analyzing the image", busy=True)
        self._requests.submit(predict, self._show_prediction, key="predict")

    def _select_subject(self, composite: LayerComposite) -> None:
        """Select the subject of the layer, then predict the color map of the composite with it."""

        def done(mask: bytes) -> None:
            if composite is self.composite and composite.stack:
                self._before_subject = composite.stack.before
                self.composite = composite.with_subject(mask)
                self._predict()

        def failed(error: Exception) -> None:
            is_unclear = isinstance(error, S2AMError) and prefixes(error.code)[-1] == "subject"
            if not (is_unclear and self._view.withdraw_subject()):
                self._requests.show_error(error)

        self._view.show_status("Selecting the subject", busy=True)
        self._requests.submit(
            lambda engine, report: request_subject(engine, composite, report), done, failed, key="predict"
        )

    def _show_prediction(self, predicted: PredictedComposite) -> None:
        composite, result = predicted.composite, predicted.result
        if composite is not self.composite:
            return
        self.predicted = predicted
        before = composite.stack.before if composite.stack else with_alpha(composite.rgba, result.alpha)
        if composite.subject:
            before = self._before_subject
        tinted = result.mask_predicted or bool(composite.subject)
        self._view.show_before(composite.window, before, result.mask, tinted=tinted)
        self._tint = result.mask if tinted else b""
        self._requests.update_status()
        self._read_detail()
        self._estimate_shadow()
        self._adjust()

    def _adjust(self) -> None:
        """Update the preview for the current sliders."""
        predicted = self.predicted
        if predicted is None:
            return
        settings = self._read_settings()
        try:
            check_result(self.layers[0], predicted.composite.start, settings)
            check_shadow(self.layers[0], predicted.result, settings)
        except LayerError as error:
            self._view.set_ready(False)
            self._requests.show_error(error)
            return
        if settings.applies_finish and self._meter is None:
            self._read_sample(predicted)
            return
        job = self._preview_job(predicted, settings)

        def done(preview: Preview) -> None:
            if predicted is self.predicted:
                self._show_preview(job, preview)
                self.adjusted = preview.adjusted
                if preview.finish:
                    self._view.show_finish_values(preview.finish.response.automatic)
                self._requests.show_status()
                self._view.set_ready(True)

        self._requests.submit(job.run, done, key="adjust")

    def _preview_job(self, predicted: PredictedComposite, settings: HarmonizeSettings) -> PreviewJob:
        """Return the inputs of the preview; the pixels along the edges are read when they are first needed."""
        detail = self._detail
        if settings.edges and self._edges is None:
            self._edges = edges_of_composite(self.layers[0], predicted)
        if settings.edges and self._detail_edges is None and detail:
            self._detail_edges = edges_of_detail(detail)
        return PreviewJob(
            predicted,
            settings,
            detail,
            edges=self._edges if settings.edges else None,
            detail_edges=self._detail_edges if settings.edges else None,
            meter=self._meter if settings.applies_finish else None,
            shadow=self._shadow if settings.shadow else None,
        )

    def _show_preview(self, job: PreviewJob, preview: Preview) -> None:
        composite, result = job.predicted.composite, job.predicted.result
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
        self._show_detail(preview)
        notes = preview_notes(self.layers, job, preview)
        self._view.show_notes(notes)
        before = stack.before if stack else with_alpha(composite.rgba, result.alpha)
        self._harmony.show(ShownPreview(result, composite.window, before, after, tuple(notes)))

    def _show_detail(self, preview: Preview) -> None:
        """Show the magnified part, unless another one was magnified meanwhile."""
        if preview.detail is None or preview.detail[0] is not self._detail:
            return
        part, rgba, matte = preview.detail
        tint = matte.mask.plane if matte else part.predicted or part.subject
        cut = matte.share.plane if matte and part.subject else part.subject
        cast = preview.shadow.rgba(self._image, part.window) if preview.shadow else b""
        self._view.show_detail(part.window, part.before, part.stack.after(rgba, cut, cast), tint)

    # -- parts that not every preview needs

    def _read_detail(self) -> None:
        predicted, window = self.predicted, self._magnified
        if predicted is None:
            return
        composite = predicted.composite
        if window is None and self._meter and composite.stack is None and composite.window.scale == 1:
            window = composite.window  # a finish needs the layer apart from what is below it
        if window:
            self._clear_detail()
            self._detail = read_detail(self._image, self.layers, self._read_settings(), predicted, window)

    def _read_sample(self, predicted: PredictedComposite) -> None:
        """Read the pixels in which the finish is measured, then update the preview."""

        def read(sample: FinishSample) -> None:
            self._meter = FinishMeter(predicted, sample)
            if self._detail is None:
                self._read_detail()
            self._adjust()

        def done(corners: list[tuple[int, int]]) -> None:
            if predicted is self.predicted and not self._sample.is_reading:
                steps = sample_steps(self._image, self.layers, self._read_settings(), predicted, corners)
                self._sample.start(steps, self._requests.post, self._is_valid, read)

        self._requests.submit(lambda engine, report: find_windows(engine, predicted, report), done, key="windows")

    def _estimate_shadow(self) -> None:
        """Ask for the automatic values of the shadow, and show them if they are wanted."""
        composite = self.composite
        if composite is None or self.predicted is None or self._read_settings().shadow is None:
            return

        def done(values: ShadowValues) -> None:
            if composite is self.composite:
                self._shadow, chosen = values, self._read_settings().shadow
                if chosen and chosen.automatic:
                    self._view.show_shadow_values(automatic_values(values))
                self._adjust()

        self._requests.submit(
            lambda engine, report: request_shadow_values(engine, composite, report), done, key="shadow"
        )

    def _score_harmony(self) -> None:
        """Show the harmony of a preview that has not changed since the last call."""
        shown = self._harmony.due()
        if shown is None:
            return

        def done(scores: HarmonyScores) -> None:
            if self._harmony.is_current(shown):
                self._view.show_notes(shown.notes_with(scores))

        self._requests.submit(lambda engine, _: engine.request(shown.request()), done, log_missing_score, key="harmony")
