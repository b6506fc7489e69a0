# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a color map of sRGB values to pixels in linear light."""

from __future__ import annotations

import os

import cv2
import numpy as np

from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.color.map_plans import PreparedMap
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import Floats, FractionCallback, Mask

_BLOCK_PIXELS = 1 << 15  # the few float copies of a block stay in the L2 cache


def apply_in_linear_light(
    color_map: ColorMap | PreparedMap, pixels: Floats, mask: Mask, progress: FractionCallback | None = None
) -> None:
    """Convert pixels within a mask to sRGB values, apply a color map there, and convert them back, in place.

    Pixels keep all bits where the mask is 0, and alpha does everywhere. See `apply_color_map`.

    Args:
        color_map: the map; a `PreparedMap` saves time in repeated calls.
        pixels: H×W×4, C-contiguous float32: linear light of sRGB's primaries in nominal [0, 1], and alpha.
        mask: H×W, uint8.
        progress: called occasionally with the fraction done; an exception that it raises cancels the work.
    """

    def render(rows: slice) -> None:
        left, top, width, height = cv2.boundingRect(mask[rows])
        if not width:
            return
        box = slice(rows.start + top, rows.start + top + height), slice(left, left + width)
        inside, block = np.ascontiguousarray(mask[box]), pixels[box].copy()
        colors = linear_to_srgb(cv2.cvtColor(block, cv2.COLOR_RGBA2RGB))
        apply_color_map(color_map, colors, inside, out=colors, workers=1)
        cv2.mixChannels([srgb_to_linear(colors)], [block], [0, 0, 1, 1, 2, 2])
        pixels[box] = cv2.copyTo(block, inside, pixels[box].copy())  # OpenCV writes only to contiguous rows

    height, width = mask.shape
    rows = max(1, _BLOCK_PIXELS // max(1, width))
    blocks = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    run_in_threads(render, blocks, progress, os.cpu_count() or 1)
    if progress:
        progress(1.0)
