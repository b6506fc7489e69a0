# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of models on composites with known ground truth, at full size or at the networks' input size."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from s2am_engine.errors import ModelError, NothingFoundError, TrainingError
from s2am_engine.image.arrays import to_depth, to_unit
from s2am_engine.image.contact_sheet import draw_contact_sheet, fit_into_square
from s2am_engine.image.io import load_image
from s2am_engine.image.masks import read_mask
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.network_input import make_network_input, shrink
from s2am_engine.training.dataset_readers import Pair, find_pairs
from s2am_engine.training.perceptual import PerceptualDistance
from s2am_engine.types import Pixels

UNTOUCHED = "untouched composite"
UNNAMED_GROUP = "other"
# A result this far below its composite counts as worse, in dB.
HARM = 1.0

SOURCES = {"a": "HAdobe5k", "c": "HCOCO", "d": "Hday2night", "f": "HFlickr"}
"""Sources of iHarmony4's images by the first letter of their file names (`a0065_1_2.jpg`)."""
_SOURCE_NAME = re.compile(r"([acdf])\d+(-\d+)*_\d+_\d+")
MOST_SHOWN = 120  # images on a sheet
CELL_SIDE = 160  # pixels of each
SUBSET_FIGURES = ("psnr", "mse", "fmse", "ssim")

_Item = TypeVar("_Item")

# PSNR of identical images, which keeps means finite.
MOST_DECIBELS = 100.0
# The default window of SSIM is 7×7; smaller images get a smaller, odd one.
SSIM_WINDOW = 7


@dataclass(frozen=True)
class Row:
    """Scores of one model for each image, in the order of `Evaluation.names`."""

    name: str
    images: list[Scores] = field(default_factory=list)
    masks: list[MaskScores] = field(default_factory=list)  # of the masks of a mask-free model; otherwise empty
    lpips: list[float] = field(default_factory=list)  # empty if it is not measured; not a number for tiny images

    @property
    def mean_lpips(self) -> float | None:
        """Mean LPIPS; None if it is not measured."""
        valid = [one for one in self.lpips if not math.isnan(one)]
        return float(np.mean(valid)) if valid else None

    @property
    def mean(self) -> Scores:
        """Mean scores."""
        return mean(self.images)

    def describe(self, names: Sequence[str]) -> dict[str, Any]:
        """Return means and single scores as plain numbers."""
        images = [{"name": name, **dataclasses.asdict(one)} for name, one in zip(names, self.images, strict=True)]
        for image, found in zip(images, self.masks, strict=False):
            image["mask"] = dataclasses.asdict(found)
        for image, distance in zip(images, self.lpips, strict=False):
            image["lpips"] = None if math.isnan(distance) else distance
        distances = {"lpips": self.mean_lpips} if self.lpips else {}
        masks = {"mask": dataclasses.asdict(mean(self.masks))} if self.masks else {}
        return {"name": self.name, **dataclasses.asdict(self.mean), **distances, **masks, "images": images}


