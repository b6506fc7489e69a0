# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data from a folder: synthetic pairs of photographs, or ready pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2am_common.errors import FileError, TrainingError
from s2am_engine.models.model_store import DEFAULT_MODEL, find_model, load_network
from s2am_engine.networks.connoisseur import Connoisseur
from s2am_engine.networks.spec import Recipe
from s2am_engine.training.color_styles import ColorStyles
from s2am_engine.training.dataset_readers import Pair, find_pairs, has_pairs, stable_split, unequal_sizes
from s2am_engine.training.distributed import ProcessGroup
from s2am_engine.training.events import EventCallback, ignore_events, reading_progress
from s2am_engine.training.local_light import LocalLightPairs, SceneLightPairs
from s2am_engine.training.pair_source import PIECE, Batch, MixedPairs, PairSource, resize_square
from s2am_engine.training.photo_cache import LONG_SIDE, CachedPhotographs, Photograph, Skipped, load_photographs
from s2am_engine.training.recolor_settings import Recoloring
from s2am_engine.training.scene_pairs import ScenePairs, load_scenes
from s2am_engine.training.similar_regions import SimilarRegions, load_similar
from s2am_engine.training.synthetic_pairs import FULL_EDIT, GENERAL, PAIR_KINDS, DetectionPairs, PairKinds, PairMaker

VALIDATION_BATCHES = 16
HELD_OUT_SHARE = 0.05  # share of held-out photographs of ready pairs
HELD_OUT_SEED = 20_000


SCENES = "scenes"  # the kind of pairs from `PairOptions.scenes`
PAIR_SOURCES = (*PAIR_KINDS, SCENES)
SCENE_SHARE = 0.06  # of the pairs, if there are scenes
FEWEST_FOR_SIMILAR = 200  # photographs from which references with similar content are looked for


@dataclass(frozen=True)
class PairOptions:
    """Further sources of synthetic pairs, and kinds that are left out."""

    styles: Path | None = None  # folder of `ColorStyles`
    scenes: Path | None = None  # folder of `load_scenes`
    without: Sequence[str] = ()  # kinds of pairs (`PAIR_SOURCES`) and of recoloring (`KINDS`)

    def to_json(self) -> dict[str, Any]:
        """Return the options as plain values."""
        folders = {
            key: str(value) if value else "" for key, value in (("styles", self.styles), ("scenes", self.scenes))
        }
        return {**folders, "without": list(self.without)}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> PairOptions:
        """Invert `to_json`; runs of earlier versions lack these options."""
        styles, scenes = (Path(settings[key]) if settings.get(key) else None for key in ("styles", "scenes"))
        return cls(styles, scenes, tuple(settings.get("without", ())))

    @property
    def kinds(self) -> PairKinds:
        """Shares of the kinds of pairs.

        Raises:
            TrainingError: all are left out.
        """
        return GENERAL.without(*(kind for kind in self.without if kind in PAIR_KINDS))

    @property
    def recoloring(self) -> Recoloring:
        """The kinds of recoloring.

        Raises:
            TrainingError: there is no such kind.
        """
        return FULL_EDIT.without(*(kind for kind in self.without if kind not in PAIR_SOURCES))


@dataclass(frozen=True)
class TrainingData:
    """Training pairs and held-out batches."""

    pairs: PairSource
    held_out: list[Batch]
    description: str
    skipped: list[Skipped] = field(default_factory=list)


