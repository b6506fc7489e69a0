# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents: their layers of pixels, with masks, groups and profile, through psd-tools."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psd_tools import PSDImage
from psd_tools.api.layers import Layer as PhotoshopLayer
from psd_tools.constants import BlendMode, ColorMode, Resource

from s2am_editor.compose.flatten import Progress
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster
from s2am_engine.errors import EngineError
from s2am_engine.image.formats.common import UnsupportedFileError, check_image_size
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import full_scale

_DEPTHS: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16)}
_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, ArithmeticError, EOFError, OSError, RuntimeError, AssertionError),
    *(AttributeError, NotImplementedError, struct.error, zlib.error),
)


def read(path: Path, progress: Progress | None = None) -> tuple[Document, list[str]]:
    """Read a Photoshop document.

    Returns:
        The document, and what of the file could not be taken over: a sentence each.

    Raises:
        EngineError: not such a file, damaged, or colors that are not RGB or gray at 8 or 16 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is said in our notes
            return _read(path, progress or (lambda _: None))
    except UnsupportedFileError as refusal:
        raise EngineError(f"{path} {refusal}.") from refusal
    except FileNotFoundError as error:
        raise EngineError(f"{path} does not exist: check the name and the folder.") from error
    except MemoryError as error:
        raise EngineError(f"{path} is too large for this computer's memory: close other programs first.") from error
    except _DAMAGE as error:
        raise EngineError(f"{path} is damaged, or not a Photoshop document: save it again as PSD or TIFF.") from error


def _read(path: Path, report: Progress) -> tuple[Document, list[str]]:
    opened = PSDImage.open(path, max_alloc_bytes="unlimited")  # the size is checked right here
    check_image_size(opened.width, opened.height)
    dtype = _DEPTHS.get(opened.depth)
    if opened.color_mode not in (ColorMode.RGB, ColorMode.GRAYSCALE) or dtype is None:
        raise UnsupportedFileError(
            f"has {opened.color_mode.name} colors at {opened.depth} bits: bring it to RGB at 8 or 16 bits first"
        )
    profile = opened.image_resources.get_data(Resource.ICC_PROFILE)
    notes: set[str] = set()
    found = list(_layers(opened, opened.width, opened.height, dtype, notes, report))
    if not found:
        return Document.from_picture(_flat(opened, dtype, profile), path.stem), sorted(notes)
    gray = opened.color_mode == ColorMode.GRAYSCALE
    layers = tuple(found)
    return Document(opened.width, opened.height, layers, dtype, profile, gray, active=layers[-1].id), sorted(notes)


def _flat(opened: PSDImage, dtype: np.dtype[Any], profile: bytes | None) -> ImageData:
    """The picture of a document without layers."""
    samples = opened.numpy()
    gray = opened.color_mode == ColorMode.GRAYSCALE
    pixels, alpha = _parted(samples, 1 if gray else 3, dtype)
    return ImageData(pixels, alpha, profile, gray)


def _layers(
    opened: PSDImage, width: int, height: int, dtype: np.dtype[Any], notes: set[str], report: Progress
) -> Iterator[Layer]:
    """All layers that hold pixels, the lowest first."""
    everything = [layer for layer in opened.descendants() if not layer.is_group()]
    for index, layer in enumerate(everything):
        report(index / len(everything))
        _note_what_is_lost(layer, notes)
        box = Rect(*layer.bbox)
        if layer.has_pixels() and not box.is_empty:
            check_image_size(box.width, box.height)
            yield _layer(layer, box, Rect(0, 0, width, height), dtype, opened.color_mode == ColorMode.GRAYSCALE)
        elif not layer.has_pixels():
            notes.add(f"“{layer.name}” was left out: it holds no pixels ({layer.kind}).")


def _note_what_is_lost(layer: PhotoshopLayer, notes: set[str]) -> None:
    if layer.blend_mode not in (BlendMode.NORMAL, BlendMode.PASS_THROUGH):
        notes.add("Layers with other blend modes are shown as normal layers.")
    if layer.has_effects():
        notes.add("Layer effects are not shown.")
    if layer.clipping:
        notes.add("Layers that are clipped to another are shown whole.")


def _layer(layer: PhotoshopLayer, box: Rect, canvas: Rect, dtype: np.dtype[Any], gray: bool) -> Layer:
    pixels, alpha = _parted(layer.numpy(), 1 if gray else 3, dtype)
    if alpha is not None and alpha.min() >= full_scale(dtype):
        alpha = None
    raster = Raster(pixels, alpha)
    opacity, visible = layer.opacity / 255, layer.visible
    above: Any = layer.parent
    while isinstance(above, PhotoshopLayer):  # a group; the last is the document
        opacity, visible, above = opacity * above.opacity / 255, visible and above.visible, above.parent
    whole = box.within(canvas) == canvas and alpha is None and not layer.has_mask()
    return Layer(
        *(layer.name, raster, Transform.at(box.left, box.top, raster.size), _mask(layer, box)),
        opacity=opacity,
        visible=visible,
        locked=whole,
    )


def _parted(
    samples: NDArray[Any] | None, colors: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Floats h×w×C in [0, 1] as pixels h×w×3 and alpha h×w of the file's own depth: exactly what it holds."""
    if samples is None:
        raise ValueError("no pixels")
    exact = np.rint(samples * np.float32(full_scale(dtype))).astype(dtype)
    color = exact[..., :3] if colors == 3 else np.repeat(exact[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(exact[..., colors]) if exact.shape[2] > colors else None
    return np.ascontiguousarray(color), alpha


def _mask(layer: PhotoshopLayer, box: Rect) -> Mask | None:
    """A layer's mask, of the size of its pixels; None if it has none, or has switched it off."""
    if not layer.has_mask() or layer.mask is None or layer.mask.disabled:
        return None
    values = layer.numpy("mask")
    around = 255 if layer.mask.background_color else 0
    mask = Mask(box.width, box.height, around)
    if values is None:
        return mask
    left, top = layer.mask.bbox[0] - box.left, layer.mask.bbox[1] - box.top
    return mask.replaced(left, top, np.rint(values[..., 0] * 255).astype(np.uint8))
