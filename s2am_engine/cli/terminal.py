# SPDX-License-Identifier: GPL-3.0-or-later
"""What the commands of `s2am` have in common: their options, their progress, and how they tell people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from tqdm import tqdm

Subparsers = Any  # argparse._SubParsersAction is private


def add_command(subparsers: Subparsers, name: str, run: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
    """Add a command with the options that all have."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the choice of the device."""
    parser.add_argument("--device", default="auto", help="auto (a CUDA GPU if there is one, else the CPU), cpu, cuda")


class UsageError(Exception):
    """Options that don't go together."""


def advance(bar: tqdm[Any], done: int, total: int) -> None:
    """Move a progress bar."""
    bar.total = total
    bar.update(done - bar.n)


class Status:
    """One line on a terminal's stderr that says what is being done; nothing when stderr is no terminal."""

    def __enter__(self) -> Callable[[str], None]:
        """Give the function that shows a line."""
        return self.show

    def show(self, text: str) -> None:
        """Replace the line."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text} …", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_: object) -> None:
        """Clear the line."""
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def position(text: str) -> tuple[int, int]:
    """Parse X,Y."""
    x, y = (int(part) for part in text.split(","))
    return x, y


def unit(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def fail(sentence: str) -> int:
    """Print one clear line and give the exit code for it."""
    print("error:", " ".join(sentence.split()), file=sys.stderr)
    return 1


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as a sentence, without the place in the source."""
    print(f"note: {message}", file=sys.stderr)
