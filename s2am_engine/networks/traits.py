# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of networks that inference needs, without their code: what goes in, and what the predictions mean.

Networks of PyTorch have them as class attributes, exported graphs store them as JSON. Nothing here imports PyTorch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from s2am_engine.color.fit import fit_color_map
from s2am_engine.color.map import Chain, ColorMap, Curves, Matrix
from s2am_engine.types import Floats

if TYPE_CHECKING:
    from torch import Tensor

ArrayT = TypeVar("ArrayT", Floats, "Tensor")

CONTROLS = 9
"""Control points of the curve of each channel in `CurvesAndMatrix`."""
PIECES = 64
"""Linear pieces of that curve."""


class PredictionFormat(ABC):
    """Meaning of a network's predictions."""

    kind: ClassVar[str]

    @abstractmethod
    def color_map(self, predictions: Floats, composites: Floats, masks: Floats) -> ColorMap:
        """Turn the predictions for K views of one image into one color map.

        Args:
            predictions: (K, …), as the network gave them.
            composites: (K, 3, N, N), the views.
            masks: (K, 1, N, N), their masks.

        Raises:
            ValueError: the predictions are not those of a color map.
        """

    @abstractmethod
    def pixels(self, prediction: Floats, composite: Floats) -> Floats:
        """Return the network's own pixels (3, N, N), unclamped, of one prediction (…) for a composite (3, N, N)."""


class MapParameters(PredictionFormat):
    """The parameters (P,) of a color map."""

    @abstractmethod
    def to_color_map(self, parameters: Floats) -> ColorMap:
        """Turn the parameters (P,) of one image into a color map."""

    def color_map(self, predictions: Floats, composites: Floats, masks: Floats) -> ColorMap:
        """See `PredictionFormat.color_map`: the map of the mean parameters."""
        return self.to_color_map(predictions.mean(axis=0))

    def pixels(self, prediction: Floats, composite: Floats) -> Floats:
        """See `PredictionFormat.pixels`: the map applied to the composite."""
        return np.moveaxis(self.to_color_map(prediction)(np.moveaxis(composite, 0, -1)), -1, 0)


@dataclass(frozen=True)
class CurvesAndMatrix(MapParameters):
    """A tone curve per channel followed by a 3×4 matrix, both as deviations from the identity; see `expand_curves`."""

    kind = "curves and matrix"

    def to_color_map(self, parameters: Floats) -> ColorMap:
        """See `MapParameters.to_color_map`."""
        values, matrix = expand_curves(parameters, *CURVE_CONSTANTS)
        return Chain((Curves(values), Matrix(matrix)))


@dataclass(frozen=True)
class CurvePieces(MapParameters):
    """S2CRNet's slopes of piecewise linear curves: stages · 3 · L numbers; see `Curves.from_pieces`."""

    kind = "curve pieces"
    stages: int = 1

    def to_color_map(self, parameters: Floats) -> ColorMap:
        """See `MapParameters.to_color_map`."""
        curves = [Curves.from_pieces(pieces) for pieces in parameters.reshape(self.stages, 3, -1)]
        return curves[0] if len(curves) == 1 else Chain(tuple(curves))


@dataclass(frozen=True)
class PredictedPixels(PredictionFormat):
    """Images (3, N, N), possibly with further channels: a predicted mask, and the presence of a foreground.

    blended: whether the image is blended with the composite by the predicted mask.
    """

    kind = "pixels"
    blended: bool = False

    def color_map(self, predictions: Floats, composites: Floats, masks: Floats) -> ColorMap:
        """See `PredictionFormat.color_map`: the map that best reproduces the predicted views."""
        before, after = (np.moveaxis(images[:, :3], 1, -1) for images in (composites, predictions))
        return fit_color_map(before, after, masks[:, 0])

    def pixels(self, prediction: Floats, composite: Floats) -> Floats:
        """See `PredictionFormat.pixels`."""
        share = prediction[3:4] if self.blended else np.float32(1)
        return composite + share * (prediction[:3] - composite)


PREDICTION_FORMATS: dict[str, type[PredictionFormat]] = {
    one.kind: one for one in (CurvesAndMatrix, CurvePieces, PredictedPixels)
}
"""All formats by their names in JSON."""


@dataclass(frozen=True)
class NetworkTraits:
    """Properties of a network that inference needs.

    prediction_format: meaning of the predictions.
    input_scales: scales of the augmented views relative to the training size; the network input has the largest.
    disagreement_penalty: how much disagreement between the views weakens the color map.
    mask_free: whether it predicts the mask itself and ignores the given one.
    """

    prediction_format: PredictionFormat
    input_scales: tuple[float, ...]
    disagreement_penalty: float
    mask_free: bool

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        fields = {"kind": self.prediction_format.kind} | dict(vars(self.prediction_format))
        return asdict(self) | {"prediction_format": fields, "input_scales": list(self.input_scales)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> NetworkTraits:
        """Invert `to_json`."""
        fields = dict(data["prediction_format"])
        prediction_format = PREDICTION_FORMATS[fields.pop("kind")](**fields)
        return cls(**{**data, "prediction_format": prediction_format, "input_scales": tuple(data["input_scales"])})


def expand_curves(parameters: ArrayT, basis: ArrayT, knots: ArrayT, identity: ArrayT) -> tuple[ArrayT, ArrayT]:
    """Convert predicted parameters to curve values at uniform knots and matrices; NumPy or PyTorch.

    Args:
        parameters: (…, P), P = 3 · 9 control points and 12 matrix entries, as deviations from the identity.
        basis: (9, 65), see `CURVE_CONSTANTS`.
        knots: (65,), see `CURVE_CONSTANTS`.
        identity: (3, 4), see `CURVE_CONSTANTS`.

    Returns:
        Values (…, 3, 65) and matrices (…, 3, 4).
    """
    batch = tuple(parameters.shape[:-1])
    controls, entries = parameters[..., : 3 * CONTROLS], parameters[..., 3 * CONTROLS :]
    return knots + controls.reshape(*batch, 3, CONTROLS) @ basis, identity + entries.reshape(*batch, 3, 4)


def spline_basis(count: int) -> Floats:
    """Return uniform quadratic B-splines at `count` positions on [0, 1]: (CONTROLS, count).

    They make smooth curves of control points, so gradients stay smooth.
    """
    distance = np.abs(np.linspace(0, CONTROLS - 1, count) - np.arange(CONTROLS)[:, None])
    basis = np.where(distance < 0.5, 0.75 - distance**2, 0.5 * np.maximum(1.5 - distance, 0) ** 2)
    return np.asarray(basis / basis.sum(axis=0), np.float32)


CURVE_CONSTANTS: tuple[Floats, Floats, Floats] = (
    spline_basis(PIECES + 1),
    np.linspace(0, 1, PIECES + 1, dtype=np.float32),
    np.eye(3, 4, dtype=np.float32),
)
"""Spline basis, knots and identity matrix for `expand_curves`."""
