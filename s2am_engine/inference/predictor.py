# SPDX-License-Identifier: GPL-3.0-or-later
"""From a thumbnail to a color map, and how far to trust it: where several looks differ, the map does less."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_engine.color.map import ColorMap
from s2am_engine.errors import EngineError
from s2am_engine.inference.network_input import Floats, NetworkInput
from s2am_engine.networks.network import Network

ZOOM = 0.85  # of the side that the fourth look sees
DECIDING_VIEWS = 2  # the first of four views, of the whole picture: they decide, all together say how sure that is
MIN_CHANGE = (1 / 255) ** 2  # a change below one 8-bit level needs no agreement


@dataclass(frozen=True)
class Prediction:
    """What a network makes of a network_input."""

    color_map: ColorMap  # of sRGB values, already weakened by the confidence
    confidence: float  # 0 (the looks contradict each other) to 1 (they agree)


@dataclass(frozen=True)
class MaskPrediction:
    """What a mask-free network suspects to be pasted."""

    mask: Floats  # N×N in [0, 1], 1 = pasted, if anything is
    presence: float  # 0 to 1: how sure it is that anything is


class Predictor:
    """A network on a device; when the GPU's memory runs out, the CPU goes on and says so."""

    def __init__(self, network: Network, device: torch.device, name: str) -> None:
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

    def __call__(self, network_input: NetworkInput) -> Prediction:
        """Predict the color map of a thumbnail's foreground from four looks at it.

        Raises:
            EngineError: the network gave no usable answer.
        """
        views, seen, deciding = choose_views(
            to_picture(network_input.composite, network_input.mask), self.network.input_scales
        )
        answers = self._ask(self.network, seen)
        parts = [slice(k, k + 1) for k in range(len(views))]
        try:
            *looks, agreed = (
                self.network.color_map(answers[part], views[part, :3], views[part, 3:])
                for part in (*parts, slice(deciding))
            )
        except ValueError as error:
            raise self._unusable() from error
        confidence = ensemble_confidence(
            looks, agreed, network_input.composite, network_input.mask, self.network.disagreement_penalty
        )
        return Prediction(agreed.blend(confidence), confidence)

    def predict_mask(self, composite: Floats) -> MaskPrediction:
        """Where a mask-free network sees something pasted, and how sure it is that anything was.

        Args:
            composite: N×N×3 sRGB in [0, 1].

        Raises:
            EngineError: the network gave no usable answer.
        """
        no_mask = np.zeros(composite.shape[:2], np.float32)
        mask, *presence = self._ask(self.network, [to_picture(composite, no_mask)])[0, 3:].clamp(0, 1).numpy()
        return MaskPrediction(mask, float(presence[0].mean()) if presence else mask_confidence(mask))

    def paint(self, network_input: NetworkInput) -> Floats:
        """The network's own pixels: one look, without the trust that weakens a map.

        Returns:
            N×N×3 sRGB in [0, 1].

        Raises:
            EngineError: the network gave no usable answer.
        """
        painted = self._ask(self.network.paint, [to_picture(network_input.composite, network_input.mask)])
        return painted[0].permute(1, 2, 0).contiguous().numpy()

    def _ask(self, question: Callable[[Tensor, Tensor], Tensor], views: Sequence[Tensor]) -> Tensor:
        """Ask the network about K views, (1, 4, n, n) each; the (K, …) answers come to the CPU as float32."""
        try:
            answers = self._look(question, views)
        except torch.cuda.OutOfMemoryError:
            self._leave_the_gpu()
            answers = self._look(question, views)
        if not bool(torch.isfinite(answers).all()):
            raise self._unusable()
        return answers

    @torch.inference_mode()
    def _look(self, question: Callable[[Tensor, Tensor], Tensor], views: Sequence[Tensor]) -> Tensor:
        # One after the other: a batch would be no faster on a CPU and need four times the memory.
        there = (view.to(self.device) for view in views)
        return torch.cat([question(view[:, :3], view[:, 3:]).float() for view in there]).cpu()

    def _unusable(self) -> EngineError:
        return EngineError(f"Model “{self.name}” gave no usable answer here: choose another with --model.")

    def _leave_the_gpu(self) -> None:
        warnings.warn("The GPU is out of memory: the CPU does the work.", RuntimeWarning, stacklevel=5)
        self.device = torch.device("cpu")
        self.network.to(self.device)
        torch.cuda.empty_cache()


