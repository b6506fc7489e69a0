# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction of a color map or a mask from a network input, averaged over augmented views."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from s2am_common.errors import ModelError
from s2am_engine.color.map import ColorMap
from s2am_engine.inference.devices import CPU
from s2am_engine.inference.network_input import NetworkInput
from s2am_engine.inference.network_runner import NetworkRunner
from s2am_engine.inference.references import References
from s2am_engine.strip_threads import run_in_threads
from s2am_engine.types import Floats

CROP = 0.85  # share of the side that the enlarged view shows
DECIDING_VIEWS = 2  # of the four views: the image and its mirror image give the map, all four the confidence
# Penalty on disagreement between reference photographs. With four of them, on 24 composites in four film looks, the
# color error is lower than without by 4 % where the background has the look, and by 57 % on gray (geometric means).
REFERENCE_PENALTY = 3.0
MIN_CHANGE = (1 / 255) ** 2  # added to the squared change: below one 8-bit level, disagreement does not matter


@dataclass(frozen=True)
class Prediction:
    """Color map predicted for a network input.

    color_map: map of sRGB values, blended with the identity according to the confidence.
    confidence: 0 (the views' maps contradict each other) to 1 (they agree).
    likeness: resemblance of the background to the look of fine-tuning, 0 to 1; None = the model was not fine-tuned.
    """

    color_map: ColorMap
    confidence: float
    likeness: float | None = None


@dataclass(frozen=True)
class MaskPrediction:
    """Foreground predicted by a mask-free network.

    mask: N×N in [0, 1], 1 = foreground.
    presence: probability, 0 to 1, that the image has a pasted foreground at all.
    """

    mask: Floats
    presence: float


class _ViewPredictions(NamedTuple):
    """Predictions for the views of one network input."""

    outputs: Floats  # (K, …) of the deciding views
    views: Floats  # (K, 4, N, N)
    color_map: ColorMap  # of all deciding views
    confidence: float
    likeness: float | None


class Predictor:
    """Prediction of color maps and masks by a network."""

    def __init__(self, runner: NetworkRunner, name: str) -> None:
        """Store a network.

        Args:
            runner: the network.
            name: the model's name, for messages.
        """
        self.runner = runner
        self.name = name

    @property
    def mask_free(self) -> bool:
        """True if the network predicts the mask itself."""
        return self.runner.traits.mask_free

    def __call__(self, network_input: NetworkInput, references: References | None = None) -> Prediction:
        """Predict the color map of the foreground from several augmented views.

        Args:
            network_input: image and mask.
            references: photographs that count as further backgrounds. The map is that of all views, the likeness their
                mean; the confidence is the agreement of the backgrounds' maps.

        Raises:
            ModelError: the network gave no usable result.
        """
        inputs = [network_input, *(references.place_behind(network_input) if references else ())]
        predictions = list(map(self._predict_views, inputs))
        confidence, combined = predictions[0].confidence, predictions[0].color_map
        if references:
            combined = self._color_map(
                np.concatenate([prediction.outputs for prediction in predictions]),
                np.concatenate([prediction.views for prediction in predictions]),
            )
            confidence = ensemble_confidence(
                [prediction.color_map for prediction in predictions],
                combined,
                network_input.composite,
                network_input.mask,
                REFERENCE_PENALTY,
            )
        likenesses = [prediction.likeness for prediction in predictions if prediction.likeness is not None]
        return Prediction(combined.blend(confidence), confidence, float(np.mean(likenesses)) if likenesses else None)

    def _predict_views(self, network_input: NetworkInput) -> _ViewPredictions:
        traits = self.runner.traits
        image = to_view(network_input.composite, network_input.mask)
        views, scaled, deciding = choose_views(image, traits.input_scales)
        outputs = np.stack(self._run_views(scaled))
        *single, combined = (
            self._color_map(outputs[part], views[part])
            for part in (*(slice(k, k + 1) for k in range(len(views))), slice(deciding))
        )
        confidence = ensemble_confidence(
            single, combined, network_input.composite, network_input.mask, traits.disagreement_penalty
        )
        likeness = self.runner.likeness(scaled[0])
        return _ViewPredictions(outputs[:deciding], views[:deciding], combined, confidence, likeness)

    def _color_map(self, outputs: Floats, views: Floats) -> ColorMap:
        try:
            return self.runner.traits.prediction_format.color_map(outputs, views[:, :3], views[:, 3:])
        except ValueError as error:
            raise self._unusable() from error

    def predict_mask(self, composite: Floats) -> MaskPrediction:
        """Predict the foreground with a mask-free network.

        Args:
            composite: N×N×3 sRGB in [0, 1].

        Raises:
            ModelError: the network gave no usable result.
        """
        no_mask = np.zeros(composite.shape[:2], np.float32)
        mask, *presence = self._run(to_view(composite, no_mask))[3:].clip(0, 1)
        return MaskPrediction(mask, float(presence[0].mean()) if presence else mask_confidence(mask))

    def predict_pixels(self, network_input: NetworkInput) -> Floats:
        """Return the network's own pixels, from one view and not weakened by the confidence.

        Returns:
            N×N×3 sRGB in [0, 1].

        Raises:
            ModelError: the network gave no usable result.
        """
        view = to_view(network_input.composite, network_input.mask)
        traits = self.runner.traits
        pixels = traits.prediction_format.pixels(self._run(view), view[:3]).clip(0, 1)
        if not traits.mask_free:  # composited as in the S2AM paper: final = M · output + M' · I
            pixels = view[:3] + view[3:] * (pixels - view[:3])
        return np.ascontiguousarray(np.moveaxis(pixels, 0, -1), np.float32)

    def _run_views(self, views: Sequence[Floats]) -> list[Floats]:
        # Threads that wait for one another only at the end of a view are not stalled by other programs, as those within
        # a layer of the network are. A batch would be no faster.
        workers = min(len(views), os.cpu_count() or 1) if self.runner.device == CPU else 1
        outputs: dict[int, Floats] = {}

        def run(part: slice) -> None:
            outputs[part.start] = self._run(views[part.start])

        run_in_threads(run, [slice(number, number + 1) for number in range(len(views))], None, workers)
        return [outputs[number] for number in range(len(views))]

    def _run(self, view: Floats) -> Floats:
        output = self.runner.run(view)
        if not np.isfinite(output).all():
            raise self._unusable()
        return output

    def _unusable(self) -> ModelError:
        return ModelError(
            f"Model “{self.name}” gave no usable result for this image.", code="model.result", model=self.name
        )


