# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the procedure: the same from the dialog, from scripts and from Ctrl+F."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from harmonize_layer.core.host import HostLayer, ProcedureValues
from harmonize_layer.core.metadata import LayerMetadata
from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import FINISH_SLIDERS, SLIDERS, SliderSpec

PROCEDURE_NAME = "plug-in-harmonize-layer"

RESTORE_NAME = "plug-in-harmonize-layer-restore"

RESTORE_HELP = """GIMP 3.2 drops the layer effects of version 0.1 when it opens a file. This appends them again, from \
the color maps that are stored with the layers."""

RESULTS = {
    "new-layer": ("New layer above", "A recolored copy above the layer, which stays unchanged"),
    "in-place": ("In place", "The layer's own pixels are recolored"),
    "effect": ("Layer effect", "A non-destructive effect on the layer, editable and kept in XCF files"),
}
REFERENCES = {
    "beneath": ("Visible layers below", "Everything that is visible below the layer"),
    "layer": ("A chosen layer", "Only the layer chosen as reference layer"),
    "selection": ("The selected area", "Only the part below the layer that is within the selection"),
}
MASKS = {
    "automatic": ("From the layer", "The layer's transparency, its mask and the selection; else it is detected"),
    "subject": ("Subject of the layer", "The main subject of an opaque layer, cut out with a layer mask"),
    "detect": ("Detect the pasted region", "The region that was most likely pasted is detected in the visible image"),
}
CHOICES = {
    "result": ("R_esult", "Where the harmonized pixels go", RESULTS),
    "reference": ("Re_ference", "Background that the layer is matched to", REFERENCES),
    "mask": ("Mas_k", "Which pixels count as pasted", MASKS),
}
"""For each choice: label, help, and its values with title and help; the first value is the default."""

OBJECTS = {
    "reference-layer": ("Reference la_yer", "The layer, if the reference is a chosen layer"),
    "also-match-layers": ("Also match layers", "Names of further layers whose colors the layer is matched to"),
    "also-match-files": ("Also match files", "Paths of further images whose colors the layer is matched to"),
    "hide-original": ("Hi_de the original", "Hide the layer that a new layer is made from"),
    "all-images": ("All open images", "Also harmonize the selected layers of all other open images"),
    "shadow": ("Shadow", "Cast a shadow, as a layer of its own below in mode Multiply"),
    "shadow-automatic": ("Automatic values", "Estimate the values of the shadow from the image"),
    "light-automatic": ("Match light", "Add the falloff and the direction of the light of its background"),
    "grain-automatic": ("Match grain", "Match the grain of the layer to that of its background"),
    "sharpness-automatic": ("Match sharpness", "Soften the layer to the sharpness of its background"),
    "decontaminate-automatic": ("Match edges", "Remove the old background's color where soft edges show it"),
}
"""Label and help of the arguments that are neither choices nor sliders."""

SHADOW_ARGUMENTS = {f"shadow-{spec.option}": spec for spec in SHADOW_SLIDERS.values()}
"""The sliders of the shadow by the name of their argument."""

SHADOW_NAMES = ("shadow", "shadow-automatic", *SHADOW_ARGUMENTS)
"""The arguments of the shadow."""

EDGE_ARGUMENTS = {f"mask-{spec.option}": spec for spec in EDGE_SLIDERS.values()}
"""The sliders of the mask's edges by the name of their argument."""

FINISH_ARGUMENTS = {spec.option: spec for spec in FINISH_SLIDERS.values()}
"""The sliders of the finish by the name of their argument."""

FINISH_AUTOMATIC = {f"{name}-automatic": spec for name, spec in FINISH_ARGUMENTS.items() if spec.automatic}
"""The sliders of the finish with automatic values, by the name of the argument that asks for them."""

FINISH_NAMES = (*FINISH_ARGUMENTS, *FINISH_AUTOMATIC)
"""The arguments of the finish."""

COMPOSITE_NAMES = ("reference", "reference-layer", "also-match-layers", "also-match-files", "mask")
"""The arguments that change the composite."""

RESULT_NAMES = ("result", "hide-original", *SLIDERS, *EDGE_ARGUMENTS)
"""The arguments that change the result alone."""

