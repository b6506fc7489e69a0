# SPDX-License-Identifier: GPL-3.0-or-later
"""Gain of fine-tuning and of reference photographs on looks: `python -m research.looks PHOTOS STYLES SCENES`.

Each look exists in two versions of the same photographs, with and without it: film tables and warm light are applied
to photographs, dark exposures are real. In each test composite the background has the look and the foreground does
not; the ground truth is the photograph with the look. In the composites of “others”, the background has another look
or none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from research import console
from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.references import References
from s2am_engine.models.model_files import delete_model
from s2am_engine.models.model_store import DEFAULT_MODEL
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_styles import ColorStyles, apply_tables
from s2am_engine.training.dataset_readers import list_sources
from s2am_engine.training.finetune import FineTuneResult, FineTuneSettings, finetune
from s2am_engine.training.gain import ColorErrors, FineTuningScores, Interval, PairScores
from s2am_engine.training.metrics import score
from s2am_engine.training.photo_cache import Photograph, prepare_photo
from s2am_engine.training.recolor import recolor
from s2am_engine.training.scene_pairs import load_scenes
from s2am_engine.training.synthetic_pairs import FULL_EDIT, STRONGEST_MILD, WEAKEST_MILD
from s2am_engine.types import Bytes

LONG_SIDE = 320  # pixels
STRENGTH = 0.8  # of a look
OTHER_STRENGTHS = 0.3, 0.8  # of the looks of other backgrounds
SPLIT = "test"
NAME = "look-of-research"  # of the personal model, which is deleted afterwards
WARM, DARK = "warm", "dark"
OTHER_KINDS = ("daytime", "rendition")  # of scenes, which are not exposures
PLAIN_MEAN, DARK_MEAN, LEAST_DARKER = 115, 65, 15  # mean values of pictures of a scene, and their difference

Predict = Callable[[Bytes, Bytes], Bytes]  # composite and mask to result
Change = Callable[[torch.Tensor], torch.Tensor]  # of (1, 3, H, W) sRGB in [0, 1]


@dataclass(frozen=True)
class StyledPhotograph:
    """A photograph without a look and with it."""

    plain: Photograph
    styled: Bytes


@dataclass(frozen=True)
class LookComposite:
    """A test composite."""

    name: str
    pixels: Bytes
    mask: Bytes
    target: Bytes


@dataclass(frozen=True)
class LookRow:
    """Measured gains on one look; None = not measured, or no model was made."""

    look: str
    fine_tuned: FineTuningScores | None
    others: FineTuningScores | None
    references: FineTuningScores | None
    outcome: FineTunedFigures | None
    minutes: float


@dataclass(frozen=True)
class FineTunedFigures:
    """Summary of the figures that fine-tuning reports."""

    verdict: str
    saved: float
    interval: Interval | None
    others_saved: float
    recognized: float
    rejected: float
    pairs: int
    seconds: float


def read_photographs(folder: Path, count: int) -> list[Photograph]:
    """Read `count` photographs with regions, spread over the test split."""
    sources = [one for one in list_sources(folder, SPLIT) if one.labels is not None]
    chosen = [sources[index] for index in np.linspace(0, len(sources) - 1, min(count, len(sources))).astype(int)]
    prepared = [prepare_photo(one, LONG_SIDE) for one in chosen]
    return [one for one in prepared if isinstance(one, Photograph)]


def changed(image: Bytes, change: Change) -> Bytes:
    """Change the colors of an image."""
    unit = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
    return np.ascontiguousarray((change(unit)[0].clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy())


def film(table: torch.Tensor, strength: float = STRENGTH) -> Change:
    """Return the application of a look-up table (3, S, S, S) in part."""
    return lambda unit: torch.lerp(unit, apply_tables(unit, table[None]), strength)


def warm_light(unit: torch.Tensor) -> torch.Tensor:
    """Change daylight to warm indoor light."""
    gains = torch.tensor([1.25, 0.85, 0.45]).view(1, 3, 1, 1)
    return linear_tensor_to_srgb((srgb_tensor_to_linear(unit) * gains).clamp(0, 1))


def mildly_edited(image: Bytes, rng: np.random.Generator) -> Bytes:
    """Edit a foreground mildly."""
    how = replace(FULL_EDIT, weakest=WEAKEST_MILD, strongest=STRONGEST_MILD)
    return changed(image, lambda unit: recolor(unit, torch.ones_like(unit[:, :1]), BatchRNG.seeded(rng, 1), how))


def dark_exposures(scenes: Path) -> list[StyledPhotograph]:
    """Return exposures of real cameras, in a fixed random order: the one nearest to a usual mean, and a darker one."""
    found = []
    for scene in (
        *load_scenes(scenes, held_out=False, left_out=OTHER_KINDS),
        *load_scenes(scenes, held_out=True, left_out=OTHER_KINDS),
    ):
        plain = min(scene.pictures, key=lambda one: abs(one.mean() - PLAIN_MEAN))
        darker = [one for one in scene.pictures if one.mean() < plain.mean() - LEAST_DARKER]
        if darker:
            dark = min(darker, key=lambda one: abs(one.mean() - DARK_MEAN))
            found.append(StyledPhotograph(Photograph(scene.name, plain, scene.regions), dark))
    return [found[number] for number in np.random.default_rng(0).permutation(len(found))]


def make_looks(options: argparse.Namespace, films: torch.Tensor) -> Iterator[tuple[str, list[StyledPhotograph]]]:
    """Yield the looks that were asked for: a number is that of a film table."""
    photographs = read_photographs(options.photos, options.photographs)
    for look in options.looks:
        if look == DARK:
            yield look, dark_exposures(options.scenes)[: options.photographs]
        else:
            change = warm_light if look == WARM else film(films[int(look)])
            yield look, [StyledPhotograph(one, changed(one.image, change)) for one in photographs]


def compose(foreground: Bytes, background: Bytes, photograph: Photograph, number: int = 0) -> LookComposite:
    """Paste a region of one version of a photograph on another version."""
    region: NDArray[np.bool_] = photograph.regions[number % len(photograph.regions)]
    pixels = np.where(region[..., None], foreground, background)
    return LookComposite(photograph.name, pixels, region.view(np.uint8) * np.uint8(255), background)


def make_composites(
    tested: Sequence[StyledPhotograph], films: torch.Tensor
) -> tuple[list[LookComposite], list[LookComposite]]:
    """Return composites whose background has a look, and others.

    Of the former, a third of the foregrounds is mildly edited. Of the latter, half of the backgrounds have the look of
    a random film; the others have none, and a mildly edited foreground.
    """
    rng = np.random.default_rng(7)
    styled, others = [], []
    for one in tested:
        plain = one.plain.image
        styled += [compose(plain, one.styled, one.plain, number) for number in range(2)]
        styled.append(compose(mildly_edited(plain, rng), one.styled, one.plain, -1))
        other = film(films[int(rng.integers(len(films)))], rng.uniform(*OTHER_STRENGTHS))
        others.append(compose(plain, changed(plain, other), one.plain))
        others.append(compose(mildly_edited(plain, rng), plain, one.plain, -1))
    return styled, others


def compare(composites: Sequence[LookComposite], before: Predict, after: Predict) -> FineTuningScores:
    """Compare two ways of harmonizing."""
    scores = []
    for one in composites:
        inside = one.mask > 127
        images = (one.pixels, before(one.pixels, one.mask), after(one.pixels, one.mask))
        scores.append(
            PairScores(one.name, *(ColorErrors.of_scores(score(image, one.target, inside)) for image in images))
        )
    return FineTuningScores.of(scores)


def predictor(harmonizer: Harmonizer, references: References | None = None) -> Predict:
    """Return a way of harmonizing."""
    return lambda pixels, mask: harmonizer(pixels, mask, references=references).render()


def measure_look(
    look: str, versions: Sequence[StyledPhotograph], films: torch.Tensor, options: argparse.Namespace
) -> LookRow:
    """Measure one look."""
    tested, known = versions[: options.tested], versions[options.tested :]
    composites, other_composites = make_composites(tested, films)
    base = Harmonizer(options.base, "cpu")
    references = None
    if options.references:
        photos = References.reduce([one.styled for one in known[: options.references]], base.input_size)
        references = compare(composites, predictor(base), predictor(base, photos))
    started = time.process_time()
    tuned = others = outcome = None
    if options.minutes:
        folder = options.out / f"look-{look}"
        folder.mkdir(parents=True, exist_ok=True)
        for one in known:
            Image.fromarray(one.styled).save(folder / f"{Path(one.plain.name).stem}.jpg", quality=95)
        settings = FineTuneSettings(
            folder,
            f"{NAME}-{look}",
            options.base,
            options.minutes,
            sheet=options.out / f"look-{look}.png",
            device="cpu",
            workers=1,
            checkpoint=options.out / f"state-{look}",
        )
        found = finetune(settings, now=time.process_time)
        outcome = figures_of(found)
        if found.model:
            fine_tuned = Harmonizer(found.model.card.name, "cpu")
            tuned, others = (
                compare(one, predictor(base), predictor(fine_tuned)) for one in (composites, other_composites)
            )
            delete_model(found.model.card.name)
    return LookRow(look, tuned, others, references, outcome, (time.process_time() - started) / 60)


def figures_of(found: FineTuneResult) -> FineTunedFigures:
    """Return the output of fine-tuning."""
    return FineTunedFigures(
        found.verdict.value,
        found.style.fmse_saved,
        found.style.fmse_interval,
        found.others.fmse_saved,
        found.recognition.recognized,
        found.recognition.rejected,
        found.style.pairs,
        found.seconds,
    )


def describe(compared: FineTuningScores | None) -> str:
    """Describe a change of fMSE with its interval."""
    if compared is None or compared.fmse_interval is None:
        return f"{'-':>28}"
    low, high = -compared.fmse_interval.high, -compared.fmse_interval.low
    return f"{f'{-compared.fmse_saved:+.1%} ({low:+.1%} to {high:+.1%})':>28}"


def main() -> int:
    """Run the module as a command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("styles", type=Path, metavar="STYLES", help="folder with film looks, see `ColorStyles`")
    parser.add_argument("scenes", type=Path, metavar="SCENES", help="folder with exposures, see `load_scenes`")
    parser.add_argument("--out", type=Path, default=Path("runs/looks"), metavar="DIR")
    about = f"numbers of film tables, “{WARM}” and “{DARK}” (default: %(default)s)"
    parser.add_argument("--looks", nargs="+", default=["388", WARM, "194", "291", DARK], help=about)
    parser.add_argument("--photographs", type=int, default=76, help="with the look, tested ones included")
    parser.add_argument("--tested", type=int, default=16, help="photographs that are only tested on")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time of fine-tuning for each look; 0 = none")
    parser.add_argument("--references", type=int, default=8, help="reference photographs; 0 = none")
    parser.add_argument("--base", default=DEFAULT_MODEL)
    options = parser.parse_args()

    def work() -> None:
        options.out.mkdir(parents=True, exist_ok=True)
        films = ColorStyles.load(options.styles).films
        rows = []
        print(
            f"{'look':>8}{'fine-tuned: fMSE':>28}{'other backgrounds: fMSE':>28}{'references: fMSE':>28}{'minutes':>9}"
            "  in cross-validation"
        )
        for look, versions in make_looks(options, films):
            row = measure_look(look, versions, films, options)
            columns = (describe(one) for one in (row.fine_tuned, row.others, row.references))
            print(f"{look:>8}{''.join(columns)}{row.minutes:9.1f}  {row.outcome}", flush=True)
            rows.append(asdict(row))
            (options.out / "looks.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")

    return console.run(work)


if __name__ == "__main__":
    sys.exit(main())
