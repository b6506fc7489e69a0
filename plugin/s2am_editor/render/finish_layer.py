# SPDX-License-Identifier: GPL-3.0-or-later
"""Finish of layers: the engine's, applied to recolored pixels with the pixels around them that it depends on.

At full size the pixels equal those of the engine. Reduced views are an approximation: radii and noise are reduced by
the zoom, as if the noise were independent from pixel to pixel, and soft edges are corrected within a larger distance.

Noise reduction takes long: after each change, the screen shows a draft first. It adds the change of the colors that the
finish makes at half the resolution to the pixels of full resolution.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.sliders import FINISH_SLIDERS
from s2am_editor.document.geometry import Transform, bounding_rect, concatenate_affine, invert_affine, transform_points
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.model import Document, Harmonization, ImageAdjustment, Layer
from s2am_editor.document.raster import OPENCV_DEPTHS
from s2am_editor.render.resample import Patch, resample_layer
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map_plans import PreparedMap
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement, RegionMeasurement
from s2am_engine.finish.shading import Shading
from s2am_engine.image.rect import EMPTY_RECT, Rect


@dataclass(frozen=True, eq=False)
class DraftFinish(MeasuredFinish):
    """A finish of which a draft is rendered."""


def with_drafts(before: Document, after: Document) -> Document:
    """Return the document to show first after a change: drafts of the changed layers whose finish takes long.

    Args:
        before: the document until the change.
        after: the current one, which is returned itself if no layer needs a draft.
    """
    known = {layer.id: layer for layer in before.layers}
    layers = tuple(
        _as_draft(layer) if _takes_long(layer) and known.get(layer.id) is not layer else layer for layer in after.layers
    )
    return after if layers == after.layers else dataclasses.replace(after, layers=layers)


def _takes_long(layer: Layer) -> bool:
    return layer.finish is not None and layer.finish.values.grain < 0  # noise reduction


def _as_draft(layer: Layer) -> Layer:
    fields = {field.name: getattr(layer.finish, field.name) for field in dataclasses.fields(MeasuredFinish)}
    return dataclasses.replace(layer, finish=DraftFinish(**fields))


def has_finish(layer: Layer) -> bool:
    """Return whether a finish changes the pixels of a layer."""
    return layer.finish is not None and not layer.finish.values.changes_nothing


def finished_patch(layer: Layer, zoom: float, rect: Rect, canvas: Rect, workers: int | None = None) -> Patch | None:
    """Resample, recolor and finish a part of a layer that has a finish; opacity and visibility are ignored.

    Args:
        layer: the layer.
        zoom: screen pixels per canvas pixel.
        rect: part of the canvas, in pixels of that zoom.
        canvas: the whole canvas, in pixels of that zoom; what lies outside it and `rect` has no influence.
        workers: number of threads; None = one per processor.

    Returns:
        The part of `rect` that the layer covers, in its final colors; None if there is none.
    """
    if layer.finish is None:
        raise ValueError(f"“{layer.name}” has no finish")
    if isinstance(layer.finish, DraftFinish):
        return _draft_patch(layer, zoom, rect, canvas, workers)
    return _exact_patch(layer, layer.finish, zoom, rect, canvas, workers)


def _exact_patch(
    layer: Layer, finish: MeasuredFinish, zoom: float, rect: Rect, canvas: Rect, workers: int | None
) -> Patch | None:
    """Return the patch of `finished_patch` with the exact finish."""
    finisher = _finisher(finish, layer.transform, layer.size, zoom)
    context = rect.expanded(finisher.reach).intersection(canvas.union(rect))
    patch = resample_layer(layer, zoom, context)
    target = EMPTY_RECT if patch is None else patch.rect.intersection(rect)
    if patch is None or target.is_empty:
        return None
    pixels = _recolored(layer, patch, workers)
    alpha = np.full(pixels.shape[:2], 255, np.uint8) if patch.coverage is None else patch.coverage
    inner = target.translated(-patch.rect.left, -patch.rect.top)
    origin = patch.rect.left, patch.rect.top
    finisher.apply(pixels, layer_alpha=alpha, origin=origin, rows=slice(inner.top, inner.bottom))
    coverage = None if patch.coverage is None else np.ascontiguousarray(patch.coverage[inner.slices])
    return Patch(target, np.ascontiguousarray(pixels[inner.slices]), coverage)


def _draft_patch(layer: Layer, zoom: float, rect: Rect, canvas: Rect, workers: int | None) -> Patch | None:
    """Return the patch of `finished_patch` with a draft of the finish."""
    patch, half, coarse = resample_layer(layer, zoom, rect), _halved(rect), None
    if patch is not None and layer.finish is not None:
        coarse = _exact_patch(layer, layer.finish, zoom / 2, half, _halved(canvas), workers)
    unfinished = None if coarse is None else resample_layer(layer, zoom / 2, coarse.rect)
    if patch is None or coarse is None or unfinished is None or unfinished.rect != coarse.rect:
        return patch
    pixels = _recolored(layer, patch, workers)
    change = np.subtract(coarse.pixels, _recolored(layer, unfinished, workers), dtype=np.float32)
    # From indices of the patch to those of the change; OpenCV indexes pixel centers.
    offset = [(fine + 0.5) / 2 - start - 0.5 for fine, start in zip(patch.rect[:2], coarse.rect[:2], strict=True)]
    matrix = np.array([[0.5, 0, offset[0]], [0, 0.5, offset[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = patch.rect.width, patch.rect.height
    change = cv2.warpAffine(change, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    result = cv2.add(pixels, change, dtype=OPENCV_DEPTHS[pixels.dtype])  # rounded and clamped
    return Patch(patch.rect, np.asarray(result), patch.coverage)


def _halved(rect: Rect) -> Rect:
    """Return a rectangle at half the zoom, rounded outwards."""
    return Rect(rect.left // 2, rect.top // 2, -(-rect.right // 2), -(-rect.bottom // 2))


def _recolored(layer: Layer, patch: Patch, workers: int | None) -> NDArray[Any]:
    """Return the pixels of a patch in harmonized colors, as a new array."""
    original = np.ascontiguousarray(patch.pixels)
    if layer.harmonization is None:
        return original.copy()
    return apply_color_map(prepared_map(layer.harmonization), original, workers=workers)


@functools.lru_cache(16)
def prepared_map(adjustment: Harmonization | ImageAdjustment) -> PreparedMap:
    """Return the complete color map of an adjustment with its lookup tables, which all tiles share."""
    return PreparedMap(adjustment.color_map)


@functools.lru_cache(16)
def _finisher(finish: MeasuredFinish, transform: Transform, size: tuple[int, int], zoom: float) -> Finisher:
    """Return the engine's finisher of a layer of `size` (width, height) at a zoom; all parts share it."""
    motion = finish.placement, transform, size
    surroundings, shading = _follow(finish.surroundings, *motion), _follow_light(finish.shading, *motion)
    values, measurement = finish.values, finish.measurement
    if zoom != 1:
        limit = FINISH_SLIDERS["sharpness"].high
        radius = float(np.clip(values.sharpness * zoom, -limit, limit))
        values = values.replace(sharpness=radius, grain=values.grain * min(zoom, 1.0))
        measurement = FinishMeasurement(
            *(_with_noise(region, min(zoom, 1.0)) for region in (measurement.foreground, measurement.background))
        )
    return Finisher(values, measurement, surroundings.scaled(zoom), shading.scaled(zoom) if shading else None)


