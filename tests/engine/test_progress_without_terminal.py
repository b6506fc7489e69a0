# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of long commands where stderr is a file: lines now and then, instead of a bar that is drawn again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.cli import main as command
from s2am_engine.cli import terminal
from s2am_engine.cli.training import ProgressDisplay
from s2am_engine.training.events import Phase, TrainingEvent


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print a line for each step, not for each half minute."""
    monkeypatch.setattr(terminal, "LINE_SECONDS", 0.0)


def test_harmonizing_a_folder_prints_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder in (images, masks):
        folder.mkdir()
    mask = np.zeros((24, 32), np.uint8)
    mask[8:16, 8:16] = 255
    for number in range(2):
        Image.fromarray(np.dstack([mask // 2 + number] * 3)).save(images / f"{number}.png")
        Image.fromarray(mask).save(masks / f"{number}.png")
    words = ["harmonize", str(images), "--masks", str(masks), "-o", str(tmp_path / "out")]
    assert command.main(words) == 0
    assert "2 of 2 images after" in capsys.readouterr().err


def test_finetuning_prints_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressDisplay(quiet=False) as display:
        for done in (1, 2):
            display(TrainingEvent(Phase.TRAINING, done, 4, seconds_left=200 - done, overall=done / 4))
    lines = capsys.readouterr().err.splitlines()
    assert any("50%" in line and Phase.TRAINING.value in line and "3:18 left" in line for line in lines)
