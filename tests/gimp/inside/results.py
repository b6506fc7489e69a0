# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of results, masks and positions of layers."""

from __future__ import annotations

import json
from typing import Any

from gi.repository import Gimp, Gio

from tests.gimp.inside.support import (
    AT,
    FOLDER,
    PASTED,
    Facts,
    add_mask,
    call,
    case,
    keep,
    keep_composite,
    outcome,
    paste,
    picture,
    read,
    state,
    visible,
)

# -- without an engine, before any runs


@case
def no_engine() -> Facts:
    note = FOLDER / "plug-ins/harmonize-layer/engine.json"
    good = note.read_text()
    note.write_text(json.dumps({"version": 1, "serve": ["/nowhere/python", "-m", "s2am"]}))
    made = picture()
    layer = paste(made)
    try:
        return outcome("no_engine", made, [layer])
    finally:
        note.write_text(good)


# -- results


@case
def new_layer() -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite("new_layer", made)
    return {"composite": shown, **outcome("new_layer", made, [layer])}


@case
def in_place() -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite("in_place", made)
    return {"composite": shown, **outcome("in_place", made, [layer], result="in-place")}


@case
def effect() -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite("effect", made)
    result = {"composite": shown, **outcome("effect", made, [layer], result="effect")}
    merged = made.duplicate()
    merged.get_layers()[0].merge_filters()
    result["merged"] = keep("effect-merged", read(merged.get_layers()[0]))
    file = FOLDER / "effect.xcf"
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, made, Gio.File.new_for_path(str(file)))
    again = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(file)))
    result["loaded"] = state(again)
    return result


@case
def attributes() -> Facts:
    made = picture()
    group = Gimp.GroupLayer.new(made, "group")
    made.insert_layer(group, None, 0)
    layer = paste(made, parent=group)
    add_mask(layer)
    shown = keep_composite("attributes", made)
    layer.set_opacity(60)
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    layer.set_lock_alpha(True)
    layer.set_lock_position(True)
    layer.set_color_tag(Gimp.ColorTag.RED)
    above = paste(made, "above", at=(0, 0))
    before = state(made)
    result = call(made, [layer], hide_original=True)
    new = group.get_children()[0]
    result |= {"composite": shown, "before": keep("attributes-before", read(layer)), "state before": before}
    result |= {"after": keep("attributes-after", read(new)), "state": state(made), "topmost": above.get_name()}
    result["selected"] = [chosen.get_name() for chosen in made.get_selected_layers()]
    return result


@case
def again_on_a_new_layer() -> Facts:
    made = picture()
    first = outcome("again1", made, [paste(made)], warmth=0.5)
    second = outcome("again2", made, [made.get_layers()[0]])
    return {"first": first, "second": second}


@case
def again_as_an_effect() -> Facts:
    made = picture()
    layer = paste(made)
    first = outcome("again3", made, [layer], result="effect", saturation=-0.5)
    second = outcome("again4", made, [layer], result="effect")
    third = outcome("again5", made, [layer], result="in-place")
    return {"first": first, "second": second, "third": third}


# -- masks


@case
def layer_mask() -> Facts:
    made = picture()
    layer = paste(made)
    add_mask(layer)
    shown = keep_composite("layer_mask", made)
    return {"composite": shown, **outcome("layer_mask", made, [layer])}


@case
def edited_mask() -> Facts:
    made = picture()
    layer = paste(made)
    mask = add_mask(layer)
    shown = keep_composite("edited_mask", made)
    layer.set_edit_mask(True)
    result = {"composite": shown, "before": keep("edited_mask-before", read(layer)), "state before": state(made)}
    result |= call(made, [mask])
    return result | {"after": keep("edited_mask-after", read(made.get_layers()[0])), "state": state(made)}


def selected(name: str, **arguments: Any) -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite(name, made)
    made.select_ellipse(Gimp.ChannelOps.REPLACE, AT[0] + 20, AT[1] + 15, 60, 60)
    Gimp.Selection.feather(made, 8)
    chosen = keep(f"{name}-selection", read(made.get_selection(), "Y u8"))
    result = {"composite": shown, "selection": chosen, **outcome(name, made, [layer], **arguments)}
    result["selection after"] = keep(f"{name}-selection-after", read(made.get_selection(), "Y u8"))
    return result


@case
def selection() -> Facts:
    return selected("selection")


@case
def selection_in_place() -> Facts:
    return selected("selection_in_place", result="in-place")


@case
def selection_effect() -> Facts:
    result = selected("selection_effect", result="effect")
    made = Gimp.get_images()[0]
    result["visible"] = keep("selection_effect-visible", visible(made))
    return result


@case
def reference_area() -> Facts:
    return selected("reference_area", reference="selection")


@case
def reference_layer() -> Facts:
    made = picture()
    other = paste(made, "other", at=(0, 0))
    layer = paste(made)
    other.set_visible(False)
    reference = made.duplicate()
    bottom = reference.get_layers()[2]
    bottom.set_visible(False)
    reference.get_layers()[1].set_visible(True)
    shown = keep_composite("reference_layer", reference)
    reference.delete()
    result = outcome("reference_layer", made, [layer], reference="layer", reference_layer=other)
    return {"composite": shown, **result}


