# SPDX-License-Identifier: GPL-3.0-or-later
"""The sRGB transfer function: known values, inverse, and the same for arrays and tensors."""

from __future__ import annotations

import numpy as np
import torch

from s2am_engine.color.srgb import (
    linear_tensor_to_srgb,
    linear_to_srgb,
    srgb_slope,
    srgb_tensor_to_linear,
    srgb_to_linear,
)

VALUES = np.linspace(-0.3, 1.5, 1801, dtype=np.float32)


def test_srgb_to_linear_known_values() -> None:
    known = np.array([0, 0.04045, 0.5, 1], np.float32)
    np.testing.assert_allclose(srgb_to_linear(known), [0, 0.0031308, 0.2140411, 1], atol=1e-6)


def test_linear_to_srgb_inverts_srgb_to_linear() -> None:
    np.testing.assert_allclose(linear_to_srgb(srgb_to_linear(VALUES)), VALUES, atol=2e-6)


def test_srgb_is_odd_for_arrays() -> None:
    np.testing.assert_array_equal(srgb_to_linear(-VALUES), -srgb_to_linear(VALUES))


def test_srgb_of_tensors_equals_srgb_of_arrays() -> None:
    inside = VALUES[VALUES >= -0.04]  # below, tensors stay linear
    tensor = torch.from_numpy(inside)
    np.testing.assert_allclose(srgb_tensor_to_linear(tensor), srgb_to_linear(inside), atol=1e-6)
    linear = inside[inside >= -0.003]
    np.testing.assert_allclose(linear_tensor_to_srgb(torch.from_numpy(linear)), linear_to_srgb(linear), atol=2e-6)


def test_srgb_tensor_gradients_are_finite() -> None:
    for function in (srgb_tensor_to_linear, linear_tensor_to_srgb):
        values = torch.linspace(0, 1, 101, requires_grad=True)
        function(values).sum().backward()
        assert values.grad is not None
        assert torch.isfinite(values.grad).all()


def test_srgb_slope_is_the_derivative() -> None:
    linear = np.linspace(0.01, 0.99, 50)
    step = 1e-3
    difference = (linear_to_srgb(linear + step) - linear_to_srgb(linear - step)) / (2 * step)
    np.testing.assert_allclose(srgb_slope(linear), difference, rtol=0.01)
