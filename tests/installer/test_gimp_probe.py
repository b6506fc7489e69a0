# SPDX-License-Identifier: GPL-3.0-or-later
"""Report of a GIMP about itself when it is run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s2am_setup.gimp_profiles import Gimp
from s2am_setup.start_check import offers_effects


@pytest.mark.parametrize(
    ("output", "found"),
    [("noise\ns2am: layer effects 1\n", True), ("s2am: layer effects 0\n", False), ("noise", None), (None, None)],
)
def test_offers_effects(tmp_path: Path, output: str | None, found: bool | None) -> None:
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> str | None:
        commands.append(command)
        return output

    platform: Any = SimpleNamespace(run=run)
    gimp = Gimp("package", tmp_path / "gimp", (3, 2), tmp_path, (str(tmp_path / "gimp-console"),))
    assert offers_effects(gimp, platform) is found
    assert commands[0][0] == gimp.console[0]
    assert "--batch-interpreter=python-fu-eval" in commands[0]


def test_gimp_that_cannot_be_run_is_unknown(tmp_path: Path) -> None:
    platform: Any = SimpleNamespace(run=None)
    assert offers_effects(Gimp("Flatpak", tmp_path, (3, 0), tmp_path), platform) is None
