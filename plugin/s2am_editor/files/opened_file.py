# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of opening a file of any format."""

from __future__ import annotations

from dataclasses import dataclass

from s2am_editor.document.model import Document
from s2am_engine.image.data import ImageData


@dataclass(frozen=True)
class OpenedFile:
    """An opened document.

    Attributes:
        document: the layers of the file.
        notes: one sentence for each feature of the file that is not supported.
        merged: the file's own merged image, if the document looks different.
    """

    document: Document
    notes: tuple[str, ...] = ()
    merged: ImageData | None = None
