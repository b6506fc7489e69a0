# SPDX-License-Identifier: GPL-3.0-or-later
"""Open and save documents of any supported format, and export images."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from s2am_common.errors import ImageFormatError
from s2am_common.image_formats import (
    READABLE_SUFFIXES,
    WRITABLE_FORMATS,
    WRITABLE_SUFFIXES,
    FormatInfo,
    format_of_suffix,
)
from s2am_editor.document.model import Document, Layer
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.files.openraster import OPENRASTER_SUFFIX, read_openraster, write_openraster
from s2am_editor.files.progress_steps import ProgressSteps
from s2am_editor.render.export import converted, flatten, resized
from s2am_engine.image.arrays import full_scale, value_range
from s2am_engine.image.data import Metadata
from s2am_engine.image.io import load_image, save_image
from s2am_engine.types import FractionCallback

PROJECT_SUFFIX = OPENRASTER_SUFFIX
OPEN_SUFFIXES = (*READABLE_SUFFIXES, PROJECT_SUFFIX, ".psd", ".psb")
"""Suffixes (lower case, with dot) of all files that can be opened."""

_EXPORT_STEPS = 4  # rendering, resizing, converting, writing

EXPORT_SUFFIXES = (*WRITABLE_SUFFIXES, PROJECT_SUFFIX)
"""Suffixes (lower case, with dot) of all files that can be written."""


def is_project(path: Path) -> bool:
    """Return True if the suffix is that of a project, which is saved in place."""
    return path.suffix.lower() == PROJECT_SUFFIX


def open_document(path: Path, progress: FractionCallback | None = None) -> OpenedFile:
    """Open a file as a document. The format is detected from the content.

    Args:
        path: the file.
        progress: see `FractionCallback`.

    Raises:
        FileError: the file does not exist, has an unsupported format, or is damaged.
    """
    if _starts_with(path, b"PK\3\4"):
        return read_openraster(path, progress)
    if _starts_with(path, b"8BPS"):
        from s2am_editor.files.photoshop import read_photoshop  # psd-tools takes a while to import

        return read_photoshop(path, progress)
    image = load_image(path)
    notes = list(image.notes)
    if image.selection is not None:
        notes.append("The saved selection (additional channel) is not kept.")
    return OpenedFile(Document.from_image(image, path.stem), tuple(notes))


def likely_background(paths: Sequence[Path]) -> Path:
    """Return the file that others are to be placed on: a project, or else the first image without transparency."""
    for path in paths:
        if is_project(path) or not _declares_transparency(path):
            return path
    return paths[0]


def _declares_transparency(path: Path) -> bool:
    """Return whether a file's header declares transparency; False for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return image.has_transparency_data
    except (OSError, ValueError, SyntaxError):
        return False


def read_layer(path: Path, document: Document, center: tuple[float, float] | None = None) -> Layer:
    """Read a file as a layer for a document, in its depth and profile; a file with several layers is merged.

    Args:
        path: the file.
        document: not changed; pass the layer to `commands.add_layers`.
        center: position of the layer, see `Document.new_layer`.

    Raises:
        FileError: see `open_document`.
    """
    opened = open_document(path)
    return document.new_layer(opened.merged or flatten(opened.document), path.stem, center=center)


def save_project(path: Path, document: Document, progress: FractionCallback | None = None) -> None:
    """Write a document without loss, atomically.

    Raises:
        FileError: the suffix is not PROJECT_SUFFIX, or the file cannot be written.
    """
    if not is_project(path):
        raise ImageFormatError(f"{path} cannot be saved as a project: use a name that ends in {PROJECT_SUFFIX}.")
    write_openraster(path, document, progress)


@dataclass(frozen=True)
class ExportOptions:
    """Settings of an export.

    Attributes:
        quality: of JPEG, 1 to 100.
        scale: factor of the size, above 0.
        srgb: convert the colors to sRGB, which every program shows correctly, and leave the profile out.
        metadata: keep the document's metadata.
    """

    quality: int = 95
    scale: float = 1.0
    srgb: bool = False
    metadata: bool = True


def export_image(
    path: Path,
    document: Document,
    options: ExportOptions | None = None,
    *,
    progress: FractionCallback | None = None,
) -> tuple[str, ...]:
    """Write the merged image in the format of the suffix, with profile and metadata, atomically.

    Colors are rounded if the format supports fewer bits than the document has.

    Args:
        path: the file.
        document: the document.
        options: None = the defaults. A project ignores them.
        progress: see `FractionCallback`.

    Returns:
        In words, the metadata that the format does not store.

    Raises:
        FileError: the suffix is unknown, the format does not support the image (JPEG has no transparency), or the
            file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix == PROJECT_SUFFIX:
        write_openraster(path, document, progress)
        return ()
    image_format = format_of_suffix(suffix)
    if image_format not in WRITABLE_FORMATS:
        raise ImageFormatError(
            f"{path} cannot be written: use a name that ends in one of {', '.join(EXPORT_SUFFIXES)}."
        )
    steps = ProgressSteps(_EXPORT_STEPS, progress)
    merged = flatten(document, progress=steps.begin())
    if merged.alpha is not None and value_range(merged.alpha)[0] >= full_scale(document.dtype):
        merged = dataclasses.replace(merged, alpha=None)
    options = options or ExportOptions()
    resizing = steps.begin()
    if options.scale != 1:
        merged = resized(merged, *scaled_size(document, options.scale), resizing)
    if not options.metadata:
        merged = dataclasses.replace(merged, metadata=Metadata())
    depth = _supported_depth(image_format, document.dtype)
    image = converted(merged, depth, srgb=options.srgb, progress=steps.begin())
    del merged
    return save_image(path, image, quality=options.quality, progress=steps.begin())


def scaled_size(document: Document, scale: float) -> tuple[int, int]:
    """Return width and height of a document that is exported at a scale."""
    return max(1, round(document.width * scale)), max(1, round(document.height * scale))


def _supported_depth(image_format: FormatInfo, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """Return the depth in which a format stores an image of a given depth."""
    if 8 * dtype.itemsize <= image_format.max_bits:
        return dtype
    return np.dtype(np.uint8 if image_format.max_bits == 8 else np.uint16)


def _starts_with(path: Path, signature: bytes) -> bool:
    """Return True if a file can be read and starts with a signature."""
    try:
        with path.open("rb") as file:
            return file.read(len(signature)) == signature
    except (OSError, ValueError):
        return False
