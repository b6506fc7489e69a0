# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's responses to the requests for color maps."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gimp_bridge.color_messages import (
    MAX_SAMPLES,
    Adjust,
    AdjustResult,
    CubeFile,
    Deviation,
    ExportCube,
    Harmonize,
    HarmonizeResponse,
    MeasureDeviation,
)
from gimp_bridge.effective_mask import Plane, effective_mask
from gimp_bridge.model_cache import ModelCache, ReportText
from s2am_common.errors import MaskError
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.fit import fit_linear_matrix
from s2am_engine.color.map import ColorMap, Matrix

_VISIBLE_REFERENCE = 0.25  # share of the foreground's area of which a reference layer must be visible around it
_ALPHA_TOLERANCE = 2  # levels by which two ways of reading the same transparency may differ


@dataclass(frozen=True)
class HarmonizeJob:
    """Prediction of one color map."""

    request: Harmonize
    models: ModelCache
    report: ReportText

    def run(self) -> HarmonizeResponse:
        """Return the color map and the mask that it was predicted with.

        Raises:
            MaskError: see `Harmonize`.
            EngineError: see `Harmonizer`.
        """
        rgba = self._planes(self.request.pixels, 4)
        pixels, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        mask, alpha, needs_prediction = self.layer_mask(alpha)
        certain = True
        if needs_prediction and self.request.predicted:
            mask = self._planes(self.request.predicted)
        elif needs_prediction:
            mask, certain = self._predict_mask(pixels, alpha)
        harmonizer = self.models.harmonizer(self.request.model, self.report)
        self.report("Analyzing the image")
        with self.models.computing():
            colors, foreground, opacity = self._beside_reference(pixels, mask, alpha)
            result = harmonizer(colors, foreground, alpha=opacity, references=self._photographs() or None)
        return HarmonizeResponse(
            color_map=result.color_map.to_json(),
            confidence=result.confidence,
            samples=sample_colors(pixels, np.minimum(mask, alpha)),
            mask=mask.tobytes(),
            alpha=alpha.tobytes(),
            mask_predicted=needs_prediction,
            mask_certain=certain,
            notes=result.notes,
        )

    def layer_mask(self, alpha: Plane) -> tuple[Plane, Plane, bool]:
        """Return the layer's effective mask, the pixels that count (H×W), and whether the mask must be predicted.

        Args:
            alpha: H×W, transparency of the visible composite.
        """
        request = self.request
        layer_alpha = self._planes(request.layer_alpha)
        masks = self._masks(request.layer_masks)
        selection = self._planes(request.selection) if request.selection else None
        if selection is not None and request.selection_is_reference:
            mask = effective_mask(layer_alpha, masks)
            alpha = np.where((selection > 0) | (mask > 0), alpha, 0).astype(np.uint8)
        else:
            mask = effective_mask(layer_alpha, masks, selection)
        if not mask.any():
            message = "No visible part of the layer lies on the canvas and within the selection."
            raise MaskError(message, code="mask.empty")
        if request.mask_source == "predicted":
            return mask, alpha, True
        if (alpha > mask.astype(np.int16) + _ALPHA_TOLERANCE).any():
            return mask, alpha, False
        if request.mask_source == "layer-or-predicted" and mask.min() == 255:
            return mask, alpha, True
        if request.reference and self._planes(request.reference, 4)[..., 3].any():
            return mask, alpha, False
        raise MaskError("Nothing is visible below or around the layer.", code="mask.no-background")

    def _beside_reference(
        self, pixels: NDArray[np.uint8], mask: Plane, alpha: Plane
    ) -> tuple[NDArray[np.uint8], Plane, Plane]:
        """Return pixels, mask and alpha for the network: the composite, or the foreground beside a reference."""
        foreground = mask > 0
        visible = np.count_nonzero((alpha > 0) & ~foreground)
        if not self.request.reference or visible >= _VISIBLE_REFERENCE * np.count_nonzero(foreground):
            return pixels, mask, alpha
        reference = self._planes(self.request.reference, 4)
        return (
            np.hstack([pixels, reference[..., :3]]),
            np.hstack([mask, np.zeros_like(mask)]),
            np.hstack([np.where(foreground, alpha, 0).astype(np.uint8), reference[..., 3]]),
        )

    def _photographs(self) -> list[Image.Image]:
        images, start = [], 0
        sizes = self.request.photograph_sizes
        for width, height in zip(sizes[::2], sizes[1::2], strict=True):
            pixels = np.frombuffer(self.request.photographs, np.uint8, 4 * width * height, start)
            images.append(Image.fromarray(pixels.reshape(height, width, 4), "RGBA"))
            start += pixels.size
        return images

    def _predict_mask(self, pixels: NDArray[np.uint8], alpha: Plane) -> tuple[Plane, bool]:
        detector = self.models.detector(self.report)
        self.report("Detecting the pasted region")
        with self.models.computing():
            detection = detector.detect(pixels, alpha=alpha, likeliest=self.request.likeliest)
        return detection.mask, detection.is_certain

    def _planes(self, data: bytes, *channels: int) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(self.request.height, self.request.width, *channels)

    def _masks(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(-1, self.request.height, self.request.width)


def sample_colors(pixels: NDArray[np.uint8], weights: Plane) -> bytes:
    """Return up to MAX_SAMPLES colors of a foreground, evenly spaced: K×4, RGB and weight."""
    chosen = np.flatnonzero(weights)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MAX_SAMPLES)).astype(np.intp)]
    return np.column_stack([pixels.reshape(-1, 3)[chosen], weights.reshape(-1)[chosen]]).astype(np.uint8).tobytes()


