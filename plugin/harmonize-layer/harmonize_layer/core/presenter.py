# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's behavior, apart from its widgets: requests to the engine and updates of the preview."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gimp_bridge import protocol
from gimp_bridge.client import BackgroundQueue, EngineClient, PixelLayout, PixelSource
from gimp_bridge.protocol import Adjust, AdjustResult, HarmonizeResponse, ProgressUpdate
from harmonize_layer.core.composite import LayerComposite, predict_color_map, read_composite
from harmonize_layer.core.harmonizing import NOTICEABLE_RMSE
from harmonize_layer.core.host import DialogView, HostImage, HostLayer
from harmonize_layer.core.messages import LayerError, error_message
from harmonize_layer.core.metadata import load_metadata
from harmonize_layer.core.settings import HarmonizeSettings
from s2am_common.sliders import SLIDERS

COMPOSITE_SETTINGS = ("reference", "reference-layer", "mask")
"""The arguments that change the composite."""

LOW_CONFIDENCE = 0.6
"""Confidence below which the dialog mentions it."""


@dataclass(frozen=True)
class Preview:
    """The adjusted color map, and the composite with it."""

    adjusted: AdjustResult
    rgba: bytes


class DialogPresenter:
    """Connects the dialog's widgets with the engine. All methods are called in the dialog's thread."""

    def __init__(
        self,
        view: DialogView,
        image: HostImage,
        layers: Sequence[HostLayer],
        engine: EngineClient,
        read_settings: Callable[[], HarmonizeSettings],
        queue: BackgroundQueue,
    ) -> None:
        """Store the dialog's parts.

        Args:
            view: the widgets.
            image: the image.
            layers: the layers to harmonize; the first one is shown.
            engine: used by the jobs in the queue.
            read_settings: returns the current settings.
            queue: carries out requests in another thread.
        """
        self._view, self._image, self._layers = view, image, layers
        self._engine, self._read_settings, self._queue = engine, read_settings, queue
        self._composite: LayerComposite | None = None
        self._result: HarmonizeResponse | None = None

    @property
    def previewed(self) -> tuple[LayerComposite, HarmonizeResponse] | None:
        """The composite and the engine's result, if the preview is up to date."""
        return (self._composite, self._result) if self._composite and self._result else None

    def start(self) -> None:
        """Ask the engine for its status and its models."""
        self._view.show_status("Reading the image", busy=True)
        self._queue.submit(self._list_models, self._show_models, self._show_error, key="models")

    def settings_changed(self, name: str) -> None:
        """Update the preview after an argument has changed."""
        if name in COMPOSITE_SETTINGS:
            self.update_composite()
        elif name == "model":
            self._predict()
        elif name in SLIDERS or name == "result":
            self._adjust()

    def update_composite(self) -> None:
        """Read the composite and predict its color map."""
        self._composite = self._result = None
        try:
            composite = read_composite(self._image, self._layers[0], self._layers[1:], self._read_settings())
        except LayerError as error:
            self._show_error(error)
            return
        self._composite = composite
        self._view.show_before(composite.window, composite.rgba, b"", tinted=False)
        self._predict()

    def _list_models(self) -> tuple[protocol.ModelInfo, ...]:
        self._report(ProgressUpdate(text=self._engine.status(self._report).text))
        return self._engine.models(self._report)

    def _show_models(self, models: tuple[protocol.ModelInfo, ...]) -> None:
        self._view.show_models(models)

    def _predict(self) -> None:
        """Predict the color map of the composite; a predicted mask is kept."""
        composite, before = self._composite, self._result
        self._result = None
        if composite is None:
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

    def _show_result(self, composite: LayerComposite, result: HarmonizeResponse) -> None:
        if composite is not self._composite:
            return
        self._result = result
        rgba = with_alpha(composite.rgba, result.alpha)
        self._view.show_before(composite.window, rgba, result.mask, tinted=result.mask_predicted)
        self._queue.submit(lambda: self._engine.status(self._report), self._show_ready, self._show_error, key="status")
        self._adjust()

    def _adjust(self) -> None:
        """Update the preview for the current sliders."""
        composite, result = self._composite, self._result
        if composite is None or result is None:
            return
        settings = self._read_settings()
        samples = result.samples if settings.result == "effect" else b""
        request = Adjust(color_map=result.color_map, sliders=settings.sliders, samples=samples)

        def job() -> Preview:
            adjusted = self._engine.adjust(request)
            return Preview(adjusted, render_composite(self._engine, composite, result, adjusted))

        def done(preview: Preview) -> None:
            if result is self._result:
                rgba = with_alpha(preview.rgba, result.alpha)
                self._view.show_after(composite.window, rgba, result.mask)
                self._view.show_notes(self._notes(result, preview.adjusted))

        self._queue.submit(job, done, self._show_error, key="adjust")

    def _notes(self, result: HarmonizeResponse, adjusted: AdjustResult) -> list[str]:
        notes = []
        if not result.mask_certain:
            notes.append("Perhaps nothing was pasted here: check that the tinted part is what you mean.")
        if result.confidence < LOW_CONFIDENCE:
            notes.append(f"Low confidence ({result.confidence:.0%}): the change is reduced.")
        if adjusted.rmse > NOTICEABLE_RMSE:
            notes.append(f"As an effect the colors differ by about {adjusted.rmse:.1f} of 255 from the full map.")
        before = load_metadata(self._layers[0])
        if before and before.result != "in-place" and (before.result == "effect" or before.original):
            notes.append("It starts again from the original colors.")
        if before and before.result == "in-place":
            notes.append("It was harmonized in place before: its original colors are gone.")
        if len(self._layers) > 1:
            notes.append(f"Shown: the first of {len(self._layers)} layers.")
        return notes

    def _report(self, update: ProgressUpdate) -> None:
        """Show progress; called in the thread of the queue."""
        self._queue.post(self._view.show_status, update.text, True)

    def _show_ready(self, status: protocol.EngineStatus) -> None:
        self._view.show_status(f"The engine is {status.text}" if status.state == "ready" else status.text)

    def _show_error(self, error: Exception) -> None:
        self._view.clear_after()
        self._view.show_notes([])
        self._view.show_status(error_message(error))


def render_composite(
    engine: EngineClient, composite: LayerComposite, result: HarmonizeResponse, adjusted: AdjustResult
) -> bytes:
    """Return the composite with its foreground recolored, RGBA."""
    columns, rows = composite.window.columns, composite.window.rows
    parts: dict[int, bytes] = {}

    def rows_of(data: bytes, size: int) -> Callable[[int, int], bytes]:
        return lambda top, count: data[top * columns * size : (top + count) * columns * size]

    def write(top: int, _count: int, data: bytes) -> None:
        parts[top] = data

    source = PixelSource(rows_of(composite.rgba, 4), predicted=rows_of(result.mask, 1))
    engine.render(adjusted.effect or adjusted.color_map, PixelLayout(columns, rows), source, write)
    return b"".join(parts[top] for top in sorted(parts))


def with_alpha(rgba: bytes, alpha: bytes) -> bytes:
    """Return RGBA pixels with another alpha."""
    changed = bytearray(rgba)
    changed[3::4] = alpha
    return bytes(changed)
