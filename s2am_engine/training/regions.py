# SPDX-License-Identifier: GPL-3.0-or-later
"""Plausible foreground regions of a photograph: from a label map when there is one, else found by GrabCut."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SMALLEST_AREA = 0.01
LARGEST_AREA = 0.75


def label_regions(labels: NDArray[np.integer], most: int = 6) -> list[NDArray[np.bool_]]:
    """Split a label map into regions that somebody might have pasted.

    Each label is one candidate, and so is each of its connected components.

    Args:
        labels: H×W integers, 0 = no region.
        most: how many regions to keep, the largest first.

    Returns:
        H×W masks whose area is plausible for a foreground; perhaps none.
    """
    found: list[NDArray[np.bool_]] = []
    for label in np.unique(labels):
        if label == 0:
            continue
        whole = labels == label
        count, components = cv2.connectedComponents(whole.astype(np.uint8))
        parts = [components == part for part in range(1, count)]
        found += [mask for mask in ([whole, *parts] if len(parts) > 1 else [whole]) if is_plausible(mask)]
    return sorted(found, key=lambda mask: -int(mask.sum()))[:most]


def grabcut_region(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """Find an object-like region around a random rectangle with GrabCut (Rother et al., 2004).

    Args:
        image: H×W×3 uint8 RGB, best a thumbnail of 100 to 200 pixels.
        rng: where the rectangle comes from.

    Returns:
        An H×W mask, or None when GrabCut finds nothing of plausible size.
    """
    height, width = image.shape[:2]
    size = rng.uniform(0.35, 0.8, 2) * (width, height)
    centre = (0.5 + rng.uniform(-0.2, 0.2, 2)) * (width, height)
    left, top = np.clip(centre - size / 2, 1, None).astype(int)
    right = min(width - 2, int(centre[0] + size[0] / 2))
    bottom = min(height - 2, int(centre[1] + size[1] / 2))
    if right - left < 8 or bottom - top < 8:
        return None
    trimap = np.zeros((height, width), np.uint8)
    models = np.zeros((2, 1, 65))
    rectangle = (int(left), int(top), right - int(left), bottom - int(top))
    cv2.grabCut(image, trimap, rectangle, models[0], models[1], 2, cv2.GC_INIT_WITH_RECT)
    region = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    mask = largest_component(np.asarray(cv2.medianBlur(region, 5), np.uint8))
    return mask if is_plausible(mask) else None


def largest_component(region: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Keep the largest connected part of an H×W region (0 or 1)."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(region)
    if len(stats) < 2:
        return np.zeros(region.shape, np.bool_)
    return np.asarray(components == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def is_plausible(mask: NDArray[np.bool_]) -> bool:
    """Whether a mask covers an area that a pasted foreground might cover."""
    return SMALLEST_AREA <= float(mask.mean()) <= LARGEST_AREA
