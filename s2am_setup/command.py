# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am doctor` and `s2am uninstall`: the installation looks after itself."""

from __future__ import annotations

import argparse
import sys

from s2am_engine.cli.terminal import Subparsers, add_command
from s2am_engine.errors import EngineError


def add_commands(subparsers: Subparsers) -> None:
    """Describe `s2am doctor` and `s2am uninstall`."""
    about = "Check the installation: GIMP, the plug-in, the engine, the models; say what is wrong and how to mend it."
    parser = add_command(subparsers, "doctor", doctor, about)
    parser.add_argument("--fix", action="store_true", help="mend what can be mended; also gives GIMP the plug-in")
    about = "Remove the program, the plug-in and the launchers. Personal models stay."
    parser = add_command(subparsers, "uninstall", uninstall, about)
    parser.add_argument("--purge", action="store_true", help="remove personal models and settings, too")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def doctor(options: argparse.Namespace) -> int:
    """Run `s2am doctor`."""
    from s2am_setup import doctor as examining
    from s2am_setup.facts import this_machine
    from s2am_setup.installation import find, own_environment

    facts = this_machine()
    own = own_environment(facts)
    return examining.run(
        lambda: find(facts, own, "s2am doctor"), sys.stdout, sys.stderr, as_json=options.json, mend=options.fix
    )


def uninstall(options: argparse.Namespace) -> int:
    """Run `s2am uninstall`."""
    from s2am_common.errors import S2AMError
    from s2am_setup import uninstall as removing
    from s2am_setup.facts import this_machine
    from s2am_setup.installation import find, own_environment

    facts = this_machine()
    own = own_environment(facts)
    try:
        return removing.run(
            find(facts, own, "s2am doctor"),
            sys.stdin,
            sys.stdout,
            purge=options.purge,
            yes=options.yes,
            dry_run=options.dry_run,
            as_json=options.json,
        )
    except S2AMError as error:
        raise EngineError(str(error)) from error
