# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a training run: checkpoint, weights, settings, log, and progress plot."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from s2am_common.atomic import atomic_write
from s2am_common.errors import TrainingError
from s2am_common.path_checks import is_regular_file
from s2am_engine.image.contact_sheet import draw_contact_sheet

CHECKPOINT_FILE = "checkpoint.pt"
WEIGHTS_FILE = "weights.safetensors"
SETTINGS_FILE = "run.json"

LOG_FILE = "log.csv"
PLOT_FILE = "progress.png"
SAMPLE_SIDE = 128  # pixels
PLOT_HEIGHT, PLOT_DPI = 400, 100  # pixels, pixels per inch


Sample = Sequence[NDArray[Any]]  # composite, result, target: H×W×3 each


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the state from which a run is resumed."""
    with atomic_write(folder / CHECKPOINT_FILE) as file:
        torch.save(state, file)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read a checkpoint onto the CPU; None if there is none.

    Raises:
        EngineError: the file is damaged.
    """
    path = folder / CHECKPOINT_FILE
    if not is_regular_file(path):
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(
            f"{path} is damaged: remove it to begin again, or bring it back from a backup.",
            code="training.checkpoint",
            path=str(path),
        ) from error
    return state


def save_weights(folder: Path, network: nn.Module) -> None:
    """Write a network's weights as float16."""
    with atomic_write(folder / WEIGHTS_FILE) as file:
        file.write(safetensors.torch.save(half_precision(network)))


def half_precision(network: nn.Module) -> dict[str, Tensor]:
    """Return a network's weights as contiguous float16 tensors on the CPU."""
    return {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.state_dict().items()}


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a run."""
    with atomic_write(folder / SETTINGS_FILE) as file:
        file.write((json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """Read the settings of a run.

    Raises:
        EngineError: the folder holds no run.
    """
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{folder} holds no run.", code="training.no-run", path=str(folder)) from error
    return settings


@dataclass(frozen=True)
class LogEntry:
    """One line of the log."""

    step: int
    seconds: float  # seconds of training, all sessions together
    loss: float  # mean since the previous entry
    gain_db: float  # over the untouched held-out composites
    learning_rate: float
    pictures_per_second: float
    waiting: float  # share of the time spent waiting for pairs


class Sink:
    """Receiver of the output of a training run; by default, every method does nothing."""

    def load_state(self) -> dict[str, Any] | None:
        """Return the state from which to resume; None = start from the beginning."""
        return None

    def start(self, step: int) -> None:
        """Prepare for a run that continues after the given step."""

    def save_state(self, state: dict[str, Any]) -> None:
        """Keep the state of the run."""

    def keep_best(self, network: nn.Module) -> None:
        """Keep the weights with the highest gain so far."""

    def log(self, entry: LogEntry, samples: NDArray[np.uint8]) -> None:
        """Record a validation and its contact sheet (H×W×3)."""


class Checkpoints(Sink):
    """Checkpoint and best weights (float16) in a run's folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is created when the run starts."""
        self.folder = folder

    def load_state(self) -> dict[str, Any] | None:
        """See `load_checkpoint`."""
        return load_checkpoint(self.folder)

    def start(self, step: int) -> None:
        """Create the folder, and remove partial files of a process that was killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for rest in self.folder.glob(".s2am-*.tmp"):
            rest.unlink(missing_ok=True)

    def save_state(self, state: dict[str, Any]) -> None:
        """See `save_checkpoint`."""
        save_checkpoint(self.folder, state)

    def keep_best(self, network: nn.Module) -> None:
        """See `save_weights`."""
        save_weights(self.folder, network)


class TrainingLog(Sink):
    """CSV log, plot of curves and samples, and TensorBoard's files if it is installed, in a run's folder."""

    def __init__(self, folder: Path, title: str) -> None:
        """Name the folder, and the title of the plot."""
        self.folder, self.title = folder, title

    def start(self, step: int) -> None:
        """Open the log; entries after the step, written by a killed run after its checkpoint, are dropped."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.entries = [entry for entry in read_log(self.folder / LOG_FILE) if entry.step <= step]
        self.board = open_board(self.folder, step)

    def log(self, entry: LogEntry, samples: NDArray[np.uint8]) -> None:
        """Write an entry, and redraw the plot."""
        self.entries.append(entry)
        write_log(self.folder / LOG_FILE, self.entries)
        with atomic_write(self.folder / PLOT_FILE) as file:
            draw_progress(self.entries, samples, self.title, file)
        if self.board:
            for name, value in asdict(entry).items():
                self.board.add_scalar(name, value, entry.step)
            self.board.add_image("samples", samples, entry.step, dataformats="HWC")
            self.board.flush()


def draw_samples(samples: Sequence[Sample]) -> NDArray[np.uint8]:
    """Draw a contact sheet (H×W×3) of composites, results and ground truths."""
    headings = ["composite", "result", "ground truth"]
    return np.asarray(draw_contact_sheet(samples, [""] * len(samples), headings, SAMPLE_SIDE, across=3))


def read_log(path: Path) -> list[LogEntry]:
    """Read a log; a missing file counts as empty."""
    if not is_regular_file(path):
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            LogEntry(int(row["step"]), *(float(row[one.name]) for one in fields(LogEntry)[1:]))
            for row in csv.DictReader(file)
        ]


def write_log(path: Path, entries: Sequence[LogEntry]) -> None:
    """Write a log, whole or not at all."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([one.name for one in fields(LogEntry)])
    writer.writerows([entry.step, *(f"{value:.6g}" for value in list(asdict(entry).values())[1:])] for entry in entries)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def draw_progress(entries: Sequence[LogEntry], sheet: NDArray[np.uint8], title: str, file: BinaryIO) -> None:
    """Draw loss and gain over the steps, with samples below, as a PNG."""
    curves, samples = draw_curves(entries, title, sheet.shape[1]), Image.fromarray(sheet)
    picture = Image.new("RGB", (max(curves.width, samples.width), curves.height + samples.height), "white")
    picture.paste(curves)
    picture.paste(samples, (0, curves.height))
    picture.save(file, "PNG")


def draw_curves(entries: Sequence[LogEntry], title: str, width: int) -> Image.Image:
    """Draw loss and gain over the steps, `width` pixels wide."""
    from matplotlib.figure import Figure  # takes a second, so it is imported on first use

    figure = Figure(figsize=(width / PLOT_DPI, PLOT_HEIGHT / PLOT_DPI), dpi=PLOT_DPI)
    figure.suptitle(title)
    # Fixed margins: a computed layout draws everything twice.
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.06, "right": 0.99, "bottom": 0.13, "wspace": 0.15})
    steps = [entry.step for entry in entries]
    left.plot(steps, [entry.loss for entry in entries], marker=".", color="tab:blue")
    left.set(xlabel="step", ylabel="training loss")
    right.plot(steps, [entry.gain_db for entry in entries], marker=".", color="tab:green")
    right.axhline(0, color="gray", linewidth=0.8)
    right.set(xlabel="step", ylabel="gain on held-out pairs (dB)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return Image.open(drawn).convert("RGB")


def open_board(folder: Path, first: int) -> Any | None:
    """Return TensorBoard's writer; None if TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"), purge_step=first + 1)
