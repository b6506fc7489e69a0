# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of models on composites with known ground truth, at full size or at the networks' input size."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import ModelError, NothingFoundError
from s2am_engine.image.arrays import to_depth
from s2am_engine.image.contact_sheet import draw_contact_sheet, fit_into_square
from s2am_engine.image.data import ImageData
from s2am_engine.image.mask_reading import MaskReading
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.network_input import make_network_input
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.detector_evaluation import detect_mask
from s2am_engine.training.loaded_pairs import LoadedPair, by_group, counted, load_pair
from s2am_engine.training.metrics import MaskScores, Scores, mean, score, score_mask
from s2am_engine.training.perceptual import PerceptualDistance
from s2am_engine.types import Pixels

UNTOUCHED = "untouched composite"
HARM = 1.0  # dB; a result this far below its composite counts as worse
MOST_SHOWN = 120  # images on a sheet
CELL_SIDE = 160  # pixels of each
SUBSET_FIGURES = ("psnr", "mse", "fmse", "ssim")


@dataclass(frozen=True)
class ModelScores:
    """Scores of one model for each image, in the order of `Evaluation.names`."""

    name: str
    images: list[Scores] = field(default_factory=list)
    masks: list[MaskScores] = field(default_factory=list)  # of the masks of a mask-free model; otherwise empty
    lpips: list[float] = field(default_factory=list)  # empty if it is not measured; not a number for tiny images

    @property
    def mean_lpips(self) -> float | None:
        """Mean LPIPS; None if it is not measured."""
        valid = [distance for distance in self.lpips if not math.isnan(distance)]
        return float(np.mean(valid)) if valid else None

    @property
    def mean(self) -> Scores:
        """Mean scores."""
        return mean(self.images)

    def describe(self, names: Sequence[str]) -> dict[str, Any]:
        """Return means and single scores as plain numbers."""
        images = [{"name": name, **dataclasses.asdict(scores)} for name, scores in zip(names, self.images, strict=True)]
        for image, mask_scores in zip(images, self.masks, strict=False):
            image["mask"] = dataclasses.asdict(mask_scores)
        for image, distance in zip(images, self.lpips, strict=False):
            image["lpips"] = distance
        distances = {"lpips": self.mean_lpips} if self.lpips else {}
        masks = {"mask": dataclasses.asdict(mean(self.masks))} if self.masks else {}
        return {"name": self.name, **dataclasses.asdict(self.mean), **distances, **masks, "images": images}


@dataclass(frozen=True)
class Evaluation:
    """Scores of several models on a data set."""

    dataset: str
    names: list[str]
    untouched: ModelScores
    models: list[ModelScores]
    size: int | None = None  # pixels per side at which everything was measured; None = full size
    subsets: list[str] = field(default_factory=list)  # group of each image, see `group_of`

    def harmed(self, row: ModelScores) -> int:
        """Return the number of images whose result is more than 1 dB below the composite."""
        pairs = zip(row.images, self.untouched.images, strict=True)
        return sum(result.psnr < composite.psnr - HARM for result, composite in pairs)

    def add(
        self, pair: LoadedPair, results: Sequence[PairResult], perceptual: PerceptualDistance | None = None
    ) -> None:
        """Score each model's result for a pair, with LPIPS if its network is given."""
        if perceptual:
            images = (pair.composite, *(result.pixels for result in results))
            for row, pixels in zip((self.untouched, *self.models), images, strict=True):
                row.lpips.append(perceptual(pixels, pair.target))
        self.names.append(pair.name)
        self.subsets.append(pair.subset)
        self.untouched.images.append(score(pair.composite, pair.target, pair.foreground))
        for row, result in zip(self.models, results, strict=True):
            row.images.append(score(result.pixels, pair.target, pair.foreground))
            if result.predicted_mask is not None:
                row.masks.append(score_mask(result.predicted_mask, pair.mask))

    def caption(self) -> str:
        """Return the last image's name and its PSNR before and after each model."""
        after = " / ".join(f"{row.images[-1].psnr:.1f}" for row in self.models)
        return f"{self.names[-1]}: {self.untouched.images[-1].psnr:.1f} to {after} dB"

    def gain(self) -> float:
        """Return the mean gain in PSNR of the models on the last image."""
        return float(np.mean([row.images[-1].psnr for row in self.models])) - self.untouched.images[-1].psnr

    def parts(self, row: ModelScores) -> dict[str, list[Scores]]:
        """Return a row's scores by group; empty if there is only one group."""
        return by_group(self.subsets, row.images)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `s2am evaluate --json` prints."""
        untouched, *models = (self.describe(row) for row in (self.untouched, *self.models))
        return {"dataset": self.dataset, "native_size": self.size, "untouched": untouched, "models": models}

    def describe(self, row: ModelScores) -> dict[str, Any]:
        """Return a row's scores as plain numbers."""
        parts = {
            name: {key: getattr(mean(images), key) for key in SUBSET_FIGURES} | {"pictures": len(images)}
            for name, images in self.parts(row).items()
        }
        subsets = {"subsets": parts} if parts else {}
        return row.describe(self.names) | {"worse_by_1db": self.harmed(row)} | subsets

    def to_table(self) -> str:
        """Return a plain-text table, one line per model, repeated for each subset if there are several."""
        rows = [self.untouched, *self.models]
        width = max(24, 2 + max(len(row.name) for row in rows))
        has_masks = any(row.masks for row in rows)
        where = f", the networks' own pixels at {self.size}×{self.size}" if self.size else ""
        header = f"{'model':{width}}{'PSNR':>8}{'fPSNR':>8}{'MSE':>9}{'fMSE':>9}{'SSIM':>8}{'worse by 1 dB':>15}"
        distances = any(row.lpips for row in rows)
        headings = f"{header}{'LPIPS':>8}" if distances else header
        lines = [f"{self.dataset}: {counted(self.names)}{where}", headings + ("     IoU" if has_masks else "")]
        for row in rows:
            distance = f"{row.mean_lpips:8.4f}" if row.mean_lpips is not None else f"{'-':>8}"
            iou = f"{mean(row.masks).iou:8.3f}" if row.masks else f"{'-':>8}"
            line = f"{row.name:{width}}{columns(row.mean)}{self.harmed(row):15d}{distance if distances else ''}"
            lines.append(line + (iou if has_masks else ""))
        for name, images in self.parts(self.untouched).items():
            lines += ["", f"{name}: {counted(images)}"]
            lines += [f"{row.name:{width}}{columns(mean(self.parts(row)[name]))}" for row in rows]
        return "\n".join(lines)


