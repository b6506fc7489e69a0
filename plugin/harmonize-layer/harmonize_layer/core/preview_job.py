# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a preview: its inputs, read in the dialog's thread, and the engine's results, computed in another one."""

from __future__ import annotations

from dataclasses import dataclass

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust, AdjustResult
from gimp_bridge.finish_messages import LayerFinish
from gimp_bridge.request_channel import ProgressCallback
from gimp_bridge.shadow_messages import ShadowValues
from harmonize_layer.core.composite import PredictedComposite
from harmonize_layer.core.detail import Detail
from harmonize_layer.core.edge_preview import EdgePreview
from harmonize_layer.core.finishing import FinishMeter, MeasuredLayer
from harmonize_layer.core.geometry import Window
from harmonize_layer.core.masks import RefinedMask
from harmonize_layer.core.rendering import render_composite, render_detail
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.shadows import ShadowPlane, chosen_values, render_shadow_plane


@dataclass(frozen=True)
class Preview:
    """The adjusted color map, and the results of `render_composite` and `render_detail` for it.

    refined: the mask with refined edges; None = the composite's own.
    finish: what was measured; None = no finish is applied.
    shadow: on the composite's window; None = no shadow is shown.
    """

    adjusted: AdjustResult
    rgba: bytes
    refined: RefinedMask | None
    detail: tuple[Detail, bytes, RefinedMask | None] | None
    finish: MeasuredLayer | None
    shadow: ShadowPlane | None = None


@dataclass(frozen=True)
class PreviewJob:
    """Inputs of a preview.

    predicted: the composite of the layer, and its prediction.
    settings: the sliders, and what else changes the result.
    detail: the magnified part; None = none is magnified.
    edges: of the composite; detail_edges: of the magnified part; None = the edges are not refined.
    meter: measures the finish; None = no finish is applied.
    shadow: automatic values of the shadow; None = no shadow is shown.
    """

    predicted: PredictedComposite
    settings: HarmonizeSettings
    detail: Detail | None = None
    edges: EdgePreview | None = None
    detail_edges: EdgePreview | None = None
    meter: FinishMeter | None = None
    shadow: ShadowValues | None = None

    def run(self, engine: EngineClient, report: ProgressCallback) -> Preview:
        """Ask the engine for all parts of the preview. Raises S2AMError."""
        settings, detail = self.settings, self.detail
        composite, result = self.predicted.composite, self.predicted.result
        samples = result.samples if settings.result == "effect" else b""
        request = Adjust(color_map=result.color_map, sliders=settings.sliders, samples=samples)
        adjusted = engine.request(request)
        finish = self.meter.measure(engine, settings.finish, adjusted.color_map, report) if self.meter else None

        def finish_of(window: Window) -> LayerFinish | None:
            return finish.at((window.area.x, window.area.y)) if finish else None

        part = None
        if detail:
            matte = self.detail_edges.refined(engine, settings.edges) if self.detail_edges else None
            part = detail, render_detail(engine, detail, adjusted, matte, finish_of(detail.window)), matte
        refined = self.edges.refined(engine, settings.edges) if self.edges else None
        rgba = render_composite(engine, self.predicted, adjusted, refined, finish_of(composite.window))
        shadow = self._shadow(engine, refined, report)
        return Preview(adjusted, rgba, refined, part, finish, shadow)

    def _shadow(
        self, engine: EngineClient, refined: RefinedMask | None, report: ProgressCallback
    ) -> ShadowPlane | None:
        composite = self.predicted.composite
        if self.shadow is None or self.settings.shadow is None or composite.stack is None:
            return None
        masks = composite.mask_planes
        if refined and composite.subject:
            masks[-1] = refined.share.plane
        values = chosen_values(self.settings.shadow, self.shadow)
        return render_shadow_plane(engine, composite, masks, values, report)
