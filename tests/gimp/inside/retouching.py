# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of daily work: layers that were changed, copied or harmonized before, selections, groups, effects, locks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gi.repository import Gimp

from tests.gimp.inside.edges import EDGES
from tests.gimp.inside.support import (
    AT,
    HEIGHT,
    WIDTH,
    Facts,
    add_mask,
    call,
    case,
    keep,
    paste,
    picture,
    read,
    state,
    visible,
)


def largest_difference(first: bytes, second: bytes) -> int:
    return max(abs(a - b) for a, b in zip(first, second, strict=True))


def names(made: Gimp.Image) -> list[str]:
    return [layer.get_name() for layer in made.get_layers()]


# -- nothing changes at strength 0


def plain(_layer: Gimp.Layer) -> None:
    pass


def masked(layer: Gimp.Layer) -> None:
    add_mask(layer)


def half_opaque(layer: Gimp.Layer) -> None:
    layer.set_opacity(50)


def multiplied(layer: Gimp.Layer) -> None:
    layer.set_mode(Gimp.LayerMode.MULTIPLY)


def screened(layer: Gimp.Layer) -> None:
    layer.set_mode(Gimp.LayerMode.SCREEN)


def overlaid(layer: Gimp.Layer) -> None:
    layer.set_mode(Gimp.LayerMode.OVERLAY)
    layer.set_opacity(70)
    add_mask(layer)


PREPARATIONS: list[Callable[[Gimp.Layer], None]] = [plain, masked, half_opaque, multiplied, screened, overlaid]


def through_group(made: Gimp.Image) -> Gimp.GroupLayer:
    """Add a group that passes through, with a layer of mode Multiply and a normal one."""
    group = Gimp.GroupLayer.new(made, "group")
    made.insert_layer(group, None, 0)
    group.set_mode(Gimp.LayerMode.PASS_THROUGH)
    paste(made, "low", at=(20, 30), parent=group)
    paste(made, "high", parent=group).set_mode(Gimp.LayerMode.MULTIPLY)
    return group


@case
def strength_zero() -> Facts:
    differences = {}
    for result in ("new-layer", "in-place", "effect"):
        for prepare in PREPARATIONS:
            made = picture()
            layer = paste(made)
            prepare(layer)
            before = visible(made)
            answer = call(made, [layer], result=result, strength=0.0)
            name = f"{prepare.__name__} {result}"
            differences[name] = largest_difference(before, visible(made)) if answer["status"] == "success" else answer
        cases: list[tuple[str, Facts]] = [("refined edges", dict(EDGES)), ("selection", {})]
        for name, arguments in cases:
            made = picture()
            layer = paste(made)
            if not arguments:
                made.select_ellipse(Gimp.ChannelOps.REPLACE, 100, 80, 60, 50)
            before = visible(made)
            answer = call(made, [layer], result=result, strength=0.0, **arguments)
            changed = largest_difference(before, visible(made)) if answer["status"] == "success" else answer
            differences[f"{name} {result}"] = changed
        made = picture()
        group = through_group(made)
        before = visible(made)
        call(made, [group], result=result, strength=0.0)
        differences[f"pass-through {result}"] = largest_difference(before, visible(made))
    return {"differences": differences}


# -- other images, and changes since


@case
def copied_to_another_image() -> Facts:
    """Layers of canvas size have the same numbers in both images."""
    made = picture()
    dog = paste(made, "dog", at=(0, 0), size=(WIDTH, HEIGHT), pixels="canvas-layer")
    call(made, [dog])
    other = picture()
    paste(other, "woman", at=(0, 0), size=(WIDTH, HEIGHT), pixels="other-canvas-layer")
    copied = Gimp.Layer.new_from_drawable(made.get_layers()[0], other)
    other.insert_layer(copied, None, 0)
    before = read(copied)
    answer = call(other, [copied], strength=0.0)
    return {**answer, "same": read(other.get_layers()[0]) == before, "names": names(other)}


