# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a fine-tuned network is better than it was: on held-out photographs, and on a data set."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from s2am_common.atomic import atomic_write
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.networks.network import Network
from s2am_engine.training.datasets import Photograph
from s2am_engine.training.evaluation import Evaluation, Loaded, Sheet, evaluate_harmonizers, measure, spread
from s2am_engine.training.events import Measuring, Report
from s2am_engine.training.metrics import Scores
from s2am_engine.training.pairs import PairMaker
from s2am_engine.training.team import Team

MEASURED = 64  # pairs of each kind
MEASURED_SIDE = 192  # pixels
SHOWN = 24  # pairs on the sheet
SEEDS = {"look": 40_000, "others": 50_000}


@dataclass(frozen=True)
class Compared:
    """What was measured on one set of pairs, before and after."""

    untouched: Scores
    before: Scores  # of the base model
    after: Scores  # of the new one

    @property
    def fmse_saved(self) -> float:
        """Share of the foreground's mean square error that learning took away; negative: it added some."""
        return 1 - self.after.fmse / self.before.fmse

    @property
    def psnr_gained(self) -> float:
        """dB; negative: it was lost."""
        return self.after.psnr - self.before.psnr


class Judge:
    """Measures networks on the held-out photographs, as people would get their results."""

    def __init__(self, unseen: Sequence[Photograph], input_size: int, team: Team, report: Report) -> None:
        """Make the pairs: of the look as it is, and of the same photographs varied as a whole."""
        self.input_size, self.device, self.report = input_size, str(team.device), report
        self.pairs = {
            kind: make_pairs(unseen, SEEDS[kind], graded) for kind, graded in (("look", 0.0), ("others", 1.0))
        }

    def compare(self, before: Network, after: Network) -> dict[str, Compared]:
        """Measure two networks on both kinds of pairs."""
        found = {}
        for kind, pairs in self.pairs.items():
            harmonizers = [self.harmonizer(network) for network in (before, after)]
            watch = self.progress(f"measuring on {kind}", len(pairs))
            found[kind] = compared(measure(pairs, harmonizers, watch=watch))
        return found

    def benchmark(self, dataset: Path, before: Network, after: Network) -> Compared:
        """Measure two networks on a data set."""
        found = evaluate_harmonizers(
            dataset,
            [self.harmonizer(network) for network in (before, after)],
            progress=lambda done, total: self.report(Measuring(f"measuring on {dataset.name}", done, total)),
        )
        return compared(found)

    def draw(self, path: Path, before: Network, after: Network) -> None:
        """Draw held-out pairs before and after."""
        pairs = self.pairs["look"]
        sheet = Sheet(spread(len(pairs), SHOWN))
        with atomic_write(path) as file:
            measure(pairs, [self.harmonizer(before, "before"), self.harmonizer(after, "after")], watch=sheet.add)
            sheet.save(file, ["before", "after"])

    def harmonizer(self, network: Network, name: str = "") -> Harmonizer:
        """What a network would be in people's hands."""
        return Harmonizer.from_network(copy.deepcopy(network), self.input_size, self.device, name)

    def progress(self, what: str, total: int) -> Callable[[Evaluation, Loaded, Sequence[object]], None]:
        """Tell how far measuring is."""
        return lambda found, *_: self.report(Measuring(what, len(found.names), total))


def make_pairs(photographs: Sequence[Photograph], seed: int, graded: float) -> list[Loaded]:
    """Pairs in memory, the same ones every time."""
    maker = PairMaker(MEASURED_SIDE, MEASURED, seed, photographs=photographs, graded=graded, crop=False)
    arrays = [(tensor * 255).round().byte().permute(0, 2, 3, 1).numpy() for tensor in maker.make(0)]
    return [
        Loaded(str(index), composite, np.ascontiguousarray(mask[..., 0]), truth)
        for index, (composite, mask, truth) in enumerate(zip(*arrays, strict=True))
    ]


def compared(found: Evaluation) -> Compared:
    """What was measured of two networks."""
    return Compared(found.untouched.mean, *(row.mean for row in found.models))
