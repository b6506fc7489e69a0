# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataset writers: S-COCO's and S-Adobe5K's kinds of pairs, in iHarmony4's layout.

OUT/composite_images/NAME_k_j.png: the composite of region k, version j
OUT/masks/NAME_k.png: region k, white = foreground
OUT/real_images/NAME.png: the target
OUT/OUT_train.txt, OUT/OUT_test.txt: the composites' file names; all composites of a photograph are in the same file
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count as numbers
from itertools import islice, permutations, product
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from s2am_common.atomic import atomic_write, ensure_folder, folder_error, output_exists
from s2am_common.errors import EngineError, FileError, TrainingError, os_error
from s2am_common.path_checks import is_folder
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import is_image_file, save_image
from s2am_engine.training.coco import AnnotationsError
from s2am_engine.training.dataset_readers import (
    COMPOSITE_FOLDER,
    MASK_FOLDER,
    TARGET_FOLDER,
    PhotoFile,
    find_photographs,
    stable_split,
    visible_files,
)
from s2am_engine.training.photo_cache import Skipped, clause_of
from s2am_engine.training.photo_reader import read_source, shrink_to_side
from s2am_engine.training.regions import propose_regions

TEST_SHARE = 0.1  # of the photographs
LARGE_AREA = 0.15  # share of the photograph, as for S-COCO's regions
JITTER = 0.3  # of brightness, contrast and color: factors from 1 − this to 1 + this
FULL_SIZE = sys.maxsize  # pixels

Image8 = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]


@dataclass(frozen=True)
class WrittenDataset:
    """Result of writing a data set."""

    pairs: int
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True)
class Composite:
    """One pair, with the names of its target, its region and its version."""

    name: str
    region: int  # from 1
    version: int  # from 1
    foreground: Image8  # H×W×3, RGB; used inside the mask
    mask: BoolMask  # H×W
    target: Image8  # H×W×3, RGB


class CompositeSource(Protocol):
    """A photograph from which composites are made."""

    @property
    def name(self) -> str:
        """Unique name of the photograph."""

    @property
    def path(self) -> Path:
        """Path of the photograph, or of one of its versions."""

    def make(self, turn: int) -> Composite | None:
        """Make the composite of a turn, from 0; None if the photograph yields no more.

        Raises:
            EngineError: the photograph is unusable.
        """


