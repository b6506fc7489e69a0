# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands, options, arguments and modules that the documents name exist."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from harmonize_layer.core.settings import CHOICES, OBJECTS, slider_arguments

from s2am_engine.cli.main import build_parser, join_negative_numbers

CHECKOUT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *sorted(CHECKOUT.glob("docs/*.md")),
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "research/README.md")),
]
"""The documents of the present version; the changelog names options of former ones."""
OTHER_OPTIONS = ("--no-editor", "--torch", "--screens", "--appimage-extract-and-run")
"""Options within sentences that are those of the installer, of the screenshots, and of AppImages."""


def shell_commands(document: Path) -> list[list[str]]:
    """Return the words of the commands in a document's shell examples."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.M | re.S)
    return [words for block in blocks for line in block.splitlines() if (words := shlex.split(line, comments=True))]


def inline_code(document: Path) -> list[str]:
    """Return the code within a document's sentences."""
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.findall(r"`([^`]+)`", prose)


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers(child)


def named_options(text: str) -> set[str]:
    """Return the options in a command line or an inline code, but not the beginnings of several ones (`--shadow-…`)."""
    return {option for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", text) if not option.endswith("-")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(CHECKOUT).as_posix())
def test_examples_are_accepted_by_the_command_line(document: Path) -> None:
    for program, *words in shell_commands(document):
        if re.fullmatch(r"s2am|\./s2am\S*", program) and words:
            build_parser().parse_args(join_negative_numbers(words))  # an error exits


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(CHECKOUT).as_posix())
def test_commands_and_options_within_sentences_exist(document: Path) -> None:
    commands = {each.prog: set(each._option_string_actions) for each in parsers(build_parser())}
    every = set().union(*commands.values(), OTHER_OPTIONS)
    for code in inline_code(document):
        words = code.split()
        if words[0] == "s2am" and len(words) > 1:
            known = [options for program, options in commands.items() if f"{code} ".startswith(f"{program} ")]
            assert " ".join(words[:2]) in commands, code
            assert named_options(code) <= set().union(*known), code
        elif code.startswith("--"):
            assert named_options(code) <= every, code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.relative_to(CHECKOUT).as_posix())
def test_modules_that_documents_run_exist(document: Path) -> None:
    for code in [*inline_code(document), *(" ".join(words) for words in shell_commands(document))]:
        for module in re.findall(r"python3? -m ([\w.]+)", code):
            assert importlib.util.find_spec(module), module


def test_research_modules_are_listed() -> None:
    table = (CHECKOUT / "research/README.md").read_text(encoding="utf-8")
    modules = {file.name for file in CHECKOUT.glob("research/*.py")} - {"__init__.py", "console.py"}
    assert {name for name in modules if f"| `{name}` |" not in table} == set()


def test_guide_lists_all_arguments_of_the_gimp_procedure() -> None:
    table = (CHECKOUT / "docs/gimp.md").read_text(encoding="utf-8").split("## Scripts")[1]
    rows = [line.split("|")[1] for line in table.splitlines() if "|" in line]
    listed = set(re.findall(r"`([a-z-]+)`", " ".join(rows)))
    arguments = {"model", *CHOICES, *OBJECTS, *(argument.name for argument in slider_arguments())}
    assert arguments == listed
