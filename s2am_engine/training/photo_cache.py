# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs prepared for training: reduced images with foreground regions, kept in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import EngineError, FileError, TrainingError
from s2am_common.image_formats import FOREIGN_SUFFIXES, IMAGE_SUFFIXES
from s2am_common.paths import user_paths
from s2am_engine.training.coco import AnnotationsError, InstancesReference
from s2am_engine.training.dataset_readers import (
    PhotoFile,
    is_plain,
    list_sources,
    nothing_found,
    split_of,
    visible_files,
)
from s2am_engine.training.photo_reader import read_source
from s2am_engine.training.regions import propose_regions

LONG_SIDE = 192  # pixels: longer side of the cached images
CACHE_VERSION = 2  # increase when the cached images or regions change
UNUSED_DAYS = 60  # age at which an unused cache is removed
PARTIAL_DAYS = 1  # age at which remains of a killed process are removed
PHOTOS_AHEAD = 4  # photographs per thread
LEAST_COLOR = 1.0  # mean difference between the largest and the smallest channel, in 8-bit levels
MOST_REGIONS = 6
PIXELS, REGIONS, CACHE_INDEX = "pixels.npy", "regions.npy", "album.json"


@dataclass(frozen=True)
class Photograph:
    """A reduced photograph and its candidate foreground regions."""

    name: str
    image: NDArray[np.uint8]  # H×W×3, RGB
    regions: list[NDArray[np.bool_]]  # H×W each, at least one


@dataclass(frozen=True)
class Skipped:
    """A file that was skipped."""

    path: Path
    why: str  # a clause with advice: "a HEIC file is not read here: export it as JPEG"


class CachedPhotographs(Sequence[Photograph]):
    """Prepared photographs, memory-mapped from the cache.

    Its folder holds the pixels of all images one after the other, the bits of all their regions, and an index.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder written by `PhotoCacheWriter`.

        Raises:
            OSError, ValueError, LookupError, TypeError: it is not there, or damaged.
        """
        self.folder = folder
        content = json.loads((folder / CACHE_INDEX).read_text(encoding="utf-8"))
        self.skipped = [Skipped(Path(path), why) for path, why in content["skipped"]]
        self._names: list[str] = content["names"]
        self._shapes: list[tuple[int, int, int]] = content["shapes"]  # height, width, number of regions
        areas = np.array([height * width for height, width, _ in self._shapes])
        counts = np.array([count for *_, count in self._shapes])
        self._pixels_at = np.concatenate([[0], np.cumsum(3 * areas)])
        self._regions_at = np.concatenate([[0], np.cumsum(counts * packed_size(areas))])
        self._pixels = np.load(folder / PIXELS, mmap_mode="r")
        self._regions = np.load(folder / REGIONS, mmap_mode="r")
        if (len(self._pixels), len(self._regions)) != (self._pixels_at[-1], self._regions_at[-1]):
            raise ValueError("the pixels or the regions are not those of the index")

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> Photograph: ...

    @overload
    def __getitem__(self, index: slice) -> list[Photograph]: ...

    def __getitem__(self, index: int | slice) -> Photograph | list[Photograph]:
        """Return one photograph, or several; thread-safe."""
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        height, width, count = self._shapes[at]
        pixels = self._pixels[self._pixels_at[at] : self._pixels_at[at + 1]]
        packed = self._regions[self._regions_at[at] : self._regions_at[at + 1]].reshape(count, -1)
        bits = np.unpackbits(packed, axis=1, count=height * width).view(np.bool_)
        return Photograph(
            self._names[at], np.array(pixels).reshape(height, width, 3), list(bits.reshape(count, height, width))
        )


class PhotoCacheWriter:
    """Writes photographs one by one, because all of them may not fit into memory."""

    def __init__(self, folder: Path) -> None:
        """Start writing into an empty folder."""
        self.folder = folder
        self.names: list[str] = []
        self.shapes: list[tuple[int, int, int]] = []
        self.pixels, self.regions = ByteFile(folder / PIXELS), ByteFile(folder / REGIONS)

    def add(self, photograph: Photograph) -> None:
        """Add a photograph.

        Raises:
            EngineError: the disk is full.
        """
        height, width = photograph.image.shape[:2]
        count = len(photograph.regions)
        self.names.append(photograph.name)
        self.shapes.append((height, width, count))
        with explained(self.folder.parent):
            self.pixels.append(photograph.image)
            self.regions.append(np.packbits(np.stack(photograph.regions).reshape(count, -1), axis=1))

    def finish(self, skipped: Sequence[Skipped]) -> None:
        """Write the index.

        Raises:
            EngineError: the disk is full.
        """
        content = {"names": self.names, "shapes": self.shapes, "skipped": [(str(one.path), one.why) for one in skipped]}
        with explained(self.folder.parent):
            self.pixels.finish()
            self.regions.finish()
            (self.folder / CACHE_INDEX).write_text(json.dumps(content), encoding="utf-8")


