# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of images that were changed as a whole after a layer was harmonized, and of copies of that layer."""

from __future__ import annotations

from collections.abc import Callable

from gi.repository import Gimp, Gio

from tests.gimp.inside.support import AT, FOLDER, Facts, call, case, every_layer, paste, picture, read


def scaled(made: Gimp.Image) -> None:
    made.scale(250, 190)


def enlarged(made: Gimp.Image) -> None:
    made.scale(500, 375)


def cropped(made: Gimp.Image) -> None:
    made.crop(150, 120, AT[0] + 30, AT[1] + 20)


def turned(made: Gimp.Image) -> None:
    made.rotate(Gimp.RotationType.DEGREES90)


def flipped(made: Gimp.Image) -> None:
    made.flip(Gimp.OrientationType.HORIZONTAL)


def deepened(made: Gimp.Image) -> None:
    made.convert_precision(Gimp.Precision.U16_NON_LINEAR)


def linearized(made: Gimp.Image) -> None:
    made.convert_precision(Gimp.Precision.FLOAT_LINEAR)


def converted(made: Gimp.Image) -> None:
    made.convert_color_profile(Gimp.ColorProfile.new_rgb_adobe(), Gimp.ColorRenderingIntent.RELATIVE_COLORIMETRIC, True)


def duplicated(made: Gimp.Image) -> Gimp.Image:
    return made.duplicate()


def reopened(made: Gimp.Image) -> Gimp.Image:
    file = Gio.File.new_for_path(str(FOLDER / "recognition.xcf"))
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, made, file, None)
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)


def painted_and_scaled(made: Gimp.Image) -> None:
    made.select_rectangle(Gimp.ChannelOps.REPLACE, AT[0] + 50, AT[1] + 40, 12, 9)
    made.get_layers()[0].invert(False)
    Gimp.Selection.none(made)
    scaled(made)


CHANGES: tuple[Callable[[Gimp.Image], Gimp.Image | None], ...] = (
    scaled,
    enlarged,
    cropped,
    turned,
    flipped,
    deepened,
    linearized,
    converted,
    duplicated,
    reopened,
    painted_and_scaled,
)


def shown(made: Gimp.Image) -> list[list[object]]:
    return [[layer.get_name(), layer.get_visible()] for layer in every_layer(made)]


@case
def changed_as_a_whole() -> Facts:
    """Each change, and after it a further run that changes no color; the topmost layer, compared with its original."""
    found: Facts = {}
    for change in CHANGES:
        made = picture()
        call(made, [paste(made)], warmth=0.5)
        made = change(made) or made
        top, original = made.get_layers()[:2]
        before, wanted = read(top), read(original)
        answer = call(made, [top], strength=0.0)
        after = read(made.get_layers()[0])
        found[change.__name__] = answer | {
            "layers": shown(made),
            "is original": after == wanted,
            "is unchanged": after == before,
        }
    return found


@case
def copies_of_a_harmonized_layer() -> Facts:
    """A copy of a harmonized layer gets a shadow of its own, and the layer keeps its shadow."""
    made = picture()
    call(made, [paste(made)], shadow=True, warmth=0.5)
    copy = made.get_layers()[0].copy()
    made.insert_layer(copy, None, 0)
    copy.set_offsets(20, 10)
    first = call(made, [copy], shadow=True)
    between = shown(made)
    second = call(made, [made.get_layers()[2]], shadow=False)
    return {"answers": [first, second], "between": between, "layers": shown(made)}


@case
def original_selected_again() -> Facts:
    """A further run on the original, which is hidden below its result, and on both."""
    made = picture()
    layer = paste(made)
    answers = [call(made, [layer], warmth=0.5)]
    first = read(made.get_layers()[0])
    answers += [call(made, [layer], warmth=-0.5), call(made, made.get_layers()[:2], warmth=-0.5)]
    return {"answers": answers, "layers": shown(made), "is changed": read(made.get_layers()[0]) != first}
