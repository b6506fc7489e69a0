# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps on disk to go on from; every file is written whole or not at all."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from s2am_common.atomic import atomic_write
from s2am_engine.errors import EngineError

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
SETTINGS = "run.json"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write the state that a run goes on from."""
    with atomic_write(folder / CHECKPOINT) as file:
        torch.save(state, file)


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Read what `save_checkpoint` wrote, onto the CPU; None if there is none.

    Raises:
        EngineError: the file is damaged.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise EngineError(f"{path} is damaged: remove it to begin again, or bring it back from a backup.") from error
    return state


def save_weights(folder: Path, network: nn.Module) -> None:
    """Write a network's weights as float16."""
    with atomic_write(folder / WEIGHTS) as file:
        file.write(safetensors.torch.save(half_precision(network)))


def half_precision(network: nn.Module) -> dict[str, Tensor]:
    """A network's weights as contiguous float16 tensors on the CPU."""
    return {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.state_dict().items()}


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write what a run was asked for."""
    with atomic_write(folder / SETTINGS) as file:
        file.write((json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """Read what `write_settings` wrote.

    Raises:
        EngineError: the folder holds no run.
    """
    try:
        settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"{folder} holds no run: leave out --resume, or name another folder with --folder."
        ) from error
    return settings
