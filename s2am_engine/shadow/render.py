# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a shadow from the alpha of its foreground, at full resolution."""

from __future__ import annotations

import cv2
import numpy as np

from s2am_engine.image.arrays import STRIP_PIXELS
from s2am_engine.image.rect import EMPTY_RECT, Rect
from s2am_engine.shadow.cast import CastShadow
from s2am_engine.shadow.contact import ContactShadow
from s2am_engine.shadow.layer import INVISIBLE, ShadowLayer, Silhouette
from s2am_engine.shadow.projection import Foreground, Projection, bounds_of
from s2am_engine.shadow.settings import Shadow
from s2am_engine.shadow.underside import Underside
from s2am_engine.types import Mask

_FULL = 65535


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
    if shadow.turns:
        return _rendered_before_turns(shadow, silhouette, (width, height))
    canvas = Rect(0, 0, width, height)
    foreground = Foreground.of(silhouette)
    nothing = ShadowLayer(0, 0, np.zeros((0, 0), np.uint16), shadow.multiplier)
    if foreground is None:
        return nothing
    projection = Projection.of(shadow, foreground.box)
    underside = Underside.of(foreground, projection.ground, height)
    contact = ContactShadow(foreground, underside)
    contact_box, dark = EMPTY_RECT, np.zeros((0, 0), np.uint16)
    reach = contact.reach.intersection(canvas)
    if shadow.contact and reach.width and reach.height:
        contact_box, dark = contact.render(reach)
    cast = CastShadow(foreground, projection, shadow.softness, shadow.opacity, underside)
    is_cast = shadow.opacity > 0 and shadow.length * foreground.box.height >= 1
    cast_box = cast.reach.intersection(canvas) if is_cast else EMPTY_RECT
    box = cast_box.union(contact_box)
    if not (box.width and box.height):
        return nothing
    casts = cast_box.width and cast_box.height
    alpha = cast.render(box) if casts else np.zeros((box.height, box.width), np.uint16)
    if dark.size:
        _screen(alpha[_within(contact_box, box)], dark, shadow.contact)
    return _cropped(ShadowLayer(box.left, box.top, alpha, shadow.multiplier))


def _rendered_before_turns(shadow: Shadow, silhouette: Silhouette, size: tuple[int, int]) -> ShadowLayer:
    """Render a shadow in the image before its quarter turns, and turn the layer; `size`: of the canvas after them."""
    width, height = size if shadow.turns == 2 else size[::-1]
    upright = silhouette.turned(-shadow.turns, size)
    layer = render_shadow(shadow.turned(-shadow.turns), upright, height, width)
    return layer.turned(shadow.turns, (width, height))


def _within(box: Rect, outer: Rect) -> tuple[slice, slice]:
    """Return rows and columns of a box in an array of an outer one."""
    return (
        slice(box.top - outer.top, box.bottom - outer.top),
        slice(box.left - outer.left, box.right - outer.left),
    )


def _screen(alpha: Mask, other: Mask, opacity: float) -> None:
    """Combine an alpha, uint16, with another one at an opacity, in place: 1 - (1 - a)(1 - b)."""
    step = max(1, STRIP_PIXELS // alpha.shape[1])
    for top in range(0, len(alpha), step):
        rows = slice(top, top + step)
        below = alpha[rows].astype(np.float32)
        alpha[rows] = np.rint(below + (_FULL - below) * (np.float32(opacity / _FULL) * other[rows]))


def _cropped(layer: ShadowLayer) -> ShadowLayer:
    """Remove invisible tails in place, and crop the layer to what remains."""
    alpha = layer.alpha
    cv2.threshold(alpha, INVISIBLE - 1, _FULL, cv2.THRESH_TOZERO, dst=alpha)
    box = bounds_of(alpha, INVISIBLE)
    if box is None:
        return ShadowLayer(0, 0, np.zeros((0, 0), np.uint16), layer.color)
    part = alpha[box.top : box.bottom, box.left : box.right]  # a view: copying would double the memory
    return ShadowLayer(layer.left + box.left, layer.top + box.top, part, layer.color)
