# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the shadow below a harmonized layer."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import (
    AT,
    HEIGHT,
    PASTED,
    WIDTH,
    Facts,
    call,
    case,
    every_layer,
    keep,
    paste,
    picture,
    read,
    visible,
)

CAST = {"shadow": True, "shadow_automatic": False, "shadow_length": 1.0, "shadow_direction": 120.0}


@case
def shadow() -> Facts:
    """The canvas with and without the shadow's layer, and the layer itself."""
    found: Facts = {}
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "FLOAT_LINEAR"):
        made = picture(getattr(Gimp.Precision, precision))
        layer = paste(made)
        facts = call(made, [layer], **CAST)
        below = made.get_layers()[2]
        _, x, y = below.get_offsets()
        facts |= {
            "names": [each.get_name() for each in made.get_layers()],
            "selected": [each.get_name() for each in made.get_selected_layers()],
            "mode": below.get_mode().value_nick,
            "spaces": [below.get_blend_space().value_nick, below.get_composite_space().value_nick],
            "area": [x, y, below.get_width(), below.get_height()],
            "opacity": keep(f"shadow-opacity-{precision}", read(below, "R'G'B'A u16")),
            "with": keep(f"shadow-with-{precision}", visible(made)),
        }
        below.set_visible(False)
        facts["without"] = keep(f"shadow-without-{precision}", visible(made))
        made.get_layers()[0].set_visible(False)
        facts["background"] = keep(f"shadow-background-{precision}", visible(made))
        found[precision] = facts
    return found


@case
def shadow_again() -> Facts:
    """Automatic values, then another run without a shadow."""
    made = picture(size=(WIDTH, HEIGHT))
    answers = [call(made, [paste(made)], shadow=True)]
    first = [each.get_name() for each in made.get_layers()]
    answers.append(call(made, [made.get_layers()[0]], shadow=False))
    return {"answers": answers, "first": first, "second": [each.get_name() for each in made.get_layers()]}


@case
def shadow_in_a_group() -> Facts:
    """The shadow of a layer in a group of mode Normal, with and without the background in it."""
    found: Facts = {}
    for name in ("alone", "with background"):
        made = picture()
        group = Gimp.GroupLayer.new(made, "group")
        made.insert_layer(group, None, 0)
        if name == "with background":
            made.reorder_item(made.get_layers()[1], group, 0)
        layer = paste(made, parent=group)
        before = visible(made)
        call(made, [layer], strength=0.0, **CAST)
        places = [[each.get_name() for each in layers] for layers in (group.get_children(), made.get_layers())]
        found[name] = [*places, visible(made) != before]
    return found


def grouped(made: Gimp.Image, mode: str = "NORMAL", opacity: float = 100) -> Gimp.GroupLayer:
    group = Gimp.GroupLayer.new(made, "group")
    made.insert_layer(group, None, 0)
    group.set_mode(getattr(Gimp.LayerMode, mode))
    group.set_opacity(opacity)
    return group


def above_a_veil(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made)
    paste(made, "veil", at=(AT[0] + 20, AT[1] + 30), pixels="opaque", parent=group).set_opacity(50)
    return paste(made, parent=group)


def above_a_small_layer(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made)
    paste(made, "small", at=(AT[0] - 30, AT[1] + 10), pixels="opaque", parent=group)
    return paste(made, parent=group)


def with_the_background_in_a_half_opaque_group(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made, opacity=60)
    copy = made.get_layers()[1].copy()
    made.insert_layer(copy, group, 0)
    copy.invert(False)
    return paste(made, parent=group)


def mask_to_the_layer(made: Gimp.Image, group: Gimp.GroupLayer) -> None:
    """Give a group a mask that shows the rectangle of the pasted layer."""
    made.select_rectangle(Gimp.ChannelOps.REPLACE, *AT, *PASTED)
    group.add_mask(group.create_mask(Gimp.AddMaskType.SELECTION))
    Gimp.Selection.none(made)