def build_recolored(
    photographs: Path,
    out: Path,
    count: int,
    *,
    long_side: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenDataset:
    """Build a data set as S-COCO was (Cun and Pun, 2020, section 4.1): a region of a photograph, retouched.

    The region covers more than 15 % of the photograph if possible. The paper's learned auto-retouching is not
    published; a classical one replaces it (`auto_retouch`), followed by random brightness, contrast and color.

    Args:
        photographs: a folder as `find_photographs` takes; its split `train` is used, so no data set
            includes held-out photographs.
        out: a new or empty folder; its name becomes that of the split files.
        count: number of composites; if there are fewer photographs, some give several.
        long_side: the longest side of the images, in pixels.
        seed: the same seed gives the same bytes.
        progress: called with (done, total); may raise to stop.

    Raises:
        EngineError: no photographs, a folder that is not empty, the disk is full.
    """
    sources = find_photographs(photographs, "train")
    names = unique_names(source.name for source in sources)
    composite_sources = [
        RecoloredPhotograph(name, source, long_side, seed) for name, source in zip(names, sources, strict=True)
    ]
    return write_dataset(composite_sources, out, count, seed, progress)


def build_swapped(
    versions: Sequence[Path],
    out: Path,
    count: int,
    *,
    regions: Path | None = None,
    long_side: int = 512,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> WrittenDataset:
    """Build a data set as S-Adobe5K was: two aligned versions of a photograph, one inside a region, one outside.

    The target is the version outside. NAME is the photograph's, then “-v” and the number of that version's folder; the
    composite's version number is that of the folder inside.

    Args:
        versions: folders with the same photographs under the same names, each retouched independently.
        out: a new or empty folder; its name becomes that of the split files.
        count: number of composites; fewer if all regions of all pairs of versions are used.
        regions: a folder of label maps under the photographs' names; for photographs without one, regions are proposed.
        long_side: the longest side of the images, in pixels.
        seed: the same seed gives the same bytes.
        progress: called with (done, total); may raise to stop.

    Raises:
        EngineError: no photograph in two folders, no such folder, a folder that is not empty, the disk is full.
    """
    shared = find_versions(versions)
    if not shared:
        raise TrainingError(
            "No image has the same name in two of the folders: give all versions of a photograph the same name.",
            code="training.versions",
        )
    labels = pictures_of(regions) if regions else {}
    composite_sources = [
        PhotographVersions(name, found, labels.get(photograph), long_side, seed)
        for name, (photograph, found) in zip(unique_names(shared), shared.items(), strict=True)
    ]
    return write_dataset(composite_sources, out, count, seed, progress)


@dataclass(frozen=True)
class RecoloredPhotograph:
    """A photograph whose regions are retouched."""

    name: str
    source: PhotoFile
    long_side: int
    seed: int

    @property
    def path(self) -> Path:
        """See `CompositeSource.path`."""
        return self.source.image

    def make(self, turn: int) -> Composite:
        """See `CompositeSource.make`: each turn another region; then all of them again, with other random changes."""
        target, labels = read_source(self.source, self.long_side)
        regions = choose_regions(self.path, target, labels, rng_of(self.seed, self.name))
        version, number = divmod(turn, len(regions))
        retouched = jitter(auto_retouch(target), rng_of(self.seed, self.name, turn))
        return Composite(self.name, number + 1, version + 1, retouched, regions[number], target)


@dataclass(frozen=True)
class PhotographVersions:
    """A photograph with several aligned versions."""

    name: str
    versions: dict[int, Path]  # by the number of their folder, from 1
    labels: Path | None
    long_side: int
    seed: int

    @property
    def path(self) -> Path:
        """See `CompositeSource.path`."""
        return next(iter(self.versions.values()))

    def make(self, turn: int) -> Composite | None:
        """See `CompositeSource.make`: each region with each version inside and each other outside, in random order."""
        pictures, labels = self.read()
        rng = rng_of(self.seed, self.name)
        regions = choose_regions(self.path, next(iter(pictures.values())), labels, rng)
        choices = list(product(permutations(pictures, 2), range(len(regions))))
        if turn >= len(choices):
            return None
        (inside, outside), number = choices[rng.permutation(len(choices))[turn]]
        return Composite(
            f"{self.name}-v{outside}", number + 1, inside, pictures[inside], regions[number], pictures[outside]
        )

    def read(self) -> tuple[dict[int, Image8], NDArray[np.integer] | None]:
        """Return all versions by number, and the label map if there is one, reduced to one size."""
        # Compared at full size, because a cropped version may be as large as the others after reduction.
        full = {
            number: read_source(PhotoFile(self.name, path, None), FULL_SIZE)[0]
            for number, path in self.versions.items()
        }
        if len({image.shape for image in full.values()}) > 1:
            raise TrainingError(
                f"{self.path} differs in size from its other versions: export all of them alike.",
                code="training.versions",
                path=str(self.path),
            )
        _, labels = read_source(PhotoFile(self.name, self.path, self.labels), self.long_side)
        return {number: shrink_to_side(image, self.long_side) for number, image in full.items()}, labels


def find_versions(folders: Sequence[Path]) -> dict[str, dict[int, Path]]:
    """Return images that several folders have in common: by name, then by number of the folder, from 1."""
    versions: dict[str, dict[int, Path]] = {}
    for number, folder in enumerate(folders, start=1):
        for name, path in pictures_of(folder).items():
            versions.setdefault(name, {})[number] = path
    return {name: found for name, found in sorted(versions.items()) if len(found) > 1}


def pictures_of(folder: Path) -> dict[str, Path]:
    """Return the images below a folder by name without suffix.

    Raises:
        EngineError: no such folder.
    """
    if not is_folder(folder):
        raise FileError(f"{folder} is not a folder: name one with images.", code="file.no-folder", path=str(folder))
    return {
        path.relative_to(folder).with_suffix("").as_posix(): path
        for path in visible_files(folder)
        if is_image_file(path)
    }


def unique_names(names: Iterable[str]) -> list[str]:
    """Return file names without folders that are unique on case-insensitive file systems too."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = unique = name.replace("/", "-")
        while unique.casefold() in taken:
            unique = f"{plain}-{name_digest(name + unique) % 10_000:04}"
        taken.add(unique.casefold())
        found.append(unique)
    return found


def choose_regions(
    path: Path, image: Image8, labels: NDArray[np.integer] | None, rng: np.random.Generator
) -> list[BoolMask]:
    """Return a photograph's large regions (H×W), or all if none is large, in random order.

    Raises:
        EngineError: there are none.
    """
    masks = [region.mask for region in propose_regions(image, labels, rng)]
    if not masks:
        raise TrainingError(
            f"{path} shows nothing that could be a foreground: bring photographs of people or things.",
            code="training.photograph",
            path=str(path),
        )
    chosen = [mask for mask in masks if mask.mean() > LARGE_AREA] or masks
    return [chosen[number] for number in rng.permutation(len(chosen))]


def auto_retouch(image: Image8) -> NDArray[np.float32]:
    """Retouch a photograph automatically: white balance, then stretched tones.

    The balance lies between gray world and white patch (Shades of Gray, Finlayson and Trezzi, 2004).

    Args:
        image: H×W×3 uint8, sRGB.

    Returns:
        H×W×3 sRGB values in [0, 1].
    """
    linear = srgb_to_linear(image / np.float32(255))
    light = np.maximum(np.mean(linear**6, axis=(0, 1)) ** (1 / 6), 1e-3)
    balanced = linear_to_srgb(linear * np.clip(light.mean() / light, 0.6, 1.6).astype(np.float32))
    black, white = np.percentile(balanced.mean(axis=2), (0.5, 99.5))
    black, white = min(black, 0.2), max(white, 0.7)  # preserves night scenes and fog
    return np.clip((balanced - black) / (white - black), 0, 1).astype(np.float32)


def jitter(image: NDArray[np.float32], rng: np.random.Generator) -> Image8:
    """Change brightness, contrast and color at random: H×W×3 in [0, 1] to uint8."""
    brightness, contrast, color = rng.uniform(1 - JITTER, 1 + JITTER, 3).astype(np.float32)
    bright = image * brightness
    contrasted = bright.mean() + (bright - bright.mean()) * contrast
    gray = contrasted.mean(axis=2, keepdims=True)
    return np.rint(np.clip(gray + (contrasted - gray) * color, 0, 1) * 255).astype(np.uint8)


def write_dataset(
    sources: Sequence[CompositeSource], out: Path, count: int, seed: int, progress: Callable[[int, int], None] | None
) -> WrittenDataset:
    """Write up to `count` composites of photographs in random order, and the lists of training and test composites.

    Raises:
        EngineError: a folder that is not empty, annotations that can't be read, the disk is full.
    """
    create_layout(out)
    order = np.random.default_rng(seed).permutation(len(sources))
    skipped: list[Skipped] = []
    splits: dict[str, list[str]] = {"train": [], "test": []}
    composites = make_composites([sources[number] for number in order], skipped)
    for done, (source, composite) in enumerate(islice(composites, count), start=1):
        tested = stable_split(source.name, TEST_SHARE)
        splits["test" if tested else "train"].append(write_composite(out, composite))
        if progress:
            progress(done, count)
    for split, names in splits.items():
        with atomic_write(out / f"{out.resolve().name}_{split}.txt") as file:
            file.write("".join(f"{name}\n" for name in names).encode())
    return WrittenDataset(sum(map(len, splits.values())), skipped)


def create_layout(out: Path) -> None:
    """Create the folders of a data set.

    Raises:
        EngineError: the folder is not empty, or cannot be created.
    """
    try:
        if output_exists(out) and any(out.iterdir()):
            raise FileError(
                f"{out} is not empty: name a new folder, or empty this one first.", code="file.not-empty", path=str(out)
            )
    except PermissionError as error:
        raise folder_error(error, out) from error
    except OSError as error:
        raise os_error(error, out) from error
    for name in (COMPOSITE_FOLDER, MASK_FOLDER, TARGET_FOLDER):
        ensure_folder(out / name)


def make_composites(
    sources: Sequence[CompositeSource], skipped: list[Skipped]
) -> Iterator[tuple[CompositeSource, Composite]]:
    """Yield one composite per photograph, then another of each, and so on; unusable ones are added to `skipped`."""
    usable = list(sources)
    for turn in numbers():
        fruitful = []
        for source in usable:
            try:
                composite = source.make(turn)
            except AnnotationsError:
                raise
            except EngineError as error:
                skipped.append(Skipped(source.path, clause_of(error, source.path)))
                continue
            if composite is not None:
                fruitful.append(source)
                yield source, composite
        if not fruitful:
            return
        usable = fruitful


def write_composite(out: Path, composite: Composite) -> str:
    """Write a composite, after its target and its mask unless they exist.

    Returns:
        The composite's file name.
    """
    masked = f"{composite.name}_{composite.region}"
    target, mask = out / TARGET_FOLDER / f"{composite.name}.png", out / MASK_FOLDER / f"{masked}.png"
    inside = composite.mask[..., None]
    if not target.exists():
        save_image(target, ImageData(composite.target))
    if not mask.exists():
        save_image(mask, ImageData(np.repeat(inside * np.uint8(255), 3, axis=2), gray=True))
    path = out / COMPOSITE_FOLDER / f"{masked}_{composite.version}.png"
    save_image(path, ImageData(np.where(inside, composite.foreground, composite.target)))
    return path.name


def rng_of(seed: int, name: str, *more: int) -> np.random.Generator:
    """Return a generator for a photograph, independent of other photographs."""
    return np.random.default_rng([seed, name_digest(name), *more])


def name_digest(name: str) -> int:
    """Return a name's hash, 0 to 2⁶⁴ − 1."""
    return int.from_bytes(hashlib.sha256(name.encode(errors="surrogateescape")).digest()[:8], "big")
