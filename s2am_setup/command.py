# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am install`, `s2am doctor`, `s2am uninstall` and `s2am python`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from s2am_common.optional_parts import OPTIONAL_PARTS

if TYPE_CHECKING:
    from s2am_setup.installation import Installation

RunCommand = Callable[..., int]
"""Runs a command with the parsed options, and whatever else its program passes; returns the exit code."""


def add_commands(subparsers: Any) -> None:
    """Add the commands, which need no library but Python's own."""
    about = "Run the Python that can import s2am_engine: s2am python SCRIPT, or s2am python -m pip …"
    subparsers.add_parser("python", help=about, description=about)
    about = "Add an optional part of the program, such as PyTorch for training; without PART, list them."
    parser = _add_command(subparsers, "install", _install, about)
    parser.add_argument("part", nargs="?", choices=OPTIONAL_PARTS, metavar="PART", help=", ".join(OPTIONAL_PARTS))
    build = "build of PyTorch: auto, cpu, or a tag such as cu130 or rocm7.2 (default: %(default)s)"
    parser.add_argument("--torch", default="auto", metavar="BUILD", help=build)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_doctor(subparsers, _doctor)
    add_uninstall(subparsers, _uninstall)


def add_doctor(subparsers: Any, run: RunCommand) -> None:
    """Add the command `doctor`."""
    about = "Check the installation (GIMP, the plug-in, the engine, the models) and suggest repairs."
    parser = _add_command(subparsers, "doctor", run, about)
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired, and install GIMP's plug-in")


def add_uninstall(subparsers: Any, run: RunCommand) -> None:
    """Add the command `uninstall`."""
    about = "Remove the program, the plug-in and the launchers, but not personal models."
    parser = _add_command(subparsers, "uninstall", run, about)
    parser.add_argument(
        "--purge", action="store_true", help="also remove personal models, settings and recovery copies"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")


def _add_command(subparsers: Any, name: str, run: RunCommand, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _install(options: argparse.Namespace) -> int:
    from s2am_common.errors import InstallError
    from s2am_setup.add_part import add_part, describe_sizes, is_installed, with_sizes
    from s2am_setup.console import Console, prompt_yes_no
    from s2am_setup.platform import this_platform

    platform = this_platform()
    if options.part is None:
        parts = [(with_sizes(part, platform), is_installed(part)) for part in OPTIONAL_PARTS.values()]
        if options.json:
            columns = ("name", "purpose", "download", "disk")
            found = [{key: getattr(part, key) for key in columns} | {"installed": done} for part, done in parts]
            print(json.dumps({"parts": found}))
        else:
            for part, done in parts:
                print(f"{part.name:<12}{part.purpose}: {'installed' if done else describe_sizes(part)}")
        return 0
    part = OPTIONAL_PARTS[options.part]
    what = f"{', '.join(part.libraries.values())} for {part.purpose}"
    if not is_installed(part):
        size = describe_sizes(with_sizes(part, platform, options.torch))
        if not options.yes:
            if not sys.stdin.isatty():
                raise InstallError(f"{what}: {size}; add --yes to install it.")
            if not prompt_yes_no(f"{what}: {size}. Install it?", sys.stdin, sys.stderr):
                return 1
        if options.json:
            _accept_interruption()
        add_part(part, _own_installation(), Console(sys.stderr if options.json else sys.stdout), options.torch)
    if options.json:
        print(json.dumps({"installed": part.name}))
    else:
        print(f"Installed: {what}.")
    return 0


def _accept_interruption() -> None:
    """Turn interruptions by the program that started this process into KeyboardInterrupt.

    A process inherits that Ctrl-C is ignored, as in background jobs of shells; on Windows, Ctrl-Break ends it at once.
    """
    for name in ("SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)


def _own_installation() -> Installation:
    from s2am_setup.installation import find_installation, own_environment
    from s2am_setup.platform import this_platform

    platform = this_platform()
    return find_installation(platform, own_environment(platform), "s2am doctor")


def _doctor(options: argparse.Namespace) -> int:
    from s2am_setup.doctor import run_doctor

    return run_doctor(_own_installation, sys.stdout, sys.stderr, as_json=options.json, repair=options.fix)


def _uninstall(options: argparse.Namespace) -> int:
    from s2am_setup.uninstall import run_uninstall

    return run_uninstall(_own_installation(), sys.stdin, sys.stdout, options)