_CHOSEN = [f"{name} ({', '.join(values)})" for name, (_label, _help, values) in CHOICES.items()]
_NAMES = ", ".join(("model", *_CHOSEN, *OBJECTS, *SLIDERS, *EDGE_ARGUMENTS, *SHADOW_ARGUMENTS, *FINISH_ARGUMENTS))

HELP = """\
Matches the colors of a pasted layer to its background at full resolution, with a program on this computer; nothing is \
uploaded.
The pasted region is defined by the layer's transparency, its mask and the selection. In an image of one layer without \
transparency it is detected, and shown before anything changes.
The result is a new layer above (with the original kept, hidden), the layer itself, or a layer effect that stays \
editable. Harmonize Layer on a harmonized layer starts again from the original colors: of an effect always, of a new \
layer while its original is in the image and nothing was painted on either. Otherwise, and within a selection, it \
starts from what the layer shows now.
Arguments for scripts: {names}.""".splitlines()
"""Paragraphs of the help text; `{names}` stands for the names of the arguments."""


def help_text(translate: Callable[[str], str]) -> str:
    """Return the help text, with each paragraph translated by a function."""
    return "\n\n".join(map(translate, HELP)).format(names=_NAMES)


@dataclass(frozen=True)
class SliderArgument:
    """A slider as an argument of the procedure."""

    name: str
    label: str
    help: str
    low: float
    high: float
    default: float


def slider_arguments() -> list[SliderArgument]:
    """Return the arguments for all sliders; an underscore marks the mnemonic of a label.

    Those of edges, shadow and finish have none, because the letters are taken.
    """
    arguments = [_slider_argument(spec.name, spec, spec.mnemonic) for spec in SLIDERS.values()]
    further = {**EDGE_ARGUMENTS, **SHADOW_ARGUMENTS, **FINISH_ARGUMENTS}
    return arguments + [_slider_argument(name, spec, "") for name, spec in further.items()]


def _slider_argument(name: str, spec: SliderSpec, mnemonic: str) -> SliderArgument:
    label = spec.label.replace(mnemonic, f"_{mnemonic}", 1) if mnemonic else spec.label
    return SliderArgument(name, label, spec.help, spec.low, spec.high, spec.default)


@dataclass(frozen=True)
class ShadowSettings:
    """The values of a shadow: by slider name; if automatic, those that can be are estimated instead."""

    automatic: bool = True
    sliders: dict[str, float] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        """The values of the procedure's arguments."""
        sliders = {f"shadow-{SHADOW_SLIDERS[name].option}": value for name, value in self.sliders.items()}
        return {"shadow": True, "shadow-automatic": self.automatic, **sliders}


@dataclass(frozen=True)
class FinishSettings:
    """The values of a finish: by slider name; those named in `automatic` are measured instead."""

    sliders: dict[str, float] = field(default_factory=dict)
    automatic: frozenset[str] = frozenset()

    @property
    def changes_pixels(self) -> bool:
        """False if all sliders have their default, which changes nothing, and none is automatic."""
        return bool(self.automatic) or any(self.sliders.values())

    def is_measured(self, argument: str) -> bool:
        """Return whether an argument is a slider whose value is measured."""
        return argument in FINISH_ARGUMENTS and FINISH_ARGUMENTS[argument].name in self.automatic

    def resolved(self, measured: Mapping[str, float]) -> dict[str, float]:
        """Return the values by slider name, with the measured ones for those that are automatic."""
        return self.sliders | {name: measured[name] for name in sorted(self.automatic)}

    def arguments(self, values: Mapping[str, float]) -> dict[str, Any]:
        """Return the values of the procedure's arguments, with the values of `resolved`."""
        arguments: dict[str, Any] = {FINISH_SLIDERS[name].option: value for name, value in values.items()}
        return arguments | {argument: spec.name in self.automatic for argument, spec in FINISH_AUTOMATIC.items()}


NO_FINISH = FinishSettings().arguments({name: spec.default for name, spec in FINISH_SLIDERS.items()})
"""The arguments that leave light, grain, sharpness and edges as they are."""


