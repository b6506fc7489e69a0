# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's layer effects in GIMP."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from gi.repository import Gimp

from harmonize_layer.core.host import Matrix3

EFFECT_NAME = "Harmonize"
"""Name of the plug-in's effect in the Layers dialog."""

OPERATION = "gegl:channel-mixer"
"""Operation of the effect: gains in linear light, which GIMP 3.0 and 3.2 both offer."""

GAINS = tuple(f"{to}{of}-gain" for to in "rgb" for of in "rgb")
"""Properties of the operation, row by row."""

EARLIER_OPERATION = "gegl:svg-matrix"
"""Operation of the effect in files of version 0.1, which GIMP 3.2 discards."""


def are_available() -> bool:
    """Return whether this GIMP offers the operation of the effects."""
    available = getattr(Gimp.DrawableFilter, "operation_get_available", None)  # since GIMP 3.2
    return available is None or OPERATION in available()


def is_own(effect: Gimp.DrawableFilter) -> bool:
    """Return whether an effect is one of the plug-in's."""
    return effect.get_name() == EFFECT_NAME and effect.get_operation_name() in (OPERATION, EARLIER_OPERATION)


def remove_own(layer: Gimp.Layer) -> None:
    """Remove the plug-in's effects from a layer."""
    for effect in layer.get_filters():
        if is_own(effect):
            effect.delete()


def append(layer: Gimp.Layer, gains: Sequence[Matrix3]) -> None:
    """Append an effect for each matrix of gains to a layer, limited to the selection."""
    for matrix in gains:
        effect = Gimp.DrawableFilter.new(layer, OPERATION, EFFECT_NAME)
        config = effect.get_config()
        for name, value in zip(GAINS, itertools.chain.from_iterable(matrix), strict=True):
            config.set_property(name, value)
        layer.append_filter(effect)
