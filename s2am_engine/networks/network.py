# SPDX-License-Identifier: GPL-3.0-or-later
"""What every network that predicts a colour map has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn

from s2am_engine.colour_map import ColourMap


class MapNetwork(nn.Module, ABC):
    """A network that looks at a thumbnail and answers with the parameters of a colour map.

    The parameters are a flat vector, so that a batch of pictures is a batch of maps. `render` draws a map
    differentiably, for training; `colour_map` turns it into the engine's own form, for pictures of any size.
    """

    @abstractmethod
    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Predict one colour map for each picture.

        Args:
            composite: (B, 3, H, W) sRGB values in [0, 1].
            mask: (B, 1, H, W) in [0, 1], 1 = foreground.

        Returns:
            (B, P) parameters; P is the network's own.
        """

    @abstractmethod
    def render(self, parameters: Tensor, composite: Tensor) -> list[Tensor]:
        """Draw the maps on whole pictures, without mask and without clamping.

        Args:
            parameters: (B, P), as `forward` gives them.
            composite: (B, 3, H, W) sRGB values in [0, 1].

        Returns:
            One (B, 3, H, W) picture for each supervised stage; the last is the result.
        """

    @abstractmethod
    def colour_map(self, parameters: Tensor) -> ColourMap:
        """Turn one picture's parameters (P,) into a colour map."""
