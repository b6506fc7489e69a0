# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurement of foreground and background in small windows at full resolution, and the finish that matches them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from s2am_common.sliders import FINISH_SLIDERS
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.noise import (
    NoiseModel,
    PatchStatistics,
    estimate_noise,
    excess_variance,
    noise_limit,
    softened_share,
)
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.sharpness import Edges, gaussian_weights
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import RegionWindows, SampleWindows

AUTO: Literal["auto"] = "auto"
"""Stands for the automatic value of a slider."""

_LEAST_GRAIN = 0.3  # 8-bit levels; less is not visible
_MOST_GRAIN = FINISH_SLIDERS["grain"].high
_ALIKE = 0.15  # relative difference of two noise levels that counts as none
_SHARP = 0.62  # pixels of blur below which an edge counts as sharp: cameras and scaling blur as much
_LEAST_SOFTENING = 0.5  # pixels
_MOST_SOFTENING = 2.0  # pixels; a background that is blurred more is out of focus, which its foreground need not be

NOTES = {
    ("foreground", "grain"): "The foreground has no even area to measure its grain in: compare it by eye.",
    ("background", "grain"): "The background has no even area to measure its grain in: compare it by eye.",
    ("foreground", "sharpness"): "The foreground has no clear edges to measure its sharpness by: compare it by eye.",
    ("background", "sharpness"): "The background has no clear edges to measure its sharpness by: compare it by eye.",
}
"""Notes on failed measurements, by region and slider."""


@dataclass(frozen=True, eq=False)
class RegionMeasurement:
    """Measurements of a foreground or background.

    noise: None = not enough even areas.
    limit: level that the noise does not exceed, in 8-bit levels, if only that is known; else None.
    blur: variance in square pixels, see `estimate_blur`; None = not enough edges.
    clouds: its edges are as few, weak and soft as those of clouds.
    """

    noise: NoiseModel | None
    blur: float | None
    limit: float | None = None
    clouds: bool = False

    @classmethod
    def of(cls, windows: RegionWindows) -> RegionMeasurement:
        """Measure a region."""
        patches, edges = [], []
        for levels, valid in windows.parts():
            patches.append(PatchStatistics.of(levels, valid))
            edges.append(Edges.of(levels, valid))
        found = PatchStatistics.joined(patches)
        noise = estimate_noise(found, windows.patches)
        joined, level = Edges.joined(edges), noise.level if noise else 0.0
        blur = joined.estimate_blur(level, background=windows.background)
        return cls(noise, blur, None if noise else noise_limit(found), joined.are_of_clouds(level))

    @property
    def radius(self) -> float | None:
        """Blur radius (sigma) in pixels, 0 for a sharpened image; None = not enough edges."""
        return None if self.blur is None else float(np.sqrt(max(0.0, self.blur)))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        noise = self.noise.to_json() if self.noise else None
        return {"noise": noise, "blur": self.blur, "limit": self.limit, "clouds": self.clouds}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RegionMeasurement:
        """Return the region that `to_json` describes. Raises KeyError, TypeError or ValueError for anything else."""
        noise = None if data["noise"] is None else NoiseModel.from_json(data["noise"])
        blur, limit = (None if data[name] is None else float(data[name]) for name in ("blur", "limit"))
        return cls(noise, blur, limit, bool(data.get("clouds", False)))  # absent in projects of earlier versions


