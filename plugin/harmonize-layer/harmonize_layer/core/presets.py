# SPDX-License-Identifier: GPL-3.0-or-later
"""Named presets: values of the procedure's arguments in a file of the user."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harmonize_layer.core.host import ProcedureValues
from harmonize_layer.core.settings import CHOICES, EDGE_ARGUMENTS, FINISH_NAMES, SHADOW_NAMES, valid_values
from s2am_common.atomic import atomic_write
from s2am_common.paths import user_paths
from s2am_common.sliders import SLIDERS

logger = logging.getLogger(__name__)

NAMES = ("model", *CHOICES, "hide-original", *SLIDERS, *EDGE_ARGUMENTS, *SHADOW_NAMES, *FINISH_NAMES)
"""The arguments that a preset holds: those that do not depend on the image."""


def presets_path() -> Path:
    """Return the path of the file, which need not exist."""
    return user_paths().config / "gimp-presets.json"


@dataclass(frozen=True)
class Presets:
    """The presets in a file."""

    file: Path

    def load(self) -> dict[str, dict[str, Any]]:
        """Return the values of all presets by name, sorted; values that this version does not have are left out."""
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            logger.warning("%s is ignored: %s", self.file, error)
            return {}
        if not isinstance(content, dict):
            return {}
        presets = {name: valid_values(values) for name, values in content.items() if isinstance(values, dict)}
        return dict(sorted(presets.items()))

    def save(self, name: str, values: ProcedureValues) -> None:
        """Store the current values under a name, replacing the preset of that name.

        Raises:
            FileError: the file cannot be written.
        """
        self._write(self.load() | {name: {argument: values.get_property(argument) for argument in NAMES}})

    def delete(self, name: str) -> None:
        """Delete a preset. Raises FileError if the file cannot be written."""
        self._write({other: values for other, values in self.load().items() if other != name})

    def _write(self, presets: Mapping[str, Mapping[str, Any]]) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self.file) as output:
            output.write(json.dumps(presets, indent=2, ensure_ascii=False).encode())
