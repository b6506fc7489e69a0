# SPDX-License-Identifier: GPL-3.0-or-later
"""A scene with ground for pictures of shadows: a statue of a horse on gravel before a wall that is lit from the left.

Its parts come with scikit-image and are in the public domain: the horse's silhouette, gravel and bricks.
"""

from __future__ import annotations

import cv2
import numpy as np
from skimage import data

from s2am_engine.image.data import ImageData
from s2am_engine.types import Bytes, Floats

HEIGHT, WIDTH, HORIZON = 600, 900, 300
STATUE_POSITION = (270, 170)
"""(x, y) of the statue on the background, in pixels."""


def statue() -> ImageData:
    """Return the horse, evenly lit and sharp, with an alpha."""
    alpha = np.where(data.horse(), 0, 255).astype(np.uint8)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.0), np.uint8)
    depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 5)
    light = 90 + 110 * np.sqrt(np.minimum(depth / 40, 1))
    grain = cv2.resize(data.gravel(), alpha.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) - 128
    colors = (light + 0.15 * grain)[..., None] * np.array([1.0, 0.78, 0.55])
    return ImageData(np.rint(colors.clip(0, 255)).astype(np.uint8), alpha, None, gray=False)


def ground() -> ImageData:
    """Return the wall and the gravel in front of it, brighter on the left."""
    wall = cv2.resize(np.rot90(data.brick()), (WIDTH, WIDTH), interpolation=cv2.INTER_CUBIC)[:HORIZON]
    gravel = np.hstack([data.gravel(), data.gravel()[:, ::-1]])
    size = gravel.shape[1], gravel.shape[0]
    corners = np.array([[0, 0], [size[0], 0], size, [0, size[1]]], np.float32)
    seen = np.array([[0, 0], [WIDTH, 0], [1.8 * WIDTH, HEIGHT - HORIZON], [-0.8 * WIDTH, HEIGHT - HORIZON]], np.float32)
    floor = cv2.warpPerspective(gravel, cv2.getPerspectiveTransform(corners, seen), (WIDTH, HEIGHT - HORIZON))
    gray = np.vstack([0.9 * wall, 110 + 0.35 * floor.astype(np.float32)])  # on light ground the shadow is seen
    fall: Floats = np.linspace(1.25, 0.55, WIDTH, dtype=np.float32)
    colors = (gray * fall)[..., None] * np.array([1.0, 0.96, 0.88])
    pixels: Bytes = np.rint(colors.clip(0, 255)).astype(np.uint8)
    return ImageData(pixels, None, None, gray=False)
