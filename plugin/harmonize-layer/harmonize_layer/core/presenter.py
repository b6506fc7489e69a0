# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's behavior, apart from its widgets: the preview, and the commands that change the image or write files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gimp_bridge.background_queue import BackgroundQueue
from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import ModelInfo, ModelsRequest, ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.batch import HarmonizeBatch
from harmonize_layer.core.composite import PredictedComposite
from harmonize_layer.core.cube_file import write_cube
from harmonize_layer.core.engine_requests import EngineRequests
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.harmonizing import HarmonizeRun
from harmonize_layer.core.host import DialogView, HostImage, HostLayer
from harmonize_layer.core.live_preview import LivePreview
from harmonize_layer.core.masks import check_layer_mask, save_as_channel, save_as_layer_mask
from harmonize_layer.core.messages import LayerError, error_message
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.variants import VariantJob, variant_jobs
from s2am_common.errors import CancelledError, S2AMError


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
        self._view, self._image, self._read_settings = view, image, read_settings
        self._requests = EngineRequests(view, engine, new_queue)
        self._preview = LivePreview(view, image, layers, self._requests, read_settings)
        self._models: tuple[ModelInfo, ...] = ()

    @property
    def layers(self) -> Sequence[HostLayer]:
        """The layers to harmonize; after `apply` its results."""
        return self._preview.layers

    @property
    def previewed(self) -> PredictedComposite | None:
        """The composite and its prediction, if the preview is up to date."""
        return self._preview.current

    def start(self) -> None:
        """Ask the engine for its status and its models."""

        def list_models(engine: EngineClient, report: ProgressCallback) -> tuple[ModelInfo, ...]:
            report(ProgressUpdate(text=engine.status(report).text))
            return engine.request(ModelsRequest(), report).models

        def done(models: tuple[ModelInfo, ...]) -> None:
            self._models = models
            self._view.show_models(models)

        self._view.show_status("Reading the image", busy=True)
        self._requests.submit(list_models, done, key="models")

    def close(self) -> None:
        """End the requests and free the memory of the preview; called when the dialog is closed."""
        self._requests.close()
        self._preview.clear()

    # -- preview

    def update_composite(self) -> None:
        """Read the composite and predict its color map."""
        self._preview.read()

    def check_changes(self) -> None:
        """Update the preview if image, selection or layers have changed since it was made; called regularly."""
        if not self._requests.is_suspended:
            self._preview.check_changes()

    def settings_changed(self, name: str) -> None:
        """Update the preview after an argument has changed."""
        self._preview.settings_changed(name)

    def show_part(self, window: Window | None) -> None:
        """Show a part of the image at a higher resolution than the composite's; None = no part is magnified."""
        self._preview.show_part(window)

    def find_variants(self) -> None:
        """Show the layer harmonized in several ways, one after another."""
        predicted = self._preview.predicted
        if predicted is None:
            return
        for variant in variant_jobs(predicted, self._read_settings(), self._models):
            self._find_variant(variant)

    def _find_variant(self, variant: VariantJob) -> None:
        def done(rgba: bytes) -> None:
            if variant.predicted is self._preview.predicted:
                window = variant.predicted.composite.window
                self._view.show_variant(variant.model, variant.strength, window, variant.blended(rgba))
                self._requests.show_status()

        self._requests.submit(variant.run, done, key=("variant", variant.model, variant.strength))

    # -- commands

    def apply(self, progress: ProgressCallback) -> bool:
        """Harmonize the layers while the dialog stays open, and show the results as the layers to adjust further.

        Args:
            progress: called with each step; may raise CancelledError.

        Returns:
            Whether the image was changed.
        """
        previewed, messages_shown = self.previewed, []

        def harmonize(engine: EngineClient) -> None:
            settings = self._read_settings()
            batch = HarmonizeBatch(self._image, self.layers, settings, engine, progress, likeliest=True)
            done = batch.run(previewed)
            self._preview.follow(done.layers)
            messages_shown.extend([done.message] if done.message else [])

        cuts_out = previewed is not None and bool(previewed.composite.subject)
        if not self._change_image(harmonize):
            return False
        if cuts_out:
            self._reset_edges()
        self._preview.read()
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
        previewed, layer = self.previewed, self.layers[0]
        if previewed is None:
            return False

        def save(engine: EngineClient) -> None:
            if as_layer_mask:
                check_layer_mask(layer, predicted=previewed.result.mask_predicted)
            run = HarmonizeRun(self._image, [layer], self._read_settings(), engine, progress, likeliest=True)
            refined = run.refined_mask(layer, previewed)
            if as_layer_mask:
                save_as_layer_mask(self._image, layer, refined.share)
            else:
                save_as_channel(self._image, layer, refined.mask)

        if not self._change_image(save):
            return False
        if as_layer_mask:
            self._reset_edges()
            self._preview.read()
        self._view.show_status("The mask is a layer mask now." if as_layer_mask else "The mask is a channel now.")
        return True

    def save_cube(self, file: Path) -> None:
        """Write the color map that the preview shows to a .cube file, for other programs."""
        adjusted = self._preview.adjusted
        if adjusted is None:
            return
        self._requests.submit(
            lambda engine, report: write_cube(engine, adjusted.color_map, file, report),
            done=lambda _: self._view.show_status(f"Saved {file.name}"),
            failed=lambda error: self._view.show_status(error_message(error)),
            key="cube",
        )

    def _change_image(self, change: Callable[[EngineClient], None]) -> bool:
        """Change the image while no request runs; return whether it was changed rather than an error shown."""
        self._preview.stop_reading()
        with self._requests.suspended():
            try:
                change(self._requests.engine)
            except CancelledError:
                self._view.show_status("Stopped; the image is unchanged.")
                return False
            except (LayerError, S2AMError) as error:
                self._requests.show_error(error)
                return False
        return True

    def _reset_edges(self) -> None:
        """Set the edges to 0 after they have become part of a layer mask."""
        self._preview.clear()  # so that no preview is made for each value
        self._view.reset_edges()