def painted(made: Gimp.Image, layer: Gimp.Layer) -> None:
    made.select_rectangle(Gimp.ChannelOps.REPLACE, AT[0] + 50, AT[1] + 40, 12, 9)
    layer.edit_clear()
    Gimp.Selection.none(made)


def flipped(_made: Gimp.Image, layer: Gimp.Layer) -> None:
    layer.transform_flip_simple(Gimp.OrientationType.HORIZONTAL, True, 0)


def resized(made: Gimp.Image, layer: Gimp.Layer) -> None:
    layer.resize_to_image_size()


@case
def retouched() -> Facts:
    found = {}
    for change in (painted, flipped, resized):
        for result in ("new-layer", "in-place", "effect"):
            made = picture()
            call(made, [paste(made)], warmth=0.5)
            layer = made.get_layers()[0]
            change(made, layer)
            before, size = read(layer), (layer.get_width(), layer.get_height())
            answer = call(made, [layer], result=result, strength=0.0)
            top = made.get_layers()[0]
            same = (top.get_width(), top.get_height()) == size and read(top) == before
            found[f"{change.__name__} {result}"] = [answer["status"], same, names(made)]
    return {"found": found}


@case
def moved() -> Facts:
    """A layer that was only moved still starts from its original."""
    made = picture()
    layer = paste(made)
    original = read(layer)
    call(made, [layer], warmth=0.5)
    new = made.get_layers()[0]
    new.set_offsets(30, 20)
    answer = call(made, [new], strength=0.0)
    return {**answer, "original": read(new) == original, "offsets": list(new.get_offsets())[1:], "names": names(made)}


@case
def again_on_a_group() -> Facts:
    made = picture()
    group = Gimp.GroupLayer.new(made, "group")
    made.insert_layer(group, None, 0)
    paste(made, parent=group)
    original = read(group)
    call(made, [group], warmth=0.5)
    answer = call(made, [made.get_layers()[0]], strength=0.0)
    return {**answer, "original": read(made.get_layers()[0]) == original, "names": names(made)}


@case
def again_on_a_group_that_passes_through() -> Facts:
    made = picture()
    answers = [call(made, [through_group(made)], warmth=0.5)]
    before = visible(made)
    answers.append(call(made, [made.get_layers()[0]], strength=0.0))
    return {"answers": answers, "same": visible(made) == before, "names": names(made)}


