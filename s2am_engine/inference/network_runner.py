# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks as functions from arrays to arrays, run by ONNX Runtime or by PyTorch.

ONNX Runtime runs the networks of which the program has a graph (`models/graphs`) on the CPU: it loads in a third of
PyTorch's time and needs two thirds of its time for a prediction. PyTorch runs all others, and every network on a GPU.
"""

from __future__ import annotations

import logging
from typing import Protocol

from s2am_common.errors import ModelError
from s2am_common.settings import load_settings, parse_setting
from s2am_engine.inference.devices import CPU, choose_device
from s2am_engine.models.model_files import ModelData
from s2am_engine.models.network_graph import find_graph
from s2am_engine.networks.traits import NetworkTraits
from s2am_engine.types import Floats

logger = logging.getLogger(__name__)


class NetworkRunner(Protocol):
    """A network on a device. May be used by several threads."""

    @property
    def traits(self) -> NetworkTraits:
        """Properties of the network."""

    @property
    def device(self) -> str:
        """PyTorch's name of the device: `cpu`, `cuda`, `cuda:1` …."""

    def run(self, view: Floats) -> Floats:
        """Predict for one view.

        Args:
            view: (4, n, n), sRGB in [0, 1] and the mask.

        Returns:
            (…), float32, see `NetworkTraits.prediction_format`.

        Raises:
            ValueError: a mask outside [0, 1].
        """

    def likeness(self, view: Floats) -> float | None:
        """Return the likeness of the background to the look of fine-tuning, 0 to 1; None = not fine-tuned."""


def open_runner(model: ModelData, device: str | None = None, runtime: str | None = None) -> NetworkRunner:
    """Load a model's network.

    Args:
        model: card and weights.
        device: see `choose_device`.
        runtime: `auto` (ONNX Runtime on the CPU for networks that have a graph, else PyTorch), `onnx` or `torch`;
            None = as in the settings.

    Raises:
        ModelError: the weights are of another network, or the runtime cannot run it.
        DeviceError: this machine has no such device.
        ValueError: an unknown runtime.
    """
    if runtime:
        parse_setting("runtime", runtime)
    settings = load_settings()
    chosen, runtime = choose_device(device), runtime or settings.runtime
    graph = find_graph(model.card) if chosen == CPU and runtime != "torch" else None
    if graph:
        from s2am_engine.inference.onnx_runner import OnnxRunner

        runner: NetworkRunner = OnnxRunner(graph, model.graph_weights(graph), settings.threads)
    elif runtime == "onnx":
        raise ModelError(
            f"ONNX Runtime can't run model “{model.card.name}” on the device “{chosen}”: use the runtime “auto”.",
            code="model.runtime",
            model=model.card.name,
        )
    else:
        network = model.network()
        from s2am_engine.inference.torch_runner import TorchRunner

        runner = TorchRunner(network, chosen, settings.threads)
    logger.info("model “%s” on %s by %s", model.card.name, runner.device, type(runner).__name__)
    return runner
