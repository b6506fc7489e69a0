# SPDX-License-Identifier: GPL-3.0-or-later
"""A small mask at a picture's full size, its edges where the picture's are: a fast guided filter.

Guided filter: He, Sun & Tang, PAMI 35 (2013); computing its coefficients on a small copy: He & Sun, arXiv 1505.00996.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.masks import Pixels
from s2am_engine.inference.network_input import SAMPLED_SIDE, Floats, sample, to_unit

REACH = 2.0  # pixels of the small mask that an edge may move
FLATNESS = 1e-4  # variance of the colors, in [0, 1], below which an area has no edges
STRIP = 1 << 18  # pixels that are computed at a time

SNAP_MARGIN = 0.1  # predictions and the guided filter rarely reach 0 or 1
_SNAP_TABLE = np.rint(
    (np.linspace(0, 1, 256) - SNAP_MARGIN).clip(0, 1 - 2 * SNAP_MARGIN) / (1 - 2 * SNAP_MARGIN) * 255
).astype(np.uint8)


def enlarge_along_edges(mask: Floats, pixels: Pixels) -> NDArray[np.uint8]:
    """Bring a mask to the size of its picture, its edges moved to the picture's.

    Args:
        mask: n×m in [0, 1], of the whole picture.
        pixels: H×W×3, uint8, uint16 or float32.

    Returns:
        H×W, 255 = foreground.
    """
    height, width = pixels.shape[:2]
    guide = np.ascontiguousarray(to_unit(sample(pixels, SAMPLED_SIDE)))
    coarse = np.asarray(cv2.resize(mask, guide.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)
    radius = max(1, round(REACH * max(guide.shape[:2]) / max(mask.shape)))
    slopes, offset = guided_coefficients(coarse, guide, radius)
    result = np.empty((height, width), np.uint8)
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        strip = to_unit(pixels[top : top + rows])
        result[top : top + rows] = guided_strip(strip, slopes, offset, top / height, len(strip) / height)
    return result


def snap_mask(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stretch the contrast of a mask so that values within SNAP_MARGIN of background and foreground reach them."""
    return np.asarray(cv2.LUT(mask, _SNAP_TABLE), np.uint8)


def guided_coefficients(mask: Floats, guide: Floats, radius: int) -> tuple[Floats, Floats]:
    """The slopes (h×w×3) and the offset (h×w) with which a mask is locally linear in its guide's colors (eqs. 14, 15).

    Args:
        mask: h×w.
        guide: h×w×3 in [0, 1].
        radius: of the windows, in pixels.
    """

    def mean(values: Floats) -> Floats:
        return np.asarray(cv2.blur(values, (2 * radius + 1,) * 2, borderType=cv2.BORDER_REFLECT), np.float32)

    color, level = mean(guide), mean(mask)
    products = [guide[..., i] * guide[..., j] for i in range(3) for j in range(3)]
    spread = np.stack([mean(product) for product in products], axis=-1).reshape(*mask.shape, 3, 3)
    spread -= color[..., :, None] * color[..., None, :]
    shared = mean(guide * mask[..., None]) - color * level[..., None]
    slopes = np.linalg.solve(spread + np.float32(FLATNESS) * np.eye(3, dtype=np.float32), shared[..., None])[..., 0]
    offset = level - (slopes * color).sum(axis=-1)
    return mean(np.asarray(slopes, np.float32)), mean(np.asarray(offset, np.float32))


def guided_strip(strip: Floats, slopes: Floats, offset: Floats, top: float, tall: float) -> NDArray[np.uint8]:
    """The mask of a strip of the picture.

    Args:
        strip: rows×W×3 in [0, 1].
        slopes: h×w×3, see `guided_coefficients`.
        offset: h×w, see there.
        top: of the strip, as a share of the picture's height.
        tall: its height, as a share of the picture's.
    """
    rows, width = strip.shape[:2]
    height, small = offset.shape
    # Pixels' centers in the small copy: where cv2.resize would look, but for a part of the rows.
    y = ((np.arange(rows, dtype=np.float32) + 0.5) / rows * tall + top) * height - 0.5
    x = (np.arange(width, dtype=np.float32) + 0.5) / width * small - 0.5
    across, down = np.meshgrid(x, y)
    planes = cv2.remap(np.dstack([slopes, offset]), across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.einsum("ywc,ywc->yw", planes[..., :3], strip) + planes[..., 3]
    return np.asarray(np.rint(mask.clip(0, 1) * 255), np.uint8)
