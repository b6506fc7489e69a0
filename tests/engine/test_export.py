# SPDX-License-Identifier: GPL-3.0-or-later
"""Export of the curve networks with torch.export and ONNX: both give the same outputs as the network.

The batch size is dynamic, and so is the image size of all S2CRNet variants, from 33 pixels per side on, where the
encoder's last features have more than one position. Connoisseur's size is fixed here, to save
time. Concord is exported by the test of the command, in test_cli_settings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from torch import Tensor
from torch.export import Dim, ExportedProgram

from s2am_engine.networks.connoisseur import Connoisseur
from s2am_engine.networks.network import MapNetwork
from s2am_engine.networks.s2crnet import S2CRNet

# torch's exporter uses functions that torch deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")

TOLERANCE = 1e-5
EXPORTED = (2, 56, 72)  # images, height, width
SIZES = [(1, 48, 80), (3, 64, 48), (2, 128, 37)]

# Each export takes seconds, so one of them combines all options of S2CRNet beyond the published form.
NETWORKS: dict[str, Callable[[], MapNetwork]] = {
    "s2crnet": lambda: S2CRNet(pieces=8, width=16),
    "s2crnet-v-cascaded-semantic": lambda: S2CRNet(pieces=8, stages=2, encoder="vgg16", semantic=True, width=8),
    "connoisseur": lambda: Connoisseur(channels=12, blocks=1, hidden=32),
}
OF_ONE_SIZE = ("connoisseur",)  # the others take any


@dataclass(frozen=True)
class Exported:
    """A network and its exported forms."""

    name: str
    network: MapNetwork
    program: ExportedProgram
    onnx: onnxruntime.InferenceSession

    def run_onnx(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Return the outputs of the ONNX file."""
        names = [given.name for given in self.onnx.get_inputs()]
        answers = self.onnx.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
        return torch.from_numpy(answers[0])


def inputs_for(name: str, count: int, height: int, width: int) -> tuple[Tensor, ...]:
    """Pictures of different colors with different masks: a soft box each, empty in the last of several."""
    generator = torch.Generator().manual_seed(count + height)
    if name in OF_ONE_SIZE:
        height, width = EXPORTED[1:]
    colors = torch.rand(count, 3, 1, 1, generator=generator)
    composite = colors * torch.rand(count, 3, height, width, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    for index in range(max(1, count - 1)):
        mask[index, :, 5 + 3 * index : height // 2, 7 : width // 2 + 4 * index] = 1
    mask[..., 10:12, :] *= 0.7
    label = torch.arange(count) + 1
    return (composite, mask, label) if name.endswith("semantic") else (composite, mask)


def export(name: str, folder: Path) -> Exported:
    """Export a small network, with perturbed weights, so its outputs depend on the image."""
    torch.manual_seed(4)
    network = NETWORKS[name]().eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    inputs = inputs_for(name, *EXPORTED)
    free: dict[int, Any] = {0: Dim("count", min=1, max=64)}
    if name not in OF_ONE_SIZE:
        free |= {2: Dim("height", min=33, max=1024), 3: Dim("width", min=33, max=1024)}
    shapes = tuple({axis: free[axis] for axis in free if axis < value.ndim} for value in inputs)
    program = torch.export.export(network, inputs, dynamic_shapes=shapes)
    file = folder / f"{name}.onnx"
    # Not simplified here: it takes seconds, and onnxruntime does so by itself.
    torch.onnx.export(program, f=file, dynamo=True, verbose=False, optimize=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return Exported(name, network, program, session)


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return export(request.param, tmp_path_factory.mktemp("onnx"))


@pytest.mark.parametrize("size", SIZES)
def test_exported_program_equals_the_network(exported: Exported, size: tuple[int, int, int]) -> None:
    inputs = inputs_for(exported.name, *size)
    torch.testing.assert_close(exported.program.module()(*inputs), exported.network(*inputs), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("size", SIZES)
def test_onnx_file_equals_the_network(exported: Exported, size: tuple[int, int, int]) -> None:
    inputs = inputs_for(exported.name, *size)
    torch.testing.assert_close(exported.run_onnx(inputs), exported.network(*inputs), atol=TOLERANCE, rtol=0)


def test_outputs_for_different_images_differ_by_more_than_the_tolerance(exported: Exported) -> None:
    answers = exported.network(*inputs_for(exported.name, 3, 64, 48))
    assert float((answers[0] - answers[1]).abs().max()) > 100 * TOLERANCE


def test_onnx_output_gives_the_same_color_map(exported: Exported) -> None:
    inputs = inputs_for(exported.name, 2, 64, 64)
    colors = np.random.default_rng(0).random((32, 32, 3), dtype=np.float32)
    to_color_map = exported.network.prediction_format.to_color_map
    expected = to_color_map(exported.network(*inputs)[0].numpy())(colors)
    found = to_color_map(exported.run_onnx(inputs)[0].numpy())(colors)
    assert np.abs(expected - colors).max() > 100 * TOLERANCE
    np.testing.assert_allclose(found, expected, atol=10 * TOLERANCE)