def columns(scores: Scores) -> str:
    """Format scores as columns of a table."""
    return f"{scores.psnr:8.2f}{scores.fpsnr:8.2f}{scores.mse:9.1f}{scores.fmse:9.1f}{scores.ssim:8.4f}"


@dataclass(frozen=True)
class PairResult:
    """Result of a model for a pair."""

    pixels: NDArray[np.uint8]
    predicted_mask: Pixels | None  # by the detector or a mask-free model; None = the pair's own was used


@dataclass(frozen=True)
class EvaluationSheet:
    """Contact sheet of some pairs with the models' results, kept small because data sets exceed memory."""

    shown: set[int]
    rows: list[list[Pixels]] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)

    def add(self, evaluation: Evaluation, pair: LoadedPair, results: Sequence[PairResult]) -> None:
        """Keep the pair measured last, if it is one of those shown."""
        if len(evaluation.names) - 1 in self.shown:
            images = (pair.composite, pair.mask, *(result.pixels for result in results), pair.target)
            self.rows.append([fit_into_square(image, CELL_SIDE) for image in images])
            self.captions.append(evaluation.caption())
            self.gains.append(evaluation.gain())

    def save(self, file: BinaryIO, models: Sequence[str]) -> None:
        """Draw all as a PNG, sorted by gain, the least first."""
        headings = ["composite", "mask", *models, "target"]
        order = np.argsort(self.gains, kind="stable")
        rows, captions = [self.rows[index] for index in order], [self.captions[index] for index in order]
        draw_contact_sheet(rows, captions, headings, CELL_SIDE, across=3).save(file, "PNG")


def evenly_spaced(total: int, most: int) -> set[int]:
    """Return at most `most` of `total` indices, evenly spaced."""
    return set(np.linspace(0, total - 1, min(total, most)).astype(int).tolist())


@dataclass(frozen=True)
class EvaluationOptions:
    """Choice of the pixels, masks and scores of an evaluation.

    native: measure the networks' own pixels with everything resized to their input size, as the papers do, instead of
        full-size results.
    detector: predicts the masks, instead of those of the data set; if it detects nothing, the composite stays
        unchanged.
    perceptual: measures LPIPS, too; None = left out.
    """

    native: bool = False
    detector: Detector | None = None
    perceptual: PerceptualDistance | None = None


FULL_SIZE_RESULTS = EvaluationOptions()
"""Harmonized images at full size, with the masks of the data set."""

