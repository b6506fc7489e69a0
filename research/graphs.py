# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.graphs [MODEL …]`: write the graphs by which ONNX Runtime runs models, from the networks' code.

Run it after a change of a network whose graph is in `s2am_engine/models/graphs`; new weights need no new graph.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import onnx
from onnxscript import ir, optimizer

from research import console
from s2am_common.atomic import atomic_write
from s2am_engine.models.model_files import read_model_data
from s2am_engine.models.model_store import list_models
from s2am_engine.models.network_graph import GRAPHS, UNUSED_IN_INFERENCE, Graph
from s2am_engine.models.onnx_export import to_onnx

IR_VERSION = 10  # of the file format; ONNX Runtime reads it from 1.18 on
EXTERNAL = "weights"  # name of the file of weights, which does not exist: they are given when the graph is loaded
LARGEST_CONSTANT = 4096  # numbers; larger ones are computed when the graph is loaded
_BYTES = 4  # of a float32


def write_graph(model: str, folder: Path = GRAPHS) -> Path:
    """Write the graph of a model's network and its description.

    Args:
        model: name of a bundled model; its weights only serve as an example.
        folder: where to.

    Returns:
        Path of the graph.

    Raises:
        ModelError: no such model.
    """
    data = read_model_data(model)
    network = data.network()
    weights = {
        name: tuple(value.shape)
        for name, value in network.state_dict().items()
        if not name.endswith(UNUSED_IN_INFERENCE)
    }
    card = data.card
    parameters = sum(parameter.numel() for parameter in network.parameters())
    graph = Graph(card.network, card.options, card.input_size, parameters, network.traits, weights)
    path = folder / f"{card.network}.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(without_weights(to_onnx(network, card.input_size, simplify=False), weights))
    with atomic_write(path.with_suffix(".json")) as file:
        file.write((json.dumps(graph.to_json(), ensure_ascii=False) + "\n").encode())
    return path


def without_weights(exported: onnx.ModelProto, weights: dict[str, tuple[int, ...]]) -> bytes:
    """Return a simplified ONNX file in which all weights are external, so that it has the size of the graph alone.

    Args:
        exported: with the weights as initializers.
        weights: shapes by name.
    """
    model = ir.serde.deserialize_model(exported)
    values = {name: model.graph.initializers[name] for name in weights if name in model.graph.initializers}
    for name, value in values.items():  # as inputs, so that no weight is folded into a constant
        value.const_value = None
        del model.graph.initializers[name]
        model.graph.inputs.append(value)
    optimizer.optimize(model, output_size_limit=LARGEST_CONSTANT)
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # traces of the source code
    model.metadata_props.clear()
    proto = ir.serde.serialize_model(model)
    proto.ir_version = IR_VERSION
    inputs = [one for one in proto.graph.input if one.name not in values]
    del proto.graph.input[:]
    proto.graph.input.extend(inputs)
    del proto.graph.value_info[:]
    proto.graph.initializer.extend(_external(name, weights[name]) for name in values)
    return proto.SerializeToString(deterministic=True)


def _external(name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
    tensor = onnx.TensorProto(name=name, dims=shape, data_type=onnx.TensorProto.FLOAT)
    tensor.data_location = onnx.TensorProto.EXTERNAL
    size = str(_BYTES * math.prod(shape))
    for key, value in (("location", EXTERNAL), ("offset", "0"), ("length", size)):
        tensor.external_data.add(key=key, value=value)
    return tensor


def main() -> int:
    """Parse the command line and write the graphs."""
    parser = argparse.ArgumentParser(prog="python -m research.graphs", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="default: all bundled models")
    return console.run(lambda: write_graphs(parser.parse_args().models))


def write_graphs(models: Sequence[str]) -> None:
    """Write the graphs of models, by default of all bundled ones, and print their sizes."""
    for model in models or [one.card.name for one in list_models() if one.bundled]:
        path = write_graph(model)
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
