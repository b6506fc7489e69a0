# SPDX-License-Identifier: GPL-3.0-or-later
"""A queue of pictures to harmonize: what is in it, how far it is, what failed, and a sheet to look at in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_engine.batch import default_output, find_mask_file, list_images, read_matching_mask
from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import paste, place
from s2am_engine.image.io import ImageData, load_image, save_image
from s2am_engine.image.masks import Pixels
from s2am_engine.image.sheets import contact_sheet, fit_into

if TYPE_CHECKING:
    from s2am_engine.inference.harmonizer import Harmonizer

SHEET_SIDE = 240
SHEET_MOST = 200  # pairs on a sheet; those after are harmonized, but not shown


@dataclass(frozen=True)
class BatchSettings:
    """What is done with each picture.

    model, strength: see the engine. background: the picture that cut-outs are pasted on, centerd or at (x, y) of their
    upper left corner; None = the pictures are composites, whose masks are in the folder `masks`.
    """

    model: str
    strength: float = 1.0
    background: Path | None = None
    at: tuple[int, int] | None = None
    masks: Path | None = None


@dataclass(frozen=True)
class BatchItem:
    """One picture of a queue, and where its result goes."""

    source: Path
    output: Path


@dataclass(frozen=True)
class BatchEvent:
    """What happens to an item. index: of the item. error: one sentence, of one that failed. seconds: it took."""

    kind: Literal["started", "done", "failed"]
    index: int
    total: int
    item: BatchItem
    error: str | None = None
    seconds: float = 0.0


BatchCallback = Callable[[BatchEvent], None]
"""Called with every event; what it raises ends the work after no file was left half-written."""


def plan_batch(sources: Path | Sequence[Path], output: Path) -> list[BatchItem]:
    """Make a queue of a folder's pictures, or of some files.

    Args:
        sources: a folder, or the files.
        output: the folder of the results; it need not exist yet.

    Raises:
        EngineError: no pictures there, results that would replace their sources, or two results of one name.
    """
    if isinstance(sources, Path):
        if not sources.is_dir():
            raise EngineError(f"{sources} is not a folder: choose one with pictures.")
        sources = list_images(sources)
    items = [BatchItem(source, output / default_output(source, source.stem, "").name) for source in sources]
    if not items:
        raise EngineError("There are no pictures in the queue: add some.")
    taken: dict[Path, Path] = {}
    for item in items:
        if item.source.parent.resolve() == output.resolve():
            raise EngineError(f"{output} holds the pictures themselves: choose another folder for the results.")
        if item.output in taken:
            raise EngineError(
                f"{item.source} and {taken[item.output]} would both become {item.output}: rename one of them."
            )
        taken[item.output] = item.source
    return items


def run_batch(
    items: Sequence[BatchItem],
    settings: BatchSettings,
    models: LoadedModels,
    report: BatchCallback,
    sheet: Path | None = None,
) -> int:
    """Harmonize a queue, past pictures that fail.

    Args:
        items: see `plan_batch`.
        settings: how.
        models: the loaded ones.
        report: see BatchCallback; in this thread.
        sheet: where to write a sheet of all pictures before and after; None = nowhere.

    Returns:
        How many failed.

    Raises:
        EngineError: what all pictures need is missing: the background, the masks, the model, the folder of the results.
    """
    background = _prepared(items, settings, models)
    rows: list[tuple[str, list[Pixels]]] = []
    failed = 0
    for index, item in enumerate(items):
        event = partial(BatchEvent, index=index, total=len(items), item=item)
        report(event("started"))
        started = time.perf_counter()
        found = _attempt(item, settings, background, models)
        if isinstance(found, str):
            failed += 1
            report(event("failed", error=found))
            continue
        if len(rows) < SHEET_MOST:
            rows.append((item.source.name, found))
        report(event("done", seconds=time.perf_counter() - started))
    if sheet is not None and rows:
        names, pairs = zip(*rows, strict=True)
        contact_sheet(sheet, pairs, names, ("before", "after"), SHEET_SIDE, across=1 if len(rows) < 8 else 3)
    return failed


def _prepared(items: Sequence[BatchItem], settings: BatchSettings, models: LoadedModels) -> ImageData | None:
    """Make sure of all that every picture needs; the background, if there is one."""
    background = None if settings.background is None else load_image(settings.background)
    if background is None and (settings.masks is None or not settings.masks.is_dir()):
        raise EngineError("Composites need a folder with their masks, or cut-outs a background: choose one of the two.")
    with models.using(settings.model):
        pass  # a model that can't be loaded should not come out once a picture
    for folder in {item.output.parent for item in items}:
        _make(folder)
    return background


def _attempt(
    item: BatchItem, settings: BatchSettings, background: ImageData | None, models: LoadedModels
) -> list[Pixels] | str:
    """Harmonize one picture and write it; it before and after, small, or else a sentence that says why not."""
    try:
        return _harmonized(item, settings, background, models)
    except EngineError as error:
        return str(error)
    except MemoryError:
        return f"{item.source} is too large for this computer's memory: scale it down first."


def _harmonized(
    item: BatchItem, settings: BatchSettings, background: ImageData | None, models: LoadedModels
) -> list[Pixels]:
    """Harmonize one picture and write it.

    Returns:
        It before and after, small.
    """
    picture = load_image(item.source)
    with models.using(settings.model) as harmonizer:
        if background is None:
            before, result = picture, _composite(item, picture, settings, harmonizer)
        else:
            placement = place(picture, background, settings.at)
            before = paste(placement, placement.pixels, background)
            result = harmonizer.harmonize_layer(picture, background, settings.at, strength=settings.strength)
    save_image(item.output, result)
    return [fit_into(each.pixels, SHEET_SIDE) for each in (before, result)]


def _composite(item: BatchItem, picture: ImageData, settings: BatchSettings, harmonizer: Harmonizer) -> ImageData:
    assert settings.masks is not None
    mask = read_matching_mask(find_mask_file(item.source, settings.masks), picture)
    return harmonizer.harmonize_picture(picture, mask, str(item.source), strength=settings.strength)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{folder} can't be made ({error.strerror}): choose another for the results.") from error