def mask_confidence(mask: Floats) -> float:
    """How sure a network is of a mask (N×N in [0, 1]): its mean over what is foreground rather than background."""
    foreground = mask[mask >= 0.5]
    return float(foreground.mean()) if foreground.size else 0.0


def to_picture(composite: Floats, mask: Floats) -> Tensor:
    """N×N×3 and N×N arrays as one (1, 4, N, N) tensor."""
    return torch.cat([torch.from_numpy(composite).permute(2, 0, 1), torch.from_numpy(mask)[None]]).unsqueeze(0)


def choose_views(picture: Tensor, sides: Sequence[float]) -> tuple[Tensor, Sequence[Tensor], int]:
    """What a network looks at: `four_views`, or the picture as it is and mirrored at each of several sizes.

    Args:
        picture: (1, C, N, N) in [0, 1]; the last channel is the mask.
        sides: see `Network.input_scales`.

    Returns:
        The views at full size (K, C, N, N); the same as they are looked at; how many of them, the first, decide.
    """
    if len(sides) == 1:
        views = four_views(picture)
        return views, views.split(1), DECIDING_VIEWS
    views = torch.cat([picture, picture.flip(3)] * len(sides))
    shares = [side / max(sides) for side in sides for _ in range(2)]
    return views, [reduced(*view) for view in zip(views.split(1), shares, strict=True)], len(views)


def reduced(picture: Tensor, share: float) -> Tensor:
    """A picture (1, C, N, N) in [0, 1] at a share of its size, by area averaging."""
    side = round(share * picture.shape[-1])
    return F.interpolate(picture, (side, side), mode="area") if share < 1 else picture


def four_views(picture: Tensor) -> Tensor:
    """A picture (1, C, N, N) in [0, 1] as it is, mirrored, upside down, and its middle enlarged: (4, C, N, N).

    The last channel is the mask. Where the middle lacks foreground or background, it is no view and the picture as it
    is stands for it.
    """
    size = picture.shape[-1]
    edge = round(size * (1 - ZOOM) / 2)
    middle = picture[..., edge : size - edge, edge : size - edge]
    covered = float(middle[:, -1].mean())
    seen = 0.001 < covered < 0.999
    enlarged = F.interpolate(middle, (size, size), mode="bilinear").clamp(0, 1) if seen else picture
    return torch.cat([picture, picture.flip(3), picture.flip(2), enlarged])


def ensemble_confidence(
    looks: Sequence[ColorMap], agreed: ColorMap, composite: Floats, mask: Floats, disagreement_penalty: float
) -> float:
    """1 / (1 + penalty · variance of what the looks' maps do / change that they agree on), over the foreground.

    Args:
        looks: two maps or more.
        agreed: the map to be trusted.
        composite: N×N×3 in [0, 1], what the maps are compared on.
        mask: N×N in [0, 1].
        disagreement_penalty: how fast trust falls with disagreement.
    """
    weights = mask[mask > 0][:, None]
    before = composite[mask > 0]
    area = 3 * max(float(weights.sum(dtype=np.float64)), 1e-6)
    results = np.stack([one(before).clip(0, 1) for one in looks])
    variance = float((results.var(axis=0, ddof=1) * weights).sum(dtype=np.float64)) / area
    change = float(((agreed(before).clip(0, 1) - before) ** 2 * weights).sum(dtype=np.float64)) / area + MIN_CHANGE
    return 1 / (1 + disagreement_penalty * variance / change)
