# SPDX-License-Identifier: GPL-3.0-or-later
"""What `s2am models` does: lists the models, and renames, exports, imports and deletes personal ones."""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s2am_engine.cli.terminal import Subparsers, add_command
from s2am_engine.models import model_files, model_store

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def add_models(subparsers: Subparsers) -> None:
    """Describe `s2am models`."""
    about = "List the models that can be used, and the networks that can be trained; or manage personal models."
    actions = add_command(subparsers, "models", list_models, about).add_subparsers(metavar="ACTION")
    rename = add_action(actions, "rename", rename_model, "Give a personal model another name.")
    rename.add_argument("old", metavar="OLD")
    rename.add_argument("new", metavar="NEW")
    export = add_action(actions, "export", export_model, "Write a model to one file, to be imported elsewhere.")
    export.add_argument("name", metavar="NAME")
    export.add_argument("file", type=Path, metavar="FILE", help=f"{model_files.SUFFIX} is added if missing")
    importing = add_action(actions, "import", import_model, "Make a personal model of an exported one.")
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument("--name", help="default: the name that it was exported with")
    delete = add_action(actions, "delete", delete_model, "Delete a personal model.")
    delete.add_argument("name", metavar="NAME")


def add_action(actions: Subparsers, name: str, run: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
    """Add an action to the command; unlike a command it must not reset a `--json` that came before its name."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object instead")
    return parser


def list_models(options: argparse.Namespace) -> int:
    """Run `s2am models`."""
    found = model_store.list_models()
    if options.json:
        rows = [dataclasses.asdict(model.card) | {"bundled": model.bundled} for model in found]
        untrained = model_store.untrained_networks(found)
        networks = [dataclasses.asdict(network) | {"weights": False} for network in untrained]
        print(json.dumps({"default": model_store.DEFAULT_MODEL, "models": rows, "networks": networks}))
        return 0
    for model in found:
        card = model.card
        size, origin = f"{card.size / 1e6:.1f} MB", "bundled" if model.bundled else "personal"
        print(model_line(card.name, card.parameters, size, origin, card.description), flush=True)
    # These take seconds: PyTorch is imported to build them.
    for network in model_store.untrained_networks(found):
        print(model_line(network.name, network.parameters, "", "no weights", network.description))
    return 0


def model_line(name: str, parameters: int, size: str, origin: str, description: str) -> str:
    """One line of `s2am models`."""
    words = CONTROL_CHARACTERS.sub(" ", description)  # a card may come from anywhere
    return f"{name:25}{parameters / 1e6:8.2f} M{size:>10}  {origin:12}{words}"


def rename_model(options: argparse.Namespace) -> int:
    """Run `s2am models rename`."""
    name = model_files.rename_model(options.old, options.new).card.name
    return tell(options, f"“{options.old}” is called “{name}” now.", {"renamed": options.old, "name": name})


def export_model(options: argparse.Namespace) -> int:
    """Run `s2am models export`."""
    file = str(model_files.export_model(options.name, options.file))
    return tell(options, f"“{options.name}” was exported to {file}.", {"exported": options.name, "file": file})


def import_model(options: argparse.Namespace) -> int:
    """Run `s2am models import`."""
    name = model_files.import_model(options.file, options.name).card.name
    file = str(options.file)
    return tell(options, f"“{name}” was imported from {file}.", {"imported": name, "file": file})


def delete_model(options: argparse.Namespace) -> int:
    """Run `s2am models delete`."""
    model_files.delete_model(options.name)
    return tell(options, f"“{options.name}” was deleted.", {"deleted": options.name})


def tell(options: argparse.Namespace, sentence: str, facts: dict[str, str]) -> int:
    """Print what was done, and give the exit code for it."""
    print(json.dumps(facts) if options.json else sentence)
    return 0
