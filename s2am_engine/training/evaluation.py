# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring models on composites whose truth is known, at full resolution or, natively, at their thumbnails' size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from s2am_engine.compositing import to_depth
from s2am_engine.detection import NothingFoundError
from s2am_engine.errors import EngineError
from s2am_engine.harmonizer import Harmonizer
from s2am_engine.masks import Pixels, read_mask
from s2am_engine.picture import read_picture
from s2am_engine.sheets import draw_sheet, fit_into
from s2am_engine.thumbnails import make_thumbnail, shrink, to_unit
from s2am_engine.training.datasets import Pair, find_pairs
from s2am_engine.training.metrics import MaskScores, Scores, mean, score, score_mask

UNTOUCHED = "untouched composite"
# A result this far below its composite did harm, in dB.
HARM = 1.0
MOST_SHOWN = 120  # pictures on a sheet
SHEET_SIDE = 160  # pixels of each


@dataclass(frozen=True)
class Row:
    """One model's figures, picture by picture in the order of `Evaluation.names`."""

    name: str
    images: list[Scores] = field(default_factory=list)
    masks: list[MaskScores] = field(default_factory=list)  # of the masks that a mask-free model found; else none

    @property
    def mean(self) -> Scores:
        """Means over pictures."""
        return mean(self.images)

    def describe(self, names: Sequence[str]) -> dict[str, Any]:
        """Means and single figures as plain numbers."""
        images = [{"name": name, **dataclasses.asdict(one)} for name, one in zip(names, self.images, strict=True)]
        for image, found in zip(images, self.masks, strict=False):
            image["mask"] = dataclasses.asdict(found)
        masks = {"mask": dataclasses.asdict(mean(self.masks))} if self.masks else {}
        return {"name": self.name, **dataclasses.asdict(self.mean), **masks, "images": images}


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a data set."""

    dataset: str
    names: list[str]
    untouched: Row
    models: list[Row]
    size: int | None = None  # pixels a side at which everything was measured; None = each picture's own size

    def harmed(self, row: Row) -> int:
        """How many pictures a model left more than 1 dB below their composite."""
        pairs = zip(row.images, self.untouched.images, strict=True)
        return sum(result.psnr < composite.psnr - HARM for result, composite in pairs)

    def to_json(self) -> dict[str, Any]:
        """The contract of `s2am evaluate --json`, see design.md."""
        untouched, *models = (
            row.describe(self.names) | {"worse_by_1db": self.harmed(row)} for row in (self.untouched, *self.models)
        )
        return {"dataset": self.dataset, "native_size": self.size, "untouched": untouched, "models": models}

    def to_table(self) -> str:
        """A plain-text table, a line a model."""
        rows = [self.untouched, *self.models]
        width = max(24, 2 + max(len(row.name) for row in rows))
        found = any(row.masks for row in rows)
        where = f", the networks' own pixels at {self.size}×{self.size}" if self.size else ""
        header = f"{'model':{width}}{'PSNR':>8}{'fPSNR':>8}{'MSE':>9}{'fMSE':>9}{'SSIM':>8}{'worse by 1 dB':>15}"
        lines = [f"{self.dataset}: {len(self.names)} pictures{where}", header + ("     IoU" if found else "")]
        for row in rows:
            m = row.mean
            figures = f"{m.psnr:8.2f}{m.fpsnr:8.2f}{m.mse:9.1f}{m.fmse:9.1f}{m.ssim:8.4f}{self.harmed(row):15d}"
            iou = f"{mean(row.masks).iou:8.3f}" if row.masks else f"{'-':>8}"
            lines.append(f"{row.name:{width}}{figures}" + (iou if found else ""))
        return "\n".join(lines)


@dataclass(frozen=True)
class Loaded:
    """A pair in memory."""

    composite: NDArray[np.uint8]
    mask: Pixels
    truth: NDArray[np.uint8]

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Where foreground errors count: at least half of what the mask reaches, so never nowhere."""
        return np.asarray(self.mask > self.mask.max() / 2)

    def resized(self, size: int) -> Loaded:
        """The pair at size × size by area averaging, 8 bit again; the mask stays as soft as that makes it."""
        composite, truth = (
            to_depth(shrink(to_unit(picture), size), np.dtype(np.uint8)) for picture in (self.composite, self.truth)
        )
        return Loaded(composite, shrink(to_unit(self.mask), size).clip(0, 1), truth)


@dataclass(frozen=True)
class Result:
    """What a model made of a pair."""

    pixels: NDArray[np.uint8]
    found: Pixels | None  # the mask that a mask-free model went by


def evaluate(
    dataset: Path,
    models: Sequence[str],
    *,
    device: str = "auto",
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
    native: bool = False,
) -> Evaluation:
    """Measure models by name; see `evaluate_harmonizers`, which has the other arguments and errors.

    Args:
        dataset: the folder.
        models: their names.
        device: see `Harmonizer`.
        sheet: see there.
        progress: see there.
        native: see there.

    Raises:
        EngineError: an unknown model, and what is said there.
    """
    harmonizers = [Harmonizer(name, device) for name in models]
    return evaluate_harmonizers(dataset, harmonizers, sheet=sheet, progress=progress, native=native)


