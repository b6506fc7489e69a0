# SPDX-License-Identifier: GPL-3.0-or-later
"""GrabCut segmentation: labels, seeds, and runs that continue at another size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.grabcut import GrabCut, foreground_labels


def disc_image(side: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
    """Return an orange disc on blue with grain, labels from its bounding box, and its mask."""
    rng = np.random.default_rng(0)
    target = cv2.circle(np.zeros((side, side), np.uint8), (side // 2, side // 2), side // 4, 1, -1) > 0
    colors = np.where(target[..., None], (200, 120, 30), (30, 60, 120)) + rng.integers(-20, 20, (side, side, 3))
    labels = np.full((side, side), cv2.GC_BGD, np.uint8)
    labels[side // 5 : -side // 5, side // 5 : -side // 5] = cv2.GC_PR_FGD
    return colors.astype(np.uint8), labels, target


def test_foreground_labels_are_certain_and_probable_foreground() -> None:
    labels = np.array([[cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD]], np.uint8)
    assert foreground_labels(labels).tolist() == [[False, True, False, True]]


def test_grab_cut_segments_and_repeats_exactly() -> None:
    image, labels, target = disc_image(120)
    again = labels.copy()
    GrabCut(seed=3).run(image, labels, iterations=2)
    GrabCut(seed=3).run(image, again, iterations=2)
    np.testing.assert_array_equal(labels, again)
    assert (foreground_labels(labels) != target).mean() < 0.01


def test_grab_cut_continues_at_another_size() -> None:
    small, small_labels, _ = disc_image(60)
    large, labels, target = disc_image(120)
    segmentation = GrabCut()
    segmentation.run(small, small_labels)
    segmentation.run(large, labels)
    assert (foreground_labels(labels) != target).mean() < 0.01