@dataclass(frozen=True, eq=False)
class FinishMeasurement:
    """Measurements of an image's recolored foreground and of its background.

    fringe: evidence of an old background's fringe at the soft edges, see `estimate_fringe`.
    """

    foreground: RegionMeasurement
    background: RegionMeasurement
    fringe: float = field(default=0.0, kw_only=True)

    @classmethod
    def of(
        cls, windows: SampleWindows, color_map: ColorMap | None = None, around: Surroundings | None = None
    ) -> FinishMeasurement:
        """Measure windows.

        Args:
            windows: see `SampleWindows`.
            color_map: applied to the foreground first, as it changes its noise; None = the colors as they are.
            around: the surroundings of the foreground, from which its fringe is known; None = it has none.
        """
        foreground, background = map(RegionMeasurement.of, windows.regions(color_map))
        return cls(foreground, background, fringe=around.fringe if around else 0.0)

    def automatic(self, shading: Shading | None = None, sharpness: float | None = None) -> Finish:
        """Return the values that match the foreground to the background; 0 = no evidence.

        Args:
            shading: of the foreground; None = its light stays as it is.
            sharpness: the chosen one, for which the grain is; None = the automatic one.
        """
        softening = self.automatic_sharpness()
        return Finish(
            light=self.automatic_light(shading) if shading else 0.0,
            grain=self.automatic_grain(softening if sharpness is None else sharpness),
            sharpness=softening,
            decontaminate=self.fringe,
        )

    def resolve(self, values: Mapping[str, float | Literal["auto"]], shading: Shading | None = None) -> Finish:
        """Return the finish of values by name, with `automatic` ones instead of “auto”.

        Args:
            values: by name.
            shading: of the foreground, if the light is among them.

        Raises:
            ValueError: an unknown name, a name without automatic values, or a value outside its range; an automatic
                light without a shading.
        """
        for name, value in values.items():
            if value == AUTO and not (name in FINISH_SLIDERS and FINISH_SLIDERS[name].automatic):
                raise ValueError(f"{name} has no automatic value: give a number")
        if values.get("light") == AUTO and shading is None:
            raise ValueError("an automatic light needs the shading")
        if AUTO not in values.values():
            return Finish.from_values({name: float(value) for name, value in values.items()})
        sharpness = values.get("sharpness", 0.0)
        automatic = self.automatic(shading, None if sharpness == AUTO else float(sharpness))
        return Finish.from_values(
            {name: getattr(automatic, name) if value == AUTO else float(value) for name, value in values.items()}
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on failed measurements, one sentence each."""
        return self.notes_on(("grain", "sharpness"))

    def notes_on(self, names: Collection[str]) -> tuple[str, ...]:
        """Return notes on failed measurements that concern some sliders, one sentence each."""
        found = []
        for name, region in (("foreground", self.foreground), ("background", self.background)):
            for slider, measured in (("grain", region.noise), ("sharpness", region.blur)):
                if measured is None and slider in names:
                    found.append(NOTES[name, slider])
        return tuple(found)

    def automatic_light(self, shading: Shading) -> float:
        """Return the automatic strength of a shading, 0 or 1; no light falls on a sky."""
        return 0.0 if self.foreground.clouds and shading.at_top else shading.automatic

    def automatic_sharpness(self) -> float:
        """Return the sharpness that softens the foreground to the background, at most 0."""
        if self.foreground.blur is None or self.background.blur is None:
            return 0.0
        own, other = (max(each, _SHARP**2) for each in (self.foreground.blur, self.background.blur))
        sigma = float(np.sqrt(max(0.0, other - own)))
        return -round(min(sigma, _MOST_SOFTENING), 2) if sigma >= _LEAST_SOFTENING else 0.0

    def automatic_grain(self, sharpness: float = 0.0) -> float:
        """Return the grain that matches the foreground, after a change of its sharpness, to the background."""
        foreground, background = self.softened(sharpness).foreground.noise, self.background.noise
        if foreground is None or background is None:
            return self._grain_beyond_limit()
        own, other = (float(np.sqrt(foreground.mean(each.levels**2))) for each in (foreground, background))
        if abs(other - own) < _ALIKE * other:
            return 0.0
        more, less = (background, foreground) if other > own else (foreground, background)
        grain = float(np.sqrt(foreground.mean(excess_variance(more, less))))
        return round(float(np.copysign(min(grain, _MOST_GRAIN), other - own)), 2) if grain >= _LEAST_GRAIN else 0.0

    def _grain_beyond_limit(self) -> float:
        """Return the grain that even a textured foreground lacks: what exceeds the most that it can have."""
        noise, limit = self.background.noise, self.foreground.limit
        if noise is None or limit is None or noise.level <= (1 + _ALIKE) * limit:
            return 0.0
        grain = min(float(np.sqrt(noise.level**2 - limit**2)), _MOST_GRAIN)
        return round(grain, 2) if grain >= _LEAST_GRAIN else 0.0

    def softened(self, sharpness: float) -> FinishMeasurement:
        """Return the measurement with the noise that the foreground has after softening."""
        noise = self.foreground.noise
        if noise is None or sharpness >= 0:
            return self
        factor = softened_share(noise, gaussian_weights(-sharpness))
        return replace(self, foreground=replace(self.foreground, noise=replace(noise, levels=noise.levels * factor)))

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the measurement."""
        regions = {"foreground": self.foreground.to_json(), "background": self.background.to_json()}
        return {**regions, "fringe": self.fringe}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FinishMeasurement:
        """Return the measurement in JSON values. Raises KeyError, TypeError or ValueError for anything else."""
        foreground, background = (RegionMeasurement.from_json(data[name]) for name in ("foreground", "background"))
        return cls(
            foreground, background, fringe=float(data.get("fringe", 0))
        )  # absent in projects of earlier versions
