# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am edit` and `s2am bench --editor`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from s2am_engine.cli.terminal import Subparsers
from s2am_engine.errors import EngineError


def add_commands(subparsers: Subparsers) -> None:
    """Describe `s2am edit`, and what it adds to `s2am bench`."""
    about = "Open the editor: composite and harmonize in a window."
    parser = subparsers.add_parser("edit", help=about, description=about)
    parser.set_defaults(run=edit, parser=parser)
    files = "a background or a project, and cut-outs to put on it"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help=files)
    measured = "measure the editor instead: a slider, pan, zoom and memory at 24 megapixels"
    subparsers.choices["bench"].add_argument("--editor", dest="run", action="store_const", const=bench, help=measured)


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


def bench(options: argparse.Namespace) -> int:
    """Run `s2am bench --editor`."""
    from s2am_editor.bench import bench as measure
    from s2am_engine.cli.bench import machine

    found = measure()
    if options.json:
        print(json.dumps({"machine": machine(), **found.to_json()}))
    else:
        print(machine())
        print(found.to_text())
    return 0
