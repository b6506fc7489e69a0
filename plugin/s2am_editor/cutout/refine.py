# SPDX-License-Identifier: GPL-3.0-or-later
"""Making masks, and changing whole masks: from alpha, inverted, together, softer, wider."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from s2am_editor.document.mask import Levels, Mask
from s2am_editor.document.model import Layer
from s2am_engine.errors import EngineError
from s2am_engine.image.masks import full_scale
from s2am_engine.inference.network_input import to_bytes

Together = Literal["replace", "add", "subtract", "intersect"]


def from_alpha(layer: Layer) -> Mask:
    """A layer's own transparency as a mask that can be painted on.

    Raises:
        EngineError: it has none.
    """
    alpha = layer.raster.alpha
    if alpha is None or alpha.min() >= full_scale(alpha.dtype):
        raise EngineError(f"“{layer.name}” has no transparency: draw a box around its subject, or paint a mask.")
    return Mask.from_array(to_bytes(alpha))


def inverted(mask: Mask) -> Mask:
    """What was foreground becomes background, and the reverse."""
    return Mask.from_array(255 - mask.to_array())


def together(mask: Mask, other: Mask, how: Together) -> Mask:
    """A mask replaced by, widened by, without, or within another of its size."""
    if how == "replace":
        return other
    area = other.rect if how == "intersect" else other.box()
    if area.is_empty:
        return mask
    ours, theirs = mask.read(area), other.read(area)
    if how == "add":
        values: Levels = np.maximum(ours, theirs)
    else:
        values = np.minimum(ours, theirs if how == "intersect" else 255 - theirs)
    return mask.replaced(area.left, area.top, values)


def feathered(mask: Mask, radius: float) -> Mask:
    """Edges made soft over about `radius` pixels to both sides."""
    area = mask.box().grown(int(2 * radius) + 1).within(mask.rect)
    if radius <= 0 or area.is_empty:
        return mask
    # What lies beyond the mask's edges repeats: a foreground that touches them stays full there.
    soft = cv2.GaussianBlur(mask.read(area), (0, 0), radius / 2, borderType=cv2.BORDER_REPLICATE)
    return mask.replaced(area.left, area.top, np.asarray(soft, np.uint8))


def grown(mask: Mask, pixels: float) -> Mask:
    """Foreground wider by some pixels all around, or narrower if they are below 0; its edge becomes one pixel soft."""
    area = mask.box().grown(int(max(0.0, pixels)) + 2).within(mask.rect)
    if pixels == 0 or area.is_empty:
        return mask
    values = mask.read(area)
    # Distances to the other side: outside of the foreground when it grows, inside when it shrinks.
    side = (values < 128) if pixels > 0 else (values >= 128)
    if side.all() or not side.any():
        return mask
    distance = cv2.distanceTransform(side.view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    share = np.clip(pixels + 1 - distance if pixels > 0 else distance + pixels, 0, 1)
    return mask.replaced(area.left, area.top, np.rint(share * 255).astype(np.uint8))
