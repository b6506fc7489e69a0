# SPDX-License-Identifier: GPL-3.0-or-later
"""Choice of device and number of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from s2am_engine import Harmonizer
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.thread_limit import ThreadLimit, thread_limit
from s2am_engine.inference.torch_runner import TorchRunner
from tests.engine.pictures import composite


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    """Set three PyTorch threads, as a user of the library may do."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_choose_device_follows_argument_then_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_DEVICE", "cpu")
    assert choose_device() == "cpu"
    assert choose_device("meta") == "meta"


def test_thread_limit_holds_inside_the_block_and_is_undone_by_errors() -> None:
    def fail() -> None:
        with thread_limit(1):
            assert torch.get_num_threads() == 1
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert torch.get_num_threads() == 3


def test_thread_limit_is_undone_by_the_last_of_several_threads() -> None:
    limit, entered, leave = ThreadLimit(), threading.Event(), threading.Event()

    def hold() -> None:
        with limit(1):
            entered.set()
            leave.wait(10)

    other = threading.Thread(target=hold)
    with limit(1):
        other.start()
        assert entered.wait(10)
    assert torch.get_num_threads() == 3
    leave.set()
    other.join()
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_network_runs_with_the_threads_of_the_settings(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_THREADS", str(threads))
    harmonizer = Harmonizer("concord", device="cpu", runtime="torch")
    assert isinstance(harmonizer.predictor.runner, TorchRunner)
    network, used = harmonizer.predictor.runner.network, []
    predict = network.predict

    def record(composite: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        used.append(torch.get_num_threads())
        return predict(composite, mask)

    monkeypatch.setattr(network, "predict", record)
    result = harmonizer(*composite())
    assert set(used) == {threads}
    assert torch.get_num_threads() == 3
    assert np.isfinite(result.confidence)
