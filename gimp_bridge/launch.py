# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am serve`: the engine as GIMP's plug-in talks to it, in the foreground."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from s2am_engine.cli.terminal import Subparsers, add_command, add_device

IDLE_VARIABLE = "S2AM_IDLE_MINUTES"
"""The environment variable with the default of --idle-minutes, for the engine that the plug-in starts as well."""


def add_commands(subparsers: Subparsers) -> None:
    """Describe `s2am serve`."""
    about = "Keep the engine ready for GIMP's plug-in, which otherwise starts it by itself when it needs it."
    parser = add_command(subparsers, "serve", serve, about)
    default = os.environ.get(IDLE_VARIABLE, "10")
    idle = f"leave after so long without a request; 0 = never (default: {default}, from {IDLE_VARIABLE} if that is set)"
    parser.add_argument("--idle-minutes", type=minutes, default=default, metavar="N", help=idle)
    parser.add_argument("--stop", action="store_true", help="end the engine that runs")
    add_device(parser)


def minutes(text: str) -> float:
    """Parse a number of minutes."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def serve(options: argparse.Namespace) -> int:
    """Run `s2am serve`."""
    from gimp_bridge import server

    if options.stop:
        stopped = server.stop()
        words = "The engine has ended." if stopped else "No engine runs."
        print(json.dumps({"stopped": stopped}) if options.json else words)
        return 0

    def ready(folder: Path) -> None:
        words = f"Ready for GIMP, in {folder}. Ctrl-C ends it."
        print(json.dumps({"folder": str(folder), "process": os.getpid()}) if options.json else words, flush=True)

    server.run(options.device, 60 * options.idle_minutes, ready)
    return 0
