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
from s2am_engine.image.arrays import full_scale, sampled_lines, to_depth
from s2am_engine.image.io import ImageData
from s2am_engine.image.rect import Rect
from s2am_engine.types import FractionCallback

_STRIP_PIXELS = 1 << 20


def flatten(
    document: Document, *, harmonized: bool = True, side: int | None = None, progress: FractionCallback | None = None
) -> ImageData:
    """Merge all visible layers into an image of the document's size and depth.

    Pixels that neither a layer nor the adjustment of the whole image changes are bit-identical to the original; all
    others equal those of the engine. Profile and metadata are the document's. An image that was grayscale remains so if
    no color was added.

    Args:
        document: without a visible layer, the result is transparent.
        harmonized: False = with the layers' original colors and without the adjustment of the whole image.
        side: return only the pixels that `subsample` returns for it; None = all.
        progress: see `FractionCallback`.
    """
    samples = _Samples(document, side)
    pixels = np.empty((*samples.shape, 3), document.dtype)
    alpha: NDArray[Any] | None = None
    shadows = exact_shadows(document) if harmonized else {}
    for strip in _row_strips(document):
        part = render_exactly(document, 1.0, strip, harmonized=harmonized, shadows=shadows)
        if harmonized:
            part = adjust_image(document, part)
        rows = samples.rows(strip)
        pixels[rows] = samples.of(strip, part.pixels)
        if part.alpha is not None:
            if alpha is None:
                alpha = np.full(pixels.shape[:2], full_scale(document.dtype), document.dtype)
            alpha[rows] = samples.of(strip, part.alpha)
        if progress:
            progress(strip.bottom / document.height)
    gray = document.gray and _is_gray(pixels)
    return ImageData(pixels, alpha, document.profile, gray, document.metadata)


def canvas_coverage(document: Document, layer: Layer, side: int | None = None) -> NDArray[Any]:
    """Return the coverage of the canvas by a layer (alpha × mask, without opacity): H×W of the document's dtype.

    With a `side`, only the pixels that `subsample` returns for it.
    """
    samples = _Samples(document, side)
    result: NDArray[Any] = np.zeros(samples.shape, document.dtype)
    full = full_scale(document.dtype)
    for strip in _row_strips(document):
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
    """Merge two layers, including what lies outside of the canvas.

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
    image = render_exactly(document, 1.0, area)
    return Raster(image.pixels, image.alpha), area.left, area.top


def resized(image: ImageData, width: int, height: int) -> ImageData:
    """Return an image in another size, with colors weighted by alpha."""
    raster = Raster(image.pixels, image.alpha)
    scale_x, scale_y = width / raster.size[0], height / raster.size[1]
    layer = Layer("", raster, Transform(width / 2, height / 2, scale_x, scale_y))
    patch = resample_layer(layer, 1.0, Rect(0, 0, width, height))
    if patch is None or patch.rect != (0, 0, width, height):
        raise ValueError(f"an image cannot become {width}×{height} pixels")
    alpha = None if image.alpha is None or patch.coverage is None else to_depth(patch.coverage, image.pixels.dtype)
    return dataclasses.replace(image, pixels=patch.pixels, alpha=alpha)


def _row_strips(document: Document) -> list[Rect]:
    """Split the canvas into strips of whole rows, from top to bottom."""
    rows = max(1, _STRIP_PIXELS // document.width)
    return [Rect(0, top, document.width, min(top + rows, document.height)) for top in range(0, document.height, rows)]


def _is_gray(pixels: NDArray[Any]) -> bool:
    first = pixels[..., 0]
    return all(np.array_equal(first, pixels[..., channel]) for channel in (1, 2))
