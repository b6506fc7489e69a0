# SPDX-License-Identifier: GPL-3.0-or-later
"""Encoded photographs: a frozen trunk's features and the subjects' masks, computed once for many epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from s2am_engine.networks.subject import SubjectNetwork
from s2am_engine.training.pair_source import PairSource


@dataclass(frozen=True)
class EncodedSubjects:
    """K encoded photographs on disk.

    values: K × float16, the results of `SubjectNetwork.encode` one after another, flat; memory-mapped.
    shapes: of these results, (C, h, w).
    masks: K×N×N uint8, 255 = subject; memory-mapped.
    """

    values: NDArray[np.float16]
    shapes: tuple[tuple[int, int, int], ...]
    masks: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.values)

    def batch(self, numbers: NDArray[np.integer], mirrored: NDArray[np.bool_]) -> tuple[list[Tensor], Tensor]:
        """Return encoded photographs, (B, C, h, w) each, and their masks, (B, 1, N, N) in [0, 1].

        Args:
            numbers: B positions.
            mirrored: whether each is mirrored; the features of a mirror image are nearly the mirrored features.
        """
        flat = torch.from_numpy(self.values[numbers]).float()
        masks = torch.from_numpy(self.masks[numbers]).float().unsqueeze(1) / 255
        parts = flat.split([int(np.prod(shape)) for shape in self.shapes], dim=1)
        encoded = [part.reshape(len(numbers), *shape) for part, shape in zip(parts, self.shapes, strict=True)]
        flip = torch.from_numpy(mirrored).view(-1, 1, 1, 1)
        return [torch.where(flip, one.flip(3), one) for one in encoded], torch.where(flip, masks.flip(3), masks)


def encode_subjects(
    network: SubjectNetwork,
    source: PairSource,
    batches: int,
    folder: Path,
    progress: Callable[[int, int], None],
    is_over: Callable[[], bool],
) -> EncodedSubjects:
    """Encode the first batches of a source into files of a folder.

    Args:
        network: whose trunk is used; in bfloat16, which is precise enough and faster.
        source: gives the photographs and their masks.
        batches: how many at most.
        folder: receives 0.4 MB per photograph at 224 pixels.
        progress: called with (done, total) photographs; may raise to cancel.
        is_over: called after each batch; if it returns True, the rest is left out.
    """
    folder.mkdir(parents=True)
    count, shapes = 0, list[tuple[int, int, int]]()
    with (folder / "features").open("wb") as values, (folder / "masks").open("wb") as masks:
        for index in range(batches):
            batch = source.make(index)
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                encoded = network.encode(batch.composite)
            shapes = [(one.shape[1], one.shape[2], one.shape[3]) for one in encoded]
            values.write(torch.cat([one.flatten(1).half() for one in encoded], dim=1).numpy().tobytes())
            masks.write((batch.mask * 255).round().byte().numpy().tobytes())
            count += len(batch.mask)
            progress(count, batches * source.batch)
            if is_over():
                break
    length = sum(int(np.prod(shape)) for shape in shapes)
    return EncodedSubjects(
        np.memmap(folder / "features", np.float16, "r", shape=(count, length)),
        tuple(shapes),
        np.memmap(folder / "masks", np.uint8, "r", shape=(count, source.size, source.size)),
    )