WatchPair: TypeAlias = Callable[[Evaluation, LoadedPair, Sequence[PairResult]], None]
"""Called after each pair with the scores so far, the pair as measured, and each model's result; may raise to cancel."""


def evaluate_harmonizers(
    dataset: Path,
    harmonizers: Sequence[Harmonizer],
    options: EvaluationOptions = FULL_SIZE_RESULTS,
    *,
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Measure models on a data set in iHarmony4's layout: on its test split if it has one, else on all pairs.

    Mask-free models get no mask; if one detects nothing, the composite stays unchanged.

    Args:
        dataset: the folder.
        harmonizers: the models, named in the table. One may come from `Harmonizer.from_network`.
        options: pixels, masks and scores.
        sheet: a file for a PNG of composite, mask, each model's result and target, of up to 120 images
            spread over the data set, sorted by gain; None = no sheet.
        progress: called with (done, total) images.

    Raises:
        EngineError: no such layout, an image that can't be read or does not fit its target, or native models of
            different sizes.
    """
    pairs = find_pairs(dataset, "test")
    drawn = EvaluationSheet(evenly_spaced(len(pairs), MOST_SHOWN))

    def watch(evaluation: Evaluation, pair: LoadedPair, results: Sequence[PairResult]) -> None:
        if sheet:
            drawn.add(evaluation, pair, results)
        if progress:
            progress(len(evaluation.names), len(pairs))

    evaluation = measure_pairs(map(load_pair, pairs), harmonizers, str(dataset), options, watch)
    if sheet:
        drawn.save(sheet, [harmonizer.name for harmonizer in harmonizers])
    return evaluation


def measure_pairs(
    pairs: Iterable[LoadedPair],
    harmonizers: Sequence[Harmonizer],
    dataset: str = "",
    options: EvaluationOptions = FULL_SIZE_RESULTS,
    watch: WatchPair | None = None,
) -> Evaluation:
    """Measure loaded models on pairs, which are released one by one.

    Args:
        pairs: at least one.
        harmonizers: the models.
        dataset: name of the pairs.
        options: pixels, masks and scores.
        watch: called after each pair.

    Raises:
        EngineError: native models of different sizes.
    """
    size = common_size(harmonizers) if options.native else None
    models = [ModelScores(harmonizer.name) for harmonizer in harmonizers]
    evaluation = Evaluation(dataset, [], ModelScores(UNTOUCHED), models, size)
    for whole in pairs:
        pair = whole.resized(size) if size else whole
        mask = detect_mask(options.detector, pair.composite) if options.detector else None
        results = [
            predict_pair(harmonizer, pair) if options.native else harmonize_pair(harmonizer, pair, mask)
            for harmonizer in harmonizers
        ]
        evaluation.add(pair, results, options.perceptual)
        if watch:
            watch(evaluation, pair, results)
    return evaluation


def common_size(harmonizers: Sequence[Harmonizer]) -> int:
    """Return the input size that all models share.

    Raises:
        EngineError: they differ.
    """
    sizes = [harmonizer.input_size for harmonizer in harmonizers]
    if len(set(sizes)) != 1:
        seen = ", ".join(f"{each.name} {each.input_size}×{each.input_size}" for each in harmonizers)
        raise ModelError(
            f"These models have different input sizes ({seen}): measure them one by one.", code="model.input-sizes"
        )
    return sizes[0]


def harmonize_pair(harmonizer: Harmonizer, pair: LoadedPair, mask: Pixels | None = None) -> PairResult:
    """Harmonize a pair at full size, with a predicted mask or its own."""
    if mask is not None and not mask.any():
        return PairResult(pair.composite, mask)
    given = pair.mask if mask is None and not harmonizer.mask_free else mask
    try:
        # Already read: a data set's foreground may well be most of the border.
        prediction = harmonizer(pair.composite, None if given is None else MaskReading(given))
    except NothingFoundError:
        return PairResult(pair.composite, np.zeros_like(pair.mask))
    return PairResult(prediction.render(), prediction.mask if given is not pair.mask else None)


def predict_pair(harmonizer: Harmonizer, pair: LoadedPair) -> PairResult:
    """Return the network's own pixels for a pair at the input size, rounded to 8 bits."""
    network_input = make_network_input(ImageData(pair.composite), pair.mask, harmonizer.input_size)
    pixels = to_depth(harmonizer.predictor.predict_pixels(network_input), np.dtype(np.uint8))
    mask = harmonizer.predictor.predict_mask(network_input.composite).mask if harmonizer.mask_free else None
    return PairResult(pixels, mask)
