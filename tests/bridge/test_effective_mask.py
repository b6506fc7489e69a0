# SPDX-License-Identifier: GPL-3.0-or-later
"""effective_mask with known values, and the rules of HarmonizeJob.layer_mask."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gimp_bridge.color_messages import Harmonize
from gimp_bridge.color_requests import HarmonizeJob
from gimp_bridge.effective_mask import effective_mask, multiply_planes
from s2am_common.errors import MaskError


def plane(*values: int) -> NDArray[np.uint8]:
    """Return one row of values."""
    return np.array([values], np.uint8)


def test_effective_mask_is_the_product_of_soft_planes() -> None:
    alpha, mask = plane(255, 128, 128, 10, 200, 0), plane(128, 128, 255, 10, 100, 255)
    assert effective_mask(alpha, [mask]).tolist() == [[128, 64, 128, 0, 78, 0]]
    selection, predicted = plane(128, 255, 200, 255, 50, 255), plane(255, 255, 100, 255, 255, 255)
    assert effective_mask(alpha, [mask], selection, predicted).tolist() == [[64, 64, 39, 0, 15, 0]]


def test_multiply_planes_rounds_all_products_to_the_nearest_level() -> None:
    first, second = np.meshgrid(np.arange(256), np.arange(256))
    product = multiply_planes(first.astype(np.uint8), second.astype(np.uint8))
    np.testing.assert_array_equal(product, np.floor(first * second / 255 + 0.5))


def test_effective_mask_with_binary_layer_keeps_soft_selection() -> None:
    alpha, masks = np.array([[0.0, 1e-6, 0.5, 1.0]], np.float32), [plane(255, 1, 128, 255)]
    result = effective_mask(alpha, masks, plane(255, 128, 100, 255), plane(255, 255, 255, 60), binary_layer=True)
    assert result.tolist() == [[0, 128, 100, 60]]
    assert result.dtype == np.uint8


def test_effective_mask_of_the_alpha_alone() -> None:
    assert effective_mask(plane(0, 7, 255)).tolist() == [[0, 7, 255]]
    assert effective_mask(plane(0, 7, 255), binary_layer=True).tolist() == [[0, 255, 255]]


def layer_mask(composite: NDArray[np.uint8], **planes: Any) -> tuple[list[int], list[int], bool]:
    """Return mask, alpha and need of prediction for one row, whose visible composite has this alpha."""
    width = composite.shape[1]
    defaults: dict[str, Any] = {"layer_alpha": bytes([255]) * width}
    request = Harmonize(width=width, height=1, pixels=bytes(4 * width), **(defaults | planes))
    mask, alpha, predict = HarmonizeJob(request, None, lambda _: None).layer_mask(composite)  # type: ignore[arg-type]
    return mask[0].tolist(), alpha[0].tolist(), predict


def test_layer_mask_is_limited_by_the_selection() -> None:
    found = layer_mask(plane(255, 255, 255), layer_alpha=bytes([0, 200, 255]), selection=bytes([255, 128, 255]))
    assert found == ([0, 100, 255], [255, 255, 255], False)


def test_layer_mask_with_a_selection_as_reference() -> None:
    """Only the selected background counts; the layer stays whole."""
    found = layer_mask(
        plane(255, 255, 200, 255),
        layer_alpha=bytes([0, 0, 100, 255]),
        selection=bytes([0, 9, 0, 0]),
        selection_is_reference=True,
    )
    assert found == ([0, 0, 100, 255], [0, 255, 200, 255], False)


def test_layer_mask_of_a_flat_image_is_predicted() -> None:
    assert layer_mask(plane(255, 255), mask_source="layer-or-predicted")[2]
    assert layer_mask(plane(255, 255), layer_alpha=bytes([9, 255]), mask_source="predicted")[2]
    assert not layer_mask(plane(255, 255), layer_alpha=bytes([9, 255]), mask_source="layer-or-predicted")[2]


@pytest.mark.parametrize(
    ("planes", "code"),
    [
        ({"layer_alpha": bytes(3)}, "mask.empty"),
        ({"layer_masks": bytes(3)}, "mask.empty"),
        ({"selection": bytes(3), "mask_source": "predicted"}, "mask.empty"),
        ({}, "mask.no-background"),
        ({"layer_alpha": bytes([255, 255, 253])}, "mask.no-background"),
        ({"selection": bytes([255, 255, 254]), "mask_source": "layer-or-predicted"}, "mask.no-background"),
    ],
)
def test_layer_mask_refuses_empty_masks_and_backgrounds(planes: dict[str, Any], code: str) -> None:
    with pytest.raises(MaskError) as caught:
        layer_mask(plane(255, 255, 255), **planes)
    assert caught.value.code == code
