# SPDX-License-Identifier: GPL-3.0-or-later
"""Held-out photographs: pairs made of them, measuring on as many as the time allows, and contact sheets."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from s2am_engine.image.contact_sheet import draw_contact_sheet, fit_into_square, write_contact_sheet
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training.evaluation import Evaluation, Result, evenly_spaced, harmonize_pair, measure_pairs
from s2am_engine.training.gain import Compared, PairScores
from s2am_engine.training.loaded_pairs import Loaded
from s2am_engine.training.pair_source import Batch, Loader, PairSource
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.style_pairs import (
    IN_STYLE,
    OTHER_STYLES,
    StyleMap,
    StylePairs,
    estimate_style,
    without_style,
)
from s2am_engine.training.synthetic_pairs import PairKinds
from s2am_engine.types import Bytes

MEASURED_SIDE = 192  # pixels
MOST_ROUNDS = 12  # pairs of each kind and photograph
SHEET_PAIRS = 24
SHEET_SIDE = 160  # pixels of each image
STYLE_SHEET_PHOTOS, STYLE_SHEET_SIDE, STYLE_SHEET_ACROSS = 12, 128, 4  # of the contact sheet of a look
NOTICEABLE = 0.01  # relative change of the color error that a caption mentions

STYLE, OTHERS = "look", "others"
HELD_OUT_KINDS: dict[str, PairKinds] = {STYLE: IN_STYLE, OTHERS: OTHER_STYLES}
PAIR_SEEDS = {STYLE: 40_000, OTHERS: 50_000}


@dataclass
class PairsOfPhotograph(StylePairs):
    """Pairs made of one photograph; the references of color transfers are any of the photographs."""

    number: int = field(kw_only=True)

    def crop_region(self, number: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], ...]:
        """See `PairMaker.crop_region`."""
        del number
        return super().crop_region(self.number, rng)


@dataclass
class HeldOutPairs(PairSource):
    """Pairs one by one, in rounds: one of each kind for each photograph."""

    photographs: Sequence[Photograph] = field(kw_only=True)
    batch: int = field(default=1, init=False)
    style: StyleMap = field(init=False)
    plain: list[Photograph] = field(init=False)

    def __post_init__(self) -> None:
        """Estimate the style from these photographs alone: that of those trained on would repeat its own errors."""
        self.style = estimate_style(self.photographs)
        self.plain = without_style(self.photographs, self.style)

    @property
    def round(self) -> int:
        """Number of pairs in a round."""
        return len(HELD_OUT_KINDS) * len(self.photographs)

    def kind(self, index: int) -> str:
        """Return the kind of a pair."""
        return list(HELD_OUT_KINDS)[index % len(HELD_OUT_KINDS)]

    def photograph(self, index: int) -> int:
        """Return the number of a pair's photograph."""
        return index // len(HELD_OUT_KINDS) % len(self.photographs)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        kind, number = self.kind(index), self.photograph(index)
        maker = PairsOfPhotograph(
            self.size,
            count,
            PAIR_SEEDS[kind] + number,
            photographs=self.photographs if kind == STYLE else self.plain,
            style=self.style if kind == STYLE else None,
            kinds=HELD_OUT_KINDS[kind],
            crop=False,
            number=number,
        )
        return maker.piece(index // self.round, count)

    def load(self, index: int, batch: Batch) -> Loaded:
        """Return the pair of a batch of one as 8-bit arrays."""
        composite, mask, target = (to_array(tensor) for tensor in batch)
        return Loaded(
            self.photographs[self.photograph(index)].name, composite, np.ascontiguousarray(mask[..., 0]), target
        )


def to_array(tensor: Tensor) -> Bytes:
    """Convert a (1, C, N, N) tensor in [0, 1] to N×N×C uint8."""
    return np.ascontiguousarray((tensor[0] * 255).round().byte().permute(1, 2, 0).numpy())


@dataclass
class HeldOutMeasurement:
    """Scores of two networks on held-out pairs, which grow pair by pair."""

    pairs: HeldOutPairs
    before: Harmonizer
    after: Harmonizer
    scores: list[PairScores]  # of the first pairs; may come from an earlier session
    images: dict[int, list[Bytes]] = field(default_factory=dict)  # composite, before, after, ground truth by index

    @property
    def most(self) -> int:
        """The number of pairs that suffice."""
        return MOST_ROUNDS * self.pairs.round

    def run(self, is_over: Callable[[], bool], report: Callable[[HeldOutMeasurement], None]) -> None:
        """Measure pair after pair, at least one round, until the time is over or enough are measured.

        Args:
            is_over: tells whether the time for measuring has passed.
            report: called after each pair; may raise to cancel.
        """
        with Loader(self.pairs, len(self.scores), workers=1) as loader:
            while len(self.scores) < self.pairs.round or (len(self.scores) < self.most and not is_over()):
                index = len(self.scores)
                self.measure(index, self.pairs.load(index, loader.take()))
                report(self)

    def measure(self, index: int, loaded: Loaded) -> None:
        """Measure one pair, and keep small images of it."""

        def keep(_: Evaluation, pair: Loaded, results: Sequence[Result]) -> None:
            if self.pairs.kind(index) == STYLE:
                images = (pair.composite, *(result.pixels for result in results), pair.target)
                self.images[index] = [fit_into_square(image, SHEET_SIDE) for image in images]

        found = measure_pairs([loaded], [self.before, self.after], watch=keep)
        before, after = (row.images[0] for row in found.models)
        self.scores.append(PairScores(loaded.name, found.untouched.images[0], before, after))

    def compare(self) -> dict[str, Compared]:
        """Return the comparison for each kind of pairs."""
        return {
            kind: Compared.of([one for index, one in enumerate(self.scores) if self.pairs.kind(index) == kind])
            for kind in HELD_OUT_KINDS
        }

    def write_sheet(self, path: Path) -> None:
        """Write the pairs of the look as a PNG, those with the largest gain first.

        Raises:
            FileError: it cannot be written.
        """
        indices = [index for index in range(len(self.scores)) if self.pairs.kind(index) == STYLE][:SHEET_PAIRS]
        indices.sort(key=lambda index: -self.scores[index].fmse_saved)
        rows = [self.images[index] if index in self.images else self.images_again(index) for index in indices]
        captions = [caption(self.scores[index].fmse_saved) for index in indices]
        headings = ["composite", self.before.name, self.after.name, "original"]
        write_contact_sheet(path, rows, captions, headings, SHEET_SIDE, across=2)

    def images_again(self, index: int) -> list[Bytes]:
        """Make the images of a pair that an earlier session measured."""
        pair = self.pairs.load(index, self.pairs.make(index))
        results = [harmonize_pair(one, pair).pixels for one in (self.before, self.after)]
        return [fit_into_square(image, SHEET_SIDE) for image in (pair.composite, *results, pair.target)]


def caption(saved: float) -> str:
    """Describe a relative reduction of the color error."""
    if math.isnan(saved) or abs(saved) < NOTICEABLE:
        return "as before"
    if saved > 0:
        return f"color error {saved:.0%} smaller"
    return f"color error {-saved:.0%} larger" if saved > -10 else "color error much larger"


def draw_style_sheet(photographs: Sequence[Photograph]) -> bytes:
    """Draw a small contact sheet of photographs, as the content of a PNG file."""
    shown = [photographs[index] for index in sorted(evenly_spaced(len(photographs), STYLE_SHEET_PHOTOS))]
    sheet = draw_contact_sheet(
        [[one.image] for one in shown], [one.name[:18] for one in shown], (), STYLE_SHEET_SIDE, STYLE_SHEET_ACROSS
    )
    file = io.BytesIO()
    sheet.save(file, "PNG")
    return file.getvalue()
