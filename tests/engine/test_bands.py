# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistics of noise in the bands of a pyramid, compared with a pyramid of noise."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from s2am_engine.finish.bands import band_statistics
from s2am_engine.finish.noise import NOISE_KNOTS, NoiseModel


@pytest.mark.parametrize("blur", [0.0, 0.6, 1.0])
def test_statistics_are_those_of_a_pyramid_of_noise(blur: float) -> None:
    noise = np.random.default_rng(0).standard_normal((1024, 1024, 3), np.float32)
    if blur:
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), blur), np.float32)
    noise /= noise.std(axis=(0, 1))
    lags = range(-3, 4)
    spatial = [[(noise * np.roll(noise, (-y, -x), (0, 1))).mean(axis=(0, 1)) for x in lags] for y in lags]
    model = NoiseModel(np.ones((NOISE_KNOTS, 3)), np.ones(NOISE_KNOTS), np.eye(3), np.array(spatial).transpose(2, 0, 1))
    for count in (1, 2, 3):
        pyramid = [noise]
        for _ in range(count):
            pyramid.append(np.asarray(cv2.pyrDown(pyramid[-1]), np.float32))
        bands = [cv2.subtract(fine, cv2.pyrUp(coarse)) for fine, coarse in itertools.pairwise(pyramid)]
        rest = pyramid[-1]
        for _ in range(count):
            rest = np.asarray(cv2.pyrUp(rest), np.float32)
        found, detail = band_statistics(model, count), noise - rest
        np.testing.assert_allclose(found.levels, [band.std(axis=(0, 1)) for band in bands], rtol=0.03)
        for product, first, second in (
            (found.square, detail, detail),
            (found.mixed, detail, rest),
            (found.rest, rest, rest),
        ):
            np.testing.assert_allclose(product, (first * second).mean(axis=(0, 1)), rtol=0.05, atol=0.002)
