# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `s2am edit`."""

from __future__ import annotations

import argparse
from pathlib import Path

from s2am_engine.errors import EngineError
from s2am_engine.terminal import Subparsers


def add_commands(subparsers: Subparsers) -> None:
    """Describe `s2am edit`."""
    about = "Open the editor: composite and harmonize in a window."
    parser = subparsers.add_parser("edit", help=about, description=about)
    parser.set_defaults(run=edit, parser=parser)
    files = "a background or a project, and cut-outs to put on it"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help=files)


def edit(options: argparse.Namespace) -> int:
    """Run `s2am edit`."""
    try:
        from s2am_editor import app
    except ImportError as error:
        raise EngineError(f"The editor can't start ({error}): run the installer again to repair it.") from error

    for path in options.files:
        if not path.is_file():
            raise EngineError(f"{path} is not there: check the name.")
    return app.run(options.files)
