# SPDX-License-Identifier: GPL-3.0-or-later
"""Two processes train as one process with the doubled batch."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from s2am_engine.errors import EngineError
from s2am_engine.training.distributed import join
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import WEIGHTS_FILE, read_log
from s2am_engine.training.synthetic_pairs import PairMaker

ROOT = Path(__file__).parents[2]
# Sums in another order round otherwise; over the dozen steps here that stays far below this.
TOLERANCE = 2e-3

SCRIPT = """
import dataclasses, sys
from pathlib import Path
import numpy as np
from skimage import data
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.networks.registry import build_network
from s2am_engine.training.run_folder import Checkpoints, TrainingLog
from s2am_engine.training.trainer import Trainer
import torch
from s2am_engine.training.synthetic_pairs import PairMaker
from s2am_engine.training.recipes import RECIPES
from s2am_engine.training.distributed import join
network, batch, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
region = np.zeros((64, 64), np.bool_)
region[16:40, 20:50] = True
photographs = [
    Photograph(name, np.ascontiguousarray(getattr(data, name)()[100:292:3, 100:292:3]), [region])
    for name in ("astronaut", "chelsea", "coffee")
]
sizes = {"concord": {"width": 24, "hidden": 32}, "unet": {"width": 8, "levels": 4}}
options = sizes[network] | {"dropout": 0.0}
changes = {"adversarial": 0.5} if network == "unet" else {}
recipe = dataclasses.replace(
    RECIPES["small"][network], steps=12, batch=batch, size=32, warm_up=3, average=0.5, options=options,
    mixed_precision=False, **changes,
)
pairs = PairMaker(32, batch, 1, photographs=photographs, piece_size=4)
unseen = PairMaker(32, 8, 2, photographs=photographs, crop=False)
with join("cpu") as group:
    torch.manual_seed(0)
    built, sinks = build_network(network, **options), [Checkpoints(folder), TrainingLog(folder, network)]
    held_out = [unseen.make(index) for index in range(4)]
    trainer = Trainer(built, pairs, recipe, held_out, sinks=sinks, group=group)
    trainer.validate_every = 4
    trainer.fit()
"""


def start(network: str, batch: int, folder: Path, rank: int, size: int, port: int) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    if size > 1:
        environment |= {"WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": str(rank)}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", SCRIPT, network, str(batch), str(folder)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, output = process.communicate(timeout=240)
    assert process.returncode == 0, output


def test_pair_source_shares_batches_among_processes(photographs: list[Photograph]) -> None:
    whole = PairMaker(32, 16, 7, photographs=photographs, piece_size=4)
    halves = [PairMaker(32, 8, 7, photographs=photographs, piece_size=4) for _ in range(2)]
    for rank, half in enumerate(halves):
        half.rank, half.world_size = rank, 2
    for step in (0, 5):
        together = [torch.cat(tensors) for tensors in zip(*(half.make(step) for half in halves), strict=True)]
        for found, expected in zip(together, whole.make(step), strict=True):
            assert torch.equal(found, expected)


@pytest.mark.slow
def test_trainer_in_two_processes_equals_doubled_batch(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = [start("concord", 8, tmp_path / "two", rank, 2, port) for rank in range(2)]
    finish(start("concord", 16, tmp_path / "one", 0, 1, port))
    for process in together:
        finish(process)
    one, two = (read_log(tmp_path / name / "log.csv") for name in ("one", "two"))
    assert [entry.step for entry in one] == [entry.step for entry in two] == [4, 8, 12]
    assert one[0].loss != pytest.approx(one[-1].loss, rel=10 * TOLERANCE), "something was learned"
    for alone, shared in zip(one, two, strict=True):
        assert shared.loss == pytest.approx(alone.loss, rel=TOLERANCE)
        assert shared.gain_db == pytest.approx(alone.gain_db, rel=TOLERANCE, abs=TOLERANCE)
    expected, found = (load_file(tmp_path / name / WEIGHTS_FILE) for name in ("one", "two"))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=TOLERANCE, rtol=0)


@pytest.mark.slow
def test_trainer_in_two_processes_with_adversary(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for process in [start("unet", 8, tmp_path, rank, 2, port) for rank in range(2)]:
        finish(process)
    assert [entry.step for entry in read_log(tmp_path / "log.csv")] == [4, 8, 12]


def test_join_reports_missing_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EngineError, match="start them with torchrun"), join("cpu"):
        pass
