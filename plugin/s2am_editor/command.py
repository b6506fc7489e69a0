# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `s2am edit` and `s2am bench --editor`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from s2am_common.errors import EngineError
from s2am_common.path_checks import is_folder, is_regular_file
from s2am_engine.cli.terminal import Subparsers


def add_commands(subparsers: Subparsers) -> None:
    """Add `s2am edit`, and the option `--editor` of `s2am bench`."""
    about = "Open the editor to composite and harmonize images in a window."
    parser = subparsers.add_parser("edit", help=about, description=about)
    parser.set_defaults(run=run_edit, parser=parser)
    files = "a background or a project, and cutouts to add to it"
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE", help=files)
    measured = "measure the editor instead: sliders, pan, zoom and memory at 24 megapixels"
    subparsers.choices["bench"].add_argument(
        "--editor", dest="run", action="store_const", const=run_editor_bench, help=measured
    )


def run_edit(options: argparse.Namespace) -> int:
    """Run `s2am edit`."""
    from s2am_editor.start import check_start

    for path in options.files:
        if is_folder(path):
            raise EngineError(f"{path} is a folder: name the images in it.")
        if not is_regular_file(path):
            raise EngineError(f"{path} does not exist: check the name.")
    check_start()
    from s2am_editor import app

    return app.run_editor(options.files)


def run_editor_bench(options: argparse.Namespace) -> int:
    """Run `s2am bench --editor`."""
    from s2am_editor.bench import measure_editor
    from s2am_engine.cli.benchmark import describe_machine

    found = measure_editor()
    if options.json:
        print(json.dumps({"machine": describe_machine(), **found.to_json()}))
    else:
        print(describe_machine())
        print(found.to_text())
    return 0
