# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's responses to the requests about the finish of a layer."""

from __future__ import annotations

import functools
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gimp_bridge.effective_mask import Plane
from gimp_bridge.finish_messages import (
    FINISH_WINDOW,
    FinishMeasured,
    FinishReach,
    FinishStrip,
    LayerFinish,
    MeasureFinish,
    PlaceWindows,
    ReachFound,
    WindowsPlaced,
)
from s2am_common.errors import EngineError
from s2am_common.sliders import FINISH_SLIDERS
from s2am_engine.color.map import ColorMap
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import SampleWindows, window_positions
from s2am_engine.image.data import ImageData
from s2am_engine.inference.shading import predict_shading
from s2am_engine.types import FractionCallback


def place_windows(request: PlaceWindows) -> WindowsPlaced:
    """Return the places of windows at full resolution."""
    mask = np.frombuffer(request.mask, np.uint8).reshape(request.height, request.width)
    corners = window_positions(mask, (request.full_height, request.full_width))
    return WindowsPlaced(corners=tuple(coordinate for corner in corners for coordinate in corner))


def measure_finish(request: MeasureFinish) -> FinishMeasured:
    """Measure windows and surroundings of a layer, and predict its light. Raises ColorMapError or ModelError."""
    shape = request.height, request.width
    pixels = np.frombuffer(request.pixels, np.uint8).reshape(*shape, 4)
    mask = np.frombuffer(request.mask, np.uint8).reshape(shape)
    rgba = np.frombuffer(request.windows, np.uint8).reshape(-1, FINISH_WINDOW, FINISH_WINDOW, 4)
    masks = np.frombuffer(request.window_masks, np.uint8).reshape(rgba.shape[:3])
    windows = SampleWindows(rgba[..., :3], masks, rgba[..., 3])
    image = ImageData(np.ascontiguousarray(pixels[..., :3]), pixels[..., 3])
    color_map, scale = ColorMap.from_json(request.color_map), request.full_width / request.width
    around = Surroundings.measure(image.pixels, mask, image.alpha).scaled(scale) if mask.any() else None
    shading = predict_shading(image, mask, color_map).scaled(scale) if request.light else None
    measurement = FinishMeasurement.of(windows, color_map, around)
    automatic = measurement.automatic(shading, request.sharpness)
    names = [name for name, spec in FINISH_SLIDERS.items() if spec.automatic and (shading or name != "light")]
    return FinishMeasured(
        measured={
            "measurement": measurement.to_json(),
            "surroundings": around.to_json() if around else None,
            "shading": shading.to_json() if shading else None,
        },
        automatic={name: getattr(automatic, name) for name in names},
        notes=measurement.notes,
    )


def find_reach(request: FinishReach) -> ReachFound:
    """Return the rows around a strip that a finish depends on."""
    return ReachFound(rows=_finisher_of(request.finish).reach)


def finish_strip(
    request: FinishStrip, pixels: NDArray[Any], mask: Plane, alpha: Plane, progress: FractionCallback
) -> None:
    """Finish a strip in place.

    Args:
        request: the finish, and the rows that are only context.
        pixels: rows×width×4, recolored.
        mask: rows×width, see `effective_mask` with `binary_layer`.
        alpha: rows×width, by which GIMP mixes the layer with what is below.
        progress: may raise to cancel.
    """
    rows = slice(request.above, request.strip.rows - request.below)
    origin = (request.finish.left, request.finish.top + request.row)
    colors = linear_to_srgb(pixels[..., :3]) if request.strip.linear else pixels
    _finisher_of(request.finish).apply(colors, mask, layer_alpha=alpha, origin=origin, rows=rows, progress=progress)
    if request.strip.linear:
        changed = (mask[rows] > 0)[..., None]
        np.copyto(pixels[rows][..., :3], srgb_to_linear(colors[rows]), where=changed)


def _finisher_of(finish: LayerFinish) -> Finisher:
    return _cached_finisher(json.dumps(finish.sliders, sort_keys=True), json.dumps(finish.measured, sort_keys=True))


@functools.lru_cache(2)
def _cached_finisher(sliders: str, measured: str) -> Finisher:
    """Return the finisher of values and measurement in JSON; all strips of a layer use the same one."""
    try:
        data = json.loads(measured)
        around = None if data["surroundings"] is None else Surroundings.from_json(data["surroundings"])
        shading = None if data["shading"] is None else Shading.from_json(data["shading"])
        measurement = FinishMeasurement.from_json(data["measurement"])
        return Finisher(Finish(**json.loads(sliders)), measurement, around, shading)
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(f"The measurement of the finish is damaged ({error}).", code="engine.request") from error