@dataclass
class PairReader(PairSource):
    """Reads ready pairs in random order, half of them mirrored."""

    pairs: Sequence[Pair] = field(kw_only=True)

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`.

        Raises:
            EngineError: an image that can't be read, or that does not fit the others.
        """
        rng = np.random.default_rng([self.seed, index])
        read = [
            read_pair(self.pairs[int(number)], self.size, mirrored=rng.random() < 0.5)
            for number in rng.integers(len(self.pairs), size=count)
        ]
        pictures = [torch.from_numpy(np.stack(column)).float() / 255 for column in zip(*read, strict=True)]
        composite, mask, target = (one.permute(0, 3, 1, 2) if one.ndim == 4 else one.unsqueeze(1) for one in pictures)
        return Batch(composite.contiguous(), mask.contiguous(), target.contiguous())


def read_pair(pair: Pair, size: int, *, mirrored: bool) -> tuple[NDArray[np.uint8], ...]:
    """Read composite (N×N×3), mask (N×N) and target (N×N×3) as uint8, reduced to size × size.

    Raises:
        EngineError: an image that can't be read, or that does not fit the others.
    """
    kinds = (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_GRAYSCALE, cv2.IMREAD_COLOR_RGB)
    found = []
    for path, kind in zip((pair.composite, pair.mask, pair.target), kinds, strict=True):
        picture = cv2.imread(str(path), kind)
        if picture is None:
            raise FileError(
                f"{path} can't be read: bring it back, or remove its composites from the data set.",
                code="file.read",
                path=str(path),
            )
        found.append(picture)
    if len({picture.shape[:2] for picture in found}) > 1:
        raise unequal_sizes(pair)
    return tuple(resize_square(picture[:, ::-1] if mirrored else picture, size) for picture in found)


def open_data(
    folder: Path,
    recipe: Recipe,
    seed: int,
    group: ProcessGroup,
    report: EventCallback = ignore_events,
    options: PairOptions | None = None,
) -> TrainingData:
    """Prepare a folder for training.

    Args:
        folder: photographs (in any layout that `find_photographs` reads), or pairs in iHarmony4's layout.
        recipe: gives image size and batch size.
        seed: of the pairs.
        group: the main process prepares photographs; the others wait and then read them from the cache.
        report: receives progress; may raise to cancel.
        options: sources and kinds of synthetic pairs; None = all kinds, no further sources.

    Raises:
        EngineError: the folder, or one of the options', has no usable data.
    """
    options = options or PairOptions()
    if has_pairs(folder):
        return open_pairs(folder, recipe, seed)
    if group.is_main:
        load_splits(folder, recipe, report)
    group.barrier()
    photographs, validation = load_splits(folder, recipe, ignore_events)
    factory = PairFactory(recipe.size, recipe.batch, options, group.device, maker_of(recipe))
    seen, unseen = (
        None if recipe.light else find_references(each, group.device, report) for each in (photographs, validation)
    )
    pairs = factory.source(photographs, seed + 1, seen)
    without_scenes = replace(factory, options=replace(options, scenes=None))
    held_out = without_scenes.source(validation, HELD_OUT_SEED, unseen, crop=False)
    skipped = photographs.skipped + validation.skipped
    return TrainingData(
        pairs, make_held_out(held_out), f"{len(photographs) + len(validation)} photographs of {folder}", skipped
    )


@dataclass(frozen=True)
class PairFactory:
    """Makes sources of synthetic pairs that share all but their photographs and random numbers.

    size: pixels per side.
    batch: pairs per step and process.
    options: sources and kinds.
    device: where the pairs are made.
    maker: kind of the pairs; those of a detector include no scenes.
    """

    size: int
    batch: int
    options: PairOptions = field(default_factory=PairOptions)
    device: torch.device | str = "cpu"
    maker: type[PairMaker] = PairMaker

    def source(
        self,
        photographs: Sequence[Photograph],
        seed: int,
        references: SimilarRegions | None = None,
        *,
        crop: bool = True,
    ) -> PairSource:
        """Return pairs of photographs, and of scenes if the options name some.

        Args:
            photographs: with regions.
            seed: of all random numbers.
            references: regions whose colors are taken over; None = any.
            crop: take random windows of the photographs.

        Raises:
            EngineError: a folder of the options has no usable data.
        """
        options = self.options
        piece = self.batch if torch.device(self.device).type == "cuda" else PIECE
        pairs = self.maker(
            self.size,
            self.batch,
            seed,
            photographs=photographs,
            kinds=options.kinds,
            recoloring=options.recoloring,
            styles=ColorStyles.load(options.styles, self.device) if options.styles else None,
            references=references,
            device=self.device,
            piece_size=piece,
            crop=crop,
        )
        scenes = self._scenes(seed + 1)
        if scenes is None:
            return pairs
        return MixedPairs(self.size, self.batch, seed, piece_size=piece, sources=(pairs, scenes), share=SCENE_SHARE)

    def _scenes(self, seed: int) -> PairSource | None:
        """Return pairs of the scenes that the options name; None if they name none, or leave them out."""
        options = self.options
        if options.scenes is None or SCENES in options.without or self.maker is DetectionPairs:
            return None
        scenes = load_scenes(options.scenes, held_out=False, long_side=LONG_SIDE)
        kind = SceneLightPairs if self.maker is LocalLightPairs else ScenePairs
        return kind(self.size, self.batch, seed, scenes=scenes, device=self.device)


def maker_of(recipe: Recipe) -> type[PairMaker]:
    """Return the kind of synthetic pairs that a recipe trains on."""
    if recipe.light:
        return LocalLightPairs
    return DetectionPairs if recipe.detection else PairMaker


def find_references(
    photographs: CachedPhotographs, device: torch.device, report: EventCallback = ignore_events
) -> SimilarRegions | None:
    """Return regions with similar content, for large collections; a few photographs have too little choice."""
    if len(photographs) < FEWEST_FOR_SIMILAR:
        return None
    network = load_network(find_model(DEFAULT_MODEL))
    assert isinstance(network, Connoisseur)
    return load_similar(photographs, network.grid_encoder.trunk.to(device), reading_progress(report))


def load_splits(folder: Path, recipe: Recipe, report: EventCallback) -> tuple[CachedPhotographs, CachedPhotographs]:
    """Load training and held-out photographs, 1.5 times as large as the training images, for sharp crops."""
    side = max(LONG_SIDE, recipe.size * 3 // 2)
    train, validation = (load_photographs(folder, split, side, reading_progress(report)) for split in ("train", "val"))
    return train, validation


def open_pairs(folder: Path, recipe: Recipe, seed: int) -> TrainingData:
    """Prepare ready pairs; a twentieth of the photographs is held out."""
    pairs = find_pairs(folder, "train")
    held_out = [pair for pair in pairs if is_held_out(pair)]
    rest = [pair for pair in pairs if not is_held_out(pair)]
    if not held_out or not rest:
        raise TrainingError(
            f"{folder} holds {len(pairs)} pairs of too few photographs: some dozens are needed.",
            code="training.few-photographs",
            path=str(folder),
        )
    validation = make_held_out(PairReader(recipe.size, recipe.batch, HELD_OUT_SEED, pairs=held_out))
    reader = PairReader(recipe.size, recipe.batch, seed + 1, pairs=rest)
    return TrainingData(reader, validation, f"{len(pairs)} pairs of {folder}")


def is_held_out(pair: Pair) -> bool:
    """Return whether a pair is held out; all composites of a photograph are treated alike."""
    return stable_split(pair.target.stem, HELD_OUT_SHARE)


def make_held_out(source: PairSource) -> list[Batch]:
    """Return the batches for validation."""
    return [source.make(index) for index in range(VALIDATION_BATCHES)]
