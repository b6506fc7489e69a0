# SPDX-License-Identifier: GPL-3.0-or-later
"""The mask of a GIMP layer, for the network input and for the pixels to recolor alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.uint8]
"""H×W, 255 = 1."""


def effective_mask(
    alpha: NDArray[Any],
    layer_masks: Iterable[Plane] = (),
    selection: Plane | None = None,
    predicted: Plane | None = None,
    *,
    binary_layer: bool = False,
) -> Plane:
    """Return the product alpha × layer masks × selection × predicted mask, rounded to 8 bits after each factor.

    Args:
        alpha: H×W, the layer's transparency: uint8, or with `binary_layer` of any dtype.
        layer_masks: H×W each, the masks of the layer and its groups.
        selection: H×W; None = nothing is selected.
        predicted: H×W, the detector's mask; None = none was asked for.
        binary_layer: count alpha and layer masks as 1 where they are not 0. GIMP itself mixes a layer with the
            pixels below by its alpha and masks, so a half transparent pixel must be recolored completely; selection
            and predicted mask are not part of the layer and mix the recolored pixel with its original.

    Returns:
        H×W, uint8.
    """
    planes = [alpha, *layer_masks]
    if binary_layer:
        planes = [(plane > 0).view(np.uint8) * np.uint8(255) for plane in planes]
    product: Plane = planes[0].astype(np.uint8, copy=False)
    for factor in [*planes[1:], *(plane for plane in (selection, predicted) if plane is not None)]:
        product = multiply_planes(product, factor)
    return product


def multiply_planes(first: Plane, second: Plane) -> Plane:
    """Return the product of two planes, rounded to the nearest level."""
    if second.size and second.min() == 255:
        return first
    product: NDArray[np.uint16] = np.multiply(first, second, dtype=np.uint16)
    product += 127
    product //= 255
    return product.astype(np.uint8)