def mask_confidence(mask: Floats) -> float:
    """Return the mean of a mask (N×N in [0, 1]) over its pixels from 0.5 on, or 0 if there are none."""
    foreground = mask[mask >= 0.5]
    return float(foreground.mean()) if foreground.size else 0.0


def to_view(composite: Floats, mask: Floats) -> Floats:
    """Stack N×N×3 and N×N arrays to (4, N, N)."""
    return np.concatenate([np.moveaxis(composite, -1, 0), mask[None]])


def choose_views(image: Floats, scales: Sequence[float]) -> tuple[Floats, Sequence[Floats], int]:
    """Return the views for test-time augmentation: `four_views`, or one view at each of several scales.

    Every second view is of the mirror image, so a scale that is given twice has both. Image and mirror image at each
    of two scales were no better on 16 real and 93 synthetic composites, and took twice as long.

    Args:
        image: (C, N, N) in [0, 1]; the last channel is the mask.
        scales: see `NetworkTraits.input_scales`.

    Returns:
        views: (K, C, N, N), at full size.
        scaled: the same views at the sizes that the network receives.
        deciding: number of views, from the first on, whose mean gives the color map.
    """
    if len(scales) == 1:
        views = four_views(image)
        return views, list(views), DECIDING_VIEWS
    views = np.stack([image[..., ::-1] if index % 2 else image for index in range(len(scales))])
    sides = [round(scale / max(scales) * image.shape[-1]) for scale in scales]
    scaled = [resize_view(*view, cv2.INTER_AREA) for view in zip(views, sides, strict=True)]
    return views, scaled, len(views)


def resize_view(image: Floats, side: int, interpolation: int) -> Floats:
    """Resize an image (C, N, N) to (C, side, side) by a method of OpenCV."""
    if side == image.shape[-1]:
        return image
    channels = [cv2.resize(channel, (side, side), interpolation=interpolation) for channel in image]
    return np.asarray(channels, np.float32)


def four_views(image: Floats) -> Floats:
    """Return an image (C, N, N) in [0, 1], flipped horizontally, vertically, and its center enlarged: (4, C, N, N).

    The last channel is the mask. If the center lacks foreground or background, the image itself replaces that view.
    """
    size = image.shape[-1]
    edge = round(size * (1 - CROP) / 2)
    center = image[:, edge : size - edge, edge : size - edge]
    has_both = 0.001 < float(center[-1].mean()) < 0.999
    enlarged = resize_view(center, size, cv2.INTER_LINEAR) if has_both else image
    return np.stack([image, image[..., ::-1], image[:, ::-1], enlarged])


def ensemble_confidence(
    single: Sequence[ColorMap], combined: ColorMap, composite: Floats, mask: Floats, disagreement_penalty: float
) -> float:
    """Return the agreement of several color maps on the foreground, 0 to 1.

    1 / (1 + penalty · variance / change²): the variance of the single maps' results relative to the squared change that
    the combined map makes, both as mask-weighted means over pixels and channels.

    Args:
        single: the views' maps, at least two.
        combined: the map whose confidence is asked for.
        composite: N×N×3 in [0, 1], the pixels that the maps are compared on.
        mask: N×N in [0, 1].
        disagreement_penalty: see `NetworkTraits.disagreement_penalty`.
    """
    weights = mask[mask > 0][:, None]
    before = composite[mask > 0]
    area = 3 * max(float(weights.sum(dtype=np.float64)), 1e-6)
    results = np.stack([color_map(before).clip(0, 1) for color_map in single])
    variance = float((results.var(axis=0, ddof=1) * weights).sum(dtype=np.float64)) / area
    change = float(((combined(before).clip(0, 1) - before) ** 2 * weights).sum(dtype=np.float64)) / area + MIN_CHANGE
    return 1 / (1 + disagreement_penalty * variance / change)
