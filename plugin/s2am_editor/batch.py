# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonization in the editor: the engine's batch loop with the editor's models and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from s2am_common.errors import FileError, ImageError, MaskError
from s2am_common.path_checks import is_folder
from s2am_editor.render.export import resized
from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_engine.batch import BatchEvent, BatchItem, run_batch
from s2am_engine.file_harmonizer import with_file_name
from s2am_engine.image.contact_sheet import fit_into_square, write_contact_sheet
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from s2am_engine.mask_files import find_mask_file, read_matching_mask
from s2am_engine.types import Bytes, FractionCallback

_LOADED, _PLACED, _RENDERED = 0.3, 0.4, 0.6  # shares of an item that are done after its steps; writing takes the rest
SHEET_IMAGE_SIDE = 240
MAX_SHEET_PAIRS = 200
"""Pairs on a contact sheet; further images are harmonized, but not on the sheet."""

BeforeAfter: TypeAlias = tuple[Bytes, Bytes]
"""Reduced pixels before and after harmonization."""


@dataclass(frozen=True)
class BatchSettings:
    """Settings of a batch. The items are cutouts, or backgrounds, or else composites with masks.

    Attributes:
        model: name of the model.
        strength: see `Sliders`.
        background: image that the items, which are cutouts, are pasted on.
        cutout: image that is pasted on the items, which are backgrounds.
        masks: folder of the masks of the items, which are composites.
        anchor: position of the cutout: shares of the free width at its left and of the free height above it.
        height: of the cutout, as a share of the background's; None = its own size, or smaller if it does not fit.
        quality: of JPEG results, 1 to 100.
    """

    model: str
    strength: float = 1.0
    background: Path | None = None
    cutout: Path | None = None
    masks: Path | None = None
    anchor: tuple[float, float] = (0.5, 0.5)
    height: float | None = None
    quality: int = 95


def harmonize_batch(
    items: Sequence[BatchItem],
    settings: BatchSettings,
    models: LoadedModels,
    report: Callable[[BatchEvent[BeforeAfter]], None],
    sheet: Path | None = None,
    progress: FractionCallback | None = None,
) -> int:
    """Harmonize the items of a batch; items that fail are reported and skipped.

    Args:
        items: see `plan_batch`.
        settings: for all items.
        models: the loaded models.
        report: called with every event, in this thread; an exception that it raises cancels the batch, and no output
            file is incomplete.
        sheet: file for a contact sheet of all images before and after; None = no sheet.
        progress: called with the share of the batch that is done, between the steps of each item and while it is
            rendered; may raise to cancel like `report`.

    Returns:
        Number of items that failed.

    Raises:
        FileError: the background cannot be read, or both the background and the folder of the masks are missing.
        ModelError: the model is unknown or damaged.
    """
    fixed = _read_fixed_image(settings)
    with models.using(settings.model):
        pass  # a model that cannot be loaded would otherwise be reported for every item
    run = _BatchRun(settings, models, fixed, len(items), report, progress or (lambda _: None))
    failed = run_batch(items, run.process, run.record)
    run.progress(1.0)
    if sheet is not None and run.pairs:
        run.write_sheet(sheet)
    return failed


def _read_fixed_image(settings: BatchSettings) -> ImageData | None:
    """Read the background or cutout of all items; None if they are composites.

    Raises:
        FileError: it cannot be read, or composites have no folder of masks.
    """
    path = settings.background or settings.cutout
    if path is not None:
        return load_image(path)
    if settings.masks is None or not is_folder(settings.masks):
        raise FileError(
            "Composites need a folder with their masks, and cutouts need a background: choose one of the two.",
            code="file.no-masks",
        )
    return None


