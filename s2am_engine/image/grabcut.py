# SPDX-License-Identifier: GPL-3.0-or-later
"""GrabCut segmentation (Rother, Kolmogorov & Blake, SIGGRAPH 2004), as OpenCV implements it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_NO_RECTANGLE = (0, 0, 0, 0)


class GrabCut:
    """One segmentation: the color models of foreground and background, which each run refines.

    The first run learns the color models from the labels; later runs continue with them, also on a copy of the image at
    another size.
    """

    def __init__(self, seed: int = -1) -> None:
        """Start without color models; `seed` initializes the clustering of the first run, -1 = as OpenCV starts."""
        self._seed: int | None = seed
        self._background_model, self._foreground_model = np.zeros((1, 65)), np.zeros((1, 65))

    def run(self, image: NDArray[np.uint8], labels: NDArray[np.uint8], iterations: int = 1) -> None:
        """Update the labels in place.

        Args:
            image: H×W×3 uint8.
            labels: H×W of `cv2.GC_BGD`, `GC_FGD`, `GC_PR_BGD`, `GC_PR_FGD`, with both foreground and background.
            iterations: number of iterations.

        Raises:
            cv2.error: foreground or background has no pixels to learn its color model from.
        """
        mode = cv2.GC_EVAL
        if self._seed is not None:
            cv2.setRNGSeed(self._seed)  # OpenCV has one random state per thread
            mode, self._seed = cv2.GC_INIT_WITH_MASK, None
        models = self._background_model, self._foreground_model
        cv2.grabCut(image, labels, _NO_RECTANGLE, *models, iterations, mode)


def foreground_labels(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return H×W, True where a label is certain or probable foreground."""
    return (labels & 1).astype(np.bool_)