@case
def again_within_a_selection() -> Facts:
    """Columns of the image that are not selected keep what is visible there."""
    found: Facts = {}
    for result in ("new-layer", "in-place", "effect"):
        made = picture()
        layer = paste(made)
        call(made, [layer], result=result, warmth=0.5)
        layer = made.get_layers()[0]
        before = visible(made)
        made.select_rectangle(Gimp.ChannelOps.REPLACE, 0, 0, WIDTH // 2, HEIGHT)
        answer = call(made, [layer], result=result, warmth=-0.5)
        after = visible(made)
        columns = [
            {
                column % WIDTH
                for column in range(WIDTH * HEIGHT)
                if before[4 * column : 4 * column + 4] != after[4 * column : 4 * column + 4]
            }
        ][0]
        found[result] = [answer["status"], min(columns), max(columns), names(made)]
    return {"found": found}


# -- groups, effects, masks, locks


@case
def effect_on_a_group_that_passes_through() -> Facts:
    made = picture()
    group = through_group(made)
    before = visible(made)
    answer = call(made, [group], result="effect")
    effects = [len(each.get_filters()) for each in (group, *group.get_children())]
    return {
        **answer,
        "before": keep("through-before", before),
        "after": keep("through-after", visible(made)),
        "effects": effects,
    }


def add_blur(layer: Gimp.Layer) -> None:
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:gaussian-blur", "Blur"))


@case
def effects_of_others() -> Facts:
    found: Facts = {}
    for result in ("new-layer", "in-place", "effect"):
        made = picture()
        layer = paste(made)
        add_blur(layer)
        answer = call(made, [layer], result=result)
        effects = [[effect.get_name() for effect in each.get_filters()] for each in made.get_layers()]
        found[result] = [answer["status"], answer["message"], effects]
    made = picture()
    call(made, [paste(made)], warmth=0.5)
    new = made.get_layers()[0]
    add_blur(new)
    call(made, [new])
    found["again"] = [effect.get_name() for effect in new.get_filters()]
    return {"found": found}


@case
def shown_mask() -> Facts:
    results = []
    for shown in (False, True):
        made = picture()
        layer = paste(made)
        add_mask(layer)
        layer.set_show_mask(shown)
        call(made, [layer])
        results.append(read(made.get_layers()[0]))
    return {"same": results[0] == results[1]}


def refused(prepare: Callable[[Gimp.Image, Gimp.Layer], None], **arguments: Any) -> list[Any]:
    made = picture()
    layer = paste(made)
    prepare(made, layer)
    before = state(made)
    answer = call(made, [layer], **arguments)
    return [answer["status"], answer["message"], state(made) == before]


@case
def locks_and_visibility() -> Facts:
    def hide(_made: Gimp.Image, layer: Gimp.Layer) -> None:
        layer.set_visible(False)

    def lock_visibility(_made: Gimp.Image, layer: Gimp.Layer) -> None:
        layer.set_lock_visibility(True)

    def make_transparent(_made: Gimp.Image, layer: Gimp.Layer) -> None:
        layer.set_opacity(0)

    def lock_pixels(_made: Gimp.Image, layer: Gimp.Layer) -> None:
        layer.set_lock_content(True)

    made = picture()
    layers = [paste(made, "one", at=(10, 20)), paste(made, "two", at=(180, 120))]
    call(made, layers)
    return {
        "hidden": refused(hide),
        "transparent": refused(make_transparent),
        "visibility": refused(lock_visibility),
        "in-place": refused(lock_pixels, result="in-place"),
        "new-layer": refused(lock_pixels),
        "selected": [layer.get_name() for layer in made.get_selected_layers()],
    }


@case
def calls_of_scripts() -> Facts:
    """Calls with wrong arguments; each is refused, and both images stay unchanged."""
    found: Facts = {}
    interactive = Gimp.RunMode.INTERACTIVE
    calls: dict[str, Facts] = {"other image": {}, "not inserted": {}, "no window": {"run_mode": interactive}}
    for name, arguments in calls.items():
        made, other = picture(), picture()
        layer = paste(made if name == "no window" else other)
        if name == "not inserted":
            layer = layer.copy()
        before = state(made), state(other)
        answer = call(made, [layer], **arguments)
        found[name] = [answer["status"], answer["message"], (state(made), state(other)) == before]
    return {"found": found}


@case
def flat_again() -> Facts:
    """The pasted region of a flat image is detected again on the new layer."""
    made = picture(size=(960, 520), background="one-layer")
    first = call(made, made.get_layers(), mask="detect", warmth=0.5)
    second = call(made, [made.get_layers()[0]], mask="detect")
    return {"first": first, "second": second, "names": names(made)}


@case
def covered_reference() -> Facts:
    """A layer of canvas size is matched to another one below it."""
    made = picture()
    below = made.get_layers()[0]
    top = Gimp.Layer.new_from_drawable(below, made)
    made.insert_layer(top, None, 0)
    top.invert(False)
    answer = call(made, [top], reference="layer", reference_layer=below)
    return {**answer, "changed": read(made.get_layers()[0]) != read(top)}


@case
def copies_are_deleted() -> Facts:
    made = picture()
    layer = paste(made)
    paste(made, "above", at=(60, 40))
    call(made, [layer])
    return {"images": len(Gimp.get_images())}
