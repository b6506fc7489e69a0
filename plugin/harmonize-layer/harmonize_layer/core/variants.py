# SPDX-License-Identifier: GPL-3.0-or-later
"""Several ways of harmonizing a layer, to compare them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import ModelInfo
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.composite import PredictedComposite, request_color_map
from harmonize_layer.core.preview_job import PreviewJob
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.core.settings import HarmonizeSettings
from s2am_common.variants import first_variants


@dataclass(frozen=True)
class VariantJob:
    """One way of harmonizing the layer of a composite, colors only.

    model, strength: the arguments that it differs in.
    predicted: the composite, and its prediction with the selected model.
    """

    model: str
    strength: float
    predicted: PredictedComposite
    settings: HarmonizeSettings

    def run(self, engine: EngineClient, report: ProgressCallback) -> bytes:
        """Return the result of `render_composite` for it. Raises S2AMError."""
        predicted = self.predicted
        if self.model != self.settings.model:
            composite, mask = predicted.composite, predicted.predicted_mask
            request = composite.request(self.model, likeliest=True, predicted=mask)
            result = request_color_map(engine, composite, request, report)
            predicted = PredictedComposite(composite, result)
        settings = replace(self.settings, sliders=self.settings.sliders | {"strength": self.strength})
        return PreviewJob(predicted, settings).run(engine, report).rgba

    def blended(self, rgba: bytes) -> bytes:
        """Return the composite with the pixels of `run`, RGBA."""
        stack = self.predicted.composite.stack
        return stack.after(rgba) if stack else with_alpha(rgba, self.predicted.result.alpha)


def variant_jobs(
    predicted: PredictedComposite, settings: HarmonizeSettings, models: Sequence[ModelInfo]
) -> list[VariantJob]:
    """Return the variants of a composite.

    Args:
        predicted: the composite, and its prediction.
        settings: with the selected model.
        models: all models, the default first.
    """
    names = [model.name for model in models]
    selected = settings.model or next(iter(names), "")
    settings = replace(settings, model=selected)
    strength = settings.sliders.get("strength", 1.0)
    return [
        VariantJob(name, round(share * strength, 2), predicted, settings)
        for name, share in first_variants(selected, names)
    ]
