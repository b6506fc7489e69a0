# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a folder of arbitrary files through the readers and writers: read, write in each format, read again, compare.

`python -m research.image_files FOLDER --table FILE.tsv` writes a line for each file while it runs, and prints the
number of files by outcome. Each file is processed in another process, which is ended if it takes too long. After
Ctrl-C, the table is complete up to there.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from research import console
from s2am_common.errors import FileError, S2AMError
from s2am_common.image_formats import WRITABLE_FORMATS, FormatInfo
from s2am_editor.files.document_io import OPEN_SUFFIXES, PROJECT_SUFFIX, open_document, save_project
from s2am_editor.render.export import flatten
from s2am_engine.cli.terminal import progress_bar
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image

DOCUMENT_SUFFIXES = (PROJECT_SUFFIX, ".psd", ".psb")
SECONDS = 60.0
OUTCOMES = ("same", "noted", "refused", "differs", "talks", "fault", "hangs")
"""same: everything was read back. noted: the same, with notes. refused: one sentence. differs: pixels or metadata have
changed, and no note says so. talks: a library printed something. fault: an unexpected exception. hangs: ended after the
time limit."""


@dataclass(frozen=True)
class ReadingOutcome:
    """Result of reading a file; details: for a person, on one line."""

    path: Path
    kind: str
    details: str = ""


def list_files(folder: Path) -> list[Path]:
    """Return the files of a folder and its subfolders, sorted by path."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def check_files(paths: Iterable[Path], seconds: float = SECONDS) -> Iterator[ReadingOutcome]:
    """Yield the outcome of each file.

    Args:
        paths: the files; they are only read.
        seconds: time after which the process that handles a file is ended.
    """
    worker = _Worker()
    try:
        for path in paths:
            yield worker.check(path, seconds)
    finally:
        worker.stop()


class _Worker:
    """A process that handles one file after another, and is started again after it was ended."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("spawn")
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def check(self, path: Path, seconds: float) -> ReadingOutcome:
        """Have the process handle a file, for a limited time."""
        connection = self._connection or self._start()
        connection.send(path)
        try:
            if connection.poll(seconds):
                found: ReadingOutcome = connection.recv()
                return found
        except (EOFError, OSError):
            self.stop()
            return ReadingOutcome(path, "fault", "the process ended, for example for lack of memory")
        self.stop()
        return ReadingOutcome(path, "hangs", f"ended after {seconds:g} s")

    def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._connection is not None:
            self._connection.close()
            self._process.kill()
            self._process.join()
        self._process = self._connection = None

    def _start(self) -> Connection:
        self._connection, other = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        other.close()
        if not self._connection.poll(None) or self._connection.recv() != "ready":
            raise RuntimeError("the process did not start")
        return self._connection


def _serve(connection: Connection) -> None:
    """Handle the files that arrive, until the connection is closed."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as words:
        os.dup2(words.fileno(), 2)
        connection.send("ready")
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                path = connection.recv()
                before = words.seek(0, os.SEEK_END)
                outcome = check_file(path, Path(folder))
                said = words.seek(0, os.SEEK_END) - before
                if said:
                    words.seek(before)
                    text = words.read(200).decode("utf-8", "replace")
                    outcome = ReadingOutcome(path, "talks", " ".join(text.split()))
                connection.send(outcome)


def check_file(path: Path, folder: Path) -> ReadingOutcome:
    """Read a file, write it to a folder in each format that can store it, read it again, and compare."""
    try:
        if path.suffix.lower() in DOCUMENT_SUFFIXES:
            return _check_document(path, folder)
        return _check_image(path, folder)
    except S2AMError as error:
        return ReadingOutcome(path, "refused", str(error))
    except MemoryError:
        return ReadingOutcome(path, "fault", "out of memory")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        return ReadingOutcome(
            path, "fault", f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        )


def _check_document(path: Path, folder: Path) -> ReadingOutcome:
    opened = open_document(path)
    save_project(folder / f"a{PROJECT_SUFFIX}", opened.document)
    again = flatten(open_document(folder / f"a{PROJECT_SUFFIX}").document)
    first = flatten(opened.document)
    if not _equal(first, again):
        return ReadingOutcome(path, "differs", "pixels of the project")
    return ReadingOutcome(path, "noted" if opened.notes else "same", " ".join(opened.notes))


def _check_image(path: Path, folder: Path) -> ReadingOutcome:
    image = load_image(path)
    notes, problems = list(image.notes), []
    for info in WRITABLE_FORMATS:
        target = folder / f"a{info.suffix}"
        try:
            omitted = save_image(target, image)
        except FileError as error:
            notes.append(str(error).replace(str(target), info.name))
            continue
        again = load_image(target)
        notes += [f"{info.name} omits {words}." for words in omitted]
        problems += [f"{what} of {info.name}" for what in _differences(image, again, info, " ".join(omitted))]
    if problems:
        return ReadingOutcome(path, "differs", ", ".join(problems))
    return ReadingOutcome(path, "noted" if notes else "same", " ".join(notes))


def _differences(image: ImageData, again: ImageData, info: FormatInfo, omitted: str) -> Iterator[str]:
    """Yield in words the changes that are not among the omitted contents."""
    if info.lossless and not _equal(image, again):
        yield "pixels"
    if again.profile != image.profile:
        yield "profile"
    for name, words in (("xmp", "XMP"), ("iptc", "IPTC"), ("exif", "EXIF")):
        if getattr(image.metadata, name) and not getattr(again.metadata, name) and words not in omitted:
            yield words
    if image.metadata.dpi is None and again.metadata.dpi is not None:
        yield "resolution"
    if image.metadata.dpi and "resolution" not in omitted:
        found = again.metadata.dpi
        if found is None or not np.allclose(found, image.metadata.dpi, rtol=0.02, atol=0.6):
            yield "resolution"


def _equal(first: ImageData, second: ImageData) -> bool:
    alphas = [
        np.full(image.pixels.shape[:2], full_scale(image.pixels.dtype)) if image.alpha is None else image.alpha
        for image in (first, second)
    ]
    return np.array_equal(first.pixels, second.pixels) and np.array_equal(alphas[0], alphas[1])


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help=f"files of any kind ({', '.join(OPEN_SUFFIXES)} …)")
    parser.add_argument("--table", type=Path, metavar="FILE.tsv", help="write outcome, path and details of each file")
    about = "time limit for a file, in seconds (default: %(default)g)"
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help=about)
    options = parser.parse_args()
    stopped = "Stopped; the table is complete up to here."
    return console.run(lambda: _run(options.folder, options.seconds, options.table), stopped)


def _run(folder: Path, seconds: float, table: Path | None) -> None:
    paths = list_files(folder)
    if not paths:
        raise ValueError(f"{folder} contains no files: name a folder with some.")
    counts: Counter[str] = Counter()
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(table.open("w", encoding="utf-8")) if table else None
        progress = stack.enter_context(progress_bar("file"))
        stack.callback(lambda: _print_counts(counts))  # after Ctrl-C, too
        for index, outcome in enumerate(check_files(paths, seconds)):
            counts[outcome.kind] += 1
            name = os.fsencode(outcome.path.relative_to(folder)).decode("utf-8", "replace")
            if file:
                file.write(f"{outcome.kind}\t{name}\t{' '.join(outcome.details.split())}\n")
                file.flush()
            progress(index + 1, len(paths))


def _print_counts(counts: Counter[str]) -> None:
    for kind in OUTCOMES:
        print(f"{kind:8} {counts[kind]}")


if __name__ == "__main__":
    sys.exit(main())
