# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves for people: a CSV log, a picture of curves and samples, and TensorBoard's file if it is there."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from s2am_common.atomic import atomic_write
from s2am_engine.image.sheets import draw_sheet

LOG = "log.csv"
PICTURE = "progress.png"
SAMPLE_SIDE = 128  # pixels


@dataclass(frozen=True)
class Entry:
    """One line of the log."""

    step: int
    seconds: float  # of training, all sessions together
    loss: float  # mean since the entry before
    gain_db: float  # over the untouched held-out composites
    learning_rate: float
    pictures_per_second: float
    waiting: float  # share of the time that went into waiting for pairs


Sample = Sequence[NDArray[Any]]  # composite, result, truth: H×W×3 each


class Journal:
    """The log of a run's folder, continued where it ends."""

    def __init__(self, folder: Path, title: str, first: int) -> None:
        """Open the log; entries after the step `first`, which a killed run wrote after its checkpoint, are dropped."""
        self.folder, self.title = folder, title
        self.entries = [entry for entry in read_log(folder / LOG) if entry.step <= first]
        self.board = open_board(folder, first)

    def add(self, entry: Entry, samples: Sequence[Sample]) -> Path:
        """Write an entry, and draw the picture anew.

        Returns:
            The picture.
        """
        self.entries.append(entry)
        write_log(self.folder / LOG, self.entries)
        sheet = draw_sheet(samples, [""] * len(samples), ["composite", "result", "truth"], SAMPLE_SIDE, across=3)
        with atomic_write(self.folder / PICTURE) as file:
            draw_progress(self.entries, np.asarray(sheet), self.title, file)
        if self.board:
            for name, value in asdict(entry).items():
                self.board.add_scalar(name, value, entry.step)
            self.board.add_image("samples", np.asarray(sheet), entry.step, dataformats="HWC")
            self.board.flush()
        return self.folder / PICTURE


def read_log(path: Path) -> list[Entry]:
    """Read a log; none is an empty one."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Entry(int(row["step"]), *(float(row[one.name]) for one in fields(Entry)[1:]))
            for row in csv.DictReader(file)
        ]


def write_log(path: Path, entries: Sequence[Entry]) -> None:
    """Write a log, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([one.name for one in fields(Entry)])
    writer.writerows([entry.step, *(f"{value:.6g}" for value in list(asdict(entry).values())[1:])] for entry in entries)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def draw_progress(entries: Sequence[Entry], sheet: NDArray[np.uint8], title: str, file: BinaryIO) -> None:
    """Draw loss and gain over the steps, and samples beneath, as a PNG."""
    from matplotlib.figure import Figure  # a second that a run need not begin with

    height = 12 * sheet.shape[0] / sheet.shape[1]
    figure = Figure(figsize=(12, 4 + height), dpi=100, layout="constrained")
    figure.suptitle(title)
    places = figure.add_gridspec(2, 2, height_ratios=[4, height])
    left, right, samples = (figure.add_subplot(places[place]) for place in ((0, 0), (0, 1), (1, slice(None))))
    steps = [entry.step for entry in entries]
    left.plot(steps, [entry.loss for entry in entries], marker=".", color="tab:blue")
    left.set(xlabel="step", ylabel="training loss")
    right.plot(steps, [entry.gain_db for entry in entries], marker=".", color="tab:green")
    right.axhline(0, color="gray", linewidth=0.8)
    right.set(xlabel="step", ylabel="gain on held-out pairs (dB)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    samples.imshow(sheet)
    samples.set_axis_off()
    figure.savefig(file, format="png")


def open_board(folder: Path, first: int) -> Any | None:
    """TensorBoard's writer, if TensorBoard is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
