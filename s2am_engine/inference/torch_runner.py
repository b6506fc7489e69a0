# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks run by PyTorch, on the CPU or a GPU."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from s2am_engine.inference.devices import CPU
from s2am_engine.inference.thread_limit import thread_limit
from s2am_engine.networks.network import Network
from s2am_engine.networks.personal import Personal
from s2am_engine.networks.traits import NetworkTraits
from s2am_engine.types import Floats

logger = logging.getLogger(__name__)


class TorchRunner:
    """See `NetworkRunner`. When the GPU runs out of memory, the network moves to the CPU for good."""

    def __init__(self, network: Network, device: str, threads: int) -> None:
        """Move a network, in evaluation mode, to a device; `threads` is the number of CPU threads."""
        self.network = network
        self.device = device
        self._threads = threads
        try:
            network.to(device)
        except torch.cuda.OutOfMemoryError:
            self._move_to_cpu()

    @property
    def traits(self) -> NetworkTraits:
        """See `NetworkRunner.traits`."""
        return self.network.traits

    def run(self, view: Floats) -> Floats:
        """See `NetworkRunner.run`."""
        return self._apply(self.network, view)

    def likeness(self, view: Floats) -> float | None:
        """See `NetworkRunner.likeness`."""
        if not isinstance(self.network, Personal):
            return None
        return float(self._apply(self.network.likeness, view))

    def _apply(self, function: Callable[[Tensor, Tensor], Tensor], view: Floats) -> Floats:
        try:
            return self._forward(function, view)
        except torch.cuda.OutOfMemoryError:
            self._move_to_cpu()
            return self._forward(function, view)

    @torch.inference_mode()
    def _forward(self, function: Callable[[Tensor, Tensor], Tensor], view: Floats) -> Floats:
        with thread_limit(self._threads):
            image = torch.from_numpy(view).unsqueeze(0).to(self.device)
            output: Floats = function(image[:, :3], image[:, 3:])[0].float().cpu().numpy()
            return output

    def _move_to_cpu(self) -> None:
        logger.warning("The GPU is out of memory: the network runs on the CPU from now on.")
        self.device = CPU
        self.network.to(CPU)
        torch.cuda.empty_cache()
