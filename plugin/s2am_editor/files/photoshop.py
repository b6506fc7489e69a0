# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents: pixel layers with masks, groups and color profile, read by psd-tools."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psd_tools import PSDImage
from psd_tools.api.layers import Layer as PsdLayer
from psd_tools.constants import BlendMode, ColorMode, Resource

from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.files.project import DAMAGE_ERRORS
from s2am_engine.errors import FileError, ImageFormatError
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.data import ImageData
from s2am_engine.image.formats.common import UnsupportedFileError, check_image_size
from s2am_engine.types import FractionCallback

_DEPTHS: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16)}


def read_photoshop(path: Path, progress: FractionCallback | None = None) -> tuple[Document, list[str]]:
    """Read a Photoshop document.

    Returns:
        The document, and one sentence for each feature of the file that is not supported.

    Raises:
        FileError: not a Photoshop document, damaged, or not in RGB or grayscale with 8 or 16 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the notes report unsupported features
            return _read(path, progress or (lambda _: None))
    except UnsupportedFileError as refusal:
        raise ImageFormatError(f"{path} {refusal}.", path=str(path)) from refusal
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist: check the name and the folder.") from error
    except MemoryError as error:
        raise FileError(f"{path} is too large for this computer's memory: close other programs first.") from error
    except DAMAGE_ERRORS as error:
        raise ImageFormatError(
            f"{path} is damaged or not a Photoshop document: save it again as PSD or TIFF."
        ) from error


def _read(path: Path, report: FractionCallback) -> tuple[Document, list[str]]:
    psd = PSDImage.open(path, max_alloc_bytes="unlimited")  # check_image_size limits it instead
    check_image_size(psd.width, psd.height)
    dtype = _DEPTHS.get(psd.depth)
    if psd.color_mode not in (ColorMode.RGB, ColorMode.GRAYSCALE) or dtype is None:
        raise UnsupportedFileError(
            f"has {psd.color_mode.name} colors with {psd.depth} bits: convert it to RGB with 8 or 16 bits first"
        )
    profile = psd.image_resources.get_data(Resource.ICC_PROFILE)
    notes: set[str] = set()
    layers = tuple(_read_layers(psd, dtype, notes, report))
    if not layers:
        return Document.from_image(_merged_image(psd, dtype, profile), path.stem), sorted(notes)
    gray = psd.color_mode == ColorMode.GRAYSCALE
    return Document(psd.width, psd.height, layers, dtype, profile, gray, active=layers[-1].id), sorted(notes)


def _merged_image(psd: PSDImage, dtype: np.dtype[Any], profile: bytes | None) -> ImageData:
    """Return the image of a document without layers."""
    gray = psd.color_mode == ColorMode.GRAYSCALE
    pixels, alpha = _split_channels(psd.numpy(), 1 if gray else 3, dtype)
    return ImageData(pixels, alpha, profile, gray)


def _read_layers(psd: PSDImage, dtype: np.dtype[Any], notes: set[str], report: FractionCallback) -> Iterator[Layer]:
    """Yield all pixel layers from bottom to top, and add notes about unsupported features."""
    layers = [layer for layer in psd.descendants() if not layer.is_group()]
    for index, layer in enumerate(layers):
        report(index / len(layers))
        _note_unsupported_features(layer, notes)
        box = Rect(*layer.bbox)
        if layer.has_pixels() and not box.is_empty:
            check_image_size(box.width, box.height)
            canvas = Rect(0, 0, psd.width, psd.height)
            yield _convert_layer(layer, box, canvas, dtype, psd.color_mode == ColorMode.GRAYSCALE)
        elif not layer.has_pixels():
            notes.add(f"“{layer.name}” was skipped: it contains no pixels ({layer.kind}).")


def _note_unsupported_features(layer: PsdLayer, notes: set[str]) -> None:
    if layer.blend_mode not in (BlendMode.NORMAL, BlendMode.PASS_THROUGH):
        notes.add("Layers with other blend modes are shown as normal layers.")
    if layer.has_effects():
        notes.add("Layer effects are not shown.")
    if layer.clipping:
        notes.add("Clipped layers are shown without clipping.")


def _convert_layer(layer: PsdLayer, box: Rect, canvas: Rect, dtype: np.dtype[Any], gray: bool) -> Layer:
    pixels, alpha = _split_channels(layer.numpy(), 1 if gray else 3, dtype)
    if alpha is not None and alpha.min() >= full_scale(dtype):
        alpha = None
    raster = Raster(pixels, alpha)
    opacity, visible = layer.opacity / 255, layer.visible
    parent: Any = layer.parent
    while isinstance(parent, PsdLayer):  # a group; the document itself comes last
        opacity, visible, parent = opacity * parent.opacity / 255, visible and parent.visible, parent.parent
    is_background = box.intersection(canvas) == canvas and alpha is None and not layer.has_mask()
    return Layer(
        *(layer.name, raster, Transform.at(box.left, box.top, raster.size), _convert_mask(layer, box)),
        opacity=opacity,
        visible=visible,
        locked=is_background,
    )


def _split_channels(
    samples: NDArray[Any] | None, colors: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Convert h×w×C floats in [0, 1] to pixels h×w×3 and alpha h×w with the exact integers of the file."""
    if samples is None:
        raise ValueError("no pixels")
    exact = np.rint(samples * np.float32(full_scale(dtype))).astype(dtype)
    color = exact[..., :3] if colors == 3 else np.repeat(exact[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(exact[..., colors]) if exact.shape[2] > colors else None
    return np.ascontiguousarray(color), alpha


def _convert_mask(layer: PsdLayer, box: Rect) -> TiledMask | None:
    """Return a layer's mask at the size of its pixels; None if it has no enabled mask."""
    if not layer.has_mask() or layer.mask is None or layer.mask.disabled:
        return None
    values = layer.numpy("mask")
    outside = 255 if layer.mask.background_color else 0
    mask = TiledMask(box.width, box.height, outside)
    if values is None:
        return mask
    left, top = layer.mask.bbox[0] - box.left, layer.mask.bbox[1] - box.top
    return mask.replaced(left, top, np.rint(values[..., 0] * 255).astype(np.uint8))