def in_a_masked_group(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made)
    made.insert_layer(made.get_layers()[1].copy(), group, 0)
    layer = paste(made, parent=group)
    mask_to_the_layer(made, group)
    return layer


def alone_in_a_masked_group_that_passes_through(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made, "PASS_THROUGH")
    layer = paste(made, parent=group)
    mask_to_the_layer(made, group)
    return layer


def in_a_multiplied_group(made: Gimp.Image) -> Gimp.Layer:
    group = grouped(made, "MULTIPLY")
    made.insert_layer(made.get_layers()[1].copy(), group, 0)
    return paste(made, parent=group)


def in_nested_groups(made: Gimp.Image) -> Gimp.Layer:
    outer = grouped(made)
    paste(made, "veil", at=(AT[0] + 20, AT[1] + 30), pixels="opaque", parent=outer).set_opacity(50)
    inner = Gimp.GroupLayer.new(made, "inner")
    made.insert_layer(inner, outer, 0)
    paste(made, "small", at=(AT[0] - 30, AT[1] + 10), pixels="opaque", parent=inner)
    return paste(made, parent=inner)


GROUPS = (
    above_a_veil,
    above_a_small_layer,
    with_the_background_in_a_half_opaque_group,
    in_a_masked_group,
    alone_in_a_masked_group_that_passes_through,
    in_a_multiplied_group,
    in_nested_groups,
)


@case
def shadow_in_groups() -> Facts:
    """The canvas with and without the shadow of a layer in a group, and again after a further run without one."""
    found: Facts = {}
    for arrange in GROUPS:
        made = picture()
        layer = arrange(made)
        without = keep(f"{arrange.__name__}-without", visible(made))
        facts = call(made, [layer], result="in-place", strength=0.0, **CAST)
        shadows = [each for each in every_layer(made) if "shadow" in each.get_name()]
        (_, x, y) = shadows[0].get_offsets()
        facts |= {
            "places": [getattr(each.get_parent(), "get_name", str)() for each in shadows],
            "area": [x, y, shadows[0].get_width(), shadows[0].get_height()],
            "opacity": keep(f"{arrange.__name__}-opacity", read(shadows[0], "R'G'B'A u16")),
            "with": keep(f"{arrange.__name__}-with", visible(made)),
            "without": without,
        }
        call(made, [layer], result="in-place", strength=0.0, shadow=False)
        facts["removed"] = keep(f"{arrange.__name__}-removed", visible(made))
        found[arrange.__name__] = facts
    return found


@case
def shadow_preview() -> Facts:
    """A harmonized layer with its shadow, blended by the preview, and the canvas that it stands for."""
    from harmonize_layer.core.geometry import PixelArea, Window
    from harmonize_layer.core.layers import temporary
    from harmonize_layer.gimp.images import GimpImage, GimpLayer

    found: Facts = {}
    for precision in ("U8_NON_LINEAR", "FLOAT_LINEAR"):
        made = picture(getattr(Gimp.Precision, precision))
        call(made, [paste(made)], **CAST)
        window = Window(PixelArea(0, 0, WIDTH, HEIGHT), 1.0)
        new, _original, below = (GimpLayer(layer) for layer in made.get_layers()[:3])
        shown, cast = (each.read("R'G'B'A u8", window.relative_to(each.position)) for each in (new, below))
        copy = GimpImage(made).duplicate()
        with temporary(copy):
            top, twin, shadow_twin = copy.wrapped.get_layers()[:3]
            for gone in (top, shadow_twin):
                copy.wrapped.remove_layer(gone)
            twin.set_visible(True)
            stack = copy.preview_stack(GimpLayer(twin), [], window)
            after = stack.after(shown, shadow=cast)
            stack.delete()
        found[precision] = {
            "status": "success",
            "after": keep(f"shadow-preview-{precision}", after),
            "visible": keep(f"shadow-preview-visible-{precision}", visible(made)),
        }
    return found
