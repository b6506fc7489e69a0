# SPDX-License-Identifier: GPL-3.0-or-later
"""Prediction of a foreground's shading by a small network, which is loaded only when it is needed."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from s2am_common.errors import ModelError
from s2am_engine.color.map import ColorMap
from s2am_engine.finish.shading import MAX_STOPS, Shading
from s2am_engine.image import icc
from s2am_engine.image.arrays import bounding_box, sample_pixels, subsample, to_uint8, to_unit
from s2am_engine.image.data import ImageData
from s2am_engine.inference.devices import CPU
from s2am_engine.inference.network_input import average_visible
from s2am_engine.inference.network_runner import NetworkRunner, open_runner
from s2am_engine.models.model_files import read_model_data
from s2am_engine.models.model_store import LIGHT_MODEL, find_model
from s2am_engine.types import Bytes, Floats, Mask

LIGHT_CROP = 1.6
"""Side of the part of the image that the network gets, relative to the foreground's box."""

LIGHT_INPUT = 64
"""Side of the network's input in pixels."""

FIELD_CELLS = 16
"""Rows and columns of the field."""

SKY_WIDTH = 0.9
"""Share of the image's upper border that a sky covers at least."""

_SAMPLED = 4 * LIGHT_INPUT  # rows and columns that are read
_ROWS = 32  # that are recolored at a time


def predict_shading(image: ImageData, mask: Mask, color_map: ColorMap | None) -> Shading:
    """Predict the shading of a foreground.

    Args:
        image: the composite; pixels whose alpha is 0 do not count.
        mask: H×W, the foreground.
        color_map: applied to the foreground first; None = the colors as they are.

    Returns:
        The field; all gains are 0 if nothing of the background is visible around the foreground.

    Raises:
        ModelError: the model is missing or damaged, or gave no usable result.
    """
    box = crop_box(mask)
    if box is None:
        return Shading((0, 0, mask.shape[1], mask.shape[0]), np.zeros((1, 1), np.float32))
    left, top, right, bottom = box
    part = slice(top, bottom), slice(left, right)
    weights = to_unit(subsample(mask[part], _SAMPLED))
    visible = None if image.alpha is None else to_unit(subsample(image.alpha[part], _SAMPLED))
    shown = 1 - weights if visible is None else (1 - weights) * visible
    if not shown.any() or (visible is not None and not (weights * visible).any()):
        return Shading(box, np.zeros((1, 1), np.float32))
    own = to_uint8(sample_pixels(image.pixels[part], _SAMPLED))
    if color_map is not None:
        own = _recolored(own, weights, color_map)
    composite, small = average_visible(icc.to_srgb(own, image.profile), weights, visible, LIGHT_INPUT)
    gains, rms = predict_gains(light_runner(), composite, small.clip(0, 1))
    cells = np.asarray(cv2.resize(gains, (FIELD_CELLS, FIELD_CELLS), interpolation=cv2.INTER_AREA), np.float32)
    return Shading(box, cells, rms, at_top=float(to_unit(mask[0]).mean()) >= SKY_WIDTH)


def _recolored(pixels: Bytes, weights: Floats, color_map: ColorMap) -> Bytes:
    """Return pixels (h, w, 3) whose foreground, of weights (h, w), is recolored; few of them are floats at a time."""
    recolored = np.empty_like(pixels)
    for first in range(0, len(pixels), _ROWS):
        rows = slice(first, first + _ROWS)
        unit = pixels[rows] / np.float32(255)
        unit += weights[rows, :, None] * (color_map(unit).clip(0, 1) - unit)
        recolored[rows] = to_uint8(unit)
    return recolored


def predict_gains(runner: NetworkRunner, composite: Floats, mask: Floats) -> tuple[Floats, float]:
    """Return gains in stops, (64, 64), and their root mean square in the foreground.

    The image and its mirror image are averaged.

    Args:
        runner: the network.
        composite: 64×64×3 sRGB in [0, 1], the foreground recolored.
        mask: 64×64 in [0, 1].

    Raises:
        ModelError: the network gave no usable result.
    """
    view = np.concatenate([np.moveaxis(composite, -1, 0), mask[None]])
    mirrored = np.ascontiguousarray(view[..., ::-1])
    gains = (runner.run(view)[3] + runner.run(mirrored)[3, :, ::-1]) / 2
    if not np.isfinite(gains).all():
        raise ModelError(
            f"Model “{LIGHT_MODEL}” gave no usable result for this image.", code="model.result", model=LIGHT_MODEL
        )
    gains = np.asarray(gains.clip(-MAX_STOPS, MAX_STOPS), np.float32)
    area = max(float(mask.sum()), 1e-6)
    return gains, math.sqrt(float((gains**2 * mask).sum()) / area)


def crop_box(mask: Mask) -> tuple[int, int, int, int] | None:
    """Return left, top, right and bottom of the network's part of an image; None = there is no foreground."""
    box = bounding_box(mask)
    if box is None:
        return None
    left, top, right, bottom = box
    across, down = ((LIGHT_CROP - 1) / 2 * length for length in (right - left, bottom - top))
    height, width = mask.shape
    return (
        max(0, math.floor(left - across)),
        max(0, math.floor(top - down)),
        min(width, math.ceil(right + across)),
        min(height, math.ceil(bottom + down)),
    )


def light_runner() -> NetworkRunner:
    """Return the network of the light, loaded once.

    Raises:
        ModelError: the model is missing or damaged.
    """
    return _runner(find_model(LIGHT_MODEL).card.sha256)


@functools.lru_cache(1)
def _runner(sha256: str) -> NetworkRunner:  # noqa: ARG001 (a model that was replaced is loaded again)
    # On the CPU also where there is a GPU: it takes a few milliseconds, and PyTorch would have to be loaded.
    return open_runner(read_model_data(LIGHT_MODEL), CPU)
