# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding PyTorch, which fine-tuning needs, from the editor."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt6 import sip
from pytestqt.qtbot import QtBot

from s2am_editor.window.dialogs.add_pytorch import AddPyTorchDialog
from s2am_editor.window.dialogs.fine_tune import FineTuneDialog
from s2am_editor.window.theme import Theme
from tests.editor.ui.driver import LONG, WindowDriver, click

FAKE_INSTALL = """
import json, pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in background jobs of shells
if "train" in sys.argv:
    try:
        while not (folder / "finish").exists():
            (folder / "running").touch()
            time.sleep(0.05)
    except KeyboardInterrupt:
        (folder / "interrupted").touch()
        raise
    sys.exit("error: The disk is full." if (folder / "full").exists() else 0)
print(json.dumps({"parts": [{"name": "train", "download": 220e6, "disk": 750e6}]}))
"""
"""Stands in for `s2am install`."""


def fake_install(folder: Path) -> list[str]:
    return [sys.executable, "-c", f"import pathlib; folder = pathlib.Path({str(folder)!r}); {FAKE_INSTALL}"]


@pytest.fixture
def adding(qtbot: QtBot, theme: Theme, tmp_path: Path) -> Iterator[AddPyTorchDialog]:
    made = AddPyTorchDialog(command=fake_install(tmp_path))
    made.show()
    qtbot.waitUntil(made.add_button.isEnabled, timeout=LONG)
    yield made
    qtbot.waitUntil(lambda: sip.isdeleted(made), timeout=LONG)  # when its command has ended


def test_add_pytorch_says_the_size_and_installs_on_request(
    qtbot: QtBot, adding: AddPyTorchDialog, tmp_path: Path
) -> None:
    assert adding.state.text() == "About 0.2 GB to download, and 0.8 GB on the disk."
    assert not (tmp_path / "running").exists(), "nothing is installed before the consent"
    (tmp_path / "finish").touch()
    (tmp_path / "full").touch()
    click(adding.add_button)
    qtbot.waitUntil(lambda: adding.banner.text == "The disk is full.", timeout=LONG)
    (tmp_path / "full").unlink()
    with qtbot.waitSignal(adding.added, timeout=LONG):
        click(adding.add_button)
    assert not adding.isVisible()


def test_add_pytorch_is_interrupted_when_it_is_closed(qtbot: QtBot, adding: AddPyTorchDialog, tmp_path: Path) -> None:
    click(adding.add_button)
    qtbot.waitUntil((tmp_path / "running").exists, timeout=LONG)
    adding.close()
    qtbot.waitUntil((tmp_path / "interrupted").exists, timeout=LONG)


def test_fine_tuning_without_pytorch_offers_to_add_it(
    qtbot: QtBot, driver: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s2am_editor.window.window_commands.has_torch", lambda: (tmp_path / "finish").exists())
    monkeypatch.setattr("s2am_editor.window.dialogs.add_pytorch.COMMAND", fake_install(tmp_path))
    driver.window.commands.fine_tune()
    [adding] = driver.window.findChildren(AddPyTorchDialog)
    qtbot.waitUntil(adding.add_button.isEnabled, timeout=LONG)
    (tmp_path / "finish").touch()
    click(adding.add_button)
    qtbot.waitUntil(lambda: bool(driver.window.findChildren(FineTuneDialog)), timeout=LONG)
    driver.window.findChildren(FineTuneDialog)[0].close()
