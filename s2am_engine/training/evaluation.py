# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring models on composites whose truth is known, at full resolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from s2am_engine.compositing import to_depth
from s2am_engine.errors import EngineError
from s2am_engine.harmonizer import Harmonizer
from s2am_engine.masks import Pixels, full_scale, read_mask
from s2am_engine.picture import read_picture
from s2am_engine.sheets import draw_sheet, fit_into
from s2am_engine.training.datasets import Pair, find_pairs
from s2am_engine.training.metrics import Scores, mean, score

UNTOUCHED = "untouched composite"
# A result this far below its composite did harm, in dB.
HARM = 1.0
MOST_SHOWN = 120  # pictures on a sheet
SHEET_SIDE = 160  # pixels of each


@dataclass(frozen=True)
class Row:
    """One model's figures, picture by picture in the order of `Evaluation.names`."""

    name: str
    images: list[Scores]

    @property
    def mean(self) -> Scores:
        """Means over pictures."""
        return mean(self.images)


@dataclass(frozen=True)
class Evaluation:
    """What was measured on a data set."""

    dataset: str
    names: list[str]
    untouched: Row
    models: list[Row]

    def harmed(self, row: Row) -> int:
        """How many pictures a model left more than 1 dB below their composite."""
        pairs = zip(row.images, self.untouched.images, strict=True)
        return sum(result.psnr < composite.psnr - HARM for result, composite in pairs)

    def to_json(self) -> dict[str, Any]:
        """The contract of `s2am evaluate --json`, see design.md."""
        return {
            "dataset": self.dataset,
            "untouched": self._describe(self.untouched),
            "models": [self._describe(row) for row in self.models],
        }

    def to_table(self) -> str:
        """A plain-text table, a line a model."""
        header = f"{'model':24}{'PSNR':>8}{'fPSNR':>8}{'MSE':>9}{'fMSE':>9}{'SSIM':>8}{'worse by 1 dB':>15}"
        lines = [f"{self.dataset}: {len(self.names)} pictures", header]
        for row in [self.untouched, *self.models]:
            m = row.mean
            figures = f"{m.psnr:8.2f}{m.fpsnr:8.2f}{m.mse:9.1f}{m.fmse:9.1f}{m.ssim:8.4f}{self.harmed(row):15d}"
            lines.append(f"{row.name:24}{figures}")
        return "\n".join(lines)

    def _describe(self, row: Row) -> dict[str, Any]:
        images = [{"name": name, **dataclasses.asdict(s)} for name, s in zip(self.names, row.images, strict=True)]
        return {"name": row.name, **dataclasses.asdict(row.mean), "worse_by_1db": self.harmed(row), "images": images}


@dataclass(frozen=True)
class Loaded:
    """A pair in memory, 8 bit."""

    composite: NDArray[np.uint8]
    mask: Pixels
    truth: NDArray[np.uint8]


def evaluate(
    dataset: Path,
    models: Sequence[str],
    *,
    device: str = "auto",
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure models on a data set in iHarmony4's layout.

    Args:
        dataset: the folder.
        models: their names.
        device: see `Harmonizer`.
        sheet: a file for a PNG of composite, mask, each model's result and truth, of up to 120 pictures spread over
            the data set; None = no sheet.
        progress: called with (done, total) pictures.

    Raises:
        EngineError: an unknown model, no such layout, or a picture that can't be read or does not fit its truth.
    """
    pairs = find_pairs(dataset)
    harmonizers = [Harmonizer(name, device) for name in models]
    untouched: list[Scores] = []
    images: list[list[Scores]] = [[] for _ in models]
    rows: dict[int, list[Pixels]] = {}
    shown = set(np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_SHOWN)).astype(int).tolist()) if sheet else set()
    for done, pair in enumerate(pairs):
        loaded = load_pair(pair)
        foreground = loaded.mask > full_scale(loaded.mask.dtype) / 2
        untouched.append(score(loaded.composite, loaded.truth, foreground))
        results = []
        for harmonizer, scores in zip(harmonizers, images, strict=True):
            harmonizer.set_picture(loaded.composite, loaded.mask)
            results.append(harmonizer.harmonize())
            scores.append(score(results[-1], loaded.truth, foreground))
        if done in shown:
            # At the sheet's size: a large data set's pictures would not fit into memory.
            pictures = (loaded.composite, loaded.mask, *results, loaded.truth)
            rows[done] = [fit_into(picture, SHEET_SIDE) for picture in pictures]
        if progress:
            progress(done + 1, len(pairs))
    found = Evaluation(
        str(dataset),
        [pair.name for pair in pairs],
        Row(UNTOUCHED, untouched),
        [Row(name, scores) for name, scores in zip(models, images, strict=True)],
    )
    if sheet:
        captions = [caption(found, index) for index in rows]
        headings = ["composite", "mask", *models, "truth"]
        draw_sheet(list(rows.values()), captions, headings, SHEET_SIDE, across=3).save(sheet, "PNG")
    return found


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