class ByteFile:
    """A growing .npy file of bytes, whose header is rewritten at the end."""

    def __init__(self, path: Path) -> None:
        """Name the file, which must not exist yet."""
        self.path = path
        self.length = 0

    def append(self, values: NDArray[np.uint8]) -> None:
        """Add bytes at the end."""
        with self.path.open("ab") as file:
            if not self.length:
                self.write_header(file)
            file.write(np.ascontiguousarray(values).data)
        self.length += values.size

    def finish(self) -> None:
        """Write the final length into the header."""
        with self.path.open("r+b") as file:
            self.write_header(file)

    def write_header(self, file: BinaryIO) -> None:
        """Write a header of the present length."""
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.length,)}
        np.lib.format.write_array_header_1_0(file, header)


@contextlib.contextmanager
def explained(root: Path) -> Iterator[None]:
    """Convert OS errors of the cache to `FileError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise FileError(
            f"{root} can't be written to ({reason}): free some space, or allow writing.",
            code="file.write",
            path=str(root),
        ) from error


def packed_size(areas: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of bytes of bit-packed regions of the given areas."""
    return (areas + 7) // 8


def load_photographs(
    folder: Path, split: str | None, long_side: int = LONG_SIDE, progress: Callable[[int, int], None] | None = None
) -> CachedPhotographs:
    """Load photographs as reduced images with regions; skipped files are listed with the reason.

    Finding regions takes a tenth of a second per photograph, so the result is stored in the user's cache folder and
    reused until a file is changed, renamed or added.

    Args:
        folder: the photographs' folder, see `dataset_readers.find_photographs`.
        split: `train` or `val`; None = all.
        long_side: longest side of the reduced images, in pixels.
        progress: called with (done, total) photographs in this thread; may raise to cancel, which removes the
            partial cache.

    Raises:
        EngineError: no photographs, no usable ones, unreadable annotations, or no space for the cache.
    """
    sources, foreign = list_sources(folder, split), list_foreign(folder, split)
    if not sources and not foreign:
        raise nothing_found(folder, split)
    root = user_paths().cache / "albums"  # named so by earlier versions
    place = root / key_of(sources, foreign, long_side)
    found = open_cached(place)
    if found is not None:
        return found
    with explained(root):
        root.mkdir(parents=True, exist_ok=True)
        drop_unused(root)
        partial = tempfile.TemporaryDirectory(prefix=".", dir=root, ignore_cleanup_errors=True)
    with partial as name:
        writer = PhotoCacheWriter(Path(name))
        skipped = foreign + fill_cache(writer, sources, long_side, progress)
        if not writer.names:
            raise nothing_usable(folder, skipped)
        writer.finish(skipped)
        with explained(root):
            move_into_place(Path(name), place)
            return CachedPhotographs(place)


def list_foreign(folder: Path, split: str | None) -> list[Skipped]:
    """List images in formats that can't be read, unless a readable version of the same image exists."""
    if not is_plain(folder):
        return []
    files = visible_files(folder)
    readable = {path.with_suffix("") for path in files if path.suffix.lower() in IMAGE_SUFFIXES}
    return [
        Skipped(path, f"{FOREIGN_SUFFIXES[path.suffix.lower()]} is not read here: export it as JPEG")
        for path in files
        if path.suffix.lower() in FOREIGN_SUFFIXES
        and path.with_suffix("") not in readable
        and split in (None, split_of(path.name))
    ]


