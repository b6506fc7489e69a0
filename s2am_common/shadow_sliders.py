# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders of a shadow, from which command-line options, GIMP's controls, messages and the editor's panel derive.

`s2am_engine.shadow` renders the shadow and estimates automatic values.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from s2am_common.sliders import SliderSpec

_automatic = partial(SliderSpec, automatic=True)

_TABLE = (
    _automatic(
        "direction",
        -180,
        180,
        180,
        "Direction",
        "Where the shadow falls, clockwise: 0 up (behind), 90 right, 180 down (in front), -90 left",
        "D",
        unit="°",
    ),
    _automatic("length", 0, 3, 0.2, "Length", "Length of the cast shadow in heights of the foreground; 0 = none", "L"),
    _automatic(
        "softness",
        0,
        1,
        0.5,
        "Softness",
        "How much the shadow's edge softens with the distance from the ground line",
        "f",
    ),
    _automatic("opacity", 0, 1, 0.45, "Opacity", "How dark the cast shadow is", "p"),
    _automatic(
        "contact", 0, 1, 0.6, "Contact Shadow", "How dark the shadow is where the foreground touches the ground", "n"
    ),
    SliderSpec("tint", 0, 1, 1, "Ambient Color", "How much of the background's ambient color fills the shadow", "A"),
    _automatic(
        "ground",
        -0.5,
        1,
        0,
        "Ground Line",
        "Height of the ground line above the lowest point of the foreground, in heights of the foreground",
        "G",
    ),
    _automatic(
        "slope", -45, 45, 0, "Ground Slope", "Angle of the ground line; positive = it falls to the right", "e", unit="°"
    ),
)

SHADOW_SLIDERS: Mapping[str, SliderSpec] = MappingProxyType({spec.name: spec for spec in _TABLE})
"""All sliders of a shadow by name, in the order in which they are shown."""
