# SPDX-License-Identifier: GPL-3.0-or-later
"""Ready pairs in iHarmony4's layout: one folder of composites with their masks and truths, or several side by side."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from s2am_engine.errors import EngineError
from s2am_engine.image.io import IMAGE_SUFFIXES
from s2am_engine.training.datasets import Pair

COMPOSITES, MASKS, TRUTHS = "composite_images", "masks", "real_images"
SPLITS = ("train", "test")


def has_pairs(folder: Path) -> bool:
    """Whether a folder, or a folder in it, is in iHarmony4's layout."""
    return is_subset(folder) or bool(subsets_of(folder))


def find_pairs(folder: Path, split: str | None = None) -> list[Pair]:
    """List the pairs of a folder in iHarmony4's layout.

    `composite_images/NAME_k_j.png` belongs to `masks/NAME_k.png` and `real_images/NAME.png` (any picture suffix).
    A folder of such folders (`HCOCO`, `HFlickr` …) is taken as a whole; names begin with the subset's, then.

    Args:
        folder: the data set, or one subset of it.
        split: the pairs that a file `*_{split}.txt` lists, which may lie in the folder or in each subset; where no
            split has such a file, and with None, all.

    Raises:
        EngineError: the folder has no such layout or no file for the split, or pictures are missing.
    """
    pairs = pairs_of(folder, listed(folder, split)) if is_subset(folder) else pairs_below(folder, split)
    if not pairs:
        raise EngineError(f"{folder} holds no pairs to use: copy or download it again.")
    return pairs


def pairs_below(folder: Path, split: str | None) -> list[Pair]:
    """The pairs of a folder of subsets; see `find_pairs`."""
    subsets = subsets_of(folder)
    if not subsets:
        raise EngineError(f"{folder} is not in iHarmony4's layout: it needs {COMPOSITES}, {MASKS} and {TRUTHS}.")
    whole = listed(folder, split)
    lines = None if whole is None else by_subset(folder, whole)
    pairs = []
    for subset in subsets:
        chosen = listed(subset, split) if lines is None else lines.get(subset.name, [])
        pairs += [
            dataclasses.replace(pair, name=f"{subset.name}/{pair.name}", subset=subset.name)
            for pair in pairs_of(subset, chosen)
        ]
    return pairs


def is_subset(folder: Path) -> bool:
    """Whether a folder holds composites itself."""
    return (folder / COMPOSITES).is_dir()


def subsets_of(folder: Path) -> list[Path]:
    """The folders in a folder that hold composites."""
    return sorted(place for place in folder.iterdir() if is_subset(place)) if folder.is_dir() else []


def listed(folder: Path, split: str | None) -> list[PurePosixPath] | None:
    """The composites that a folder's own file for a split lists; None = all, where no split has a file.

    Raises:
        EngineError: another split has a file, or this one's can't be read.
    """
    if split is None:
        return None
    files = {name: sorted(folder.glob(f"*_{name}.txt")) for name in (*SPLITS, split)}
    if not files[split]:
        if any(files.values()):
            raise EngineError(f"{folder} has no list of its “{split}” pairs (*_{split}.txt): download it again.")
        return None
    file = files[split][0]
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise EngineError(f"{file} can't be read: download it again.") from error
    return [PurePosixPath(line.strip().replace("\\", "/")) for line in lines if line.strip()]


def by_subset(folder: Path, lines: Iterable[PurePosixPath]) -> dict[str, list[PurePosixPath]]:
    """Sort the lines of a whole data set's file, `HCOCO/composite_images/c1_2_3.jpg`, by the subset they begin with.

    Raises:
        EngineError: a subset is not there.
    """
    found: dict[str, list[PurePosixPath]] = defaultdict(list)
    for line in lines:
        found[line.parts[0]].append(line)
    absent = [name for name in found if not is_subset(folder / name)]
    if absent:
        lost = sum(len(found[name]) for name in absent)
        raise EngineError(
            f"{folder} lacks {absent[0]} (listed pairs missing: {lost}): bring that folder, or name one subset."
        )
    return found


def pairs_of(folder: Path, lines: Iterable[PurePosixPath] | None) -> list[Pair]:
    """The pairs of one subset: those listed, in the list's order, or all, sorted.

    Raises:
        EngineError: pictures are missing.
    """
    composites, masks, truths = (pictures_in(folder / part) for part in (COMPOSITES, MASKS, TRUTHS))
    names = sorted(composites) if lines is None else [line.stem for line in lines]
    pairs, missing = [], []
    for name in names:
        masked = name.rsplit("_", 1)[0]
        real = masked.rsplit("_", 1)[0]
        wanted = ((composites, COMPOSITES, name), (masks, MASKS, masked), (truths, TRUTHS, real))
        lost = [f"{part}/{stem}" for files, part, stem in wanted if stem not in files]
        missing += lost
        if not lost:
            pairs.append(Pair(name, composites[name], masks[masked], truths[real]))
    if missing:
        count = len(dict.fromkeys(missing))
        raise EngineError(f"{folder} lacks “{missing[0]}” (pictures missing: {count}): copy or download it again.")
    return pairs


def pictures_in(folder: Path) -> dict[str, Path]:
    """A folder's pictures by their names without suffix; none where there is no such folder."""
    files = folder.iterdir() if folder.is_dir() else ()
    return {
        path.stem: path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    }
