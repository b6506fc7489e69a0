# SPDX-License-Identifier: GPL-3.0-or-later
"""What the procedure takes: the same from the dialog, from scripts and from Ctrl+F."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gi.repository import Gimp, GObject

from gimp_bridge.protocol import Sliders

NAME = "plug-in-harmonize-layer"

HELP = """Makes a pasted layer belong to what is beneath it: its colors are matched to the background, at full \
resolution, by a program on this computer; nothing is uploaded.

The pasted part is what the layer's transparency, its mask and the selection let through. In a picture of one layer \
without transparency it is looked for, and shown before anything changes.

The result is a new layer above (with the original kept), the layer itself, or a layer effect that stays editable. \
Harmonize Layer on a harmonized layer starts again from the original colors: of a new layer while its original is in \
the picture, of an effect always.

In scripts: model (a name, or empty for the default), result (new-layer, in-place, effect), reference (beneath, \
layer with reference-layer, selection), mask (automatic, detect), hide-original, strength (0 to 1), and brightness, \
contrast, warmth, tint and saturation (-1 to 1)."""

RESULTS = {
    "new-layer": ("New layer above", "A recolored copy above the layer, which stays as it is"),
    "in-place": ("In place", "The layer's own pixels are recolored"),
    "effect": ("Layer effect", "A non-destructive effect on the layer, editable and kept in XCF files"),
}
REFERENCES = {
    "beneath": ("What is visible beneath", "Everything that is seen beneath the layer"),
    "layer": ("A chosen layer", "Only the layer chosen as reference layer"),
    "selection": ("The selected area", "Only what is beneath the layer within the selection"),
}
MASKS = {
    "automatic": ("From the layer", "The layer's transparency, its mask and the selection; else it is looked for"),
    "detect": ("Find what was pasted", "What is likeliest to be pasted is looked for in what is visible"),
}
SLIDERS = {
    "strength": (0.0, 1.0, "Stren_gth", "How much of the change is made"),
    "brightness": (-1.0, 0.0, "_Brightness", "Brighter (+) or darker (-); black and white stay"),
    "contrast": (-1.0, 0.0, "Con_trast", "Steeper (+) or flatter (-) around the middle grays"),
    "warmth": (-1.0, 0.0, "_Warmth", "Towards amber (+) or blue (-)"),
    "tint": (-1.0, 0.0, "T_int", "Towards magenta (+) or green (-)"),
    "saturation": (-1.0, 0.0, "Sat_uration", "More color (+) or less (-)"),
}
"""For each slider: lowest value, default, label, help; the highest is 1."""


@dataclass(frozen=True)
class Settings:
    """What was asked for; the texts are keys of RESULTS, REFERENCES and MASKS, "" as model is the default one."""

    model: str = ""
    result: str = "new-layer"
    reference: str = "beneath"
    reference_layer: Gimp.Layer | None = None
    mask: str = "automatic"
    hide_original: bool = False
    sliders: Sliders = field(default_factory=Sliders)


def add_to(procedure: Gimp.ImageProcedure) -> None:
    """Describe the arguments to GIMP."""
    flags = GObject.ParamFlags.READWRITE
    choices = (
        ("result", "R_esult", "What becomes of the harmonized pixels", RESULTS),
        ("reference", "Re_ference", "What the layer is made to belong to", REFERENCES),
        ("mask", "Mas_k", "What counts as pasted", MASKS),
    )
    procedure.add_string_argument("model", "_Model", "The model's name (“s2am models” lists them)", "", flags)
    for name, label, help_text, values in choices:
        choice = Gimp.Choice.new()
        for number, (value, (title, explanation)) in enumerate(values.items()):
            choice.add(value, number, title, explanation)
        procedure.add_choice_argument(name, label, help_text, choice, next(iter(values)), flags)
    procedure.add_layer_argument(
        "reference-layer", "Refere_nce layer", "Which layer, if the reference is a chosen layer", True, flags
    )
    procedure.add_boolean_argument(
        "hide-original", "Hi_de the original", "Hide the layer that a new layer is made from", False, flags
    )
    for name, (lowest, default, label, help_text) in SLIDERS.items():
        procedure.add_double_argument(name, label, help_text, lowest, 1.0, default, flags)


def read(config: Gimp.ProcedureConfig) -> Settings:
    """The arguments as they are now."""

    def value(name: str) -> Any:
        return config.get_property(name)

    return Settings(
        model=value("model") or "",
        result=value("result"),
        reference=value("reference"),
        reference_layer=value("reference-layer"),
        mask=value("mask"),
        hide_original=value("hide-original"),
        sliders=Sliders(**{name: round(value(name), 6) for name in SLIDERS}),
    )
