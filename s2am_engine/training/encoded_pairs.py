# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of a user's photographs, encoded once by a frozen network, for many trainings of an adjustment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from s2am_common.atomic import atomic_write
from s2am_engine.networks.adjustment import PARAMETERS, describe
from s2am_engine.networks.background import BACKGROUND_FEATURES
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.pair_source import Batch, PairSource
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.style_pairs import IN_STYLE, OTHER_STYLES, StylePairs, estimate_style, without_style
from s2am_engine.training.synthetic_pairs import PairMaker

SAMPLED_PIXELS = 256  # pixels that are kept of each foreground
MOST_PAIRS = 16  # of a batch: a user who cancels waits until one is made


@dataclass(frozen=True)
class BatchContent:
    """Contents of a batch: pairs of consecutive photographs of a fold, in its style or in others."""

    fold: int
    first: int  # number of the first photograph, counted through all folds
    in_style: bool


@dataclass
class FoldPairs(PairSource):
    """Pairs in rounds: of each photograph one in the style of its fold, and one in other styles.

    A batch has one pair of each of up to `MOST_PAIRS` photographs of a fold, in order. Each fold's style is estimated
    from the fold alone, and has no influence on an adjustment that is trained on the others.
    """

    batch: int = field(default=1, init=False)
    folds: Sequence[Sequence[Photograph]] = field(kw_only=True)
    device: torch.device | str = field(default="cpu", kw_only=True)
    crop: bool = field(default=True, kw_only=True)
    makers: list[PairMaker] = field(default_factory=list, init=False)
    contents: list[BatchContent] = field(default_factory=list, init=False)  # of the batches of a round

    def __post_init__(self) -> None:
        """Estimate the styles."""
        counted = 0
        for number, photographs in enumerate(self.folds):
            style = estimate_style(photographs)
            plain = without_style(photographs, style)
            for start in range(0, len(photographs), MOST_PAIRS):
                part = slice(start, start + MOST_PAIRS)
                size, count, seed = self.size, len(photographs[part]), self.seed + len(self.makers)
                self.makers += [
                    StylePairs(
                        size, count, seed, photographs=photographs[part], kinds=IN_STYLE, style=style,
                        device=self.device, crop=self.crop, in_turn=True,
                    ),
                    PairMaker(
                        size, count, seed + 1, photographs=plain[part], kinds=OTHER_STYLES,
                        device=self.device, crop=self.crop, in_turn=True,
                    ),
                ]  # fmt: skip
                self.contents += [BatchContent(number, counted + start, in_style) for in_style in (True, False)]
            counted += len(photographs)

    def content(self, step: int) -> BatchContent:
        """Return the contents of the batch of a step."""
        return self.contents[step % len(self.contents)]

    def first_step(self, fold: int) -> int:
        """Return the step of the first batch of a fold in its style."""
        return next(step for step, content in enumerate(self.contents) if content.fold == fold)

    def make(self, step: int) -> Batch:
        """See `PairSource.make`: the batch of a step, see `content`."""
        maker = self.makers[step % len(self.makers)]
        return maker.piece(step // len(self.makers), maker.batch)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        return Batch(*(one[:count] for one in self.make(index)))


@dataclass(frozen=True)
class EncodedPairs:
    """K encoded pairs."""

    photographs: Tensor  # (K,) int64, numbers of the photographs, counted through all folds
    folds: Tensor  # (K,) int64
    in_style: Tensor  # (K,) bool; False: in another style
    features: Tensor  # (K, FEATURES), see `describe`; the first are the network's parameters
    areas: Tensor  # (K,), share of the composite that is foreground
    composites: Tensor  # (K, 3, SAMPLED_PIXELS) uint8, sampled pixels of the foreground
    targets: Tensor  # (K, 3, SAMPLED_PIXELS) uint8, their ground truth

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.folds)

    def __getitem__(self, chosen: Tensor) -> EncodedPairs:
        """Return some of the pairs, chosen by numbers or by a mask."""
        return EncodedPairs(*(getattr(self, one.name)[chosen] for one in fields(self)))

    @property
    def parameters(self) -> Tensor:
        """The network's parameters (K, PARAMETERS)."""
        return self.features[:, :PARAMETERS]

    @property
    def backgrounds(self) -> Tensor:
        """Descriptions of the backgrounds (K, BACKGROUND_FEATURES)."""
        return self.features[:, -BACKGROUND_FEATURES:]

    @classmethod
    def join(cls, parts: Sequence[EncodedPairs]) -> EncodedPairs:
        """Concatenate."""
        return cls(*(torch.cat([getattr(part, one.name) for part in parts]) for one in fields(cls)))

    def save(self, path: Path) -> None:
        """Write a file."""
        with atomic_write(path) as file:
            file.write(safetensors.torch.save(vars(self)))

    @classmethod
    def load(cls, path: Path) -> EncodedPairs:
        """Read a file.

        Raises:
            OSError, SafetensorError, TypeError: it is not there, or damaged.
        """
        return cls(**safetensors.torch.load(path.read_bytes()))


@torch.inference_mode()
def encode_batch(network: CurvesAndMatrixNetwork, source: FoldPairs, step: int, batch: Batch) -> EncodedPairs:
    """Encode the batch of a step, on the device of the network and the batch."""
    composite, mask, target = batch
    content, count = source.content(step), len(composite)
    features = describe(network.predict(composite, mask), composite, mask)
    rng = BatchRNG.seeded(np.random.default_rng([source.seed, step]), count, "cpu")
    pixels = sample_foreground(mask.cpu(), rng).to(composite.device)
    composites, targets = (
        (one.flatten(2).gather(2, pixels[:, None].expand(-1, 3, -1)) * 255).round().byte().cpu()
        for one in (composite, target)
    )
    return EncodedPairs(
        torch.arange(content.first, content.first + count),
        torch.full((count,), content.fold),
        torch.full((count,), content.in_style),
        features.float().cpu(),
        mask.mean(dim=(1, 2, 3)).cpu(),
        composites,
        targets,
    )


def sample_foreground(mask: Tensor, rng: BatchRNG) -> Tensor:
    """Draw pixels in proportion to a mask (B, 1, H, W): positions (B, SAMPLED_PIXELS) in the flattened images."""
    cumulated = (mask.flatten(1).double() + 1e-9).cumsum(dim=1)
    drawn = rng.uniform(SAMPLED_PIXELS).double() * cumulated[:, -1:]
    return torch.searchsorted(cumulated, drawn).clamp(max=cumulated.shape[1] - 1)
