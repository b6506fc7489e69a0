# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers of the scripts in GIMP's own Python: images from bytes, calls of the plug-in, results to files."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi

for _name, _version in (("Babl", "0.1"), ("Gegl", "0.4"), ("Gimp", "3.0")):
    gi.require_version(_name, _version)

from gi.repository import Babl, Gegl, Gimp  # noqa: E402 (their versions come first)

FOLDER = Path(os.environ["S2AM_TEST"])
"""The folder shared with the tests, under the same path."""

WIDTH, HEIGHT = 320, 240
PASTED = (120, 100)
AT = (90, 70)

_NOTHING = Gegl.AbyssPolicy.NONE
Facts = dict[str, Any]

_results: dict[str, Facts] = {}

Gegl.init(None)
sys.path.insert(0, str(FOLDER / "plug-ins/harmonize-layer"))


def given(name: str) -> bytes:
    """Return the bytes of a file that the tests have written."""
    return (FOLDER / f"{name}.bin").read_bytes()


def case(function: Callable[[], Facts]) -> None:
    """Run a case now, and record its results or its traceback."""
    for picture in Gimp.get_images():
        picture.delete()
    start = time.monotonic()
    try:
        result = function()
    except Exception:
        result = {"failed": traceback.format_exc()}
    result["seconds"] = round(time.monotonic() - start, 2)
    _results[function.__name__] = result


def finish() -> None:
    """Write all results for the tests."""
    (FOLDER / "results.json").write_text(json.dumps(_results), encoding="utf-8")


def picture(
    precision: Gimp.Precision = Gimp.Precision.U8_NON_LINEAR,
    profile: Gimp.ColorProfile | None = None,
    size: tuple[int, int] = (WIDTH, HEIGHT),
    background: str = "background",
    gray: bool = False,
) -> Gimp.Image:
    """Return an image with the tests' background as its only layer."""
    base = Gimp.ImageBaseType.GRAY if gray else Gimp.ImageBaseType.RGB
    made = Gimp.Image.new_with_precision(*size, base, precision)
    if profile:
        made.set_color_profile(profile)
    kind = Gimp.ImageType.GRAY_IMAGE if gray else Gimp.ImageType.RGB_IMAGE
    _add(made, "background", size, kind, given(background), "R'G'B' u8", None, (0, 0))
    return made


def paste(
    made: Gimp.Image,
    name: str = "pasted",
    at: tuple[int, int] = AT,
    size: tuple[int, int] = PASTED,
    pixels: str = "pasted",
    parent: Gimp.GroupLayer | None = None,
    encoding: str = "R'G'B'A u8",
) -> Gimp.Layer:
    """Insert the tests' cutout as the topmost layer."""
    gray = made.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = Gimp.ImageType.GRAYA_IMAGE if gray else Gimp.ImageType.RGBA_IMAGE
    return _add(made, name, size, kind, given(pixels), encoding, parent, at)


def _add(
    made: Gimp.Image,
    name: str,
    size: tuple[int, int],
    kind: Gimp.ImageType,
    pixels: bytes,
    encoding: str,
    parent: Gimp.GroupLayer | None,
    at: tuple[int, int],
) -> Gimp.Layer:
    layer = Gimp.Layer.new(made, name, *size, kind, 100, Gimp.LayerMode.NORMAL)
    buffer = layer.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, *size), encoding, pixels)
    buffer.flush()
    made.insert_layer(layer, parent, 0)
    layer.set_offsets(*at)
    return layer


def add_mask(layer: Gimp.Layer, pixels: str = "layer-mask") -> Gimp.LayerMask:
    """Add the tests' layer mask to a layer."""
    mask = layer.create_mask(Gimp.AddMaskType.WHITE)
    layer.add_mask(mask)
    buffer = mask.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height()), "Y u8", given(pixels))
    buffer.flush()
    mask.update(0, 0, layer.get_width(), layer.get_height())
    return mask


def every_layer(made: Gimp.Image) -> list[Gimp.Layer]:
    """Return all layers and groups."""
    found, waiting = [], list(made.get_layers())
    while waiting:
        layer = waiting.pop(0)
        found.append(layer)
        waiting = [*(layer.get_children() if layer.is_group() else ()), *waiting]
    return found


def native(drawable: Gimp.Drawable) -> str:
    """Return the name of a drawable's own format."""
    name: str = Babl.get_name(drawable.get_format())
    return name


def read(drawable: Gimp.Drawable, encoding: str = "R'G'B'A u8") -> bytes:
    """Return all pixels of a drawable."""
    area = Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height())
    pixels: bytes = drawable.get_buffer().get(area, 1.0, encoding, _NOTHING)
    return pixels


def visible(made: Gimp.Image, encoding: str = "R'G'B'A u8") -> bytes:
    """Return the visible pixels of an image."""
    layer = Gimp.Layer.new_from_visible(made, made, "visible")
    pixels = read(layer, encoding)
    layer.delete()
    return pixels


def keep(name: str, pixels: bytes) -> str:
    """Write pixels to a file for the tests, and return its name."""
    (FOLDER / f"{name}.out").write_bytes(pixels)
    return f"{name}.out"


def call(made: Gimp.Image, layers: list[Gimp.Drawable], **arguments: Any) -> dict[str, Any]:
    """Call the plug-in from a script, and return its status and message."""
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-harmonize-layer")
    config = procedure.create_config()
    config.set_property("image", made)
    config.set_core_object_array("drawables", layers)
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    for name, value in arguments.items():
        config.set_property(name.replace("_", "-"), value)
    answer = procedure.run(config)
    message = answer.index(1) if answer.length() > 1 else ""
    return {"status": answer.index(0).value_nick, "message": message or ""}


def keep_composite(name: str, made: Gimp.Image) -> str:
    """Write the composite that the engine should get: the visible image, with the pasted layer on top."""
    return keep(f"{name}-composite", visible(made))


def outcome(
    name: str, made: Gimp.Image, layers: list[Gimp.Layer], encoding: str = "R'G'B'A u8", **arguments: Any
) -> Facts:
    """Call the plug-in, and record the topmost layer's pixels before and after."""
    result = {"before": keep(f"{name}-before", read(layers[0], encoding)), "state before": state(made)}
    result |= call(made, layers, **arguments)
    result |= {"after": keep(f"{name}-after", read(made.get_layers()[0], encoding)), "state": state(made)}
    return result


def state(made: Gimp.Image) -> list[Any]:
    """Return everything about an image, to notice any change."""
    return [_state_of(layer) for layer in made.get_layers()] + [Gimp.Selection.is_empty(made), len(made.get_channels())]


def _values_of(effect: Gimp.DrawableFilter) -> list[Any]:
    config = effect.get_config()
    return [config.get_property(each.name) for each in config.list_properties() if each.name.endswith("-gain")]


def _state_of(layer: Gimp.Layer) -> list[Any]:
    mask = layer.get_mask()
    _, x, y = layer.get_offsets()
    found: list[Any] = [layer.get_name(), x, y, layer.get_visible(), layer.get_opacity(), str(layer.get_mode())]
    found += [
        layer.get_lock_alpha(),
        layer.get_lock_position(),
        layer.get_lock_visibility(),
        str(layer.get_color_tag()),
    ]
    found.append([_values_of(effect) for effect in layer.get_filters()])
    found.append(sorted(layer.get_parasite_list()))
    found.append(hashlib.sha256(read(mask, native(mask))).hexdigest() if mask else "")
    if layer.is_group():
        found.append([_state_of(child) for child in layer.get_children()])
    else:
        found.append(hashlib.sha256(read(layer, native(layer))).hexdigest())
    return found
