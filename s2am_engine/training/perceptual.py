# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS, the learned perceptual distance of images (Zhang et al., CVPR 2018), if its package and weights are there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import ModelError
from s2am_engine.image.contact_sheet import fit_into_square

if TYPE_CHECKING:
    from torch import Tensor

COMPARED_SIDE = 512  # pixels: larger images are reduced, as LPIPS was fitted to patches of 64
SMALLEST_SIDE = 32  # AlexNet needs as much
_WEIGHTS = "alexnet-owt-*.pth"  # name of torchvision's file in PyTorch's cache


class PerceptualDistance:
    """LPIPS with AlexNet: 0 for equal images; lower is better."""

    def __init__(self, network: Any) -> None:
        """Use a loaded network; see `load`."""
        self._network = network

    @classmethod
    def load(cls) -> PerceptualDistance:
        """Load the network from the computer; nothing is downloaded.

        Raises:
            ModelError: the package `lpips` or AlexNet's weights are missing.
        """
        try:
            import lpips
            import torch
        except ImportError as error:
            raise ModelError("LPIPS needs the packages lpips and torchvision.", code="model.lpips.package") from error
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        if not list(folder.glob(_WEIGHTS)):
            raise ModelError(
                f"LPIPS needs AlexNet's weights: put torchvision's file ({_WEIGHTS}) into {folder}.", code="model.lpips"
            )
        return cls(lpips.LPIPS(net="alex", verbose=False).eval())

    def __call__(self, result: NDArray[np.uint8], target: NDArray[np.uint8]) -> float:
        """Compare H×W×3 images; not a number for images with a side of less than 32 pixels."""
        if min(target.shape[:2]) < SMALLEST_SIDE:
            return math.nan
        import torch

        with torch.inference_mode():
            return float(self._network(_to_tensor(result), _to_tensor(target)))


def _to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return (1, 3, h, w) in [−1, 1], the longer side at most `COMPARED_SIDE`."""
    import torch

    small = fit_into_square(image, COMPARED_SIDE) if max(image.shape[:2]) > COMPARED_SIDE else image
    return torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].float() / 127.5 - 1
