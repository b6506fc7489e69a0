# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am`. Exit codes: 0 success, 1 failure (one line on stderr), 2 wrong usage.

Modules that take long to import are imported by the command that needs them: `--help` is fast, and Ctrl-C is
handled from the start.
"""

from __future__ import annotations

import argparse
import errno
import importlib
import logging
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

import s2am_engine
from s2am_common import log
from s2am_common.errors import S2AMError, os_error
from s2am_common.optional_parts import OptionalPart, find_part
from s2am_common.paths import user_paths
from s2am_common.streams import make_printable
from s2am_engine.cli.batches import add_further_images
from s2am_engine.cli.evaluation import EVALUATION_COMMANDS
from s2am_engine.cli.images import IMAGE_COMMANDS
from s2am_engine.cli.models import MODEL_COMMANDS
from s2am_engine.cli.settings import SETTINGS_COMMANDS
from s2am_engine.cli.terminal import NoteHandler, UsageError, can_ask, fail, sentence_of
from s2am_engine.cli.training import TRAINING_COMMANDS

logger = logging.getLogger(__name__)

COMMANDS = (*IMAGE_COMMANDS, *MODEL_COMMANDS, *EVALUATION_COMMANDS, *TRAINING_COMMANDS, *SETTINGS_COMMANDS)

LIBRARY_CACHES = {"MPLCONFIGDIR": "matplotlib", "TORCHINDUCTOR_CACHE_DIR": "torchinductor"}
"""Environment variables of libraries that cache files: they go to the program's folder, which uninstalling removes."""

OTHER_PACKAGES = ("gimp_bridge.serve_command", "s2am_editor.command", "s2am_setup.command")
"""Modules with commands of packages that the engine does not import, each with a function `add_commands(subparsers)`.

They are found by name, like plug-ins, and import slow modules only when a command runs.
"""


class _Parser(argparse.ArgumentParser):
    """A parser, also of the commands, that reports wrong usage in two lines instead of listing all options."""

    def error(self, message: str) -> NoReturn:
        """Print the error on stderr, and exit with 2."""
        self.exit(2, f"{self.prog}: error: {message}\nAll options: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: the command line without the program's name; None = that of the process.

    Returns:
        The exit code.
    """
    make_printable(sys.stdout, sys.stderr)
    for variable, folder in LIBRARY_CACHES.items():
        os.environ.setdefault(variable, str(user_paths().cache / folder))
    log.start_logging("s2am", s2am_engine.__version__)
    notes = NoteHandler()
    loggers = [logging.getLogger(name) for name in ("s2am_common", "s2am_engine")]
    for library in loggers:
        library.addHandler(notes)
    try:
        words = join_negative_numbers(sys.argv[1:] if arguments is None else arguments)
        parser = build_parser()
        if not words:
            parser.print_help(sys.stderr)
            return 2
        options, unknown = parser.parse_known_args(words)
        if unknown and not add_further_images(options, unknown):
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return run_command(options)
    finally:
        for library in loggers:
            library.removeHandler(notes)


def run_command(options: argparse.Namespace) -> int:
    """Run the command of parsed options; errors become one sentence and the exit code 1."""
    try:
        code: int = options.run(options)
    except UsageError as error:
        options.parser.error(str(error))
    except S2AMError as error:
        logger.info("failed with %s: %s", error.code, error)
        return fail(sentence_of(error))
    except KeyboardInterrupt:
        return fail("Stopped: no file was left half-written.")
    except MemoryError:
        return fail("There is not enough memory for this image: close other programs, or use a smaller one.")
    except ImportError as error:
        library = (error.name or "").partition(".")[0]
        part = find_part(library)
        if part and isinstance(error, ModuleNotFoundError):
            sentence = part.missing(library)
            return run_command(options) if offer_part(part, sentence) else fail(sentence)
        logger.exception("damaged environment")
        return fail(f"The program's environment is damaged ({error}): run “s2am doctor --fix”.")
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except PermissionError as error:
        return fail_on_path(error)
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return fail_on_path(error)
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            return fail("The disk is full: free some space, then try again.")
        if os.environ.get("S2AM_TRACEBACK"):
            raise
        logger.exception("unexpected error")
        reason = f"{type(error).__name__}: {error}"
        return fail(f"This is a fault of the program ({reason}): please report it together with {log.log_path()}.")
    return code


def offer_part(part: OptionalPart, sentence: str) -> bool:
    """On a terminal, ask whether a missing part should be added, and add it; return whether it is there now."""
    if not can_ask():
        return False
    print(sentence, file=sys.stderr)
    done = subprocess.run([sys.executable, "-m", "s2am_engine.cli", "install", part.name], check=False)
    importlib.invalidate_caches()
    return done.returncode == 0


def join_negative_numbers(words: Sequence[str]) -> list[str]:
    """Join an option with a value such as “-50,-20”, which argparse would take for an option itself."""
    joined: list[str] = []
    for word in words:
        if joined and re.fullmatch(r"--[a-z-]+", joined[-1]) and re.fullmatch(r"-\d[\d.,-]*", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def fail_on_path(error: OSError) -> int:
    """Print the sentence for a path that the system refused, and return the exit code for it."""
    logger.info("failed", exc_info=error)
    return fail(sentence_of(os_error(error)))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(prog="s2am", description="Harmonize pasted foregrounds with their backgrounds.")
    parser.add_argument("--version", action="version", version=f"s2am {s2am_engine.__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(subparsers)
    for module in OTHER_PACKAGES:
        importlib.import_module(module).add_commands(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
