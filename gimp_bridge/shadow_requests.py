# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's responses to the requests for shadows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gimp_bridge.effective_mask import Plane, effective_mask
from gimp_bridge.shadow_messages import EstimateShadow, RenderShadow, ShadowValues
from s2am_common.errors import MaskError
from s2am_engine.shadow.estimate import estimate_shadow
from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow


def estimate_layer_shadow(request: EstimateShadow) -> ShadowValues:
    """Estimate the shadow of a layer. Raises MaskError if nothing of it is visible."""
    shape = request.height, request.width
    rgba = np.frombuffer(request.pixels, np.uint8).reshape(*shape, 4)
    alpha = effective_mask(
        np.frombuffer(request.layer_alpha, np.uint8).reshape(shape),
        np.frombuffer(request.layer_masks, np.uint8).reshape(-1, *shape),
    )
    if not alpha.any():
        raise MaskError("No visible part of the layer lies on the canvas.", code="mask.empty")
    visible: Plane = np.where(alpha == 0, rgba[..., 3], 0).astype(np.uint8)
    estimate = estimate_shadow(np.ascontiguousarray(rgba[..., :3]), Silhouette(alpha), visible)
    return ShadowValues(
        sliders=estimate.shadow.values, color=estimate.shadow.color, evidence=estimate.evidence, notes=estimate.notes
    )


def render_layer_shadow(request: RenderShadow, silhouette: Plane, dtype: type[Any]) -> tuple[ShadowLayer, NDArray[Any]]:
    """Render the shadow of a silhouette, h×w, and return the layer and its opacity in a dtype."""
    red, green, blue = request.color
    shadow = Shadow(color=(red, green, blue)).replace(**request.sliders)
    placed = Silhouette(silhouette, request.left, request.top)
    layer = render_shadow(shadow, placed, request.canvas_height, request.canvas_width)
    return layer, layer.opacity(dtype)
