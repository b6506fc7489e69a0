# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of depths and profiles, arguments, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp

from tests.gimp.inside.support import (
    Facts,
    call,
    case,
    keep,
    keep_composite,
    native,
    outcome,
    paste,
    picture,
    read,
    state,
)

ENCODINGS = {"pasted": "R'G'B'A u8", "pasted16": "R'G'B'A u16", "wide": "R'G'B'A float"}


# -- depths and profiles


def deep(
    name: str,
    precision: Gimp.Precision,
    encoding: str,
    pixels: str = "pasted",
    profile: Gimp.ColorProfile | None = None,
    gray: bool = False,
    **arguments: Any,
) -> Facts:
    made = picture(precision, profile, gray=gray)
    layer = paste(made, pixels=pixels, encoding=ENCODINGS[pixels])
    shown = keep_composite(name, made)
    own = native(layer)
    raw = keep(f"{name}-raw", read(layer, own))
    result = {"composite": shown, "raw": raw, "native": own, **outcome(name, made, [layer], encoding, **arguments)}
    result["raw after"] = keep(f"{name}-raw-after", read(made.get_layers()[0], own))
    return result


@case
def sixteen_bits() -> Facts:
    return deep("sixteen_bits", Gimp.Precision.U16_NON_LINEAR, "R'G'B'A u16", "pasted16")


@case
def floats() -> Facts:
    return deep("floats", Gimp.Precision.FLOAT_NON_LINEAR, "R'G'B'A float", "wide")


@case
def linear_floats() -> Facts:
    return deep("linear_floats", Gimp.Precision.FLOAT_LINEAR, "R'G'B'A float", "wide")


@case
def linear_bytes() -> Facts:
    return deep("linear_bytes", Gimp.Precision.U8_LINEAR, "R'G'B'A float")


@case
def halves() -> Facts:
    return deep("halves", Gimp.Precision.HALF_LINEAR, "R'G'B'A float")


@case
def thirty_two_bits() -> Facts:
    return deep("thirty_two_bits", Gimp.Precision.U32_NON_LINEAR, "R'G'B'A float", "pasted16")


@case
def gray() -> Facts:
    return deep("gray", Gimp.Precision.U8_NON_LINEAR, "R'G'B'A u8", gray=True)


@case
def adobe_rgb() -> Facts:
    profile = Gimp.ColorProfile.new_rgb_adobe()
    return deep("adobe_rgb", Gimp.Precision.U8_NON_LINEAR, "R'G'B'A float", "wide", profile)


@case
def adobe_rgb_effect() -> Facts:
    profile = Gimp.ColorProfile.new_rgb_adobe()
    precision = Gimp.Precision.FLOAT_NON_LINEAR
    result = deep("adobe_rgb_effect", precision, "RGBA float", "wide", profile, result="effect")
    made = Gimp.get_images()[0]
    made.get_layers()[0].merge_filters()
    return result | {"merged": keep("adobe_rgb_effect-merged", read(made.get_layers()[0], "RGBA float"))}


@case
def reduced_alpha() -> Facts:
    """The alpha of a layer with odd sides as the plug-in reads it, reduced by GIMP, and as GEGL reduces it."""
    from harmonize_layer.core.geometry import PixelArea
    from harmonize_layer.gimp import pixels

    found: Facts = {}
    for precision in ("U8_NON_LINEAR", "U16_NON_LINEAR", "HALF_LINEAR", "FLOAT_LINEAR"):
        made = picture(getattr(Gimp.Precision, precision))
        layer, area = paste(made, size=(405, 303), pixels="odd"), PixelArea(-3, -2, 120, 80)
        found[precision] = keep(f"{precision}-own", pixels.read_reduced_alpha(layer, area, 0.25) or b"")
        found[f"{precision} of GEGL"] = keep(f"{precision}-gegl", pixels.read_area(layer, "A u8", area, 0.25))
    return found


# -- arguments


@case
def no_strength() -> Facts:
    made = picture()
    return outcome("no_strength", made, [paste(made)], strength=0.0)


@case
def all_arguments() -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite("all_arguments", made)
    arguments: Facts = {"model": "s2crnet", "strength": 0.7, "brightness": 0.2, "contrast": -0.1, "warmth": 0.3}
    arguments |= {"tint": -0.2, "saturation": 0.4}
    return {"composite": shown, **outcome("all_arguments", made, [layer], **arguments)}


@case
def unknown_model() -> Facts:
    made = picture()
    return outcome("unknown_model", made, [paste(made)], model="no-such-model")


# -- refusals


def refused(name: str, prepare: Callable[[Gimp.Layer], object], **arguments: Any) -> Facts:
    made = picture()
    layer = paste(made)
    prepare(layer)
    return outcome(name, made, [layer], **arguments)


@case
def empty() -> Facts:
    made = picture()
    return outcome("empty", made, [paste(made, pixels="empty")])


@case
def locked() -> Facts:
    return refused("locked", lambda layer: layer.set_lock_content(True), result="in-place")


@case
def locked_parent() -> Facts:
    made = picture()
    group = Gimp.GroupLayer.new(made, "The group")
    made.insert_layer(group, None, 0)
    layer = paste(made, parent=group)
    group.set_lock_content(True)
    before = state(made)
    return {"state before": before, **call(made, [layer], result="in-place"), "state": state(made)}


@case
def indexed() -> Facts:
    made = picture()
    made.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, "")
    return outcome("indexed", made, made.get_layers())


@case
def only_a_cut_out() -> Facts:
    made = picture()
    layer = paste(made)
    made.remove_layer(made.get_layers()[1])
    return outcome("only_a_cut_out", made, [layer])


@case
def no_reference_chosen() -> Facts:
    made = picture()
    layer = paste(made)
    result = outcome("no_reference_chosen", made, [layer], reference="layer")
    return {"layer": result, "area": call(made, [layer], reference="selection")}
