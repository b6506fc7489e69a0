# SPDX-License-Identifier: GPL-3.0-or-later
"""The decision of all commands about their output files: no file is replaced without a question."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from s2am_common.atomic import output_exists
from s2am_common.errors import FileError
from s2am_engine.cli.terminal import can_ask
from s2am_engine.outputs import check_output, unused_path

SHEET_SUFFIXES = (".png",)
"""Endings of files of contact sheets."""


def choose_output(
    given: Path | None,
    default: Path,
    *,
    inputs: Sequence[Path] = (),
    suffixes: Sequence[str] = (),
    yes: bool | None = None,
) -> Path:
    """Return the file that a command writes, after checking that it can be written.

    Without a name the default is used, or a free name next to it; in a folder that was named, too.

    Args:
        given: the file or folder on the command line, if any.
        default: the file without one; its name is used in a folder.
        inputs: files that must not be replaced.
        suffixes: endings that the name may have; empty = any.
        yes: value of the command's option that answers the question; None = it has none.

    Raises:
        FileError: it cannot be written, or the person keeps the existing file.
    """
    if given is None:
        output = unused_path(default)
    elif os.path.isdir(given):  # noqa: PTH112 (not refused, as by Path.is_dir, where the folder may not be entered)
        output = unused_path(given / default.name)
    else:
        output = given
    check_named_output(output, inputs=inputs, suffixes=suffixes, yes=yes)
    return output


def check_named_output(
    output: Path, *, inputs: Sequence[Path] = (), suffixes: Sequence[str] = (), yes: bool | None = None
) -> None:
    """Check that a file can be written, and ask before one that exists is replaced.

    Without a terminal there is no question, and the file is replaced, unless the command has an option for the answer.
    Arguments and errors are those of `choose_output`.
    """
    check_output(output, inputs, suffixes)
    if not yes:
        ask_to_replace([output], without_terminal=yes is None)


def ask_to_replace(outputs: Sequence[Path], *, without_terminal: bool = True) -> None:
    """Ask whether existing files may be replaced.

    Args:
        outputs: the files, which need not exist.
        without_terminal: the answer without a terminal.

    Raises:
        FileError: the answer is no.
    """
    existing = [path for path in outputs if output_exists(path)]
    if not existing:
        return
    more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
    if not confirm(f"{existing[0]}{more} exists: replace it?", without_terminal=without_terminal):
        advice = "name another file" if without_terminal else "name another file, or add --yes"
        raise FileError(f"{existing[0]} exists and was not replaced: {advice}.", code="file.kept")


def confirm(question: str, *, without_terminal: bool = True) -> bool:
    """Ask a question on a terminal; where there is none, return `without_terminal`."""
    if not can_ask():
        return without_terminal
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