def adjust_color_map(request: Adjust) -> AdjustResult:
    """Apply the sliders to a color map, and fit a layer effect if samples are given. Raises ColorMapError."""
    adjusted = adjust(ColorMap.from_json(request.color_map), Sliders.from_values(request.sliders))
    if not request.samples:
        return AdjustResult(color_map=adjusted.to_json())
    matrix, rmse = fit_effect(adjusted, request.samples)
    numbers = tuple(float(number) for number in matrix.matrix[:, :3].ravel())
    return AdjustResult(color_map=adjusted.to_json(), effect=matrix.to_json(), matrix=numbers, rmse=rmse)


def export_cube(request: ExportCube) -> CubeFile:
    """Return a color map as the content of a .cube file."""
    text = ColorMap.from_json(request.color_map).to_cube(request.title)
    return CubeFile(content=text.encode("utf-8"))


def fit_effect(color_map: ColorMap, samples: bytes) -> tuple[Matrix, float]:
    """Fit the matrix in linear light that is nearest to a map, by weighted least squares on a foreground's colors.

    Args:
        color_map: the map.
        samples: see `sample_colors`.

    Returns:
        The matrix, and its weighted root mean square error in 8-bit levels.
    """
    table = np.frombuffer(samples, np.uint8).reshape(-1, 4) / np.float32(255)
    colors, weights = np.ascontiguousarray(table[:, :3]), table[:, 3]
    target = color_map(colors).clip(0, 1)
    matrix = fit_linear_matrix(colors, target, weights)
    squares = (matrix(colors).clip(0, 1) - target) ** 2
    return matrix, 255 * float(np.sqrt(np.average(squares.mean(axis=1), weights=weights)))


def measure_deviation(request: MeasureDeviation) -> Deviation:
    """Measure how far a layer is from the recolored or the unchanged colors of another one. Raises ColorMapError."""
    columns, rows = request.width, request.height
    before = np.frombuffer(request.before, np.uint8).reshape(rows + 2, columns + 2, 4)
    after = np.frombuffer(request.after, np.uint8).reshape(rows, columns, 4)
    colors = np.ascontiguousarray(before[..., :3])
    recolored = ColorMap.from_json(request.color_map)(colors / np.float32(255))
    recolored = np.rint(255 * recolored.clip(0, 1)).astype(np.uint8)
    alpha = np.ascontiguousarray(before[1:-1, 1:-1, 3])
    outside = np.minimum(_outside_of(recolored, after), _outside_of(colors, after))
    visible = np.rint(outside * (alpha / np.float32(255))).astype(np.uint8)
    differences = np.maximum(visible, cv2.absdiff(alpha, np.ascontiguousarray(after[..., 3])))
    return Deviation(levels=int(cv2.erode(differences, np.ones((2, 2), np.uint8)).max()))


def _outside_of(colors: NDArray[np.uint8], after: NDArray[np.uint8]) -> Plane:
    """Return the distances, H×W, of pixels from the range of other colors, H+2×W+2×3, around them, in levels."""
    square, pixels = np.ones((3, 3), np.uint8), np.ascontiguousarray(after[..., :3])
    lower, upper = (change(colors, square)[1:-1, 1:-1] for change in (cv2.erode, cv2.dilate))
    distance = np.maximum(cv2.subtract(lower, pixels), cv2.subtract(pixels, upper))
    return np.asarray(distance.max(axis=2), np.uint8)
