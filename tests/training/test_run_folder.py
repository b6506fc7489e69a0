# SPDX-License-Identifier: GPL-3.0-or-later
"""Run folder: CSV log, plot and TensorBoard."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2am_engine.training.run_folder import LogEntry, TrainingLog, draw_samples

SAMPLES = draw_samples([[np.full((32, 32, 3), value, np.float32) for value in (0.2, 0.5, 0.8)]] * 6)


def entry(step: int) -> LogEntry:
    return LogEntry(step, 2.0 * step, 1 / step, 0.1 * step, 1e-3, 50.0, 0.02)


def start_log(folder: Path, step: int) -> TrainingLog:
    log = TrainingLog(folder, "concord")
    log.start(step)
    return log


def test_training_log_writes_csv_and_plot(tmp_path: Path) -> None:
    log = start_log(tmp_path, 0)
    pictures = []
    for step in (10, 20):
        log.log(entry(step), SAMPLES)
        pictures.append(np.asarray(Image.open(tmp_path / "progress.png").convert("RGB")))
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["step"]), float(row["loss"]), float(row["gain_db"])) for row in rows] == [
        (10, 0.1, 1),
        (20, 0.05, 2),
    ]
    curves = [(picture[:400] != 255).any(axis=2).sum() for picture in pictures]
    assert curves[1] > curves[0] > 0, "a longer curve"
    lower = pictures[1][400:]
    for gray in (0.2, 0.5, 0.8):
        assert (np.abs(lower.astype(int) - round(255 * gray)) <= 1).all(axis=2).sum() > 6 * 50 * 50


def test_training_log_drops_entries_after_the_checkpoint(tmp_path: Path) -> None:
    first = start_log(tmp_path, 0)
    for step in (10, 20, 30):
        first.log(entry(step), SAMPLES)
    start_log(tmp_path, 20).log(entry(25), SAMPLES)
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().splitlines()] == [
        "step",
        "10",
        "20",
        "25",
    ]


def test_training_log_writes_tensorboard_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[Any, ...]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            written.append(("folder", folder, purge_step))

        def add_scalar(self, *arguments: Any) -> None:
            written.append(arguments)

        def add_image(self, name: str, picture: Any, step: int, dataformats: str) -> None:
            written.append((name, picture.shape[2], step, dataformats))

        def flush(self) -> None:
            written.append(("flush",))

    board = ModuleType("torch.utils.tensorboard")
    board.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", board)
    start_log(tmp_path, 20).log(entry(25), SAMPLES)
    assert written[0] == ("folder", str(tmp_path / "tensorboard"), 21)
    assert ("loss", 0.04, 25) in written
    assert ("gain_db", 2.5, 25) in written
    assert ("samples", 3, 25, "HWC") in written
    assert written[-1] == ("flush",)