def evaluate_harmonizers(
    dataset: Path,
    harmonizers: Sequence[Harmonizer],
    *,
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
    native: bool = False,
) -> Evaluation:
    """Measure loaded models on a data set in iHarmony4's layout.

    Mask-free models are given no mask. Where one finds nothing, the composite stays as it is.

    Args:
        dataset: the folder.
        harmonizers: the models; their names stand in the table. One may come from `Harmonizer.from_network`.
        sheet: a file for a PNG of composite, mask, each model's result and truth, of up to 120 pictures spread over
            the data set; None = no sheet.
        progress: called with (done, total) pictures.
        native: measure what the networks paint, with everything resized to their thumbnails' size, as the papers do,
            instead of the pictures that people get.

    Raises:
        EngineError: no such layout, a picture that can't be read or does not fit its truth, or native models of
            different sizes.
    """
    size = common_size(harmonizers) if native else None
    pairs = find_pairs(dataset)
    found = Evaluation(
        str(dataset), [pair.name for pair in pairs], Row(UNTOUCHED), [Row(one.name) for one in harmonizers], size
    )
    rows: dict[int, list[Pixels]] = {}
    shown = set(np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_SHOWN)).astype(int).tolist()) if sheet else set()
    for done, pair in enumerate(pairs):
        loaded = load_pair(pair)
        if size:
            loaded = loaded.resized(size)
        foreground = loaded.foreground
        found.untouched.images.append(score(loaded.composite, loaded.truth, foreground))
        results = [paint(one, loaded) if native else harmonize(one, loaded) for one in harmonizers]
        for row, result in zip(found.models, results, strict=True):
            row.images.append(score(result.pixels, loaded.truth, foreground))
            if result.found is not None:
                row.masks.append(score_mask(result.found, loaded.mask))
        if done in shown:
            # At the sheet's size: a large data set's pictures would not fit into memory.
            pictures = (loaded.composite, loaded.mask, *(result.pixels for result in results), loaded.truth)
            rows[done] = [fit_into(picture, SHEET_SIDE) for picture in pictures]
        if progress:
            progress(done + 1, len(pairs))
    if sheet:
        captions = [caption(found, index) for index in rows]
        headings = ["composite", "mask", *(one.name for one in harmonizers), "truth"]
        draw_sheet(list(rows.values()), captions, headings, SHEET_SIDE, across=3).save(sheet, "PNG")
    return found


def common_size(harmonizers: Sequence[Harmonizer]) -> int:
    """The thumbnail size that all models share.

    Raises:
        EngineError: they differ.
    """
    sizes = [one.thumbnail for one in harmonizers]
    if len(set(sizes)) != 1:
        seen = ", ".join(f"{one.name} {one.thumbnail}×{one.thumbnail}" for one in harmonizers)
        raise EngineError(f"These models see pictures of different sizes ({seen}): measure them one by one.")
    return sizes[0]


def harmonize(harmonizer: Harmonizer, loaded: Loaded) -> Result:
    """What people get, at the pair's size."""
    try:
        harmonizer.set_picture(loaded.composite, None if harmonizer.mask_free else loaded.mask)
    except NothingFoundError:
        return Result(loaded.composite, np.zeros_like(loaded.mask))
    return Result(harmonizer.harmonize(), harmonizer.mask if harmonizer.mask_free else None)


def paint(harmonizer: Harmonizer, loaded: Loaded) -> Result:
    """What the network itself paints on a pair of its thumbnail's size, rounded to 8 bit."""
    thumbnail = make_thumbnail(loaded.composite, loaded.mask, None, None, harmonizer.thumbnail)
    painted = to_depth(harmonizer.predictor.paint(thumbnail), np.dtype(np.uint8))
    found = harmonizer.predictor.find_mask(thumbnail.composite) if harmonizer.mask_free else None
    return Result(painted, found)


def caption(evaluation: Evaluation, index: int) -> str:
    """A picture's name and its PSNR before and after each model."""
    after = " / ".join(f"{row.images[index].psnr:.1f}" for row in evaluation.models)
    return f"{evaluation.names[index]}: {evaluation.untouched.images[index].psnr:.1f} to {after} dB"


def load_pair(pair: Pair) -> Loaded:
    """Read a pair as 8-bit sRGB values.

    Raises:
        EngineError: a file can't be read, or the three differ in size.
    """
    composite, truth = (
        to_depth(read_picture(path).pixels, np.dtype(np.uint8)) for path in (pair.composite, pair.truth)
    )
    mask = read_mask(pair.mask)
    if not composite.shape[:2] == truth.shape[:2] == mask.shape:
        raise EngineError(f"{pair.composite}, its mask and its truth differ in size: they must be the same pictures.")
    return Loaded(composite, mask, truth)
