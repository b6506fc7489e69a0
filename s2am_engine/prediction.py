# SPDX-License-Identifier: GPL-3.0-or-later
"""From a thumbnail to a colour map, and how far to trust it: where several looks differ, the map does less."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.colour_map import ColourMap
from s2am_engine.errors import EngineError
from s2am_engine.networks.network import MapNetwork
from s2am_engine.thumbnails import Thumbnail

ZOOM = 0.85  # of the side that the fourth look sees
# How fast trust falls with disagreement. On 384 held-out pairs, 8 turns 18.8 % of pictures harmed by more than 1 dB
# into 15.1 % (Concord) and 16.9 % into 10.4 % (S2CRNet), for 0.01 of 1.91 and 0.09 of 1.45 dB of the mean gain.
CAUTION = 8.0
FINEST_CHANGE = (1 / 255) ** 2  # a change below one 8-bit level needs no agreement


@dataclass(frozen=True)
class Prediction:
    """What a network makes of a thumbnail."""

    colour_map: ColourMap  # of sRGB values, already weakened by the confidence
    confidence: float  # 0 (the looks contradict each other) to 1 (they agree)


class Predictor:
    """A network on a device; when the GPU's memory runs out, the CPU goes on and says so."""

    def __init__(self, network: MapNetwork, device: torch.device, name: str) -> None:
        """Move a network to a device.

        Args:
            network: ready for inference.
            device: where to.
            name: the model's name, for errors.
        """
        self.network = network
        self.name = name
        self.device = device
        try:
            network.to(device)
        except torch.cuda.OutOfMemoryError:
            self._leave_the_gpu()

    def __call__(self, thumbnail: Thumbnail) -> Prediction:
        """Predict the colour map of a thumbnail's foreground.

        Raises:
            EngineError: the network gave no usable answer.
        """
        composite = torch.from_numpy(thumbnail.composite).permute(2, 0, 1).unsqueeze(0)
        mask = torch.from_numpy(thumbnail.mask)[None, None]
        try:
            parameters, confidence = self.look(composite, mask)
        except torch.cuda.OutOfMemoryError:
            self._leave_the_gpu()
            parameters, confidence = self.look(composite, mask)
        if not bool(torch.isfinite(parameters).all()):
            raise EngineError(f"Model “{self.name}” gave no usable answer here: choose another with --model.")
        return Prediction(self.network.colour_map(parameters).blend(confidence), confidence)

    @torch.inference_mode()
    def look(self, composite: Tensor, mask: Tensor) -> tuple[Tensor, float]:
        """Look at a picture four ways: the parameters (P,) of the steadier two, and how well all four agree.

        Args:
            composite: (1, 3, N, N) sRGB in [0, 1].
            mask: (1, 1, N, N) in [0, 1].
        """
        composite, mask = composite.to(self.device), mask.to(self.device)
        views = four_views(torch.cat([composite, mask], dim=1))
        # One after the other: a batch would be no faster on a CPU and need four times the memory.
        parameters = torch.cat([self.network(view[:, :3], view[:, 3:]) for view in views.split(1)]).float()
        agreed = parameters[:2].mean(dim=0, keepdim=True)
        maps = torch.cat([parameters, agreed]).split(1)
        rendered = torch.cat([self.network.render(one, composite)[-1].clamp(0, 1) for one in maps])
        return agreed[0].cpu(), trust(rendered[:-1], rendered[-1:], composite, mask)

    def _leave_the_gpu(self) -> None:
        warnings.warn("The GPU is out of memory: the CPU does the work.", RuntimeWarning, stacklevel=4)
        self.device = torch.device("cpu")
        self.network.to(self.device)
        torch.cuda.empty_cache()


def four_views(picture: Tensor) -> Tensor:
    """A picture (1, C, N, N) as it is, mirrored, upside down, and its middle enlarged: (4, C, N, N).

    The last channel is the mask. Where the middle lacks foreground or background, it is no view and the picture as it
    is stands for it.
    """
    size = picture.shape[-1]
    edge = round(size * (1 - ZOOM) / 2)
    middle = picture[..., edge : size - edge, edge : size - edge]
    covered = float(middle[:, -1].mean())
    enlarged = F.interpolate(middle, (size, size), mode="bilinear") if 0.001 < covered < 0.999 else picture
    return torch.cat([picture, picture.flip(3), picture.flip(2), enlarged])


def trust(looks: Tensor, agreed: Tensor, composite: Tensor, mask: Tensor) -> float:
    """1 / (1 + CAUTION · variance of the looks' results / change that they agree on), over the foreground.

    Args:
        looks: (L, 3, N, N) results.
        agreed: (1, 3, N, N), the result to be trusted.
        composite: (1, 3, N, N).
        mask: (1, 1, N, N).
    """
    area = 3 * mask.sum().clamp_min(1e-6)
    variance = (looks.var(dim=0) * mask).sum() / area
    change = ((agreed - composite) ** 2 * mask).sum() / area + FINEST_CHANGE
    return float(torch.nan_to_num(1 / (1 + CAUTION * variance / change)))
