# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs to look at before anything is trained on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count as numbers
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from s2am_engine.image.sheets import draw_sheet
from s2am_engine.training.pairs import Batch


class MakesPairs(Protocol):
    """Anything that makes a batch of pairs for each step."""

    def make(self, step: int) -> Batch:
        """The batch of one step."""
        ...


def draw_pair_sheet(pairs: MakesPairs, count: int, side: int = 160) -> Image.Image:
    """Draw the first pairs as they would be trained on: truth, mask and composite beside each other.

    Args:
        pairs: where they come from, from step 0 on.
        count: how many to draw, at least 1.
        side: of each picture on the sheet, in pixels.
    """
    drawn = list(islice(each_pair(pairs), count))
    rows = [[pixels(truth), pixels(mask)[..., 0], pixels(composite)] for composite, mask, truth in drawn]
    captions = [f"{number}: changed by {foreground_change(*pair):.1f} levels" for number, pair in enumerate(drawn, 1)]
    # A row is about three times as wide as high.
    return draw_sheet(rows, captions, ("truth", "mask", "composite"), side, across=math.ceil(math.sqrt(count / 3)))


def each_pair(pairs: MakesPairs) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Composite (3, N, N), mask (1, N, N) and truth (3, N, N) of pair after pair, without end."""
    for step in numbers():
        batch = pairs.make(step)
        yield from zip(batch.composite, batch.mask, batch.truth, strict=True)


def foreground_change(composite: Tensor, mask: Tensor, truth: Tensor) -> float:
    """How far composite and truth (3, N, N) differ under the mask (1, N, N) on average, in levels of 255."""
    return float(255 * ((composite - truth).abs().mean(dim=0) * mask[0]).sum() / mask.sum().clamp_min(1))


def pixels(tensor: Tensor) -> NDArray[np.float32]:
    """A (C, N, N) tensor as N×N×C."""
    return np.asarray(tensor.permute(1, 2, 0), np.float32)