@dataclass(frozen=True)
class Evaluation:
    """Scores of several models on a data set."""

    dataset: str
    names: list[str]
    untouched: Row
    models: list[Row]
    size: int | None = None  # pixels per side at which everything was measured; None = full size
    subsets: list[str] = field(default_factory=list)  # group of each image, see `group_of`

    def harmed(self, row: Row) -> int:
        """Return the number of images whose result is more than 1 dB below the composite."""
        pairs = zip(row.images, self.untouched.images, strict=True)
        return sum(result.psnr < composite.psnr - HARM for result, composite in pairs)

    def add(self, loaded: Loaded, results: Sequence[Result], perceptual: PerceptualDistance | None = None) -> None:
        """Score each model's result for a pair, with LPIPS if its network is given."""
        if perceptual:
            for row, pixels in zip(
                (self.untouched, *self.models), (loaded.composite, *(one.pixels for one in results)), strict=True
            ):
                row.lpips.append(perceptual(pixels, loaded.target))
        self.names.append(loaded.name)
        self.subsets.append(loaded.subset)
        self.untouched.images.append(score(loaded.composite, loaded.target, loaded.foreground))
        for row, result in zip(self.models, results, strict=True):
            row.images.append(score(result.pixels, loaded.target, loaded.foreground))
            if result.found is not None:
                row.masks.append(score_mask(result.found, loaded.mask))

    def caption(self) -> str:
        """Return the last image's name and its PSNR before and after each model."""
        after = " / ".join(f"{row.images[-1].psnr:.1f}" for row in self.models)
        return f"{self.names[-1]}: {self.untouched.images[-1].psnr:.1f} to {after} dB"

    def gain(self) -> float:
        """Return the mean gain in PSNR of the models on the last image."""
        return float(np.mean([row.images[-1].psnr for row in self.models])) - self.untouched.images[-1].psnr

    def parts(self, row: Row) -> dict[str, list[Scores]]:
        """Return a row's scores by group; empty if there is only one group."""
        return by_group(self.subsets, row.images)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `s2am evaluate --json` prints."""
        untouched, *models = (self.describe(row) for row in (self.untouched, *self.models))
        return {"dataset": self.dataset, "native_size": self.size, "untouched": untouched, "models": models}

    def describe(self, row: Row) -> dict[str, Any]:
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
        found = any(row.masks for row in rows)
        where = f", the networks' own pixels at {self.size}×{self.size}" if self.size else ""
        header = f"{'model':{width}}{'PSNR':>8}{'fPSNR':>8}{'MSE':>9}{'fMSE':>9}{'SSIM':>8}{'worse by 1 dB':>15}"
        distances = any(row.lpips for row in rows)
        headings = f"{header}{'LPIPS':>8}" if distances else header
        lines = [f"{self.dataset}: {counted(self.names)}{where}", headings + ("     IoU" if found else "")]
        for row in rows:
            distance = f"{row.mean_lpips:8.4f}" if row.mean_lpips is not None else f"{'-':>8}"
            iou = f"{mean(row.masks).iou:8.3f}" if row.masks else f"{'-':>8}"
            line = f"{row.name:{width}}{columns(row.mean)}{self.harmed(row):15d}{distance if distances else ''}"
            lines.append(line + (iou if found else ""))
        for name, images in self.parts(self.untouched).items():
            lines += ["", f"{name}: {counted(images)}"]
            lines += [f"{row.name:{width}}{columns(mean(self.parts(row)[name]))}" for row in rows]
        return "\n".join(lines)


def counted(images: Sequence[object]) -> str:
    """Return the number of images in words of a table."""
    return f"{len(images)} image{'' if len(images) == 1 else 's'}"


def columns(scores: Scores) -> str:
    """Format scores as columns of a table."""
    return f"{scores.psnr:8.2f}{scores.fpsnr:8.2f}{scores.mse:9.1f}{scores.fmse:9.1f}{scores.ssim:8.4f}"


@dataclass(frozen=True)
class Loaded:
    """A pair in memory."""

    name: str
    composite: NDArray[np.uint8]  # H×W×3
    mask: Pixels  # H×W
    target: NDArray[np.uint8]  # H×W×3
    subset: str = ""

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Pixels that count as foreground: above half of the mask's maximum, so never none."""
        return np.asarray(self.mask > self.mask.max() / 2)

    def resized(self, size: int) -> Loaded:
        """Return the pair at size × size by area averaging, as 8-bit values; the mask stays soft."""
        composite, target = (
            to_depth(shrink(to_unit(picture), size), np.dtype(np.uint8)) for picture in (self.composite, self.target)
        )
        mask = shrink(to_unit(self.mask), size).clip(0, 1)
        return dataclasses.replace(self, composite=composite, mask=mask, target=target)


@dataclass(frozen=True)
class Result:
    """Result of a model for a pair."""

    pixels: NDArray[np.uint8]
    found: Pixels | None  # mask predicted by a mask-free model


@dataclass(frozen=True)
class Sheet:
    """Contact sheet of some pairs with the models' results, kept small because data sets exceed memory."""

    shown: set[int]
    rows: list[list[Pixels]] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)

    def add(self, found: Evaluation, loaded: Loaded, results: Sequence[Result]) -> None:
        """Keep the pair measured last, if it is one of those shown."""
        if len(found.names) - 1 in self.shown:
            pictures = (loaded.composite, loaded.mask, *(result.pixels for result in results), loaded.target)
            self.rows.append([fit_into_square(picture, CELL_SIDE) for picture in pictures])
            self.captions.append(found.caption())
            self.gains.append(found.gain())

    def save(self, file: BinaryIO, models: Sequence[str]) -> None:
        """Draw all as a PNG, sorted by gain, the least first."""
        headings = ["composite", "mask", *models, "target"]
        order = np.argsort(self.gains, kind="stable")
        rows, captions = [self.rows[index] for index in order], [self.captions[index] for index in order]
        draw_contact_sheet(rows, captions, headings, CELL_SIDE, across=3).save(file, "PNG")


def evenly_spaced(total: int, most: int) -> set[int]:
    """Return at most `most` of `total` indices, evenly spaced."""
    return set(np.linspace(0, total - 1, min(total, most)).astype(int).tolist())


