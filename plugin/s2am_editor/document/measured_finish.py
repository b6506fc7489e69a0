# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a layer: its values, and the measurement of the layer and its background."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s2am_editor.document.basis import Basis
from s2am_editor.document.geometry import Transform
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.values import Finish


@dataclass(frozen=True, eq=False)
class MeasuredFinish:
    """Light, grain, sharpness and edges of a layer, see `s2am_engine.finish`.

    Attributes:
        values: the values that are applied.
        automatic: those that match the layer to its background.
        measurement: of the recolored layer and of the layers below.
        surroundings: of the layer, in pixels of the canvas.
        shading: of the layer, likewise; None = unknown, in projects of earlier versions.
        placement: transform of the layer when it was measured.
        basis: state of the document when it was measured; None = unknown, in projects of earlier versions.
    """

    values: Finish
    automatic: Finish
    measurement: FinishMeasurement
    surroundings: Surroundings
    placement: Transform
    shading: Shading | None = None
    basis: Basis | None = None

    def __post_init__(self) -> None:
        """Check that the shading is known if it is applied."""
        if self.values.light and self.shading is None:
            raise ValueError("light needs the shading")

    def replace(self, **values: float) -> MeasuredFinish:
        """Return a copy with other values. Raises ValueError for an unknown name or a value outside its range."""
        return dataclasses.replace(self, values=self.values.replace(**values))

    def moved(self, right: float, down: float) -> MeasuredFinish:
        """Return the finish on a canvas on which the same image lies `right` and `down` pixels from here."""
        return dataclasses.replace(
            self,
            placement=self.placement.moved(right, down),
            surroundings=self.surroundings.moved(right, down),
            shading=self.shading and self.shading.moved(right, down),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values, from which `from_json` restores the finish."""
        return {
            "values": vars(self.values),
            "measurement": self.measurement.to_json(),
            "surroundings": self.surroundings.to_json(),
            "placement": dataclasses.asdict(self.placement),
            "shading": self.shading.to_json() if self.shading else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MeasuredFinish:
        """Invert `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        measurement = FinishMeasurement.from_json(data["measurement"])
        stored = data.get("shading")  # projects of earlier versions have none
        shading = None if stored is None else Shading.from_json(stored)
        return cls(
            Finish.from_values({name: float(value) for name, value in data["values"].items()}),
            measurement.automatic(shading),
            measurement,
            Surroundings.from_json(data["surroundings"]),
            Transform(**data["placement"]),
            shading,
        )
