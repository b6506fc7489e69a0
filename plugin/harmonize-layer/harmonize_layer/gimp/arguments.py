# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the procedure: their description for GIMP, and their values."""

from __future__ import annotations

from gi.repository import Gimp, GObject

from harmonize_layer.core import settings
from harmonize_layer.core.settings import HarmonizeSettings, read_procedure_settings
from harmonize_layer.gimp.gettext_domain import gettext as _
from harmonize_layer.gimp.images import GimpLayer

_FLAGS = GObject.ParamFlags.READWRITE


def add_arguments(procedure: Gimp.ImageProcedure) -> None:
    """Describe the arguments of `core.settings` to GIMP."""
    procedure.add_string_argument("model", _("_Model"), _("Name of the model; empty = the default"), "", _FLAGS)
    for name, (label, help_text, values) in settings.CHOICES.items():
        choice = Gimp.Choice.new()
        for number, (value, (title, explanation)) in enumerate(values.items()):
            choice.add(value, number, _(title), _(explanation))
        procedure.add_choice_argument(name, _(label), _(help_text), choice, next(iter(values)), _FLAGS)
    procedure.add_layer_argument("reference-layer", *_texts("reference-layer"), True, _FLAGS)
    # Names, because GIMP refuses an array of layers that is empty.
    procedure.add_string_array_argument("also-match-layers", *_texts("also-match-layers"), _FLAGS)
    procedure.add_string_array_argument("also-match-files", *_texts("also-match-files"), _FLAGS)
    procedure.add_boolean_argument("hide-original", *_texts("hide-original"), True, _FLAGS)
    procedure.add_boolean_argument("all-images", *_texts("all-images"), False, _FLAGS)
    procedure.add_boolean_argument("shadow", *_texts("shadow"), False, _FLAGS)
    procedure.add_boolean_argument("shadow-automatic", *_texts("shadow-automatic"), True, _FLAGS)
    for name in settings.FINISH_AUTOMATIC:
        procedure.add_boolean_argument(name, *_texts(name), False, _FLAGS)
    for slider in settings.slider_arguments():
        procedure.add_double_argument(
            slider.name, _(slider.label), _(slider.help), slider.low, slider.high, slider.default, _FLAGS
        )


def _texts(name: str) -> tuple[str, str]:
    label, help_text = settings.OBJECTS[name]
    return _(label), _(help_text)


def read_arguments(config: Gimp.ProcedureConfig) -> HarmonizeSettings:
    """Return the current values of the procedure's arguments."""
    reference = config.get_property("reference-layer")
    return read_procedure_settings(config, GimpLayer(reference) if reference else None)
