# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am serve`: the engine as GIMP's plug-in talks to it, in the foreground."""

from __future__ import annotations

import argparse

from s2am_engine.terminal import Subparsers, add_command, add_device

IDLE_MINUTES = 10.0


def add_commands(subparsers: Subparsers) -> None:
    """Describe `s2am serve`."""
    about = "Keep the engine ready for GIMP's plug-in, which otherwise starts it by itself when it needs it."
    parser = add_command(subparsers, "serve", serve, about)
    idle = "leave after so long without a request; 0 = never (default: %(default)g)"
    parser.add_argument("--idle-minutes", type=minutes, default=IDLE_MINUTES, metavar="N", help=idle)
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

    return server.run(options.device, 60 * options.idle_minutes)