@case
def further_references() -> Facts:
    made = picture()
    other = paste(made, "other", at=(200, 130))
    layer = paste(made)
    other.set_visible(False)
    file = FOLDER / "reference.png"
    shown = picture(size=(1600, 1200), background="vast")
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, shown, Gio.File.new_for_path(str(file)), None)
    composite = keep_composite("further_references", made)
    result = outcome(
        "further_references", made, [layer], also_match_layers=["other"], also_match_files=[str(file)], all_images=True
    )
    return {"composite": composite, "images": len(Gimp.get_images()), "shown": state(shown), **result}


@case
def subject() -> Facts:
    made = picture()
    result = outcome("subject", made, [paste(made, pixels="opaque")], mask="subject")
    mask = made.get_layers()[0].get_mask()
    return {
        "mask": keep("subject-mask", read(mask, "Y u8")),
        "visible": keep("subject-visible", visible(made)),
        **result,
    }


@case
def found_by_itself() -> Facts:
    made = picture(size=(960, 520), background="one-layer")
    result = outcome("found", made, made.get_layers(), "R'G'B' u8", mask="detect")
    made2 = picture(size=(960, 520), background="one-layer")
    result["unsure"] = call(made2, made2.get_layers())
    result["effect"] = call(made2, made2.get_layers(), result="effect", mask="detect")
    result["effect visible"] = keep("found-effect", visible(made2))
    return result


# -- positions


def placed(name: str, at: tuple[int, int], size: tuple[int, int] = PASTED, pixels: str = "pasted") -> Facts:
    made = picture()
    layer = paste(made, at=at, size=size, pixels=pixels)
    shown = keep_composite(name, made)
    return {"composite": shown, **outcome(name, made, [layer])}


@case
def negative_offsets() -> Facts:
    return placed("negative_offsets", (-50, -40))


@case
def beyond_the_canvas() -> Facts:
    return placed("beyond_the_canvas", (260, 190))


@case
def larger_than_the_canvas() -> Facts:
    return placed("larger_than_the_canvas", (-60, -40), (480, 360), "large")


@case
def outside_the_canvas() -> Facts:
    made = picture()
    return outcome("outside_the_canvas", made, [paste(made, at=(1000, 2000))])


@case
def one_pixel() -> Facts:
    return placed("one_pixel", (150, 100), (1, 1), "one")


@case
def beneath_others() -> Facts:
    made = picture()
    layer = paste(made)
    shown = keep_composite("beneath_others", made)
    paste(made, "above", at=(60, 40))
    result = {"composite": shown, "before": keep("beneath_others-before", read(layer)), "state before": state(made)}
    result |= call(made, [layer])
    return result | {"after": keep("beneath_others-after", read(made.get_layers()[1])), "state": state(made)}


@case
def large_picture() -> Facts:
    """GIMP reduces the visible image itself; with an empty layer, a copy of the image is read."""
    result: Facts = {}
    for name in ("open", "covered"):
        made = picture(size=(1600, 1200), background="vast")
        layer = paste(made, at=(301, 203))
        if name == "covered":
            paste(made, "nothing", pixels="empty")
        result[name] = call(made, [layer])
        result[name] |= {"after": keep(f"large_picture-{name}", read(made.get_layers()[-3])), "state": state(made)}
    return result


def grouped(name: str, mode: Gimp.LayerMode, **arguments: Any) -> Facts:
    made = picture()
    group = Gimp.GroupLayer.new(made, "group")
    made.insert_layer(group, None, 0)
    group.set_mode(mode)
    layer = paste(made, parent=group)
    shown = keep_composite(name, made)
    result = {"composite": shown, "before": keep(f"{name}-before", read(layer)), "state before": state(made)}
    result |= call(made, [group], **arguments)
    top = made.get_layers()[0]
    after = top.get_children()[0] if top.is_group() else top
    result |= {"after": keep(f"{name}-after", read(after)), "state": state(made)}
    result["visible"] = keep(f"{name}-visible", visible(made))
    return result


@case
def group() -> Facts:
    return grouped("group", Gimp.LayerMode.NORMAL)


@case
def group_in_place() -> Facts:
    return grouped("group_in_place", Gimp.LayerMode.PASS_THROUGH, result="in-place")


@case
def group_effect() -> Facts:
    return grouped("group_effect", Gimp.LayerMode.NORMAL, result="effect")


@case
def floating() -> Facts:
    made = picture()
    layer = made.get_layers()[0]
    made.select_rectangle(Gimp.ChannelOps.REPLACE, 40, 30, 90, 70)
    floated = Gimp.Selection.float(made, [layer], 0, 0)
    return outcome("floating", made, [floated])


@case
def several() -> Facts:
    made = picture()
    one = paste(made, "one", at=(10, 20))
    two = paste(made, "two", at=(180, 120))
    result = {"state before": state(made), **call(made, [two, one])}
    result |= {"one": keep("several-one", read(made.get_layers()[2])), "state": state(made)}
    # The other layer is no reference for it.
    alone = picture()
    layer = paste(alone, "one", at=(10, 20))
    call(alone, [layer])
    return result | {"alone": keep("several-alone", read(alone.get_layers()[0]))}
