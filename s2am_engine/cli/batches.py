# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches of the commands `harmonize`, `detect` and `cutout`: a folder, or several images."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from s2am_common.image_formats import format_of_suffix
from s2am_common.path_checks import is_folder
from s2am_engine.batch import BatchEvent, BatchItem, run_batch
from s2am_engine.cli.outputs import ask_to_replace
from s2am_engine.cli.terminal import UsageError, fail, json_text, progress_bar, sentence_of

Sources = Path | Sequence[Path]
"""A folder, or image files."""


def add_images(parser: argparse.ArgumentParser, metavar: str, about: str) -> None:
    """Add the argument `images`: one image, several, or a folder."""
    parser.add_argument("images", type=Path, nargs="+", metavar=metavar, help=about)


def add_further_images(options: argparse.Namespace, words: Sequence[str]) -> bool:
    """Add images that follow an option, which argparse does not assign; return whether the words can be images."""
    if not hasattr(options, "images") or any(word.startswith("-") for word in words):
        return False
    options.images += map(Path, words)
    return True


def batch_sources(options: argparse.Namespace, *, alone: bool = False) -> Sources | None:
    """Return the images of a batch, after checking that the options name a folder for the results.

    Args:
        options: those of `add_images`, and `output`.
        alone: whether a single image is a batch, too.

    Returns:
        The folder, or the image files; None for a single image.

    Raises:
        UsageError: a folder beside other images, or no folder for the results.
    """
    images: list[Path] = options.images
    folder = next((path for path in images if is_folder(path)), None)
    if folder and len(images) > 1:
        raise UsageError(f"{folder} is a folder: give it alone, or images only")
    if not (folder or alone or len(images) > 1):
        return None
    output: Path | None = options.output
    if output is None or (format_of_suffix(output.suffix) and not is_folder(output)):
        given = f", not the image {output}" if output else ""
        raise UsageError(f"a folder or several images need -o DIR, a folder for the results{given}")
    return folder or images


def run_on_images(
    options: argparse.Namespace,
    items: Sequence[BatchItem],
    process: Callable[[BatchItem], dict[str, Any]],
    done: str,
) -> int:
    """Process the images of a batch, and print a report.

    Args:
        options: with `output`, the folder of the results, and `json`.
        items: see `plan_batch`.
        process: writes the result of an image, and returns its description.
        done: the results, for the report, such as “images harmonized”.

    Returns:
        The exit code, which is 1 if it worked for no image.
    """
    results: list[dict[str, Any]] = []
    ask_to_replace([item.output for item in items if item.problem is None])
    with progress_bar("image") as progress:

        def report(event: BatchEvent[dict[str, Any]]) -> None:
            if event.kind == "started":
                return
            if event.error:
                sentence = sentence_of(event.error)
                fail(sentence)
                results.append({"input": str(event.item.source), "error": sentence, "code": event.error.code})
            elif event.result is not None:
                results.append(event.result)
            progress(event.index + 1, event.total)

        failed = run_batch(items, process, report)
    if options.json:
        print(json_text({"results": results}))
    else:
        print(f"{len(items) - failed} of {len(items)} {done} into {options.output}")
    return 1 if failed == len(items) else 0
