# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering of a whole document at full size and depth, for files and as the input of the models."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.layer_tree import layers_in
from s2am_editor.document.model import Document, DocumentError, Group, Layer
from s2am_editor.document.raster import Raster
from s2am_editor.render.blend import adjust_image, exact_shadows, render_exactly
from s2am_editor.render.resample import resample_layer
from s2am_engine.image import icc
from s2am_engine.image.arrays import full_scale, sampled_lines, to_depth
from s2am_engine.image.data import ImageData
from s2am_engine.image.rect import Rect
from s2am_engine.types import FractionCallback

_STRIP_PIXELS = 1 << 20


def flatten(document: Document, *, side: int | None = None, progress: FractionCallback | None = None) -> ImageData:
    """Merge all visible layers into an image of the document's size and depth.

    Pixels that neither a layer nor the adjustment of the whole image changes are bit-identical to the original; all
    others equal those of the engine. Profile and metadata are the document's. An image that was grayscale remains so if
    no color was added.

    Args:
        document: without a visible layer, the result is transparent.
        side: return only the pixels that `subsample` returns for it; None = all.
        progress: see `FractionCallback`.
    """
    samples = _Samples(document, side)
    merged = _Collected(samples.shape, document.dtype)
    shadows = exact_shadows(document)
    for strip in _row_strips(document.rect):
        part = adjust_image(document, render_exactly(document, 1.0, strip, shadows=shadows))
        alpha = None if part.alpha is None else samples.of(strip, part.alpha)
        merged.put(samples.rows(strip), samples.of(strip, part.pixels), alpha)
        if progress:
            progress(strip.bottom / document.height)
    gray = document.gray and _is_gray(merged.pixels)
    return ImageData(merged.pixels, merged.alpha, document.profile, gray, document.metadata)


def render_area(document: Document, area: Rect, progress: FractionCallback | None = None) -> ImageData:
    """Blend all visible layers in a part of the canvas, or beyond it, without the adjustment of the whole image.

    Args:
        document: the document.
        area: the part, in pixels of the canvas.
        progress: see `FractionCallback`.
    """
    found = _Collected((area.height, area.width), document.dtype)
    shadows = exact_shadows(document)
    for strip in _row_strips(area):
        part = render_exactly(document, 1.0, strip, shadows=shadows)
        found.put(slice(strip.top - area.top, strip.bottom - area.top), part.pixels, part.alpha)
        if progress:
            progress((strip.bottom - area.top) / area.height)
    return ImageData(found.pixels, found.alpha, document.profile)


class _Collected:
    """Pixels and alpha, put together from rows; `alpha` is None as long as all rows are opaque."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.pixels = np.empty((*shape, 3), dtype)
        self.alpha: NDArray[Any] | None = None

    def put(self, rows: slice, pixels: NDArray[Any], alpha: NDArray[Any] | None) -> None:
        """Set rows."""
        self.pixels[rows] = pixels
        if alpha is not None:
            if self.alpha is None:
                dtype = self.pixels.dtype
                self.alpha = np.full(self.pixels.shape[:2], full_scale(dtype), dtype)
            self.alpha[rows] = alpha


def canvas_coverage(document: Document, layer: Layer, side: int | None = None) -> NDArray[Any]:
    """Return the coverage of the canvas by a layer (alpha × mask, without opacity): H×W of the document's dtype.

    With a `side`, only the pixels that `subsample` returns for it.
    """
    samples = _Samples(document, side)
    result: NDArray[Any] = np.zeros(samples.shape, document.dtype)
    full = full_scale(document.dtype)
    for strip in _row_strips(document.rect):
        patch = resample_layer(layer, 1.0, strip)
        if patch is None:
            continue
        part = np.zeros((strip.height, strip.width), document.dtype)
        covered = full if patch.coverage is None else to_depth(patch.coverage, document.dtype)
        part[patch.rect.translated(-strip.left, -strip.top).slices] = covered
        result[samples.rows(strip)] = samples.of(strip, part)
    return result


class _Samples:
    """The pixels of a canvas that `subsample` returns for a side (None: all), taken from strips of whole rows."""

    def __init__(self, document: Document, side: int | None) -> None:
        size = document.height, document.width
        self._rows, self._columns = (sampled_lines(length, side or length) for length in size)
        self.shape = tuple(
            len(range(length)[each]) for length, each in zip(size, (self._rows, self._columns), strict=True)
        )

    def rows(self, strip: Rect) -> slice:
        """Return the rows of the samples that lie in a strip."""
        first, last = (len(range(row)[self._rows]) for row in (strip.top, strip.bottom))
        return slice(first, last)

    def of(self, strip: Rect, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return the samples among the pixels of a strip."""
        return pixels[(self._rows.start - strip.top) % self._rows.step :: self._rows.step, self._columns]


