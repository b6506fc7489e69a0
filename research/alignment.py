# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.alignment PHOTOS DATASET`: which kinds of synthetic pairs improve a model on real ones.

The gradient of the training loss with respect to a model's weights is averaged over the pairs of each kind, and
compared with the gradient over the real pairs of each source:

- a positive cosine: a small step of training on this kind improves the model on this source;
- about zero: the model has learned from this kind what helps there, or the kind has nothing to do with it;
- negative: the kind pulls the model away from real composites; its pairs are unlike them.

Each weight's gradient is divided by its root mean square over the batches, as in Adam. “Consistency” is the cosine
between the gradients of the two halves of a kind's own pairs: where it is near zero, more pairs are needed, or the
model has nothing left to learn from the kind. This takes minutes, a training run hours.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from research import console
from s2am_common.errors import TrainingError
from s2am_engine.models.model_store import DEFAULT_MODEL, Model, blank_network, find_model, load_network
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS
from s2am_engine.training.color_styles import ColorStyles
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.loaded_pairs import UNNAMED_GROUP, group_of
from s2am_engine.training.losses import find_loss
from s2am_engine.training.pair_source import Batch, PairSource
from s2am_engine.training.photo_cache import LONG_SIDE, Photograph, load_photographs
from s2am_engine.training.scene_pairs import ScenePairs, load_scenes
from s2am_engine.training.synthetic_pairs import GENERAL, PairKinds, PairMaker
from s2am_engine.training.training_data import SCENES, PairReader

KINDS = {
    "as in training": GENERAL,
    "renditions, raw targets": PairKinds(1, 0, 0, raw_targets=1),
    "renditions, edited targets": PairKinds(1, 0, 0, raw_targets=0),
    "edits": PairKinds(0, 1, 0),
    "transfers": PairKinds(0, 0, 1),
}
BATCH = 32  # pairs
SEED = 40_000
_EPSILON = 1e-6


@dataclass(frozen=True)
class Alignment:
    """Comparison of one kind's gradient with those of real pairs."""

    consistency: float  # cosine between the gradients of two halves of the pairs
    cosines: dict[str, float]  # with the gradient of each source


def trainable(model: Model) -> Network:
    """Return a model's network with its weights, those trainable that its options train.

    Raises:
        ModelError: the weights are missing, damaged, or of another network.
    """
    network = blank_network(model.card)
    network.load_state_dict(load_network(model).state_dict())
    return network


def gradient(network: Network, loss: str, batch: Batch) -> Tensor:
    """Return the gradient (P,) of a loss with respect to the network's trainable weights; without dropout."""
    network.eval()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    value = find_loss(loss)(network.forward_training(batch.composite, batch.mask), batch.target, batch.mask)
    parts = torch.autograd.grad(value, weights, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def gradients_of(network: Network, loss: str, source: PairSource, batches: int) -> Tensor:
    """Return the gradients (batches, P) of a source's first batches."""
    return torch.stack([gradient(network, loss, source.make(step)) for step in range(batches)])


def real_gradients(network: Network, loss: str, dataset: Path, size: int) -> dict[str, Tensor]:
    """Return the gradient (P,) over the real pairs of each source of a data set.

    Raises:
        EngineError: the folder holds no pairs, or one can't be read.
    """
    groups: dict[str, list[Tensor]] = {}
    for pair in find_pairs(dataset):
        batch = PairReader(size, 1, pairs=[pair]).make(0)
        groups.setdefault(group_of(pair) or UNNAMED_GROUP, []).append(gradient(network, loss, batch))
    return {name: torch.stack(found).mean(dim=0) for name, found in sorted(groups.items())}


def cosine(one: Tensor, other: Tensor, scale: Tensor) -> float:
    """Return the cosine between two gradients (P,) whose weights are multiplied by `scale` (P,)."""
    product, first, second = (
        (left * right * scale).sum() for left, right in ((one, other), (one, one), (other, other))
    )
    return float(product / (first * second).sqrt().clamp_min(1e-30))


def align(gradients: Tensor, real: dict[str, Tensor], scale: Tensor) -> Alignment:
    """Compare a kind's gradients (batches, P) with those of real pairs (P,)."""
    halves = gradients[::2].mean(dim=0), gradients[1::2].mean(dim=0)
    mean = gradients.mean(dim=0)
    return Alignment(cosine(*halves, scale), {name: cosine(mean, wanted, scale) for name, wanted in real.items()})


def measure(
    network: Network, loss: str, sources: dict[str, PairSource], dataset: Path, size: int, batches: int
) -> Iterator[tuple[str, Alignment]]:
    """Compare each source of synthetic pairs; the first one's gradients give the scale of the weights."""
    real = real_gradients(network, loss, dataset, size)
    scale: Tensor | None = None
    for name, source in sources.items():
        found = gradients_of(network, loss, source, batches)
        if scale is None:
            scale = 1 / (found.square().mean(dim=0).sqrt() + _EPSILON)
        yield name, align(found, real, scale)


def make_sources(
    photographs: Iterable[Photograph], size: int, styles: Path | None, scenes: Path | None
) -> dict[str, PairSource]:
    """Return a source of pairs for each kind.

    Raises:
        EngineError: a folder has no usable data.
    """
    looks = ColorStyles.load(styles) if styles else None
    some = list(photographs)
    sources: dict[str, PairSource] = {
        name: PairMaker(size, BATCH, SEED, photographs=some, kinds=kinds, styles=looks) for name, kinds in KINDS.items()
    }
    if scenes:
        found = load_scenes(scenes, held_out=False, long_side=LONG_SIDE)
        sources[SCENES] = ScenePairs(size, BATCH, SEED, scenes=found)
    return sources


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m research.alignment", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("photos", type=Path, help="a folder of photographs, with or without index.csv")
    parser.add_argument("dataset", type=Path, help="real composites, in iHarmony4's layout")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="whose weights are used (default: %(default)s)")
    parser.add_argument("--size", type=int, help="pixels per side (default: the model's recipe)")
    parser.add_argument("--batches", type=int, default=16, help=f"of {BATCH} pairs per kind (default: %(default)s)")
    for name in ("styles", "scenes"):
        parser.add_argument(f"--{name}", type=Path, metavar="DIR", help=f"see “s2am train --{name}”")
    parsed = parser.parse_args(arguments)

    def work() -> None:
        torch.set_num_threads(1)  # the network is small: several threads only wait for each other
        model = find_model(parsed.model)
        recipe = NETWORKS[model.card.network].recipe_small
        if recipe is None:
            raise TrainingError(
                f"“{model.card.name}” has nothing to train: choose another model.", code="training.no-parameters"
            )
        network = trainable(model)
        size = parsed.size or recipe.size
        sources = make_sources(load_photographs(parsed.photos, "train"), size, parsed.styles, parsed.scenes)
        for name, found in measure(network, recipe.loss, sources, parsed.dataset, size, parsed.batches):
            cosines = "  ".join(f"{source} {value:+.2f}" for source, value in found.cosines.items())
            print(f"{name:28s} consistency {found.consistency:+.2f}  {cosines}", flush=True)

    return console.run(work, stopped="Stopped.")


if __name__ == "__main__":
    sys.exit(main())
