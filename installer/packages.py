# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing packages into an environment: with uv if it is there, else with pip; without a network from a folder."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installer.console import Console
from installer.environment import Environment, clean_environ

NOT_FOUND = re.compile(r"[Nn]o matching distribution|No solution found|not found in the package registry")
"""What pip and uv say of a package that no source has."""

_RETRIES = 10
_TRUE = {"1", "true", "yes", "on"}
# What pip may be configured with, and what uv calls it: uv doesn't read pip's configuration.
_UV_NAMES = {
    "index-url": "--index-url",
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraints",
    "trusted-host": "--allow-insecure-host",
}


@dataclass(frozen=True)
class Sources:
    """Where packages come from, and what fetches them.

    Attributes:
        wheels: a folder of wheels that is the only source; None = what this machine is configured with.
        uv: the program uv; "" = pip.
        cache: the folder that keeps what was downloaded until all is installed; None = their own.
    """

    wheels: Path | None = None
    uv: str = ""
    cache: Path | None = None

    @property
    def arguments(self) -> list[str]:
        """What pip and uv are told of it."""
        told = ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []
        return [*told, "--cache-dir", str(self.cache)] if self.cache else told

    def install(self, environment: Environment, arguments: Sequence[str], console: Console) -> None:
        """Install packages; a download that breaks off is resumed. Raises CommandError."""
        if self.uv:
            uv = [self.uv, "pip", "install", "--python", str(environment.python)]
            sources = [*self._from_pip(environment, console), *self.arguments]
            console.run([*uv, *sources, *arguments], clean_environ())
            return
        options = ["--no-compile", "--progress-bar", "raw"] if environment.pip_version(console) >= (24, 1) else []
        if environment.pip_version(console) >= (25, 1):
            options += ["--resume-retries", str(_RETRIES)]
        environment.pip(["install", *options, *self.arguments, *arguments], console)

    def _from_pip(self, environment: Environment, console: Console) -> list[str]:
        """What uv must be told of pip's configuration."""
        if self.wheels:
            return []
        # pip may choose the best version from all indexes, and people who add one count on it.
        told = ["--index-strategy", "unsafe-best-match"]
        for line in environment.pip(["config", "list"], console).splitlines():
            found = re.match(r"[^.]*\.([\w-]+)=(.*)", line)
            name, words = (found[1], str(ast.literal_eval(found[2])).split()) if found else ("", [])
            if name == "no-index" and set(map(str.lower, words)) & _TRUE and "--no-index" not in told:
                told.append("--no-index")
            elif name in _UV_NAMES:
                told += [argument for word in words for argument in (_UV_NAMES[name], word)]
        return told


def find_uv() -> str:
    """Return the program uv, or "" if there is none."""
    return shutil.which("uv") or ""