@dataclass
class _BatchRun:
    """A running batch; for the fields see `harmonize_batch`.

    fixed: background or cutout of all items; None = they are composites.
    total: number of items.
    started: index of the item that was started last.
    names, pairs: of the images on the contact sheet.
    """

    settings: BatchSettings
    models: LoadedModels
    fixed: ImageData | None
    total: int
    report: Callable[[BatchEvent[BeforeAfter]], None]
    progress: FractionCallback
    started: int = 0
    names: list[str] = field(default_factory=list)
    pairs: list[BeforeAfter] = field(default_factory=list)

    def process(self, item: BatchItem) -> BeforeAfter:
        """Harmonize and write an item."""
        return _harmonize_item(
            item, self.settings, self.fixed, self.models, lambda done: self.progress((self.started + done) / self.total)
        )

    def record(self, event: BatchEvent[BeforeAfter]) -> None:
        """Keep the pair of an event for the contact sheet, and pass the event on."""
        self.started = event.index
        if event.result is not None and len(self.pairs) < MAX_SHEET_PAIRS:
            self.names.append(event.item.source.name)
            self.pairs.append(event.result)
        self.report(event)

    def write_sheet(self, path: Path) -> None:
        """Write the contact sheet."""
        across = 1 if len(self.pairs) < 8 else 3
        write_contact_sheet(path, self.pairs, self.names, ("before", "after"), SHEET_IMAGE_SIDE, across=across)


def name_outputs(items: Sequence[BatchItem], pattern: str, suffix: str = "") -> list[BatchItem]:
    """Return the items with other names of their results.

    Args:
        items: see `plan_batch`.
        pattern: the name without suffix; {name} stands for the name of the item's image, {number} for its number.
        suffix: of the format, with dot; "" = the planned one.

    Raises:
        FileError: the pattern cannot be used; the message gives the reason.
    """
    found: list[BatchItem] = []
    taken: dict[str, Path] = {}
    for number, item in enumerate(items, 1):
        try:
            name = pattern.format(name=item.source.stem, number=number).strip()
            if not name:
                raise ValueError("empty")
            target = item.output.with_name(name + (suffix or item.output.suffix))
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise FileError(
                f"“{pattern}” cannot name files: use letters, digits, {{name}} and {{number}}.", code="file.name"
            ) from error
        first = taken.setdefault(target.name.casefold(), item.source)
        problem = item.problem
        if first is not item.source and problem is None:
            message = f"{item.source} and {first} would both become {target}: use {{name}} or {{number}} in the name."
            problem = FileError(message, code="file.same-output", path=str(item.source))
        found.append(BatchItem(item.source, target, problem))
    return found


def place_cutout(
    cutout: ImageData, background: ImageData, settings: BatchSettings
) -> tuple[ImageData, tuple[int, int]]:
    """Return a cutout in the size that the settings give it, and its left and top on a background."""
    (height, width), (rows, columns) = cutout.pixels.shape[:2], background.pixels.shape[:2]
    factor = min(1.0, columns / width, rows / height)
    if settings.height is not None:
        factor = settings.height * rows / height
    size = max(1, round(width * factor)), max(1, round(height * factor))
    placed = cutout if size == (width, height) else resized(cutout, *size)
    return placed, (round((columns - size[0]) * settings.anchor[0]), round((rows - size[1]) * settings.anchor[1]))


def _harmonize_item(
    item: BatchItem,
    settings: BatchSettings,
    fixed: ImageData | None,
    models: LoadedModels,
    progress: FractionCallback,
) -> BeforeAfter:
    """Harmonize and write one image; `fixed`: the background or cutout of all items."""
    image = load_image(item.source)
    progress(_LOADED)
    try:
        with models.using(settings.model) as harmonizer:
            if fixed is not None:
                cutout, background = (image, fixed) if settings.cutout is None else (fixed, image)
                placed, at = place_cutout(cutout, background, settings)
                progress(_PLACED)
                result = harmonizer.paste(placed, background, at)
            else:
                assert settings.masks is not None
                mask = find_mask_file(item.source, settings.masks)
                result = harmonizer(image, read_matching_mask(mask, image, item.source))
        harmonized = result.render(
            strength=settings.strength, progress=lambda done: progress(_PLACED + (_RENDERED - _PLACED) * done)
        )
    except (ImageError, MaskError) as error:
        raise with_file_name(error, item.source) from error
    save_image(
        item.output,
        harmonized,
        quality=settings.quality,
        progress=lambda done: progress(_RENDERED + (1 - _RENDERED) * done),
    )
    before, after = (fit_into_square(each.pixels, SHEET_IMAGE_SIDE) for each in (result.composite, harmonized))
    return before, after
