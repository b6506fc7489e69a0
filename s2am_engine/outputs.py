# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of output files: free ones by default, and checked before the work that fills them begins."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path

from s2am_common.atomic import check_target, output_exists
from s2am_common.errors import FileError, ImageFormatError
from s2am_common.image_formats import PNG, format_of_suffix
from s2am_common.path_checks import file_exists


def default_output(like: Path, stem: str, ending: str = "-harmonized") -> Path:
    """Return a path next to an image: in its format if that is lossless, else as PNG."""
    info = format_of_suffix(like.suffix)
    suffix = like.suffix if info is not None and info.lossless else PNG.suffix
    return like.with_name(f"{stem}{ending}{suffix}")


def default_mask_output(like: Path) -> Path:
    """Return the path of a mask next to its image."""
    return like.with_name(f"{like.stem}-mask{PNG.suffix}")


def unused_path(path: Path) -> Path:
    """Return a path where no file is: the given one, else NAME-2, NAME-3 and so on.

    Raises:
        FileError: the folder may not be entered.
    """
    if not output_exists(path):
        return path
    return next(
        each for number in count(2) if not output_exists(each := path.with_name(f"{path.stem}-{number}{path.suffix}"))
    )


def check_output(path: Path, inputs: Sequence[Path] = (), suffixes: Sequence[str] = ()) -> None:
    """Check that a file can be written, before the work for it begins.

    Args:
        path: the output file.
        inputs: files that it must not replace.
        suffixes: endings that its name may have, in lower case; empty = any.

    Raises:
        ImageFormatError: another suffix.
        FileError: it is one of the inputs, or the folder is missing or read-only.
    """
    if suffixes and path.suffix.lower() not in suffixes:
        raise ImageFormatError(f"{path} cannot be written: its name must end in one of {', '.join(suffixes)}.")
    check_target(path)
    for each in inputs:
        if output_exists(path) and file_exists(each) and path.samefile(each):
            raise FileError(f"The result would replace {each}: choose another name.", code="file.input", path=str(each))
