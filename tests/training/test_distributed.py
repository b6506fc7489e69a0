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

from s2am_common.errors import EngineError
from s2am_engine.training.distributed import join
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import WEIGHTS_FILE, read_log
from s2am_engine.training.synthetic_pairs import PairMaker
from tests.training.distributed_run import BATCH, train_small

ROOT = Path(__file__).parents[2]
# Sums in another order round otherwise; over the dozen steps here that stays far below this.
TOLERANCE = 2e-3


def start(folder: Path, rank: int, port: int, *networks: str) -> subprocess.Popen[str]:
    """Start one of two processes that train networks together."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    environment |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "tests.training.distributed_run", str(folder), *networks]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)


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
    """The network with an adversary, which the same processes train afterwards, only has to finish."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = [start(tmp_path, rank, port, "concord", "unet") for rank in range(2)]
    with join("cpu") as alone:
        train_small("concord", 2 * BATCH, tmp_path / "one", alone)
    for process in together:
        finish(process)
    one, two, adversarial = (read_log(tmp_path / name / "log.csv") for name in ("one", "concord", "unet"))
    assert [[entry.step for entry in log] for log in (one, two, adversarial)] == [[4, 8, 12]] * 3
    assert one[0].loss != pytest.approx(one[-1].loss, rel=10 * TOLERANCE), "something was learned"
    for single, shared in zip(one, two, strict=True):
        assert shared.loss == pytest.approx(single.loss, rel=TOLERANCE)
        assert shared.gain_db == pytest.approx(single.gain_db, rel=TOLERANCE, abs=TOLERANCE)
    expected, found = (load_file(tmp_path / name / WEIGHTS_FILE) for name in ("one", "concord"))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, atol=TOLERANCE, rtol=0)


def test_join_reports_missing_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EngineError, match="start them with torchrun"), join("cpu"):
        pass
