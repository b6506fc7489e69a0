# SPDX-License-Identifier: GPL-3.0-or-later
"""Short questions in a terminal. Without a terminal, the default answer (in capitals) is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO


def prompt_yes_no(question: str, default: bool, source: TextIO, out: TextIO) -> bool:
    """Ask a yes-or-no question."""
    answer = _ask(f"{question} [{'Y/n' if default else 'y/N'}] ", source, out).lower()
    return answer in ("y", "yes") if answer else default


def prompt_choices(question: str, choices: Sequence[str], source: TextIO, out: TextIO) -> list[int]:
    """Ask for some of several choices; return their indices. An empty answer selects all."""
    print(*(f"  {number}  {choice}" for number, choice in enumerate(choices, 1)), sep="\n", file=out)
    while True:
        answer = _ask(f"{question} [ALL, none, or numbers such as 1,3] ", source, out).lower()
        if answer in ("", "all"):
            return list(range(len(choices)))
        if answer == "none":
            return []
        numbers = [int(word) for word in answer.replace(",", " ").split() if word.isdecimal()]
        if numbers and all(1 <= number <= len(choices) for number in numbers):
            return sorted({number - 1 for number in numbers})


def _ask(question: str, source: TextIO, out: TextIO) -> str:
    if not source.isatty():
        return ""
    print(question, end="", file=out, flush=True)
    return source.readline().strip()
