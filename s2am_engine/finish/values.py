# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of the finish, as `color.adjustments.Sliders` are those of the color map."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from s2am_common.sliders import FINISH_SLIDERS, check_sliders


@dataclass(frozen=True)
class Finish:
    """Changes of the recolored foreground beyond color. The defaults change nothing.

    light: factor, 0 to 3, of the gains of the predicted shading: light that falls off, comes from one side, or lies in
        patches. Above 1 it is exaggerated, as the prediction is cautious.
    grain: standard deviation of the noise that is added (above 0) or removed (below 0), in 8-bit levels.
    sharpness: radius (sigma) in pixels of the Gaussian that softens (below 0), or of the unsharp mask (above 0).
    decontaminate: share, 0 to 1, of the correction of the colors of soft edges.
    light_wrap: strength, 0 to 1, of the background's blurred light that is added inside the edges.

    Ranges and defaults are those of `s2am_common.sliders.FINISH_SLIDERS`. Raises ValueError, naming the slider and its
    range, for a value outside.
    """

    light: float = FINISH_SLIDERS["light"].default
    grain: float = FINISH_SLIDERS["grain"].default
    sharpness: float = FINISH_SLIDERS["sharpness"].default
    decontaminate: float = FINISH_SLIDERS["decontaminate"].default
    light_wrap: float = FINISH_SLIDERS["light_wrap"].default

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_sliders(vars(self), FINISH_SLIDERS)

    @classmethod
    def from_values(cls, values: Mapping[str, float]) -> Finish:
        """Return a finish from values by name; the others keep their defaults.

        Raises ValueError for an unknown name or a value outside its range.
        """
        return cls(**check_sliders(values, FINISH_SLIDERS))

    def replace(self, **values: float) -> Finish:
        """Return a copy with other values. Raises ValueError for an unknown name or a value outside its range."""
        return dataclasses.replace(self, **check_sliders(values, FINISH_SLIDERS))

    @property
    def changes_nothing(self) -> bool:
        """True if all values are the defaults."""
        return self == Finish()
