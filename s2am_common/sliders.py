# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders: name, range, default, unit, label and help of each adjustment of a color map, and of its pixels.

Command-line options, GIMP's procedure arguments, the bridge's messages and the editor's panel derive from the two
tables. `SLIDERS` adjust the color map (`s2am_engine.color.adjustments` holds the arithmetic); `FINISH_SLIDERS` control
what is done to the recolored pixels (`s2am_engine.finish`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class SliderSpec:
    """Description of one slider.

    name: keyword argument and key in saved files, with underscores; see also `option`.
    low, high: the range, both ends included.
    default: the value that changes nothing (for the shares of the color map: all of it).
    label: short text next to the slider, in title case. mnemonic: the letter of it that is underlined in GIMP's dialog.
    help: one line without a full stop, for tooltips and `--help`.
    unit: of the value; "%" = a share, shown as value × 100.
    digits: decimal places that are shown.
    automatic: whether an automatic value can be estimated from the image.
    """

    name: str
    low: float
    high: float
    default: float
    label: str
    help: str
    mnemonic: str = ""
    unit: str = "%"
    digits: int = 0
    automatic: bool = False

    @property
    def option(self) -> str:
        """The name with hyphens: the command-line option, and the argument of GIMP's procedure."""
        return self.name.replace("_", "-")

    @property
    def factor(self) -> int:
        """Factor between a value and the number that is shown, in its unit."""
        return 100 if self.unit == "%" else 1

    def check(self, value: float) -> float:
        """Return the value. Raises ValueError, naming the slider and its range, unless it is a number in the range."""
        try:
            fits = bool(self.low <= value <= self.high)
        except (TypeError, ValueError):  # a text, None, an array …
            fits = False
        if not fits:
            raise ValueError(f"{self.name} must be from {self.low:g} to {self.high:g}, not {value}")
        return value


_TABLE = (
    SliderSpec("strength", 0, 1, 1, "Strength", "How much of the change is applied", "g"),
    SliderSpec("color", 0, 1, 1, "Color", "How much of the change of hue and saturation is applied", "o"),
    SliderSpec("tone", 0, 1, 1, "Tone", "How much of the change of lightness is applied", "n"),
    SliderSpec("brightness", -1, 1, 0, "Brightness", "Lighter (+) or darker (-); black and white stay", "B"),
    SliderSpec("contrast", -1, 1, 0, "Contrast", "Steeper (+) or flatter (-) around middle gray", "t"),
    SliderSpec("warmth", -1, 1, 0, "Warmth", "Toward amber (+) or blue (-)", "W"),
    SliderSpec("tint", -1, 1, 0, "Tint", "Toward magenta (+) or green (-)", "i"),
    SliderSpec("saturation", -1, 1, 0, "Saturation", "Stronger (+) or paler (-) colors", "u"),
)

_FINISH_TABLE = (
    SliderSpec(
        "light", 0, 3, 0, "Light", "How much of the background's falloff and direction of light is added",
        automatic=True,
    ),
    SliderSpec(
        "grain", -20, 20, 0, "Grain", "Noise to add (+) or to remove (-), its standard deviation in 8-bit levels",
        unit="levels", digits=1, automatic=True,
    ),
    SliderSpec(
        "sharpness", -6, 6, 0, "Sharpness", "Softer (-) or sharper (+), the radius (sigma) in pixels",
        unit="px", digits=1, automatic=True,
    ),
    SliderSpec(
        "decontaminate", 0, 1, 0, "Decontaminate", "How much of the old background's color is removed from soft edges",
        automatic=True,
    ),
    SliderSpec("light_wrap", 0, 1, 0, "Light Wrap", "How much blurred light of the background spills over the edges"),
)  # fmt: skip

SLIDERS: Mapping[str, SliderSpec] = MappingProxyType({spec.name: spec for spec in _TABLE})
"""The sliders of the color map by name, in the order in which they are shown."""

IMAGE_SLIDERS: Mapping[str, SliderSpec] = MappingProxyType(
    {name: spec for name, spec in SLIDERS.items() if spec.low < 0}
)
"""The sliders that change any image: not the shares of a predicted color map."""

FINISH_SLIDERS: Mapping[str, SliderSpec] = MappingProxyType({spec.name: spec for spec in _FINISH_TABLE})
"""The sliders of the finish by name, in the order in which they are shown; their defaults change no pixel."""


def check_sliders(values: Mapping[str, float], table: Mapping[str, SliderSpec] = SLIDERS) -> dict[str, float]:
    """Return values by slider name. Raises ValueError for a name that the table lacks or a value outside its range."""
    for name in values:
        if name not in table:
            raise ValueError(f"there is no slider “{name}”; the sliders are {', '.join(table)}")
    return {name: table[name].check(value) for name, value in values.items()}
