# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am doctor` and `s2am uninstall`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any


def add_commands(subparsers: Any) -> None:
    """Add `s2am doctor`, `s2am uninstall` and `s2am python`, which need no library but Python's own."""
    about = "Run the Python that can import s2am_engine: s2am python SCRIPT, or s2am python -m pip …"
    subparsers.add_parser("python", help=about, description=about)
    about = "Check the installation (GIMP, the plug-in, the engine, the models) and suggest repairs."
    parser = _add_command(subparsers, "doctor", _doctor, about)
    parser.add_argument("--fix", action="store_true", help="repair what can be repaired, and install GIMP's plug-in")
    about = "Remove the program, the plug-in and the launchers, but not personal models."
    parser = _add_command(subparsers, "uninstall", _uninstall, about)
    parser.add_argument(
        "--purge", action="store_true", help="also remove personal models, settings and recovery copies"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="only list what would be removed")


def _add_command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], about: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
    return parser


def _doctor(options: argparse.Namespace) -> int:
    from s2am_setup.doctor import run_doctor
    from s2am_setup.installation import find_installation, own_environment
    from s2am_setup.platform import this_platform

    platform = this_platform()
    own = own_environment(platform)
    return run_doctor(
        lambda: find_installation(platform, own, "s2am doctor"),
        sys.stdout,
        sys.stderr,
        as_json=options.json,
        repair=options.fix,
    )


def _uninstall(options: argparse.Namespace) -> int:
    from s2am_setup.installation import find_installation, own_environment
    from s2am_setup.platform import this_platform
    from s2am_setup.uninstall import run_uninstall

    platform = this_platform()
    return run_uninstall(
        find_installation(platform, own_environment(platform), "s2am doctor"),
        sys.stdin,
        sys.stdout,
        purge=options.purge,
        yes=options.yes,
        dry_run=options.dry_run,
        as_json=options.json,
    )
