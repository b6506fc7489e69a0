# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the shadow below a harmonized layer."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import HEIGHT, WIDTH, Facts, call, case, keep, paste, picture, read, visible

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
