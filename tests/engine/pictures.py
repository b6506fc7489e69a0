# SPDX-License-Identifier: GPL-3.0-or-later
"""Small synthetic composites."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALE = {"uint8": 255, "uint16": 65535, "float32": 1}


def composite(height: int = 90, width: int = 120, dtype: str = "uint8") -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return a greenish scene with a pale blue disc pasted in: H×W×3 pixels and an H×W mask with a soft edge."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    scene = np.stack([0.25 + 0.3 * x, 0.35 + 0.3 * y, 0.15 + 0.2 * x], axis=2)
    center, radius = (height / 2 / max(height, width), width / 2 / max(height, width)), 0.22
    distance = np.hypot(y - center[0], x - center[1])
    mask = np.clip((radius - distance) * max(height, width) / 2 + 0.5, 0, 1)
    pasted = np.stack([0.45 + 0.3 * x, 0.55 + 0.2 * y, 0.8 + 0.1 * x], axis=2)
    unit = scene + mask[..., None] * (pasted - scene) + rng.normal(0, 0.02, (height, width, 1))
    pixels = np.clip(unit, 0, 1) * SCALE[dtype]
    if dtype != "float32":
        pixels = np.rint(pixels)
    return pixels.astype(dtype), np.rint(mask * 255).astype(np.uint8)
