# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine makes of the picture that a plug-in has sent: its map, a matrix that stands for it, a preview."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gimp_bridge import protocol
from gimp_bridge.warm import Tell, Warm
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.fit import fit_linear_matrix
from s2am_engine.color.map import ColorMap, Matrix
from s2am_engine.errors import NothingFoundError

_MOST_SAMPLES = 4096  # of the foreground's colors: more no longer change twelve numbers


class Looking:
    """A composite that was looked at."""

    def __init__(self, request: protocol.Harmonize, warm: Warm, tell: Tell) -> None:
        """Find the color map.

        Raises:
            EngineError: see `Harmonizer.set_picture`.
        """
        self._pixels = _array(request.pixels, request, 3)
        self._mask = _array(request.mask, request)
        alpha = _array(request.alpha, request) if request.alpha else None
        self._harmonizer = warm.harmonizer(request.model, tell)
        tell("Looking at the picture")
        with warm.work():
            self._harmonizer.set_picture(self._pixels, self._mask, alpha=alpha)
        weights = self._mask if alpha is None else np.minimum(self._mask, alpha)
        self._samples, self._weights = _samples(self._pixels, weights)
        self._fitted: tuple[Matrix, float] | None = None

    def answer(self, request: protocol.Harmonize | protocol.Adjust) -> protocol.Look:
        """Set the sliders and say what comes of it."""
        found = self._harmonizer.adjust(**dataclasses.asdict(request.sliders))
        self._fitted = None
        matrix, misfit = self._fit() if request.effect else (None, None)
        preview = b""
        if request.preview:
            preview = apply_color_map(matrix or found, self._pixels, self._mask).tobytes()
        return protocol.Look(
            color_map=found.to_json(),
            confidence=self._harmonizer.confidence,
            matrix=tuple(float(each) for each in matrix.matrix.ravel()) if matrix else None,
            misfit=misfit,
            preview=preview,
        )

    def color_map(self, effect: bool) -> ColorMap:
        """The map with the sliders, or the matrix that stands for it."""
        return self._fit()[0] if effect else self._harmonizer.color_map

    def _fit(self) -> tuple[Matrix, float]:
        """The matrix in linear light that comes nearest to the map, and how far off it is in 8-bit levels."""
        if self._fitted is None:
            wanted = self._harmonizer.color_map(self._samples).clip(0, 1)
            matrix = fit_linear_matrix(self._samples, wanted, self._weights)
            off = (matrix(self._samples).clip(0, 1) - wanted) ** 2
            misfit = 255 * float(np.sqrt(np.average(off.mean(axis=1), weights=self._weights)))
            self._fitted = matrix, misfit
        return self._fitted


def detect(request: protocol.Detect, warm: Warm, tell: Tell) -> protocol.Found | protocol.Failed:
    """Find what was pasted, or say that nothing was."""
    alpha = _array(request.alpha, request) if request.alpha else None
    detector = warm.detector(tell)
    tell("Looking for what was pasted")
    try:
        with warm.work():
            found = detector.detect(_array(request.pixels, request, 3), alpha=alpha, likeliest=request.likeliest)
    except NothingFoundError as error:
        return protocol.Failed(reason="nothing-found", sentence=str(error))
    return protocol.Found(mask=found.mask.tobytes(), confidence=found.confidence, sure=found.sure)


def _array(data: bytes, picture: protocol.SmallPicture, *channels: int) -> NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(picture.height, picture.width, *channels)


def _samples(pixels: NDArray[np.uint8], weights: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Colors (K,3) in [0,1] of the foreground, spread evenly over it, and their weights (K,)."""
    chosen = np.flatnonzero(weights)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_SAMPLES)).astype(np.intp)]
    return pixels.reshape(-1, 3)[chosen] / np.float32(255), weights.reshape(-1)[chosen] / np.float32(255)
