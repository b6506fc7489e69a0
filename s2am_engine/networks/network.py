# SPDX-License-Identifier: GPL-3.0-or-later
"""Base classes of all networks: from an image and a mask to a color map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from s2am_engine.networks.traits import MapParameters, NetworkTraits, PredictedPixels, PredictionFormat

ROUNDING = 1e-3  # tolerance for masks that are out of range after resizing


class TrainingOutput(NamedTuple):
    """Outputs of a forward pass that losses are computed from."""

    stages: list[Tensor]  # a (B, 3, h, w) image for each supervised stage, unclamped; the last is the result
    masks: list[Tensor]  # (B, 1, h, w) masks predicted by a mask-free network, the finest first; else empty
    pixels: tuple[slice, slice] = (slice(None), slice(None))  # rows and columns of the composite in `stages`

    def at_pixels(self, images: Tensor) -> Tensor:
        """Return the rows and columns of images (B, C, H, W) that the stages have: (B, C, h, w)."""
        return images[:, :, self.pixels[0], self.pixels[1]].contiguous()


class Network(nn.Module, ABC):
    """Network that maps a composite and its mask to a prediction, from which a color map is made.

    There are two kinds: a `MapNetwork` predicts the parameters of a color map, a `PixelNetwork` predicts pixels.
    """

    mask_free: ClassVar[bool] = False  # whether it predicts the mask itself and ignores the given one
    # Penalty on disagreement between augmented views. On 384 held-out pairs, 8 lowers the share of images harmed by
    # more than 1 dB from 18.8 % to 15.1 % (Concord) and from 16.9 % to 10.4 % (S2CRNet), and costs 0.01 of 1.91 dB and
    # 0.09 of 1.45 dB of the mean gain.
    disagreement_penalty: float = 8.0
    # Scales of the augmented views relative to the training size; the network input has the largest.
    input_scales: tuple[float, ...] = (1.0,)

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Predict for a batch of composites.

        Args:
            composite: (B, 3, H, W) sRGB values in [0, 1], any size.
            mask: (B, 1, H, W) in [0, 1], 1 = foreground.

        Returns:
            (B, …), whose meaning depends on the network; see `render` and `prediction_format`.

        Raises:
            ValueError: wrong shape or range; the message names the argument.
        """
        check_inputs(composite, mask)
        return self.predict(composite, mask)

    @abstractmethod
    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Return the result of `forward` for arguments that have been checked."""

    @abstractmethod
    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """Apply predictions to whole images, differentiably, without the given mask and without clamping.

        Args:
            predictions: (B, …), as `forward` gives them.
            composite: (B, 3, H, W) sRGB values in [0, 1].

        Returns:
            One (B, 3, H, W) image for each supervised stage; the last is the result.
        """

    @property
    @abstractmethod
    def prediction_format(self) -> PredictionFormat:
        """The meaning of the predictions, from which color maps are made."""

    @property
    def traits(self) -> NetworkTraits:
        """The properties that inference needs."""
        return NetworkTraits(self.prediction_format, self.input_scales, self.disagreement_penalty, self.mask_free)

    @property
    def has_frozen_part(self) -> bool:
        """True if `encode_frozen` returns features."""
        return False

    def encode_frozen(self, composite: Tensor) -> list[Tensor]:
        """Return features of composites (B, 3, H, W) that training does not change; by default there are none.

        Training computes them ahead of its steps, in the threads that make the pairs.
        """
        return []

    def forward_training(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None = None) -> TrainingOutput:
        """Return everything that losses use.

        Args:
            composite: as for `forward`.
            mask: as for `forward`.
            frozen: result of `encode_frozen`; None or empty = compute it here.
        """
        predictions = self(composite, mask)
        # Colors in half precision would be steps of 1/256.
        with torch.autocast(composite.device.type, enabled=False):
            return TrainingOutput(self.render(predictions.float(), composite), [])

    def predict_pixels(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Return the network's own pixels, composited as in the S2AM paper: final = M · output + M' · I.

        Arguments as for `forward`; the result is (B, 3, H, W) in [0, 1]. A mask-free network uses its own mask.
        """
        result = self.forward_training(composite, mask).stages[-1].clamp(0, 1)
        return result if self.mask_free else torch.lerp(composite, result, mask)


class MapNetwork(Network):
    """Network that predicts the (B, P) parameters of a color map."""

    @property
    @abstractmethod
    def prediction_format(self) -> MapParameters:
        """See `Network.prediction_format`."""


class PixelNetwork(Network):
    """Network that predicts images, (B, 3, H, W)."""

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`: the prediction is the image itself."""
        return [predictions]

    @property
    def prediction_format(self) -> PredictionFormat:
        """See `Network.prediction_format`."""
        return PredictedPixels()


def check_inputs(composite: Tensor, mask: Tensor) -> None:
    """Raise ValueError, naming the argument, unless composite is (B, 3, H, W) and mask (B, 1, H, W) in [0, 1]."""
    if composite.ndim != 4 or composite.shape[1] != 3 or 0 in composite.shape:
        raise ValueError(f"composite must have the shape (B, 3, H, W), none of them 0, not {tuple(composite.shape)}")
    expected = (composite.shape[0], 1, *composite.shape[2:])
    if mask.shape != expected:
        raise ValueError(f"mask must have the shape {expected}, as the composite has, not {tuple(mask.shape)}")
    # Values cannot be inspected while a network is being exported; on a GPU, inspecting them would wait for it.
    inspectable = mask.device.type == "cpu" and not torch.compiler.is_compiling()
    if inspectable and not bool(((mask >= -ROUNDING) & (mask <= 1 + ROUNDING)).all()):
        raise ValueError("mask must lie in [0, 1], and nowhere be NaN")
