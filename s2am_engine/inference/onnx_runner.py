# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks run by ONNX Runtime on the CPU, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from s2am_engine.inference.devices import CPU
from s2am_engine.inference.onnx_runtime import OrtValue, open_session, session_options
from s2am_engine.models.network_graph import INPUTS, Graph
from s2am_engine.networks.traits import NetworkTraits
from s2am_engine.types import Floats


class OnnxRunner:
    """See `NetworkRunner`."""

    device = CPU

    def __init__(self, graph: Graph, weights: Mapping[str, Floats], threads: int) -> None:
        """Prepare a graph.

        Args:
            graph: of the network.
            weights: float32 by name, in the shapes of the graph.
            threads: number of threads that compute.
        """
        self._graph = graph
        options = session_options(threads)
        values = [OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
        options.add_external_initializers(list(weights), values)
        self._session = open_session(graph.content, options)

    @property
    def traits(self) -> NetworkTraits:
        """See `NetworkRunner.traits`."""
        return self._graph.traits

    def run(self, view: Floats) -> Floats:
        """See `NetworkRunner.run`."""
        image = np.ascontiguousarray(view[None])
        inputs = dict(zip(INPUTS, (image[:, :3], image[:, 3:]), strict=True))
        [output] = self._session.run(None, {name: np.ascontiguousarray(value) for name, value in inputs.items()})
        return np.asarray(output[0], np.float32)

    def likeness(self, view: Floats) -> float | None:  # noqa: ARG002
        """See `NetworkRunner.likeness`: graphs are of networks that were not fine-tuned."""
        return None
