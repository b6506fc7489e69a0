# SPDX-License-Identifier: GPL-3.0-or-later
"""The program `s2am`: the command line of the engine, or in a damaged environment the commands that repair it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from s2am_common.errors import S2AMError
from s2am_common.streams import make_printable


def main() -> int:
    """Run the command line; return the exit code."""
    if sys.argv[1:2] == ["python"]:  # not by argparse, which would take Python's options for its own
        return run_python(sys.argv[2:])
    try:
        try:
            from s2am_engine.cli.main import main as run
        except ImportError as error:
            return run_without_engine(error, sys.argv[1:])
        return run()
    except KeyboardInterrupt:  # while the libraries are loaded; commands have sentences of their own
        print("error: Stopped.", file=sys.stderr)
        return 1


def run_python(arguments: list[str]) -> int:
    """Run the Python of the program's environment, which can import its API; return the exit code."""
    command = [sys.executable, *arguments]
    if os.name == "posix":
        sys.stdout.flush()
        os.execv(command[0], command)
    return subprocess.run(command, check=False).returncode


def run_without_engine(damage: ImportError, arguments: list[str]) -> int:
    """Run `install`, `doctor` or `uninstall` although libraries are missing; any other command fails with advice."""
    from s2am_setup.command import add_commands

    make_printable(sys.stdout, sys.stderr)
    if arguments[:1] not in (["install"], ["doctor"], ["uninstall"]):
        print(f"error: The program's environment is damaged ({damage}): run “s2am doctor --fix”.", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(prog="s2am")
    add_commands(parser.add_subparsers(required=True, metavar="COMMAND"))
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except S2AMError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
