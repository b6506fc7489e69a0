# SPDX-License-Identifier: GPL-3.0-or-later
"""Distributed training of one network by several processes: `torchrun … s2am train …`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from s2am_common.errors import TrainingError
from s2am_engine.inference.devices import choose_device

# Each process keeps its own batch-norm statistics; older versions of PyTorch have another name for the option.
SYNC_BUFFERS = (
    "forward_sync_buffers"
    if "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    else "broadcast_buffers"
)
TIMEOUT = timedelta(hours=2)  # the others wait while the main process reads photographs


@dataclass(frozen=True)
class ProcessGroup:
    """This process and its group; a single process is a group of one."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """True if this process writes files and reports progress."""
        return self.rank == 0

    def wrap(self, network: nn.Module) -> nn.Module:
        """Wrap a network for averaged gradients and equal initial weights."""
        if self.size == 1:
            return network
        on_gpu = self.device.type == "cuda"
        if on_gpu:  # elsewhere each process normalizes its own share of the batch
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        options: dict[str, Any] = {SYNC_BUFFERS: False, "gradient_as_bucket_view": True}
        return DistributedDataParallel(network, [self.device] if on_gpu else None, **options)

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Average gradients of parameters that are not wrapped."""
        if self.size > 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    distributed.all_reduce(parameter.grad)
                    parameter.grad /= self.size

    def sum(self, *numbers: float) -> list[float]:
        """Return each number's sum over the group."""
        summed = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        if self.size > 1:
            distributed.all_reduce(summed)
        return summed.tolist()

    def broadcast(self, number: float) -> float:
        """Return the main process's number in all processes."""
        return self.sum(number if self.is_main else 0.0)[0]

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def join(device: str = "auto") -> Iterator[ProcessGroup]:
    """Join the process group started by `torchrun` (detected from the environment), or work alone.

    Args:
        device: `auto`, `cpu`, `cuda` …; in a group, `auto` and `cuda` mean the GPU of this process's local rank.

    Raises:
        EngineError: a device that this machine does not have, or other processes that do not respond.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ProcessGroup(torch.device(choose_device(device)))
        return
    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    chosen = torch.device(choose_device(device))
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    try:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo", timeout=TIMEOUT)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"The {size} processes don't find each other ({error}): start them with torchrun.",
            code="training.processes",
        ) from error
    try:
        yield ProcessGroup(chosen, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
