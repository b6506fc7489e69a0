# SPDX-License-Identifier: GPL-3.0-or-later
"""The command `settings`: show and change the settings file."""

from __future__ import annotations

import argparse
import dataclasses

from s2am_common import settings as user_settings
from s2am_common.settings import Settings, load_settings, parse_setting, read_section, save_section, variable_of
from s2am_engine.cli.terminal import CommandSpec, UsageError, json_text
from s2am_engine.inference.devices import choose_device
from s2am_engine.models.model_store import check_recolors, find_model
from s2am_engine.models.purposes import HARMONIZATION


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `s2am settings`."""
    about = "change a setting; an empty VALUE restores the default"
    parser.add_argument("changes", nargs="*", metavar="NAME=VALUE", help=about)


def run_settings(options: argparse.Namespace) -> int:
    """Run `s2am settings`."""
    if options.changes:
        change_settings(options.changes)
    settings = dataclasses.asdict(load_settings())
    if options.json:
        print(json_text({"file": str(user_settings.settings_path()), "settings": settings}))
        return 0
    print(f"# {user_settings.settings_path()}; environment variables ({variable_of('device')} …) override it")
    for spec in dataclasses.fields(Settings):
        print(f"{f'{spec.name} = {settings[spec.name]}':32}# {spec.metadata['help']}")
    return 0


def change_settings(changes: list[str]) -> None:
    """Write settings given as NAME=VALUE to the file.

    Raises:
        UsageError: an unknown setting, or a value that cannot be used.
        ModelError: there is no such model, or it does not harmonize.
        DeviceError: this machine has no such device.
        FileError: the file cannot be written.
    """
    path = user_settings.settings_path()
    values = read_section(path)
    for change in changes:
        name, equals, text = (part.strip() for part in change.partition("="))
        if not equals:
            raise UsageError(f"{change} is not NAME=VALUE")
        if not text:
            values.pop(name, None)
            continue
        try:
            parse_setting(name, text)
        except ValueError as error:
            raise UsageError(f"{change}: {error}") from error
        if name == "model":
            check_recolors(find_model(text, HARMONIZATION).card)
        if name == "device":
            choose_device(text)
        values[name] = text
    save_section(path, values)


SETTINGS_COMMANDS = (
    CommandSpec("settings", "Show the settings, or change them.", add_settings_arguments, run_settings),
)
