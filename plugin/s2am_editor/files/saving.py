# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving projects, and exporting the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from s2am_editor.compose.flatten import Progress, flatten
from s2am_editor.document.model import Document
from s2am_editor.files import openraster
from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import to_depth
from s2am_engine.image.io import IMAGE_SUFFIXES, ImageData, save_image
from s2am_engine.image.masks import full_scale

PROJECT_SUFFIX = openraster.SUFFIX
EXPORTS = (*IMAGE_SUFFIXES, PROJECT_SUFFIX)
"""The suffixes (lower case, with their dot) of all files that can be written."""

_EIGHT_BIT = (".jpg", ".jpeg", ".jpe", ".webp")
_INTEGER = (*_EIGHT_BIT, ".png")


def save_project(path: Path, document: Document, progress: Progress | None = None) -> None:
    """Write all of a document, to be opened again without loss, whole or not at all.

    Raises:
        EngineError: the name does not end in PROJECT_SUFFIX, or the file can't be written.
    """
    if path.suffix.lower() != PROJECT_SUFFIX:
        raise EngineError(f"{path} is not a project's name: let it end in {PROJECT_SUFFIX}.")
    openraster.write(path, document, progress)


def export(path: Path, document: Document, *, quality: int = 95, progress: Progress | None = None) -> None:
    """Write the picture as it looks in the format that the suffix names, with profile and metadata.

    Where a format holds fewer bits than the document has, colors are rounded (see `what_is_lost`).

    Args:
        path: the file; it is written whole or not at all.
        document: what to write.
        quality: of JPEG, 1 to 100.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: an unknown suffix, a format that can't hold the picture (transparency in JPEG), or a file that
            can't be written.
    """
    suffix = path.suffix.lower()
    if suffix == PROJECT_SUFFIX:
        openraster.write(path, document, progress)
        return
    if suffix not in IMAGE_SUFFIXES:
        raise EngineError(f"{path} cannot be written: its name must end in one of {', '.join(EXPORTS)}.")
    report = progress or (lambda _: None)
    found = flatten(document, progress=lambda done: report(0.5 * done))
    if found.alpha is not None and found.alpha.min() >= full_scale(document.dtype):
        found = dataclasses.replace(found, alpha=None)
    save_image(path, _in_depth(found, held_depth(suffix, document.dtype)), quality=quality)
    report(1.0)


def held_depth(suffix: str, dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """The depth in which a format holds a picture of some depth."""
    if suffix in _EIGHT_BIT:
        return np.dtype(np.uint8)
    return np.dtype(np.uint16) if suffix in _INTEGER and dtype == np.float32 else dtype


def what_is_lost(suffix: str, document: Document) -> list[str]:
    """What a format does not hold of a document, a sentence each, for a person to know before exporting."""
    lost = []
    depth = held_depth(suffix, document.dtype)
    if depth != document.dtype:
        lost.append(f"Colors are rounded to {8 * depth.itemsize} bits a channel.")
    if suffix in (".jpg", ".jpeg", ".jpe"):
        lost.append("JPEG loses a little of every pixel: choose PNG or TIFF to keep them exactly.")
    if suffix != PROJECT_SUFFIX and len(document.layers) > 1:
        lost.append(f"Layers become one picture: save a project ({PROJECT_SUFFIX}) to keep them.")
    return lost


def _in_depth(picture: ImageData, dtype: np.dtype[np.generic]) -> ImageData:
    alpha = None if picture.alpha is None else to_depth(picture.alpha, dtype)
    return dataclasses.replace(picture, pixels=to_depth(picture.pixels, dtype), alpha=alpha)