def merge(lower: Layer, upper: Layer, document: Document) -> tuple[Raster, int, int]:
    """Merge two layers, including their parts outside of the canvas.

    Returns:
        The pixels, in the document's depth and profile, and their left and top on the canvas.
    """
    area = lower.box.union(upper.box)
    shown = (
        dataclasses.replace(lower, blend_mode=BlendMode.NORMAL, group=None),
        dataclasses.replace(upper, group=None),
    )
    return _render_area(dataclasses.replace(document, layers=shown), area)


def flatten_group(group: Group, document: Document) -> tuple[Raster, int, int]:
    """Merge the layers of a group, without its opacity and blend mode; see `merge`.

    Raises:
        DocumentError: all its layers are hidden.
    """
    alone = dataclasses.replace(group, opacity=1.0, visible=True, blend_mode=BlendMode.NORMAL, parent=None)
    layers = tuple(layer for layer in layers_in(document, group.id))
    inner = tuple(alone if one.id == group.id else one for one in document.groups)
    shown = dataclasses.replace(document, layers=layers, groups=inner)
    visible = [layer.box for layer in layers if shown.shows(layer)]
    if not visible:
        raise DocumentError(
            f"All layers of “{group.name}” are hidden: show one of them first.", code="document.hidden-group"
        )
    return _render_area(shown, functools.reduce(Rect.union, visible))


def _render_area(document: Document, area: Rect) -> tuple[Raster, int, int]:
    if any(layer.shadow for layer in document.layers):
        area = area.union(document.rect)
    image = render_area(document, area)
    return Raster(image.pixels, image.alpha), area.left, area.top


def resized(image: ImageData, width: int, height: int, progress: FractionCallback | None = None) -> ImageData:
    """Return an image in another size, with colors weighted by alpha. `progress`: see `FractionCallback`."""
    raster = Raster(image.pixels, image.alpha)
    scale_x, scale_y = width / raster.size[0], height / raster.size[1]
    layer = Layer("", raster, Transform(width / 2, height / 2, scale_x, scale_y))
    found = _Collected((height, width), image.pixels.dtype)
    for strip in _row_strips(Rect(0, 0, width, height)):
        patch = resample_layer(layer, 1.0, strip)
        if patch is None or patch.rect != strip:
            raise ValueError(f"an image cannot become {width}×{height} pixels")
        coverage = None if image.alpha is None else patch.coverage
        alpha = None if coverage is None else to_depth(coverage, image.pixels.dtype)
        found.put(slice(strip.top, strip.bottom), patch.pixels, alpha)
        if progress:
            progress(strip.bottom / height)
    return dataclasses.replace(image, pixels=found.pixels, alpha=found.alpha)


def converted(
    image: ImageData, dtype: np.dtype[Any], *, srgb: bool = False, progress: FractionCallback | None = None
) -> ImageData:
    """Return an image in another depth, and in sRGB if wanted; the same one if it is in both already.

    Args:
        image: the image.
        dtype: uint8, uint16 or float32.
        srgb: convert the colors to sRGB, and leave the profile out.
        progress: see `FractionCallback`.
    """
    recolor = srgb and image.profile is not None
    if image.pixels.dtype == dtype and not recolor:
        return image
    height, width = image.pixels.shape[:2]
    found = _Collected((height, width), dtype)
    for strip in _row_strips(Rect(0, 0, width, height)):
        rows = slice(strip.top, strip.bottom)
        pixels = icc.convert(image.pixels[rows], image.profile, None) if recolor else image.pixels[rows]
        alpha = None if image.alpha is None else to_depth(image.alpha[rows], dtype)
        found.put(rows, to_depth(pixels, dtype), alpha)
        if progress:
            progress(strip.bottom / height)
    return dataclasses.replace(
        image, pixels=found.pixels, alpha=found.alpha, profile=None if recolor else image.profile
    )


def _row_strips(area: Rect) -> list[Rect]:
    """Split a rectangle into strips of whole rows, from top to bottom."""
    rows = max(1, _STRIP_PIXELS // area.width)
    return [
        Rect(area.left, top, area.right, min(top + rows, area.bottom)) for top in range(area.top, area.bottom, rows)
    ]


def _is_gray(pixels: NDArray[Any]) -> bool:
    first = pixels[..., 0]
    return all(np.array_equal(first, pixels[..., channel]) for channel in (1, 2))
