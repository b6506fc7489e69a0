# SPDX-License-Identifier: GPL-3.0-or-later
"""Export of a model's network to ONNX."""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.export import Dim

from s2am_common.atomic import atomic_write
from s2am_common.errors import ModelError
from s2am_engine.models.model_files import read_model_data
from s2am_engine.models.network_graph import INPUTS
from s2am_engine.networks.network import Network

if TYPE_CHECKING:
    import onnx

logger = logging.getLogger(__name__)

MAX_BATCH = 64
OUTPUT = "output"


@dataclass(frozen=True)
class OnnxExport:
    """Description of an exported network.

    input_size: height and width of its inputs in pixels.
    inputs: `composite`, (B, 3, N, N) sRGB in [0, 1], and `mask`, (B, 1, N, N) in [0, 1].
    outputs: names of the outputs; for networks that predict color maps, (B, P) parameters of one.
    """

    input_size: int
    inputs: list[str]
    outputs: list[str]


def export_onnx(model: str | Path, path: Path) -> OnnxExport:
    """Write a model's network to an ONNX file with a free batch size.

    The file holds the network alone: reducing the image, averaging views and applying the color map at full resolution
    are the caller's.

    Args:
        model: name or file, see `Harmonizer`.
        path: file to write.

    Raises:
        ModelError: the network cannot be exported, or the packages for it are missing.
        FileError: the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401 (used by torch)
    except ImportError as error:
        raise ModelError(
            "The packages for ONNX are missing: install onnx and onnxscript.", code="model.onnx-packages"
        ) from error
    data = read_model_data(model)
    card, network = data.card, data.network()
    try:
        content = to_onnx(network, card.input_size, max_batch=MAX_BATCH).SerializeToString()
    except Exception as error:  # the exporter raises errors of many kinds
        logger.exception("export of “%s” failed", card.name)
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"The network of model “{card.name}” can't be exported to ONNX ({reason[:200]}).", code="model.onnx"
        ) from error
    with atomic_write(path) as file:
        file.write(content)
    logger.info("exported “%s” to %s", card.name, path)
    return OnnxExport(card.input_size, list(INPUTS), [OUTPUT])


def to_onnx(network: Network, size: int, *, max_batch: int = 1, simplify: bool = True) -> onnx.ModelProto:
    """Translate a network to ONNX; its weights are initializers with the names of its parameters.

    Args:
        network: in evaluation mode.
        size: height and width of the inputs in pixels.
        max_batch: largest number of images; 1 = always one.
        simplify: fold constants, which renames some weights.
    """
    count = min(2, max_batch)
    example = torch.rand(count, 3, size, size), torch.zeros(count, 1, size, size)
    example[1][..., size // 4 : size // 2, size // 4 : size // 2] = 1
    batch = {0: Dim("batch", min=1, max=max_batch)} if max_batch > 1 else {}
    # Torch warns of its own code, and of each operator of torchvision where that is not installed.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        exported = torch.export.export(network, example, dynamic_shapes=(batch, batch))
        program = torch.onnx.export(
            exported, dynamo=True, verbose=False, input_names=INPUTS, output_names=[OUTPUT], optimize=simplify
        )
    assert program is not None
    return program.model_proto
