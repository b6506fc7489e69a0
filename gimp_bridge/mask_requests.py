# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of the client about masks."""

from __future__ import annotations

import numpy as np

from gimp_bridge.mask_messages import MaskRefined, RefineMask
from gimp_bridge.model_cache import ReportText
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.types import FractionCallback


def refine_layer_mask(request: RefineMask, report: ReportText, check: FractionCallback) -> MaskRefined:
    """Refine the edges of a mask.

    Args:
        request: see `RefineMask`.
        report: called with the current step.
        check: called with the fraction done; raises if the request was canceled.
    """
    report("Refining the edges of the mask")
    size = request.height, request.width
    pixels = np.frombuffer(request.pixels, np.uint8).reshape(*size, 4)[..., :3]
    mask = np.frombuffer(request.mask, np.uint8).reshape(size)
    edges = EdgeSettings.from_values(request.edges)
    return MaskRefined(mask=refine_edges(mask, edges, np.ascontiguousarray(pixels), check).tobytes())
