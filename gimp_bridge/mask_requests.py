# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's responses to the requests for masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gimp_bridge.effective_mask import Plane, effective_mask, multiply_planes
from gimp_bridge.mask_messages import RefineMask, SelectSubject, SubjectResponse
from gimp_bridge.model_cache import ModelCache, ReportText
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.types import FractionCallback


def select_layer_subject(request: SelectSubject, models: ModelCache, report: ReportText) -> SubjectResponse:
    """Select the subject of a layer or a composite.

    Raises:
        MaskError, EngineError: see `SelectSubject`.
    """
    rgba = np.frombuffer(request.pixels, np.uint8).reshape(request.height, request.width, 4)
    selector = models.subject_selector(request.model, report)
    report("Selecting the subject")
    with models.computing():
        subject = selector.select(
            np.ascontiguousarray(rgba[..., :3]), alpha=np.ascontiguousarray(rgba[..., 3]), likeliest=request.likeliest
        )
    return SubjectResponse(
        mask=subject.mask.tobytes(), confidence=subject.confidence, certain=subject.is_certain, model=subject.model
    )


def refine_layer_mask(
    request: RefineMask,
    pixels: NDArray[np.uint8],
    planes: Sequence[Plane],
    report: ReportText,
    check: FractionCallback,
) -> tuple[Plane, Plane]:
    """Refine the edges of a layer's mask: its opacity × the predicted mask. The selection limits the result.

    Args:
        request: see `RefineMask`.
        pixels: H×W×4, the layer on its own.
        planes: H×W each, in the order of `RefineMask`.
        report: called with the current step.
        check: called with the fraction done; raises if the request was canceled.

    Returns:
        The mask, H×W, nowhere above the layer's opacity; and its share of that opacity, H×W. Blending the layer with
        the share as a further mask gives the mask.
    """
    report("Refining the edges of the mask")
    remaining = list(planes)
    predicted = remaining.pop() if request.predicted else None
    selection = remaining.pop() if request.selection else None
    opacity = effective_mask(np.ascontiguousarray(pixels[..., 3]), remaining)
    foreground = opacity if predicted is None else multiply_planes(opacity, predicted)
    colors = np.ascontiguousarray(pixels[..., :3])
    refined = refine_edges(foreground, EdgeSettings.from_values(request.edges), colors, check)
    mask: Plane = np.minimum(refined, opacity)
    share = _share(mask, opacity)
    if selection is None:
        return mask, share
    return multiply_planes(mask, selection), multiply_planes(share, selection)


def _share(part: Plane, whole: Plane) -> Plane:
    """Return part / whole, rounded to 8 bits; 0 where both are 0."""
    scaled: NDArray[np.uint16] = np.multiply(part, 255, dtype=np.uint16)
    scaled += whole // 2
    scaled //= np.maximum(whole, 1)
    return scaled.astype(np.uint8)
