# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks of the commands: shared options, parsers of values, progress on the terminal, and messages."""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import logging
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from tqdm import tqdm

from s2am_common.errors import S2AMError, with_advice
from s2am_common.settings import load_settings
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import FINISH_SLIDERS, SLIDERS, SliderSpec
from s2am_engine.cli.advice import ADVICE

LINE_SECONDS = 30.0
"""Time between two lines of progress where there is no terminal."""

Subparsers = Any  # argparse._SubParsersAction is private


class UsageError(Exception):
    """Options that cannot be combined."""


@dataclass(frozen=True)
class CommandSpec:
    """A command of `s2am`.

    name: word after `s2am`.
    about: its description in the help, one sentence.
    add_arguments: adds its arguments and options to a parser.
    run: runs it with the parsed options and returns the exit code.
    """

    name: str
    about: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]

    def add_to(self, subparsers: Subparsers) -> None:
        """Add the command to a parser."""
        self.add_arguments(add_command(subparsers, self.name, self.run, self.about))


def add_command(
    subparsers: Subparsers, name: str, run: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    """Add a command with the option `--json`."""
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option `--device`."""
    about = "auto (a CUDA GPU if there is one, else the CPU), cpu, cuda (default: %(default)s)"
    parser.add_argument("--device", default=load_settings().device, help=about)


def add_sliders(parser: argparse.ArgumentParser) -> None:
    """Add an option for each slider."""
    group = parser.add_argument_group("sliders")
    for spec in SLIDERS.values():
        add_slider(group, spec, f"--{spec.option}", f"{spec.default:g}")


def add_shadow_sliders(parser: argparse.ArgumentParser) -> None:
    """Add the option `--shadow` and one for each value of a shadow."""
    group = parser.add_argument_group("shadow", "of a layer on a background; values that are not given are automatic")
    about = "cast a shadow of the layer on the background; each of the following options implies it"
    group.add_argument("--shadow", action="store_true", help=about)
    for spec in SHADOW_SLIDERS.values():
        default = "automatic" if spec.automatic else f"{spec.default:g}"
        add_slider(group, spec, f"--shadow-{spec.name}", default)
    about = "also write the shadow as a layer of its own, as large as the background, to multiply with it"
    group.add_argument("--save-shadow", type=Path, metavar="FILE", help=about)


def add_slider(
    group: argparse._ArgumentGroup, spec: SliderSpec, option: str, default: str, *, automatic_option: bool = False
) -> None:
    """Add the option of a slider; its default is for the help only. `automatic_option`: it may be “auto”."""
    about = f"{spec.help[0].lower()}{spec.help[1:]} (default: {default})"
    limits, number = f"{spec.low:g}..{spec.high:g}", slider_value(spec)

    def automatic_or_number(text: str) -> float | Literal["auto"]:
        return "auto" if text == "auto" else number(text)

    if automatic_option:
        group.add_argument(option, type=automatic_or_number, metavar=f"auto|{limits}", help=about)
    else:
        group.add_argument(option, type=number, metavar=limits, help=about)


def given_sliders(options: argparse.Namespace) -> dict[str, float]:
    """Return the values of the sliders that were given as options."""
    return {name: getattr(options, name) for name in SLIDERS if getattr(options, name) is not None}


def add_finish(parser: argparse.ArgumentParser) -> None:
    """Add an option for each slider of the finish."""
    group = parser.add_argument_group(
        "finish", "light, grain, sharpness and edges of the foreground; auto: as its background"
    )
    for spec in FINISH_SLIDERS.values():
        add_slider(group, spec, f"--{spec.option}", f"{spec.default:g}", automatic_option=spec.automatic)


def given_finish(options: argparse.Namespace) -> dict[str, float | Literal["auto"]]:
    """Return the values of the finish that were given as options."""
    return {name: getattr(options, name) for name in FINISH_SLIDERS if getattr(options, name) is not None}


def given_shadow(options: argparse.Namespace) -> dict[str, float] | None:
    """Return the values of the shadow that were given as options; None = no shadow was asked for."""
    values = {name: getattr(options, f"shadow_{name}") for name in SHADOW_SLIDERS}
    given = {name: value for name, value in values.items() if value is not None}
    return given if given or options.shadow or options.save_shadow else None


def slider_value(spec: SliderSpec) -> Callable[[str], float]:
    """Return a parser of the values of a slider."""

    def parse(text: str) -> float:
        try:
            return spec.check(float(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"must be from {spec.low:g} to {spec.high:g}") from error

    return parse


def position(text: str) -> tuple[int, int]:
    """Parse X,Y."""
    x, y = (int(part) for part in text.split(","))
    return x, y


def positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return a parser of numbers above 0."""

    def parse(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("must be more than 0")
        return value

    parse.__name__ = kind.__name__  # for argparse's message if the text is not a number
    return parse


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Show the current step on a terminal's stderr; nothing is shown if stderr is not a terminal.

    The block gets the function that shows a text; the line disappears after the block.
    """
    # None = disabled without a terminal; without a stderr, tqdm would fail.
    with tqdm(bar_format="{desc}", leave=False, disable=None if sys.stderr else True, file=sys.stderr) as bar:
        yield lambda text: bar.set_description_str(f"{text} …")


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress on stderr, see `open_bar`; the block gets the function to call with (done, total)."""
    with open_bar(unit) as bar:
        yield lambda done, total: advance(bar, done, total)


@contextmanager
def byte_progress_bar() -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a download or copy in megabytes on stderr; the block gets a (done, total) callback."""
    with open_bar("MB") as bar:
        yield lambda done, total: advance(bar, done // 10**6, total // 10**6)


def open_bar(unit: str, title: str = "") -> tqdm[Any]:
    """Return a progress bar on stderr; where stderr is a file, a line every half minute instead."""
    if sys.stderr is None or sys.stderr.isatty():
        return tqdm(desc=title, unit=unit, disable=sys.stderr is None, file=sys.stderr)
    return _lines(sys.stderr, "{desc}{n_fmt} of {total_fmt} " + unit + "s after {elapsed}", desc=title, unit=unit)


def open_share_bar() -> tqdm[Any]:
    """Return a bar of the share that is done, 0 to 1, with a description; otherwise as `open_bar`."""
    if sys.stderr is None or sys.stderr.isatty():
        form = "{percentage:3.0f}%|{bar}| {desc}{postfix}"
        return tqdm(total=1.0, bar_format=form, disable=sys.stderr is None, file=sys.stderr)
    return _lines(sys.stderr, "{percentage:3.0f}% {desc}{postfix}", total=1.0)


def _lines(stream: TextIO, form: str, **options: Any) -> tqdm[Any]:
    return tqdm(
        bar_format=form, file=_Lines(stream), leave=False,
        delay=LINE_SECONDS, mininterval=LINE_SECONDS, maxinterval=LINE_SECONDS, **options,
    )  # fmt: skip


class _Lines(io.TextIOBase):
    """A stream that makes a line of each drawing of a bar."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        if drawn := text.strip():
            self._stream.write(f"{drawn}\n")
        return len(text)

    def flush(self) -> None:
        self._stream.flush()


def advance(bar: tqdm[Any], done: int, total: int) -> None:
    """Set a progress bar."""
    bar.total = total
    bar.update(done - bar.n)


def json_text(data: object) -> str:
    """Return data as a line of JSON. Numbers that are not finite become null, as JSON has none."""
    return json.dumps(_without_nan(data), allow_nan=False)


def _without_nan(data: object) -> object:
    if isinstance(data, Mapping):
        return {key: _without_nan(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_without_nan(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def sentence_of(error: S2AMError) -> str:
    """Return an error's message on one line, with the command line's advice."""
    return " ".join(with_advice(error, ADVICE).split())


def fail(sentence: str) -> int:
    """Print an error on one line of stderr and return the exit code for it.

    On Windows a program that a menu starts has no stderr: the error is shown in a window.
    """
    if sys.stderr is None and sys.platform == "win32":
        ctypes.windll.user32.MessageBoxW(None, sentence, "s2am", 0x10)  # MB_ICONERROR
    else:
        print_on_stderr(f"error: {' '.join(sentence.split())}")
    return 1


def can_ask() -> bool:
    """Return whether a person at a terminal can be asked a question."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())


def print_on_stderr(line: str) -> None:
    """Print a line above progress bars; nothing if stderr is closed, where tqdm would print on stdout."""
    if sys.stderr is not None:
        tqdm.write(line, file=sys.stderr)


class _NoteError(S2AMError):
    """A warning with a code, for which there may be advice as for an error."""


class NoteHandler(logging.Handler):
    """Print warnings of the program on stderr, each as one line and once."""

    def __init__(self) -> None:
        """Print each text once."""
        super().__init__(logging.WARNING)
        self._printed: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a warning; errors have a sentence of their own."""
        code = getattr(record, "code", "")
        text = sentence_of(_NoteError(record.getMessage(), code=code)) if code else record.getMessage()
        text = " ".join(text.split())
        if record.levelno > logging.WARNING or text in self._printed:
            return
        self._printed.add(text)
        print_on_stderr(f"note: {text}")
