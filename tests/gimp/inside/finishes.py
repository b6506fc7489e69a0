# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the finish of a harmonized layer: grain, sharpness and edges."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.edges import EDGES
from tests.gimp.inside.retouching import add_blur, through_group
from tests.gimp.inside.support import (
    HEIGHT,
    WIDTH,
    Facts,
    add_mask,
    case,
    keep,
    keep_composite,
    outcome,
    paste,
    picture,
    visible,
)

EVERYTHING: Facts = {"light": 0.8, "grain": 3.0, "sharpness_automatic": True, "decontaminate": 1.0, "light_wrap": 0.75}


@case
def finished() -> Facts:
    """All stages, on a new layer in 8 bits and in place in 16 bits, then none on the new layer."""
    made = picture()
    layer = paste(made)
    eight: Facts = {"composite": keep_composite("finished-u8", made)}
    eight |= outcome("finished-u8", made, [layer], **EVERYTHING)
    eight["visible"] = keep("finished-visible", visible(made))
    again = outcome("finished-again", made, [made.get_layers()[0]])
    made = picture(Gimp.Precision.U16_NON_LINEAR)
    layer = paste(made, pixels="pasted16", encoding="R'G'B'A u16")
    sixteen: Facts = {"composite": keep_composite("finished-u16", made)}
    sixteen |= outcome("finished-u16", made, [layer], "R'G'B'A u16", result="in-place", **EVERYTHING)
    return {"u8": eight, "u16": sixteen, "again": again}


@case
def finished_edges() -> Facts:
    """All stages together with refined edges of the mask, on a new layer."""
    made = picture()
    layer = paste(made)
    facts: Facts = {"composite": keep_composite("finished-edges", made)}
    arguments: Facts = EDGES | EVERYTHING
    return facts | outcome("finished-edges", made, [layer], **arguments)


@case
def visible_parts() -> Facts:
    """Parts of an image with groups, modes, masks and effects, also beyond the canvas, and the whole image."""
    from harmonize_layer.core.geometry import PixelArea
    from harmonize_layer.core.layers import temporary
    from harmonize_layer.gimp.images import GimpImage

    made = picture()
    through_group(made)
    group = Gimp.GroupLayer.new(made, "masked")
    made.insert_layer(group, None, 0)
    child = paste(made, "child", at=(250, 190), parent=group)
    add_mask(child)
    add_blur(child)
    group.set_mode(Gimp.LayerMode.SCREEN)
    areas = [(0, 0, 96, 96), (200, 150, 96, 96), (90, 70, 96, 96), (260, 180, 96, 96)]
    copy = GimpImage(made).duplicate()
    with temporary(copy):
        parts = list(copy.visible_parts([PixelArea(*area) for area in areas], crops=True))
        afterwards = visible(copy.wrapped)
    of_image = list(GimpImage(made).visible_parts([PixelArea(*area) for area in areas], crops=False))
    whole = keep("parts-whole", visible(made))
    return {
        "areas": areas,
        "parts": keep("parts", b"".join(parts)),
        "same without cropping": parts == of_image,
        "whole": whole,
        "size": [WIDTH, HEIGHT],
        "afterwards": keep("parts-afterwards", afterwards),
    }