@dataclass(frozen=True)
class HarmonizeSettings:
    """The values of the arguments: keys of RESULTS, REFERENCES and MASKS; "" as model is the default.

    edges: values of the mask's edges that are not 0, by slider name.
    shadow: None = no shadow.
    """

    model: str = ""
    result: str = "new-layer"
    reference: str = "beneath"
    reference_layer: HostLayer | None = None
    also_match_layers: tuple[str, ...] = ()
    also_match_files: tuple[str, ...] = ()
    mask: str = "automatic"
    hide_original: bool = True
    all_images: bool = False
    sliders: dict[str, float] = field(default_factory=dict)
    edges: dict[str, float] = field(default_factory=dict)
    shadow: ShadowSettings | None = None
    finish: FinishSettings = field(default_factory=FinishSettings)

    @property
    def applies_finish(self) -> bool:
        """True if the result has a finish; a layer effect cannot have one."""
        return self.finish.changes_pixels and self.result != "effect"

    @property
    def edge_arguments(self) -> dict[str, float]:
        """The values of the procedure's arguments for the edges."""
        return {name: self.edges[spec.name] for name, spec in EDGE_ARGUMENTS.items() if spec.name in self.edges}


def own_values(metadata: LayerMetadata) -> dict[str, Any]:
    """Return the arguments that a layer was harmonized with, except a reference layer, which may be gone."""
    values: dict[str, Any] = {"model": metadata.model, "result": metadata.result, "mask": metadata.mask}
    if metadata.reference != "layer":
        values["reference"] = metadata.reference
    edges = dict.fromkeys(EDGE_ARGUMENTS, 0.0) | metadata.edges
    further = {"shadow": False} | metadata.shadow | NO_FINISH | metadata.finish
    return valid_values(values | metadata.sliders | edges | further)


def valid_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored arguments without those that this version does not have; sliders are limited to their ranges."""
    valid: dict[str, Any] = {}
    sliders = {**SLIDERS, **EDGE_ARGUMENTS, **SHADOW_ARGUMENTS, **FINISH_ARGUMENTS}
    for name, value in values.items():
        if name in sliders and isinstance(value, int | float):
            valid[name] = min(max(float(value), sliders[name].low), sliders[name].high)
        elif (name in CHOICES and value in CHOICES[name][2]) or (name == "model" and isinstance(value, str)):
            valid[name] = value
        elif name in ("hide-original", "shadow", "shadow-automatic", *FINISH_AUTOMATIC):
            valid[name] = bool(value)
    return valid


def read_procedure_settings(values: ProcedureValues, reference_layer: HostLayer | None) -> HarmonizeSettings:
    """Return the current values of the arguments.

    Args:
        values: the procedure's configuration.
        reference_layer: its reference layer.
    """
    names = ("model", *CHOICES, "also-match-layers", "also-match-files", "hide-original", "all-images", *SLIDERS)
    names += tuple(EDGE_ARGUMENTS)
    value: dict[str, Any] = {name: values.get_property(name) for name in (*names, *SHADOW_NAMES, *FINISH_NAMES)}
    edges = {spec.name: round(value[name], 6) for name, spec in EDGE_ARGUMENTS.items()}
    of_shadow = {spec.name: round(value[name], 6) for name, spec in SHADOW_ARGUMENTS.items()}
    of_finish = {spec.name: round(value[name], 6) for name, spec in FINISH_ARGUMENTS.items()}
    return HarmonizeSettings(
        model=value["model"] or "",
        result=value["result"],
        reference=value["reference"],
        reference_layer=reference_layer,
        also_match_layers=tuple(value["also-match-layers"] or ()),
        also_match_files=tuple(value["also-match-files"] or ()),
        mask=value["mask"],
        hide_original=value["hide-original"],
        all_images=value["all-images"],
        sliders={name: round(value[name], 6) for name in SLIDERS},
        edges={name: edge for name, edge in edges.items() if edge},
        shadow=ShadowSettings(value["shadow-automatic"], of_shadow) if value["shadow"] else None,
        finish=FinishSettings(
            of_finish, frozenset(spec.name for name, spec in FINISH_AUTOMATIC.items() if value[name])
        ),
    )