def evaluate(
    dataset: Path,
    models: Sequence[str],
    *,
    device: str = "auto",
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
    native: bool = False,
    auto_mask: bool = False,
    perceptual: PerceptualDistance | None = None,
) -> Evaluation:
    """Measure models by name; see `evaluate_harmonizers`, which has the other arguments and errors.

    Args:
        dataset: the folder.
        models: their names.
        device: see `Harmonizer`.
        sheet: see there.
        progress: see there.
        native: see there.
        auto_mask: take the masks from the detector; if nothing is detected, the composite stays unchanged.
        perceptual: see there.

    Raises:
        EngineError: an unknown model; also the errors listed there.
    """
    harmonizers = [Harmonizer(name, device) for name in models]
    detector = Detector(device=device) if auto_mask else None
    return evaluate_harmonizers(
        dataset,
        harmonizers,
        sheet=sheet,
        progress=progress,
        native=native,
        detector=detector,
        perceptual=perceptual,
    )


def evaluate_harmonizers(
    dataset: Path,
    harmonizers: Sequence[Harmonizer],
    *,
    sheet: BinaryIO | None = None,
    progress: Callable[[int, int], None] | None = None,
    native: bool = False,
    detector: Detector | None = None,
    perceptual: PerceptualDistance | None = None,
) -> Evaluation:
    """Measure loaded models on a data set in iHarmony4's layout: on its test split if it has one, else on all pairs.

    Mask-free models get no mask; if one detects nothing, the composite stays unchanged.

    Args:
        dataset: the folder.
        harmonizers: the models, named in the table. One may come from `Harmonizer.from_network`.
        sheet: a file for a PNG of composite, mask, each model's result and target, of up to 120 images
            spread over the data set, sorted by gain; None = no sheet.
        progress: called with (done, total) images.
        native: measure the networks' own pixels with everything resized to their input size, as the papers do, instead
            of full-size results.
        detector: predicts the masks, instead of those of the data set.
        perceptual: measures LPIPS, too; None = left out.

    Raises:
        EngineError: no such layout, an image that can't be read or does not fit its target, or native models of
            different sizes.
    """
    pairs = find_pairs(dataset, "test")
    drawn = Sheet(evenly_spaced(len(pairs), MOST_SHOWN))

    def watch(found: Evaluation, loaded: Loaded, results: Sequence[Result]) -> None:
        if sheet:
            drawn.add(found, loaded, results)
        if progress:
            progress(len(found.names), len(pairs))

    found = measure_pairs(
        map(load_pair, pairs),
        harmonizers,
        str(dataset),
        native=native,
        detector=detector,
        perceptual=perceptual,
        watch=watch,
    )
    if sheet:
        drawn.save(sheet, [one.name for one in harmonizers])
    return found


def measure_pairs(
    pairs: Iterable[Loaded],
    harmonizers: Sequence[Harmonizer],
    dataset: str = "",
    *,
    native: bool = False,
    detector: Detector | None = None,
    perceptual: PerceptualDistance | None = None,
    watch: Callable[[Evaluation, Loaded, Sequence[Result]], None] | None = None,
) -> Evaluation:
    """Measure loaded models on pairs, which are released one by one.

    Args:
        pairs: at least one.
        harmonizers: the models.
        dataset: name of the pairs.
        native: see `evaluate_harmonizers`.
        detector: see there.
        perceptual: see there.
        watch: called after each pair with the evaluation so far, the pair as measured, and each model's
            result; may raise to cancel.

    Raises:
        EngineError: native models of different sizes.
    """
    size = common_size(harmonizers) if native else None
    found = Evaluation(dataset, [], Row(UNTOUCHED), [Row(one.name) for one in harmonizers], size)
    for pair in pairs:
        loaded = pair.resized(size) if size else pair
        mask = detect_mask(detector, loaded.composite) if detector else None
        results = [paint_pair(one, loaded) if native else harmonize_pair(one, loaded, mask) for one in harmonizers]
        found.add(loaded, results, perceptual)
        if watch:
            watch(found, loaded, results)
    return found


def common_size(harmonizers: Sequence[Harmonizer]) -> int:
    """Return the input size that all models share.

    Raises:
        EngineError: they differ.
    """
    sizes = [one.input_size for one in harmonizers]
    if len(set(sizes)) != 1:
        seen = ", ".join(f"{one.name} {one.input_size}×{one.input_size}" for one in harmonizers)
        raise ModelError(
            f"These models have different input sizes ({seen}): measure them one by one.", code="model.input-sizes"
        )
    return sizes[0]


