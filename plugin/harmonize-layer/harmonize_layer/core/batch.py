# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing the selected layers of one image or of all open ones, with one undo step in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gimp_bridge.client import EngineClient
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.composite import PredictedComposite
from harmonize_layer.core.harmonizing import HarmonizeRun, Stopwatch, numbered
from harmonize_layer.core.host import HostImage, HostLayer
from harmonize_layer.core.layers import find_layers
from harmonize_layer.core.messages import LayerError, error_message, partly_done
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.starting_point import with_results
from s2am_common.errors import EngineError


@dataclass(frozen=True)
class BatchResult:
    """The harmonized layers of the first image, and a message on the images that are unchanged ("" = none)."""

    layers: Sequence[HostLayer]
    message: str = ""


@dataclass(frozen=True)
class HarmonizeBatch:
    """One call of the procedure.

    image, layers: the image that the procedure was called for, and its layers to harmonize.
    settings: with `all_images`, the selected layers of the other open images are harmonized as well.
    engine: used by nothing else meanwhile.
    progress: called with each step; may raise CancelledError.
    likeliest: see `Harmonize`.
    """

    image: HostImage
    layers: Sequence[HostLayer]
    settings: HarmonizeSettings
    engine: EngineClient
    progress: ProgressCallback
    likeliest: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    def run(self, previewed: PredictedComposite | None = None) -> BatchResult:
        """Harmonize all images, continuing after one that cannot be harmonized.

        Args:
            previewed: the composite of the first layer and its prediction, if the dialog has them.

        Raises:
            LayerError: the image cannot be harmonized, and no other one is open or wanted.
            S2AMError: the engine failed, or the operation was canceled.
        """
        others = list(self.image.others) if self.settings.all_images else []
        if not others:
            return BatchResult(self._harmonize(self.image, self.layers, self.progress, previewed))
        layers, failures = self.layers, []
        for number, image in enumerate([self.image, *others]):
            progress = numbered(self.progress, number, 1 + len(others))
            try:
                if number == 0:
                    layers = self._harmonize(image, self.layers, progress, previewed)
                else:
                    self._harmonize(image, find_layers(image, with_results(image.drawables)), progress, None)
            except (LayerError, EngineError) as error:
                failures.append(f"{image.name}: {error_message(error)}")
        return BatchResult(layers, partly_done(failures) if failures else "")

    def _harmonize(
        self,
        image: HostImage,
        layers: Sequence[HostLayer],
        progress: ProgressCallback,
        previewed: PredictedComposite | None,
    ) -> Sequence[HostLayer]:
        run = HarmonizeRun(image, layers, self.settings, self.engine, progress, self.likeliest, self.stopwatch)
        return run.run(previewed)