def _with_noise(region: RegionMeasurement, factor: float) -> RegionMeasurement:
    """Return a measurement with noise of `factor` times the level."""
    if region.noise is None:
        return region
    return dataclasses.replace(region, noise=dataclasses.replace(region.noise, levels=region.noise.levels * factor))


def _follow(around: Surroundings, before: Transform, after: Transform, size: tuple[int, int]) -> Surroundings:
    """Return the surroundings of a layer of `size` (width, height) that was transformed after they were measured."""
    if dataclasses.replace(before, x=after.x, y=after.y) == after:
        return around.moved(after.x - before.x, after.y - before.y)
    motion = _FieldMotion(around.box, before, after, size)
    return Surroundings(motion.box, *map(motion.moved, (around.foreground, around.background, around.light)))


def _follow_light(
    shading: Shading | None, before: Transform, after: Transform, size: tuple[int, int]
) -> Shading | None:
    """Return the shading of a layer of `size` (width, height) that was transformed after it was predicted."""
    if shading is None:
        return None
    if dataclasses.replace(before, x=after.x, y=after.y) == after:
        return shading.moved(after.x - before.x, after.y - before.y)
    motion = _FieldMotion(shading.box, before, after, size)
    return dataclasses.replace(shading, box=motion.box, gains=motion.moved(shading.gains))


class _FieldMotion:
    """The motion of reduced fields over a box of the canvas with a layer of `size` (width, height).

    box: left, top, right and bottom of the moved fields.
    """

    def __init__(
        self, box: tuple[float, float, float, float], before: Transform, after: Transform, size: tuple[int, int]
    ) -> None:
        self._motion = concatenate_affine(invert_affine(before.matrix(size)), after.matrix(size))
        self._before = left, top, right, bottom = box
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        rect = bounding_rect(transform_points(self._motion, corners))
        self.box: tuple[float, float, float, float] = (rect.left, rect.top, rect.right, rect.bottom)

    def moved(self, field: NDArray[Any]) -> NDArray[Any]:
        """Return a field over `box`, of as many rows as columns, from one over the box before."""
        rows, columns = field.shape[:2]
        side = max(rows, columns)
        left, top, right, bottom = self._before
        # From indices of the new field, over the canvas, to indices of the measured one.
        x0, y0, x1, y1 = self.box
        to_canvas = np.array([[(x1 - x0) / side, 0, x0], [0, (y1 - y0) / side, y0]])
        across, down = columns / (right - left), rows / (bottom - top)
        to_field = np.array([[across, 0, -left * across], [0, down, -top * down]])
        matrix = concatenate_affine(concatenate_affine(to_canvas, invert_affine(self._motion)), to_field)
        matrix[:, 2] += matrix[:, :2] @ np.array([0.5, 0.5]) - 0.5  # OpenCV indexes pixel centers
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(
            cv2.warpAffine(field, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE), field.dtype
        )
