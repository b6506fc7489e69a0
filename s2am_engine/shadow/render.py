# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a shadow from the alpha of its foreground, at full resolution."""

from __future__ import annotations

import cv2
import numpy as np

from s2am_engine.image.arrays import STRIP_PIXELS
from s2am_engine.shadow.cast import CastShadow
from s2am_engine.shadow.contact import ContactShadow
from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.projection import Box, Foreground, Projection
from s2am_engine.shadow.settings import Shadow
from s2am_engine.shadow.underside import Underside
from s2am_engine.types import Floats, Mask

_FULL = 65535
_INVISIBLE = 24  # of 65535: a tenth of an 8-bit level; below it the layer ends


def render_shadow(shadow: Shadow, silhouette: Silhouette, height: int, width: int) -> ShadowLayer:
    """Render the layer of a shadow.

    Columns in which the foreground reaches the lower border of the canvas cast no contact shadow, as they touch the
    ground outside of the image.

    Args:
        shadow: its values.
        silhouette: the foreground, with the parts outside the canvas if there are any.
        height: of the canvas.
        width: of the canvas.

    Returns:
        The layer, cropped to the part of the shadow on the canvas. Deterministic.
    """
    canvas = Box(0, 0, width, height)
    foreground = Foreground.of(silhouette)
    nothing = ShadowLayer(0, 0, np.zeros((0, 0), np.uint16), shadow.multiplier)
    if foreground is None:
        return nothing
    projection = Projection.of(shadow, foreground.box)
    underside = Underside.of(foreground, projection.ground, height)
    contact = ContactShadow(foreground, underside)
    contact_box = contact.reach.clip(canvas) if shadow.contact else Box(0, 0, 0, 0)
    cast = CastShadow(foreground, projection, shadow.softness, shadow.opacity, underside)
    is_cast = shadow.opacity > 0 and shadow.length * foreground.box.height >= 1
    cast_box = cast.reach.clip(canvas) if is_cast else Box(0, 0, 0, 0)
    box = cast_box.union(contact_box)
    if not (box.width and box.height):
        return nothing
    alpha = np.zeros((box.height, box.width), np.uint16)
    if cast_box.width and cast_box.height:
        part = alpha[_within(cast_box, box)]
        part[:] = cast.render(cast_box)
    if contact_box.width and contact_box.height:
        part = alpha[_within(contact_box, box)]
        _screen(part, contact.render(contact_box), shadow.contact)
    return _cropped(ShadowLayer(box.left, box.top, alpha, shadow.multiplier))


def _within(box: Box, outer: Box) -> tuple[slice, slice]:
    """Return rows and columns of a box in an array of an outer one."""
    return (
        slice(box.top - outer.top, box.bottom - outer.top),
        slice(box.left - outer.left, box.right - outer.left),
    )


def _screen(alpha: Mask, other: Floats, opacity: float) -> None:
    """Combine an alpha, uint16, with another one in [0, 1] at an opacity, in place: 1 - (1 - a)(1 - b)."""
    step = max(1, STRIP_PIXELS // alpha.shape[1])
    for top in range(0, len(alpha), step):
        rows = slice(top, top + step)
        below = alpha[rows].astype(np.float32)
        alpha[rows] = np.rint(below + (_FULL - below) * (opacity * other[rows]))


def _cropped(layer: ShadowLayer) -> ShadowLayer:
    """Remove invisible tails, and crop the layer to what remains."""
    alpha = np.asarray(cv2.threshold(layer.alpha, _INVISIBLE - 1, _FULL, cv2.THRESH_TOZERO)[1], np.uint16)
    left, top, width, height = cv2.boundingRect((alpha > 0).view(np.uint8))
    if not width:
        return ShadowLayer(0, 0, np.zeros((0, 0), np.uint16), layer.color)
    alpha = np.ascontiguousarray(alpha[top : top + height, left : left + width])
    return ShadowLayer(layer.left + left, layer.top + top, alpha, layer.color)
