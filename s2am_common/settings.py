# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings file, `settings.ini` in the user's configuration folder.

    [s2am]
    device = cpu
    idle_minutes = 60

All settings are optional. `Settings` is the list of them; an environment variable overrides the file, and an argument
or command-line option overrides both. (INI rather than TOML: Python 3.10 has no parser for TOML.)
"""

from __future__ import annotations

import configparser
import dataclasses
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s2am_common.atomic import atomic_write, ensure_folder
from s2am_common.paths import user_paths

SECTION = "s2am"
logger = logging.getLogger(__name__)


def _setting(default: Any, about: str, lowest: float = 0, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"help": about, "lowest": lowest, "choices": choices})


@dataclass(frozen=True)
class Settings:
    """Values of all settings. The environment variable of one is S2AM_ and its name in capital letters."""

    device: str = _setting("auto", "device of the networks: auto (a CUDA GPU if there is one, else the CPU), cpu, cuda")
    model: str = _setting("", "model for harmonizing (default: the one that is recommended)")
    runtime: str = _setting(
        "auto",
        "what runs the networks: auto (ONNX Runtime on the CPU where it can, else PyTorch), onnx, torch",
        choices=("auto", "onnx", "torch"),
    )
    threads: int = _setting(1, "CPU threads of a network; more are slower when other programs are busy", lowest=1)
    idle_minutes: float = _setting(10.0, "minutes without a request after which the engine process ends; 0 = never")
    silence_seconds: float = _setting(
        60.0, "seconds without a sign of life after which it counts as hung", lowest=0.001
    )
    log_level: str = _setting("info", "least level in the log", choices=("debug", "info", "warning", "error"))


def settings_path() -> Path:
    """Return the path of the settings file, which need not exist."""
    return user_paths().config / "settings.ini"


def variable_of(name: str) -> str:
    """Return the environment variable that overrides a setting."""
    return f"S2AM_{name.upper()}"


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings; a value that cannot be used is logged and replaced by the default.

    Args:
        path: the file; None = `settings_path()`.
        environ: environment variables; None = `os.environ`.
    """
    path = path or settings_path()
    environ = os.environ if environ is None else environ
    texts = read_section(path)
    values: dict[str, Any] = {}
    for spec in dataclasses.fields(Settings):
        source, text = f"{path}: {spec.name}", texts.get(spec.name)
        if environ.get(variable_of(spec.name)):
            source, text = variable_of(spec.name), environ[variable_of(spec.name)]
        if text is None:
            continue
        try:
            values[spec.name] = parse_setting(spec.name, text)
        except ValueError as error:
            logger.warning("%s is ignored: %s", source, error)
    return Settings(**values)


def read_section(path: Path) -> dict[str, str]:
    """Return the texts in a settings file by name; none if it is missing or damaged."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        logger.warning("%s is ignored: %s", path, error)
        return {}
    return dict(parser[SECTION]) if SECTION in parser else {}


def save_section(path: Path, texts: Mapping[str, str]) -> None:
    """Write a settings file: these texts by name, and the other settings as comments with their defaults.

    Raises:
        FileError: the file cannot be written; an existing one stays unchanged.
    """
    ensure_folder(path.parent)
    with atomic_write(path) as file:
        file.write(settings_text(texts).encode())


def parse_setting(name: str, text: str) -> str | int | float:
    """Convert the text of a setting. Raises ValueError, with the reason, if it cannot be used."""
    spec = next((spec for spec in dataclasses.fields(Settings) if spec.name == name), None)
    if spec is None:
        known = ", ".join(spec.name for spec in dataclasses.fields(Settings))
        raise ValueError(f"there is no setting “{name}”; the settings are {known}")
    choices, lowest = spec.metadata["choices"], spec.metadata["lowest"]
    if choices and text not in choices:
        raise ValueError(f"“{text}” is not one of {', '.join(choices)}")
    default: Any = spec.default
    if isinstance(default, str):
        return text
    kind: type[int | float] = type(default)
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(f"“{text}” is not a number") from error
    if not lowest <= value < float("inf"):
        raise ValueError(f"{text} is out of range: it must be at least {lowest:g}")
    return value


def settings_text(values: Mapping[str, str]) -> str:
    """Return the content of a settings file: these values, and the others as comments with their defaults."""
    lines = [f"[{SECTION}]"]
    for spec in dataclasses.fields(Settings):
        line = f"{spec.name} = {values[spec.name]}" if spec.name in values else f"#{spec.name} = {spec.default}"
        lines += ["", f"# {spec.metadata['help']}", line]
    return "\n".join(lines) + "\n"
