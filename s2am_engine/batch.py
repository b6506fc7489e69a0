# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of image files in one loop, for the command line and the editor."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Literal, TypeVar

from s2am_common.atomic import ensure_folder
from s2am_common.errors import FileError, S2AMError, os_error
from s2am_common.image_formats import IMAGE_SUFFIXES
from s2am_common.path_checks import is_folder
from s2am_engine.image.io import is_image_file
from s2am_engine.mask_files import without_masks
from s2am_engine.outputs import default_output

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True)
class BatchItem:
    """One file of a batch. problem: reason for which it cannot be processed."""

    source: Path
    output: Path
    problem: S2AMError | None = None


@dataclass(frozen=True)
class BatchEvent(Generic[T]):
    """Progress of a batch: an item was started, is done (with its result), or failed (with its error).

    seconds: time that the item took.
    """

    kind: Literal["started", "done", "failed"]
    index: int
    total: int
    item: BatchItem
    result: T | None = None
    error: S2AMError | None = None
    seconds: float = 0.0


def plan_batch(sources: Path | Sequence[Path], output: Path, masks: Path | None = None) -> list[BatchItem]:
    """Return the items of a batch: a folder's images, or some files, without masks of the others (`without_masks`).

    An item whose output another one has taken gets a problem; each source keeps its format if that is lossless, and
    becomes a PNG otherwise.

    Args:
        sources: a folder, or the files.
        output: folder of the results; it is made if it does not exist.
        masks: folder of the masks, if any.

    Raises:
        FileError: no images, a folder that is missing or cannot be made, or an output folder that holds the input.
    """
    paths = without_masks(list_images(sources) if isinstance(sources, Path) else sources)
    if not paths:
        raise FileError("There are no images: add some.", code="file.no-images")
    if masks and not is_folder(masks):
        raise FileError(
            f"{masks} is not a folder: name the folder of the masks.", code="file.no-folder", path=str(masks)
        )
    inputs = {path.parent.resolve() for path in paths} | ({masks.resolve()} if masks else set())
    if output.resolve() in inputs:
        raise FileError(f"{output} holds the input: choose another folder.", code="file.output", path=str(output))
    ensure_folder(output, code="file.output")
    items: list[BatchItem] = []
    taken: dict[Path, Path] = {}
    for path in paths:
        target = output / default_output(path, path.stem, "").name
        first = taken.setdefault(target, path)
        problem = None
        if first is not path:
            message = f"{path} and {first} would both become {target}: rename one of them."
            problem = FileError(message, code="file.same-output", path=str(path))
        items.append(BatchItem(path, target, problem))
    return items


def run_batch(
    items: Sequence[BatchItem], process: Callable[[BatchItem], T], report: Callable[[BatchEvent[T]], None]
) -> int:
    """Process the items of a batch one after another; a failure is reported, and the next item follows.

    Args:
        items: see `plan_batch`.
        process: harmonizes one item, for example with `FileHarmonizer.harmonize_file`.
        report: called with every event, in this thread; may raise to cancel.

    Returns:
        Number of items that failed.
    """
    failed = 0
    for index, item in enumerate(items):
        report(BatchEvent("started", index, len(items), item))
        started = time.perf_counter()
        found = _attempt(item, process)
        seconds = time.perf_counter() - started
        if isinstance(found, S2AMError):
            failed += 1
            logger.info("%s failed: %s", item.source, found)
            report(BatchEvent("failed", index, len(items), item, error=found, seconds=seconds))
        else:
            report(BatchEvent("done", index, len(items), item, result=found, seconds=seconds))
    return failed


def _attempt(item: BatchItem, process: Callable[[BatchItem], T]) -> T | S2AMError:
    if item.problem:
        return item.problem
    try:
        return process(item)
    except S2AMError as error:
        return error
    except OSError as error:
        return os_error(error)
    except MemoryError:
        return FileError(
            f"{item.source} is too large for this computer's memory: scale it down first.",
            code="file.memory",
            path=str(item.source),
        )


def list_images(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name.

    Raises:
        FileError: no such folder, or no images in it.
    """
    if not is_folder(folder):
        raise FileError(f"{folder} is not a folder: name one with images.", code="file.no-folder", path=str(folder))
    try:
        found = sorted(path for path in folder.iterdir() if is_image_file(path))
    except OSError as error:
        raise os_error(error, folder) from error
    if not found:
        raise FileError(
            f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}).", code="file.no-images", path=str(folder)
        )
    return found
