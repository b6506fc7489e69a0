# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonization in the editor: the engine's batch loop with the editor's models and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_engine.batch import BatchEvent, BatchItem, find_mask_file, named, read_matching_mask, run_batch
from s2am_engine.errors import FileError, ImageError, MaskError
from s2am_engine.image.contact_sheet import fit_into_square, write_contact_sheet
from s2am_engine.image.io import ImageData, load_image, save_image
from s2am_engine.types import Bytes

SHEET_IMAGE_SIDE = 240
MAX_SHEET_PAIRS = 200
"""Pairs on a contact sheet; further images are harmonized, but not on the sheet."""

BeforeAfter: TypeAlias = tuple[Bytes, Bytes]
"""Reduced pixels before and after harmonization."""


@dataclass(frozen=True)
class BatchSettings:
    """Settings of a batch.

    Attributes:
        model: name of the model.
        strength: see `Sliders`.
        background: image that cutouts are pasted on; None = the items are composites with masks.
        at: (x, y) of a cutout's upper left corner on the background, in pixels; None = centered.
        masks: folder of the composites' masks.
    """

    model: str
    strength: float = 1.0
    background: Path | None = None
    at: tuple[int, int] | None = None
    masks: Path | None = None


def harmonize_batch(
    items: Sequence[BatchItem],
    settings: BatchSettings,
    models: LoadedModels,
    report: Callable[[BatchEvent[BeforeAfter]], None],
    sheet: Path | None = None,
) -> int:
    """Harmonize the items of a batch; items that fail are reported and skipped.

    Args:
        items: see `plan_batch`.
        settings: for all items.
        models: the loaded models.
        report: called with every event, in this thread; an exception that it raises cancels the batch, and no output
            file is incomplete.
        sheet: file for a contact sheet of all images before and after; None = no sheet.

    Returns:
        Number of items that failed.

    Raises:
        FileError: the background cannot be read, or both the background and the folder of the masks are missing.
        ModelError: the model is unknown or damaged.
    """
    background = None if settings.background is None else load_image(settings.background)
    if background is None and (settings.masks is None or not settings.masks.is_dir()):
        raise FileError(
            "Composites need a folder with their masks, and cutouts need a background: choose one of the two.",
            code="file.no-masks",
        )
    with models.using(settings.model):
        pass  # a model that cannot be loaded would otherwise be reported for every item
    names: list[str] = []
    pairs: list[BeforeAfter] = []

    def collect(event: BatchEvent[BeforeAfter]) -> None:
        if event.result is not None and len(pairs) < MAX_SHEET_PAIRS:
            names.append(event.item.source.name)
            pairs.append(event.result)
        report(event)

    failed = run_batch(items, lambda item: _harmonize_item(item, settings, background, models), collect)
    if sheet is not None and pairs:
        write_contact_sheet(
            sheet, pairs, names, ("before", "after"), SHEET_IMAGE_SIDE, across=1 if len(pairs) < 8 else 3
        )
    return failed


def _harmonize_item(
    item: BatchItem, settings: BatchSettings, background: ImageData | None, models: LoadedModels
) -> BeforeAfter:
    """Harmonize and write one image."""
    image = load_image(item.source)
    try:
        with models.using(settings.model) as harmonizer:
            if background is not None:
                result = harmonizer.paste(image, background, settings.at)
            else:
                assert settings.masks is not None
                result = harmonizer(image, read_matching_mask(find_mask_file(item.source, settings.masks), image))
        harmonized = result.render(strength=settings.strength)
    except (ImageError, MaskError) as error:
        raise named(error, item.source) from error
    save_image(item.output, harmonized)
    before, after = (fit_into_square(each.pixels, SHEET_IMAGE_SIDE) for each in (result.composite, harmonized))
    return before, after
