# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of recoloring: how often each happens and how far it goes; any of them can be switched off."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s2am_engine.errors import EngineError

KINDS: dict[str, tuple[str, ...]] = {
    "exposure": ("exposure",),
    "white-balance": ("white_balance",),
    "relighting": ("relighting", "relighting_share"),
    "falloff": ("falloff", "falloff_share"),
    "patches": ("patches", "patches_share"),
    "color-mixing": ("color_mixing",),
    "camera": ("camera", "camera_share"),
    "shoulder": ("shoulder_share",),
    "gamma": ("gamma",),
    "contrast": ("contrast",),
    "tone-curve": ("tone_curve", "tone_curve_share"),
    "saturation": ("saturation",),
    "hue": ("hue",),
    "split-tone": ("split_tone",),
    "fade": ("fade", "fade_share"),
    "look-up-table": ("look_up_table", "look_up_table_share"),
    "transfer": ("transfer_share",),
    "histogram": ("histogram_share",),
}
"""Each kind of change, and the fields of `Recoloring` any one of which switches it off when it is 0."""


@dataclass(frozen=True)
class Recoloring:
    """How far and how often each kind of change goes; a share is a part of the pictures, the rest are deviations."""

    exposure: float = 0.75  # stops
    white_balance: float = 0.22  # log gain of red and blue
    relighting: float = 0.4  # how much of the light's cast and dimming the camera's balance leaves, 0 to 1
    relighting_share: float = 0.15
    falloff: float = 0.35  # stops from center to edge, in a random direction
    falloff_share: float = 0.15
    patches: float = 0.8  # stops of soft patches of light or shade
    patches_share: float = 0.05
    color_mixing: float = 0.06  # off-diagonal of a matrix in linear light
    camera: float = 0.7  # log of the light at which a camera's response saturates
    camera_share: float = 0.2
    shoulder_share: float = 0.5  # highlights roll off instead of clipping
    gamma: float = 0.22  # log2
    contrast: float = 0.55  # log2 of the slope at the pivot
    tone_curve: float = 0.55  # log slope of a random curve's pieces
    tone_curve_share: float = 0.4
    saturation: float = 0.5  # log2
    hue: float = 0.12  # radians
    split_tone: float = 0.05  # tint of shadows and of highlights
    fade: float = 0.06  # lifted blacks, lowered whites
    fade_share: float = 0.3
    look_up_table: float = 0.07  # displacement of a smooth random 3D table's nodes
    look_up_table_share: float = 0.35
    transfer_share: float = 0.25  # statistics of another photograph
    histogram_share: float = 0.08  # tone distribution of another photograph

    def without(self, *kinds: str) -> Recoloring:
        """The same with some kinds of change switched off, for ablations.

        Raises:
            EngineError: a kind that `KINDS` does not name.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise EngineError(f"There is no recoloring “{kind}”: choose among {', '.join(KINDS)}.")
        return replace(self, **{name: 0.0 for kind in kinds for name in KINDS[kind]})
