# SPDX-License-Identifier: GPL-3.0-or-later
"""Gain of fine-tuning and of reference photographs on film looks: `python -m research.looks PHOTOS STYLES`.

A look is applied to photographs. In each test composite the background has the look and the foreground does not; the
ground truth is the photograph with the look. In the composites of “others”, it is the other way round.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from research import console
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.references import References
from s2am_engine.models.model_files import delete_model
from s2am_engine.models.model_store import DEFAULT_MODEL
from s2am_engine.training.color_styles import ColorStyles, apply_tables
from s2am_engine.training.dataset_readers import list_sources
from s2am_engine.training.finetune import finetune
from s2am_engine.training.gain import Compared, PairScores
from s2am_engine.training.metrics import score
from s2am_engine.training.photo_cache import Photograph, prepare_photo
from s2am_engine.types import Bytes

LONG_SIDE = 320  # pixels
STRENGTH = 0.8  # of a look
SPLIT = "test"
NAME = "look-of-research"  # of the personal model, which is deleted afterwards

Predict = Callable[[Bytes, Bytes], Bytes]  # composite and mask to result


@dataclass(frozen=True)
class Composite:
    """A test composite."""

    name: str
    pixels: Bytes
    mask: Bytes
    target: Bytes


@dataclass(frozen=True)
class LookRow:
    """Measured gains on one look; None = not measured."""

    look: int
    fine_tuned: Compared | None
    others: Compared | None
    references: Compared | None
    minutes: float


def read_photographs(folder: Path, count: int) -> list[Photograph]:
    """Read `count` photographs with regions, spread over the test split."""
    sources = [one for one in list_sources(folder, SPLIT) if one.labels is not None]
    chosen = [sources[index] for index in np.linspace(0, len(sources) - 1, min(count, len(sources))).astype(int)]
    prepared = [prepare_photo(one, LONG_SIDE) for one in chosen]
    return [one for one in prepared if isinstance(one, Photograph)]


def with_look(image: Bytes, table: torch.Tensor) -> Bytes:
    """Apply a look-up table (3, S, S, S) in part."""
    unit = torch.from_numpy(image.copy()).permute(2, 0, 1)[None] / 255
    shown = torch.lerp(unit, apply_tables(unit, table[None]), STRENGTH).clamp(0, 1)
    return np.ascontiguousarray((shown[0].permute(1, 2, 0) * 255).round().byte().numpy())


def compose(foreground: Bytes, background: Bytes, photograph: Photograph) -> Composite:
    """Paste the first region of one version of a photograph on another version."""
    region: NDArray[np.bool_] = photograph.regions[0]
    pixels = np.where(region[..., None], foreground, background)
    return Composite(photograph.name, pixels, region.view(np.uint8) * np.uint8(255), background)


def compare(composites: Sequence[Composite], before: Predict, after: Predict) -> Compared:
    """Compare two ways of harmonizing."""
    scores = []
    for one in composites:
        inside = one.mask > 127
        images = (one.pixels, before(one.pixels, one.mask), after(one.pixels, one.mask))
        scores.append(PairScores(one.name, *(score(image, one.target, inside) for image in images)))
    return Compared.of(scores)


def predictor(harmonizer: Harmonizer, references: References | None = None) -> Predict:
    """Return a way of harmonizing."""
    return lambda pixels, mask: harmonizer(pixels, mask, references=references).render()


def measure_look(
    number: int, table: torch.Tensor, photographs: Sequence[Photograph], options: argparse.Namespace
) -> LookRow:
    """Measure one look."""
    styled = [with_look(one.image, table) for one in photographs]
    known, tested = range(options.tested, len(photographs)), range(options.tested)
    composites = [compose(photographs[i].image, styled[i], photographs[i]) for i in tested]
    base = Harmonizer(options.base, "cpu")
    references = None
    if options.references:
        photos = References.reduce([styled[i] for i in known[: options.references]], base.input_size)
        references = compare(composites, predictor(base), predictor(base, photos))
    started = time.perf_counter()
    tuned = others = None
    if options.minutes:
        folder = options.out / f"look-{number}"
        folder.mkdir(parents=True, exist_ok=True)
        for i in known:
            Image.fromarray(styled[i]).save(folder / f"{i}.jpg", quality=95)
        found = finetune(
            folder,
            NAME,
            base=options.base,
            minutes=options.minutes,
            device="cpu",
            workers=1,
            checkpoint=options.out / "state",
            now=time.process_time,
        )
        if found.model:
            reverse = [compose(styled[i], photographs[i].image, photographs[i]) for i in tested]
            fine_tuned = Harmonizer(NAME, "cpu")
            tuned, others = (compare(one, predictor(base), predictor(fine_tuned)) for one in (composites, reverse))
            delete_model(NAME)
    return LookRow(number, tuned, others, references, (time.perf_counter() - started) / 60)


def describe(compared: Compared | None) -> str:
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
    parser.add_argument("--out", type=Path, default=Path("runs/looks"), metavar="DIR")
    parser.add_argument("--looks", type=int, default=5)
    parser.add_argument("--photographs", type=int, default=76, help="with the look, tested ones included")
    parser.add_argument("--tested", type=int, default=16, help="photographs that are only tested on")
    parser.add_argument("--minutes", type=float, default=10.0, help="CPU time of fine-tuning for each look; 0 = none")
    parser.add_argument("--references", type=int, default=8, help="reference photographs; 0 = none")
    parser.add_argument("--base", default=DEFAULT_MODEL)
    options = parser.parse_args()

    def work() -> None:
        options.out.mkdir(parents=True, exist_ok=True)
        films = ColorStyles.load(options.styles).films
        photographs = read_photographs(options.photos, options.photographs)
        rows = []
        print(
            f"{'look':>5}{'fine-tuned: fMSE':>28}{'other backgrounds: fMSE':>28}{'references: fMSE':>28}{'minutes':>9}"
        )
        for number in np.linspace(0, len(films) - 1, options.looks + 2).astype(int)[1:-1]:
            row = measure_look(int(number), films[number], photographs, options)
            columns = (describe(one) for one in (row.fine_tuned, row.others, row.references))
            print(f"{row.look:5d}{''.join(columns)}{row.minutes:9.1f}", flush=True)
            rows.append(asdict(row))
            (options.out / "looks.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")

    return console.run(work)


if __name__ == "__main__":
    sys.exit(main())
