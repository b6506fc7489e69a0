# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs for the training tests."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from s2am_engine.training.photo_cache import Photograph


@pytest.fixture
def photographs() -> list[Photograph]:
    """Three free photographs, each with a made-up region."""
    found = []
    for name in ("astronaut", "chelsea", "coffee"):
        image = np.ascontiguousarray(getattr(data, name)()[::4, ::4])
        region = np.zeros(image.shape[:2], np.bool_)
        region[20:60, 30:80] = True
        found.append(Photograph(name, image, [region]))
    return found
