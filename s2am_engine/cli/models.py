# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands for models: `models` with its actions, and `export` to ONNX."""

from __future__ import annotations

import argparse
import dataclasses
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from s2am_common.errors import ModelError
from s2am_engine.cli.outputs import ask_to_replace, check_named_output, confirm
from s2am_engine.cli.terminal import CommandSpec, Subparsers, byte_progress_bar, json_text
from s2am_engine.models import deleted_models, downloads, model_files, model_store

ONNX_SUFFIXES = (".onnx",)
"""Endings of the files of `s2am export`."""

CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def add_models_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions of `s2am models`."""
    parser.add_argument("--networks", action="store_true", help="also list the networks that can be trained")
    actions = parser.add_subparsers(metavar="ACTION")
    rename = add_action(actions, "rename", run_rename_model, "Rename a personal model.")
    rename.add_argument("old", metavar="OLD")
    rename.add_argument("new", metavar="NEW")
    export = add_action(actions, "export", run_export_model, "Write a model to one file, to import it elsewhere.")
    export.add_argument("name", metavar="NAME")
    export.add_argument("file", type=Path, metavar="FILE", help=f"{model_files.SUFFIX} is added if missing")
    importing = add_action(actions, "import", run_import_model, "Add an exported model to the personal models.")
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument("--name", help="name of the new model (default: that of the exported one)")
    install = add_action(actions, "install", run_install_model, "Download a model that selects subjects, and add it.")
    install.add_argument("name", metavar="NAME", help=f"one of: {', '.join(downloads.DOWNLOADS)}")
    install.add_argument("--file", type=Path, help="use this file, which was downloaded elsewhere")
    install.add_argument("--yes", action="store_true", help="download without a question")
    about = f"Delete a personal or downloaded model; “restore” undoes the former for {deleted_models.KEPT_DAYS} days."
    delete = add_action(actions, "delete", run_delete_model, about)
    delete.add_argument("name", metavar="NAME")
    restore = add_action(actions, "restore", run_restore_model, "Restore a deleted model.")
    restore.add_argument("name", metavar="NAME")


def add_action(actions: Subparsers, name: str, run: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
    """Add an action to the command; unlike a command it must not reset a `--json` before its name."""
    parser: argparse.ArgumentParser = actions.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object instead")
    return parser


def run_list_models(options: argparse.Namespace) -> int:
    """Run `s2am models`."""
    models = model_store.list_models()
    if options.json:
        rows = [
            dataclasses.asdict(model.card) | {"bundled": model.bundled, "style_sheet": style_sheet_of(model) or None}
            for model in models
        ]
        untrained = model_store.untrained_networks(models)
        networks = [dataclasses.asdict(network) | {"weights": False} for network in untrained]
        optional = [
            {
                "name": download.name,
                "size": download.size,
                "license": download.license,
                "installed": download.is_installed,
            }
            for download in downloads.DOWNLOADS.values()
        ]
        summary = {"default": model_store.default_model(), "models": rows, "networks": networks}
        print(json_text(summary | {"downloads": optional}))
        return 0
    print("To harmonize (--model NAME):")
    print_models(model for model in models if model.card.recolors)
    print("\nFor detecting, selecting and light, used by the commands and options for these:")
    print_models(model for model in models if not model.card.recolors)
    for download in downloads.DOWNLOADS.values():
        origin = "installed" if download.is_installed else "optional"
        print(model_line(download.name, f"{download.size / 1e6:.1f} MB", origin, download.description))
    if options.networks:
        print("\nNetworks that can be trained:")
        # Building these takes seconds, because PyTorch is imported.
        for network in model_store.untrained_networks(models):
            print(model_line(network.name, "", "to train", network.description))
    return 0


def print_models(models: Iterable[model_store.Model]) -> None:
    """Print one line for each model, and one with the contact sheet of a personal look."""
    for model in models:
        card = model.card
        size, origin = f"{card.size / 1e6:.1f} MB", "bundled" if model.bundled else "yours"
        print(model_line(card.name, size, origin, card.description), flush=True)
        if sheet := style_sheet_of(model):
            print(f"{'':27}its look: {sheet}")


def style_sheet_of(model: model_store.Model) -> str:
    """Return the path of the contact sheet of a fine-tuned model's look; empty if there is none."""
    return str(model.style_sheet) if model.style_sheet.is_file() else ""


def model_line(name: str, size: str, origin: str, description: str) -> str:
    """Return one line of `s2am models`."""
    words = CONTROL_CHARACTERS.sub(" ", description)  # cards may come from anywhere
    return f"  {name:25}{size:>8}  {origin:10}{words}"


