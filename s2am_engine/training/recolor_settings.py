# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of random recoloring, their strength and frequency."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s2am_common.errors import TrainingError

KINDS: dict[str, tuple[str, ...]] = {
    "exposure": ("exposure",),
    "white-balance": ("white_balance",),
    "relighting": ("relighting", "relighting_share"),
    "falloff": ("falloff", "falloff_share"),
    "patches": ("patches", "patches_share"),
    "shadows-and-highlights": ("shadows_and_highlights",),
    "color-mixing": ("color_mixing",),
    "camera": ("camera", "camera_share"),
    "shoulder": ("shoulder_share",),
    "gamma": ("gamma",),
    "contrast": ("contrast",),
    "tone-curve": ("tone_curve", "tone_curve_share"),
    "saturation": ("saturation",),
    "hue": ("hue",),
    "hue-range": ("hue_range", "hue_range_share"),
    "split-tone": ("split_tone",),
    "fade": ("fade", "fade_share"),
    "look-up-table": ("lut", "lut_share"),
    "film": ("film_share",),
    "preset": ("preset_share",),
    "camera-response": ("response_share",),
}
"""Each kind of change, and the fields of `Recoloring` any of which switches it off if it is 0."""


@dataclass(frozen=True)
class Recoloring:
    """Strength and frequency of each kind of change; a share is a fraction of the images, the rest are deviations."""

    weakest: float = 0.25  # overall strength of the changes, drawn for each image between weakest and strongest
    strongest: float = 1.4
    exposure: float = 0.75  # stops
    white_balance: float = 0.22  # log gain of red and blue
    relighting: float = 0.4  # share of the color cast and dimming that white balance does not remove, 0 to 1
    relighting_share: float = 0.15
    shadows_and_highlights: float = 0.35  # stops, of the darker and of the brighter tones
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
    hue_range: float = 0.5  # log2 of the saturation of one range of hues, and half of that in stops of its lightness
    hue_range_share: float = 0.3
    split_tone: float = 0.05  # tint of shadows and of highlights
    fade: float = 0.06  # lifted blacks, lowered whites
    fade_share: float = 0.3
    lut: float = 0.07  # displacement of a smooth random 3D table's nodes
    lut_share: float = 0.35
    film_share: float = 0.1  # films and camera styles, see `ColorStyles`
    preset_share: float = 0.08  # joint settings of retouchers' presets, see `ColorStyles`
    response_share: float = 0.08  # measured camera responses, see `ColorStyles`

    def without(self, *kinds: str) -> Recoloring:
        """Return the settings with some kinds of change switched off, for ablations.

        Raises:
            EngineError: a kind that is not in `KINDS`.
        """
        for kind in kinds:
            if kind not in KINDS:
                raise TrainingError(
                    f"There is no recoloring “{kind}”: choose among {', '.join(KINDS)}.", code="training.recoloring"
                )
        return replace(self, **{name: 0.0 for kind in kinds for name in KINDS[kind]})
