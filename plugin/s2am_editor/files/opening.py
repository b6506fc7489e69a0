# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening files: pictures, OpenRaster files and projects, Photoshop documents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s2am_editor.compose.flatten import Progress, flatten
from s2am_editor.document.model import Document, Layer
from s2am_editor.files import archive, openraster
from s2am_engine.image.io import IMAGE_SUFFIXES, load_image

LAYERED = (".ora", ".psd", ".psb")
SUFFIXES = (*IMAGE_SUFFIXES, *LAYERED)
"""The suffixes (lower case, with their dot) of all files that can be opened."""


@dataclass(frozen=True)
class Opened:
    """A file's document, and what of the file could not be taken over: a sentence each."""

    document: Document
    notes: tuple[str, ...] = ()


def is_project(path: Path) -> bool:
    """Whether a file is opened as a document of its own and saved again in place: by its name."""
    return path.suffix.lower() == openraster.SUFFIX


def open_document(path: Path, progress: Progress | None = None) -> Opened:
    """Open a file as a document; what kind it is says its content.

    Args:
        path: the file.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: no such file, of another kind, or damaged.
    """
    if archive.begins(path, b"PK\3\4"):
        document, notes = openraster.read(path, progress)
    elif archive.begins(path, b"8BPS"):
        # Its library takes a while to import, and most people never open such a file.
        from s2am_editor.files import photoshop

        document, notes = photoshop.read(path, progress)
    else:
        document, notes = Document.from_picture(load_image(path), path.stem), []
    return Opened(document, tuple(notes))


def read_layers(
    path: Path, document: Document, center: tuple[float, float] | None = None, progress: Progress | None = None
) -> list[Layer]:
    """Read a file as layers for a document, in its depth and profile; one with layers of its own as it looks.

    Args:
        path: the file.
        document: it is not changed, see `commands.add_layers`.
        center: where the layer goes, see `Document.adopt`.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: see `open_document`, and a conversion between profiles that would lose depth.
    """
    found = flatten(open_document(path, progress).document)
    return [document.adopt(found, path.stem, center=center)]