def key_of(sources: Sequence[PhotoFile], foreign: Sequence[Skipped], long_side: int) -> str:
    """Return a cache key of files in their current state."""
    digest = hashlib.sha256(f"{CACHE_VERSION} {long_side}".encode())
    seen: dict[Path, str] = {}
    for source in sources:
        labels = source.labels.annotations.path if isinstance(source.labels, InstancesReference) else source.labels
        for path in (source.image, labels):
            if path is not None and path not in seen:
                seen[path] = stamp(path)
        content = (source.name, seen[source.image], seen[labels] if labels else None)
        digest.update(repr(content).encode(errors="surrogateescape"))
    digest.update(repr(sorted(str(one.path) for one in foreign)).encode(errors="surrogateescape"))
    return digest.hexdigest()[:24]


def stamp(path: Path) -> str:
    """Return a string that identifies a file and its state; empty if it is missing."""
    try:
        found = path.stat()
        return f"{path.resolve()} {found.st_size} {found.st_mtime_ns}"
    except OSError:
        return ""


def open_cached(place: Path) -> CachedPhotographs | None:
    """Open cached photographs and mark them as used; None if missing or damaged (then removed)."""
    try:
        cached = CachedPhotographs(place)
    except (OSError, ValueError, LookupError, TypeError, EOFError):
        shutil.rmtree(place, ignore_errors=True)
        return None
    with contextlib.suppress(OSError):
        os.utime(place)
    return cached


def drop_unused(root: Path) -> None:
    """Remove caches that have not been used for long, and remains of killed processes."""
    for place in root.iterdir():
        days = PARTIAL_DAYS if place.name.startswith(".") else UNUSED_DAYS
        with contextlib.suppress(OSError):
            if time.time() - place.stat().st_mtime > days * 86400:
                shutil.rmtree(place, ignore_errors=True)


def move_into_place(partial: Path, place: Path) -> None:
    """Rename a finished cache, unless another process has just made the same one."""
    try:
        partial.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def fill_cache(
    writer: PhotoCacheWriter, sources: Sequence[PhotoFile], long_side: int, progress: Callable[[int, int], None] | None
) -> list[Skipped]:
    """Prepare all photographs and write the usable ones; return the others."""
    skipped = []
    with contextlib.closing(prepare_photos(sources, long_side)) as prepared:
        for done, found in enumerate(prepared, start=1):
            if isinstance(found, Skipped):
                skipped.append(found)
            else:
                writer.add(found)
            if progress:
                progress(done, len(sources))
    return skipped


def prepare_photos(sources: Sequence[PhotoFile], long_side: int) -> Generator[Photograph | Skipped, None, None]:
    """Prepare photographs on all cores, in order; closing the generator cancels the rest."""
    threads = os.cpu_count() or 1
    ahead: deque[Future[Photograph | Skipped]] = deque()
    pool = ThreadPoolExecutor(threads, "photos")
    try:
        for source in sources:
            ahead.append(pool.submit(prepare_photo, source, long_side))
            if len(ahead) > PHOTOS_AHEAD * threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def prepare_photo(source: PhotoFile, long_side: int) -> Photograph | Skipped:
    """Read a photograph and propose its regions, or return the reason for skipping it.

    Raises:
        AnnotationsError: the annotations can't be read.
    """
    try:
        image, labels = read_source(source, long_side)
    except AnnotationsError:
        raise
    except EngineError as error:
        return Skipped(source.image, clause_of(error, source.image))
    if float(np.ptp(image, axis=2).mean()) < LEAST_COLOR:
        return Skipped(source.image, "black and white: bring it in color")
    seed = int.from_bytes(hashlib.sha256(source.name.encode(errors="surrogateescape")).digest()[:8], "big")
    regions = propose_regions(image, labels, np.random.default_rng(seed), MOST_REGIONS)
    if not regions:
        return Skipped(source.image, "nothing in it could be a foreground: bring photographs of people or things")
    return Photograph(source.name, image, [region.mask for region in regions])


def clause_of(error: EngineError, path: Path) -> str:
    """Return an error's message without the leading file name."""
    return str(error).removeprefix(f"{path} ").removeprefix("is ").removesuffix(".")


def nothing_usable(folder: Path, skipped: Sequence[Skipped]) -> TrainingError:
    """Return the error for a folder in which every image was skipped."""
    why, count = Counter(one.why for one in skipped).most_common(1)[0]
    return TrainingError(
        f"None of the {len(skipped)} images of {folder} can be used; {count} of them: “{why}”.",
        code="training.no-photographs",
        path=str(folder),
    )