def detect_mask(detector: Detector, picture: NDArray[np.uint8], *, likeliest: bool = False) -> NDArray[np.uint8]:
    """Predict a mask, see `Detector.detect`; an empty one if nothing is found."""
    try:
        return detector.detect(picture, likeliest=likeliest).mask
    except NothingFoundError:
        return np.zeros(picture.shape[:2], np.uint8)


def harmonize_pair(harmonizer: Harmonizer, loaded: Loaded, found: Pixels | None = None) -> Result:
    """Harmonize a pair at full size, with a predicted mask or its own."""
    if found is not None and not found.any():
        return Result(loaded.composite, found)
    given = loaded.mask if found is None and not harmonizer.mask_free else found
    try:
        prediction = harmonizer(loaded.composite, given)
    except NothingFoundError:
        return Result(loaded.composite, np.zeros_like(loaded.mask))
    return Result(prediction.render(), prediction.mask if given is not loaded.mask else None)


def paint_pair(harmonizer: Harmonizer, loaded: Loaded) -> Result:
    """Return the network's own pixels for a pair at the input size, rounded to 8 bits."""
    network_input = make_network_input(loaded.composite, loaded.mask, None, None, harmonizer.input_size)
    painted = to_depth(harmonizer.predictor.paint(network_input), np.dtype(np.uint8))
    found = harmonizer.predictor.predict_mask(network_input.composite).mask if harmonizer.mask_free else None
    return Result(painted, found)


def load_pair(pair: Pair) -> Loaded:
    """Read a pair as 8-bit sRGB values.

    Raises:
        EngineError: a file can't be read, or the three differ in size.
    """
    composite, target = (
        to_depth(load_image(path).pixels, np.dtype(np.uint8)) for path in (pair.composite, pair.target)
    )
    mask = read_mask(pair.mask)
    if not composite.shape[:2] == target.shape[:2] == mask.shape:
        raise TrainingError(
            f"{pair.composite}, its mask and its target differ in size: they must have the same width and height.",
            code="training.pair-size",
            path=str(pair.composite),
        )
    return Loaded(pair.name, composite, mask, target, group_of(pair))


def group_of(pair: Pair) -> str:
    """Return the group of a pair, for which means are reported; "" = none.

    It is the data set's subfolder (`HCOCO`, `HFlickr` …) or, without subfolders, iHarmony4's source by the first letter
    of a file name of its form. This function alone decides it.
    """
    named = _SOURCE_NAME.fullmatch(pair.name)
    return pair.subset or (SOURCES[named[1]] if named else "")


def by_group(groups: Sequence[str], scores: Sequence[_Item]) -> dict[str, list[_Item]]:
    """Return scores by group; empty if there is only one group."""
    if len(set(groups)) < 2:
        return {}
    return {
        name or UNNAMED_GROUP: [one for one, group in zip(scores, groups, strict=True) if group == name]
        for name in sorted(set(groups))
    }


@dataclass(frozen=True)
class DetectionScores:
    """Scores of a detector for one composite and its ground truth, which contains nothing pasted; or their means.

    found: 1 if something is detected in the composite, else 0: the detection rate.
    claimed: 1 if something is detected in the ground truth: the rate of false alarms.
    iou: of the detected region; 0 if nothing is detected.
    iou_found: the same; not a number if nothing is detected, so that means are those of the detected regions.
    iou_likeliest: of the likeliest region, whether it counts as detected or not.
    """

    found: float
    claimed: float
    iou: float
    iou_found: float
    iou_likeliest: float

    def describe(self) -> dict[str, float | None]:
        """Return JSON values; None for what is not a number."""
        return {key: None if math.isnan(value) else value for key, value in dataclasses.asdict(self).items()}

    def columns(self) -> str:
        """Format the scores as columns of a table."""
        detected = "-" if math.isnan(self.iou_found) else f"{self.iou_found:.3f}"
        return f"{self.found:12.0%}{self.claimed:14.0%}{self.iou:8.3f}{detected:>18}{self.iou_likeliest:22.3f}"


