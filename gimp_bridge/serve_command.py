# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am serve`, which runs the engine process in the foreground."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from s2am_common.settings import load_settings, variable_of
from s2am_engine.cli.terminal import Subparsers, add_command, add_device

SERVE_ADVICE = {
    "bridge.running": "end it with “s2am serve --stop” to start another",
}
"""Advice on an error, by its code, for users at a terminal; see `s2am_common.errors.with_advice`."""


def add_commands(subparsers: Subparsers) -> None:
    """Add the parser of `s2am serve`."""
    about = "Run the engine process for GIMP's plug-in, which otherwise starts it when it is needed."
    parser = add_command(subparsers, "serve", serve, about)
    variable, default = variable_of("idle_minutes"), load_settings().idle_minutes
    idle = f"end after this time without a request; 0 = never (default: {default:g}, from {variable} or the settings)"
    parser.add_argument("--idle-minutes", type=parse_minutes, default=default, metavar="N", help=idle)
    parser.add_argument("--stop", action="store_true", help="end the running engine")
    add_device(parser)


def parse_minutes(text: str) -> float:
    """Parse a number of minutes."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return value


def serve(options: argparse.Namespace) -> int:
    """Run `s2am serve`."""
    from gimp_bridge import server
    from s2am_common.errors import BridgeError, with_advice
    from s2am_common.log import start_logging
    from s2am_engine import __version__

    start_logging("engine", __version__)
    try:
        if options.stop:
            stopped = server.stop_engine()
            text = "The engine has ended." if stopped else "The engine was not running."
            print(json.dumps({"stopped": stopped}) if options.json else text)
            return 0
        server.run_engine(options.device, 60 * options.idle_minutes, lambda folder: _print_ready(folder, options.json))
    except BridgeError as error:
        raise BridgeError(with_advice(error, SERVE_ADVICE), code=error.code) from error
    return 0


def _print_ready(folder: Path, as_json: bool) -> None:
    text = f"Ready for GIMP, in {folder}. Ctrl-C ends it."
    print(json.dumps({"folder": str(folder), "process": os.getpid()}) if as_json else text, flush=True)
