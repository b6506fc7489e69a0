# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs of networks for ONNX Runtime, without weights: `graphs/NAME.onnx` and its description, `NAME.json`.

A graph belongs to a network with its options at one input size; weights come from a model's safetensors file, so all
models of that network share it. `python -m research.graphs` makes them from the code of the networks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from s2am_engine.models.model_store import Card
from s2am_engine.networks.parameter_names import current_name
from s2am_engine.networks.traits import NetworkTraits
from s2am_engine.types import Floats

GRAPHS = Path(__file__).parent / "graphs"
INPUTS = ("composite", "mask")
"""Names of the inputs: (1, 3, N, N) sRGB in [0, 1], and (1, 1, N, N) in [0, 1]."""
UNUSED_IN_INFERENCE = ".num_batches_tracked"  # counter of batch normalization


@dataclass(frozen=True)
class Graph:
    """A network as a graph for one image.

    network, options: see `Card`.
    input_size: N, height and width of the inputs.
    parameters: their number; the weights contain statistics beside them.
    weights: shapes of the weights by name.
    """

    network: str
    options: Mapping[str, Any]
    input_size: int
    parameters: int
    traits: NetworkTraits
    weights: Mapping[str, tuple[int, ...]]

    @property
    def content(self) -> bytes:
        """Content of the ONNX file."""
        return graph_path(self.network).read_bytes()

    def read_weights(self, content: bytes) -> dict[str, Floats]:
        """Return the weights in a safetensors file as float32 by name.

        Raises:
            ValueError: they are not those of this network.
        """
        import safetensors.numpy

        try:
            stored = safetensors.numpy.load(content)
        except (safetensors.SafetensorError, KeyError) as error:
            raise ValueError(str(error)) from error
        found = {current_name(name): value for name, value in stored.items()}
        kept = {name: value for name, value in found.items() if not name.endswith(UNUSED_IN_INFERENCE)}
        if {name: value.shape for name, value in kept.items()} != self.weights:
            raise ValueError("other names or shapes")
        return {name: np.ascontiguousarray(value, np.float32) for name, value in kept.items()}

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "network": self.network,
            "options": dict(self.options),
            "input_size": self.input_size,
            "parameters": self.parameters,
            "traits": self.traits.to_json(),
            "weights": {name: list(shape) for name, shape in self.weights.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """Invert `to_json`."""
        weights = {name: tuple(shape) for name, shape in data["weights"].items()}
        return cls(**{**data, "traits": NetworkTraits.from_json(data["traits"]), "weights": weights})


def graph_path(network: str) -> Path:
    """Return the path of a network's ONNX file; the file may be missing."""
    return GRAPHS / f"{network}.onnx"


def find_graph(card: Card) -> Graph | None:
    """Return the graph of a model's network, or None if there is none for its options and input size."""
    try:
        description = graph_path(card.network).with_suffix(".json").read_text(encoding="utf-8")
    except OSError:
        return None
    graph = Graph.from_json(json.loads(description))
    fits = not card.fine_tuned and (graph.options, graph.input_size) == (card.options, card.input_size)
    return graph if fits else None