@dataclass(frozen=True)
class DetectorEvaluation:
    """Scores of a detector on a data set."""

    dataset: str
    model: str
    names: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    images: list[DetectionScores] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the object that `s2am evaluate --detect --json` prints."""
        subsets = {name: mean(images).describe() for name, images in by_group(self.groups, self.images).items()}
        images = [{"name": name, **one.describe()} for name, one in zip(self.names, self.images, strict=True)]
        figures = mean(self.images).describe()
        return {"dataset": self.dataset, "model": self.model, **figures, "subsets": subsets, "images": images}

    def to_table(self) -> str:
        """Return a plain-text table: all images, then each group."""
        header = f"{'':24}{'detected':>12}{'false alarms':>14}{'IoU':>8}{'IoU if detected':>18}{'IoU of likeliest':>22}"
        groups = {"all": self.images} | by_group(self.groups, self.images)
        lines = [f"{name:24}{mean(images).columns()}  {counted(images)}" for name, images in groups.items()]
        return "\n".join([f"{self.dataset}: detector {self.model}", header, *lines])


def evaluate_detector(
    dataset: Path, detector: Detector, *, progress: Callable[[int, int], None] | None = None
) -> DetectorEvaluation:
    """Measure a detector on the composites of a data set in iHarmony4's layout, and on their ground truths.

    Args:
        dataset: see `evaluate_harmonizers`.
        detector: the detector.
        progress: called with (done, total) pairs.

    Raises:
        EngineError: see `evaluate_harmonizers`.
    """
    pairs = find_pairs(dataset, "test")
    found = DetectorEvaluation(str(dataset), detector.name)
    for pair in pairs:
        loaded = load_pair(pair)
        found.names.append(loaded.name)
        found.groups.append(loaded.subset)
        found.images.append(score_detection(detector, loaded))
        if progress:
            progress(len(found.names), len(pairs))
    return found


def score_detection(detector: Detector, loaded: Loaded) -> DetectionScores:
    """Score a detector on a composite and its ground truth."""
    mask, likeliest = (detect_mask(detector, loaded.composite, likeliest=one) for one in (False, True))
    iou, found = score_mask(mask, loaded.mask).iou, bool(mask.any())
    return DetectionScores(
        found=float(found),
        claimed=float(detect_mask(detector, loaded.target).any()),
        iou=iou,
        iou_found=iou if found else math.nan,
        iou_likeliest=score_mask(likeliest, loaded.mask).iou,
    )


@dataclass(frozen=True)
class Scores:
    """Scores of one image, or their means over several."""

    psnr: float  # dB, whole image
    fpsnr: float  # dB, foreground
    mse: float  # whole image, 8-bit values
    fmse: float  # foreground, 8-bit values
    ssim: float  # whole image, mean of the channels


@dataclass(frozen=True)
class MaskScores:
    """Scores of a predicted mask, or their means over several."""

    iou: float  # intersection over union, 0 to 1
    f1: float  # harmonic mean of precision and recall, 0 to 1
    mae: float  # mean absolute error of the soft mask, 0 to 1


def score(result: NDArray[np.uint8], target: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Scores:
    """Compare H×W×3 uint8 pictures; the H×W mask is True in the foreground."""
    squared = (result.astype(np.float32) - target.astype(np.float32)) ** 2
    mse = float(squared.mean())
    fmse = float(squared[mask].mean()) if mask.any() else 0.0
    return Scores(decibels(mse), decibels(fmse), mse, fmse, ssim(result, target))


def score_mask(found: Pixels, target: Pixels) -> MaskScores:
    """Compare H×W masks of any mask dtype, whose foreground is above half of full scale."""
    soft, true = to_unit(found), to_unit(target)
    here, there = soft > 0.5, true > 0.5
    both, either = int((here & there).sum()), int((here | there).sum())
    error = float(np.abs(soft - true).mean())
    # Two masks without foreground are the same.
    return MaskScores(both / either, 2 * both / (both + either), error) if either else MaskScores(1.0, 1.0, error)


def decibels(mse: float) -> float:
    """Return the PSNR of a mean square error in 8-bit levels, at most 100 dB."""
    return min(MOST_DECIBELS, 10 * math.log10(255**2 / mse)) if mse > 0 else MOST_DECIBELS


def ssim(result: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
    """Return the structural similarity (Wang et al., 2004), uniform window, mean over channels."""
    window = min(SSIM_WINDOW, *target.shape[:2])
    window -= 1 - window % 2
    if window < 3:
        return 1.0 if np.array_equal(result, target) else math.nan
    return float(structural_similarity(result, target, win_size=window, channel_axis=2, data_range=255))


_Figures = TypeVar("_Figures", Scores, MaskScores, DetectionScores)


def mean(scores: Sequence[_Figures]) -> _Figures:
    """Return the mean of each score over the images for which it is a number; not a number if there are none."""
    rows = np.array([dataclasses.astuple(item) for item in scores])
    valid = ~np.isnan(rows)
    with np.errstate(invalid="ignore"):
        means = np.where(valid, rows, 0).sum(axis=0) / valid.sum(axis=0)
    return type(scores[0])(*(float(value) for value in means))