def run_rename_model(options: argparse.Namespace) -> int:
    """Run `s2am models rename`."""
    before = model_store.default_model()
    name = model_files.rename_model(options.old, options.new).card.name
    default = DefaultModel(before)
    sentence = f"“{options.old}” was renamed to “{name}”.{default.sentence}"
    return print_result(options, sentence, {"renamed": options.old, "name": name} | default.to_json())


def run_export_model(options: argparse.Namespace) -> int:
    """Run `s2am models export`."""
    ask_to_replace([model_files.export_path(options.file)])
    file = str(model_files.export_model(options.name, options.file))
    return print_result(options, f"“{options.name}” was exported to {file}.", {"exported": options.name, "file": file})


def run_import_model(options: argparse.Namespace) -> int:
    """Run `s2am models import`."""
    name = model_files.import_model(options.file, options.name).card.name
    file = str(options.file)
    return print_result(options, f"“{name}” was imported from {file}.", {"imported": name, "file": file})


def run_install_model(options: argparse.Namespace) -> int:
    """Run `s2am models install`."""
    model = downloads.find_download(options.name)
    if model.is_installed:
        return print_result(options, f"“{model.name}” is installed already.", {"installed": model.name})
    if options.file:
        with byte_progress_bar() as progress:
            file = downloads.install_from_file(model, options.file, progress)
    else:
        question = f"Download {model.summary}?"
        if not options.yes and not confirm(question, without_terminal=False):
            raise ModelError(f"Nothing was downloaded: {model.summary}.", code="model.download.declined")
        with byte_progress_bar() as progress:
            file = downloads.install_download(model, progress)
    return print_result(options, f"“{model.name}” was installed as {file}.", {"installed": model.name})


def run_delete_model(options: argparse.Namespace) -> int:
    """Run `s2am models delete`."""
    name, before = str(options.name), model_store.default_model()
    if name in downloads.DOWNLOADS and name not in model_store.find_cards():
        downloads.delete_download(downloads.DOWNLOADS[name])
        return print_result(options, f"“{name}” was deleted.", {"deleted": name, "restorable": False})
    kept = deleted_models.delete_restorably(name)
    undo = f" “s2am models restore {name}” undoes this for {deleted_models.KEPT_DAYS} days." if kept else ""
    default = DefaultModel(before)
    summary = {"deleted": name, "restorable": kept} | default.to_json()
    return print_result(options, f"“{name}” was deleted.{undo}{default.sentence}", summary)


class DefaultModel:
    """The model of the settings after a model was renamed or deleted, for the command's report.

    Attributes:
        name: the model's.
        changed: True if it was another one before.
    """

    def __init__(self, before: str) -> None:
        """Read the settings; `before`: the model of the settings before."""
        self.name = model_store.default_model()
        self.changed = self.name != before

    @property
    def sentence(self) -> str:
        """A further sentence of the report; empty if nothing changed."""
        return f" The default model is now “{self.name}”." if self.changed else ""

    def to_json(self) -> dict[str, str | bool]:
        """Return the facts as JSON values."""
        return {"default": self.name, "default_changed": self.changed}


def run_restore_model(options: argparse.Namespace) -> int:
    """Run `s2am models restore`."""
    name = deleted_models.restore_model(options.name).card.name
    return print_result(options, f"“{name}” was restored.", {"restored": name})


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am export`."""
    parser.add_argument("model", metavar="MODEL", help="name of a model, see “s2am models”")
    parser.add_argument("--onnx", type=Path, metavar="FILE", required=True, help="ONNX file to write")


def run_export(options: argparse.Namespace) -> int:
    """Run `s2am export`."""
    from s2am_engine.models.onnx_export import export_onnx

    check_named_output(options.onnx, suffixes=ONNX_SUFFIXES)
    exported = export_onnx(options.model, options.onnx)
    size = f"{exported.input_size}×{exported.input_size}"
    sentence = f"“{options.model}” was exported to {options.onnx}: it takes images and masks of {size} pixels."
    summary = {"exported": options.model, "file": str(options.onnx), "input_size": exported.input_size}
    return print_result(options, sentence, summary | {"inputs": exported.inputs, "outputs": exported.outputs})


def print_result(options: argparse.Namespace, sentence: str, summary: dict[str, Any]) -> int:
    """Print the result, and return the exit code."""
    print(json_text(summary) if options.json else sentence)
    return 0


MODEL_COMMANDS = (
    CommandSpec(
        "models",
        "List the models; or manage personal models.",
        add_models_arguments,
        run_list_models,
    ),
    CommandSpec(
        "export",
        "Write a model's network to an ONNX file, for other programs.",
        add_export_arguments,
        run_export,
    ),
)
