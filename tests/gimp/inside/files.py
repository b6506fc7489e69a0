# SPDX-License-Identifier: GPL-3.0-or-later
"""Write XCF files with layer effects in one GIMP, and read them in another, as the variable S2AM_STEP says."""

from __future__ import annotations

import json
import os

from gi.repository import Gimp, Gio

from tests.gimp.inside import support
from tests.gimp.inside.support import FOLDER, Facts, call, case, keep, paste, picture, visible

EARLIER = {
    "version": 1,
    "result": "effect",
    "model": "",
    "sliders": {"strength": 1.0},
    "colour_map": {
        "format": "s2am colour map",
        "version": 1,
        "map": {
            "kind": "matrix",
            "matrix": [[0.6, 0.0, 0.0, 0.0], [0.0, 0.8, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            "linear": True,
        },
    },
    "original": 0,
}
"""The metadata that version 0.1 stored with a layer effect."""

VALUES = "0.6 0 0 0 0 0 0.8 0 0 0 0 0 1 0 0 0 0 0 1 0"
"""Its effect."""


def file(name: str) -> Gio.File:
    return Gio.File.new_for_path(str(FOLDER / f"{name}.xcf"))


def save(made: Gimp.Image, name: str) -> Facts:
    Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, made, file(name))
    return {"visible": keep(f"{name}-written", visible(made))}


def write_effect() -> Facts:
    made = picture()
    answer = call(made, [paste(made)], result="effect")
    return {**answer, **save(made, "effect")}


def write_earlier_effect() -> Facts:
    made = picture()
    layer = paste(made)
    before = keep("earlier-before", visible(made))
    effect = Gimp.DrawableFilter.new(layer, "gegl:svg-matrix", "Harmonize")
    effect.get_config().set_property("values", VALUES)
    layer.append_filter(effect)
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new("harmonize-layer", flags, json.dumps(EARLIER).encode()))
    return {"before": before, **save(made, "earlier")}


def load(name: str) -> tuple[Gimp.Image, Facts]:
    made = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file(name))
    return made, {"visible": keep(f"{name}-read", visible(made)), "effects": len(made.get_layers()[0].get_filters())}


def read_effect() -> Facts:
    return load("effect")[1]


def read_earlier_effect() -> Facts:
    made, found = load("earlier")
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-harmonize-layer-restore")
    config = procedure.create_config()
    config.set_property("image", made)
    config.set_core_object_array("drawables", made.get_layers()[:1])
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    status = procedure.run(config).index(0).value_nick
    restored: Facts = {"visible": keep("earlier-restored", visible(made))}
    restored["effects"] = len(made.get_layers()[0].get_filters())
    return {"status": status, "loaded": found, "restored": restored}


STEPS = {"write": (write_effect, write_earlier_effect), "read": (read_effect, read_earlier_effect)}
for function in STEPS[os.environ["S2AM_STEP"]]:
    case(function)
support.finish()
