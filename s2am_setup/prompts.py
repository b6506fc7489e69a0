# SPDX-License-Identifier: GPL-3.0-or-later
"""Yes-or-no questions in a terminal; without a terminal, and on an empty answer, it is yes."""

from __future__ import annotations

from typing import TextIO


def prompt_yes_no(question: str, source: TextIO, out: TextIO) -> bool:
    """Ask a yes-or-no question; return the answer."""
    if not source.isatty():
        return True
    print(f"{question} [Y/n] ", end="", file=out, flush=True)
    return source.readline().strip().lower() in ("", "y", "yes")
