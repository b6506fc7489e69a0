# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets of a fine-tuning: held-out photographs before and after, and the photographs of a look."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from torch import Tensor

from s2am_engine.image.contact_sheet import draw_contact_sheet, fit_into_square, write_contact_sheet
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training.evaluation import evenly_spaced, harmonize_pair
from s2am_engine.training.gain import reduction
from s2am_engine.training.loaded_pairs import LoadedPair
from s2am_engine.training.metrics import score
from s2am_engine.training.pair_source import Batch
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.style_pairs import IN_STYLE, StylePairs, estimate_style
from s2am_engine.types import Bytes

PAIR_SIDE = 192  # pixels
SHEET_SEED = 40_000  # pairs that nothing was trained on
FEWEST_SHEET_PAIRS, MOST_SHEET_PAIRS = 6, 24
SHEET_SIDE = 160  # pixels of each image
STYLE_SHEET_PHOTOS, STYLE_SHEET_SIDE, STYLE_SHEET_ACROSS = 12, 128, 4  # of the contact sheet of a look
NOTICEABLE = 0.01  # relative change of the color error that a caption mentions


@dataclass
class HeldOutSheet:
    """Pairs with a look and what two models make of them, each harmonized at full size as in use.

    The fine-tuned model of a pair is the one that was not trained on its fold of the photographs.
    """

    base: str
    name: str
    images: list[list[Bytes]] = field(default_factory=list)  # composite, before, after, ground truth
    saved: list[float] = field(default_factory=list)  # relative reduction of the color error

    def add(self, before: Harmonizer, after: Harmonizer, loaded: LoadedPair) -> None:
        """Harmonize a pair."""
        results = [harmonize_pair(one, loaded).pixels for one in (before, after)]
        errors = [score(one, loaded.target, loaded.mask > 127).fmse for one in results]
        images = (loaded.composite, *results, loaded.target)
        self.images.append([fit_into_square(image, SHEET_SIDE) for image in images])
        self.saved.append(reduction(*errors))

    def fill(
        self,
        folds: Sequence[Sequence[Photograph]],
        before: Harmonizer,
        after: Sequence[Harmonizer],
        progress: Callable[[int, int], bool],
    ) -> None:
        """Add one pair of each photograph, up to `MOST_SHEET_PAIRS`.

        Args:
            folds: of the photographs.
            before: the base model.
            after: for each fold, the model that was not trained on it.
            progress: called with (done, total); returns whether time is left. At least `FEWEST_SHEET_PAIRS` are added.
                May raise to cancel.
        """
        styles = [estimate_style(photographs) for photographs in folds]
        order = sorted((index, fold) for fold, photographs in enumerate(folds) for index in range(len(photographs)))
        total = min(MOST_SHEET_PAIRS, len(order))
        for done, (index, fold) in enumerate(order[:total]):
            if not progress(done, total) and done >= FEWEST_SHEET_PAIRS:
                break
            photograph = folds[fold][index]
            maker = StylePairs(
                PAIR_SIDE, 1, SHEET_SEED + done, photographs=[photograph], kinds=IN_STYLE, style=styles[fold],
                crop=False, in_turn=True,
            )  # fmt: skip
            self.add(before, after[fold], pair_of_batch(photograph.name, maker.piece(0, 1), 0))

    def write(self, path: Path) -> None:
        """Write the pairs as a PNG, those with the largest gain first.

        Raises:
            FileError: it cannot be written.
        """
        order = sorted(range(len(self.saved)), key=lambda index: -self.saved[index])
        rows, captions = [self.images[index] for index in order], [caption(self.saved[index]) for index in order]
        write_contact_sheet(path, rows, captions, ["composite", self.base, self.name, "original"], SHEET_SIDE, across=2)


def pair_of_batch(name: str, batch: Batch, index: int) -> LoadedPair:
    """Return a pair of a batch as 8-bit arrays."""
    composite, mask, target = (to_array(tensor[index]) for tensor in batch)
    return LoadedPair(name, composite, np.ascontiguousarray(mask[..., 0]), target)


def to_array(tensor: Tensor) -> Bytes:
    """Convert a (C, N, N) tensor in [0, 1] to N×N×C uint8."""
    return np.ascontiguousarray((tensor * 255).round().byte().permute(1, 2, 0).numpy())


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
