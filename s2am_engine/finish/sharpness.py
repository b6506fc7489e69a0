# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharpness: the blur of a region, estimated from its edges, and softening and sharpening by a radius.

A step edge of blur σ, blurred again by σ₁ and by σ₂ > σ₁, has gradients of ratio R = √((σ² + σ₂²) / (σ² + σ₁²)) at its
middle, which gives σ (Zhuo & Sim, Pattern Recognition 44, 2011; with σ₁ > 0 against noise). The gradients of lines and
of dense texture decrease faster, and the more so, the larger the blur: a third blur σ₃ tells them from steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.srgb import LUMA
from s2am_engine.finish.scratch import Scratch, repeat_channels, times
from s2am_engine.types import Bytes, Doubles, Floats

LARGEST_BLUR = 6.0
"""Blur radius (sigma) in pixels that is reported at most."""

_FIRST, _SECOND, _THIRD = 0.8, 1.6, 2.4  # σ₁, σ₂ and σ₃
_LEAST_GRADIENT = 2.5  # 8-bit levels per pixel after the first blur
_NOISE_GRADIENTS = 5.0  # an edge exceeds the gradient of the noise by this factor
_LEAST_EDGES = 60  # pixels
_LEAST_DENSITY = 0.01  # share of a region's pixels at edges below which there is no detail, as in a sky,
_CLEAR_GRADIENT = 6.0  # unless a tenth of them exceeds this; on 30 composites: 2 to 4 in skies, 6.6 to 73 elsewhere
# Clouds are soft also in a sharp photograph. Their edges are few, weak, of many blurs, and broader than Gaussian ones.
# Of 72 skies of fractal clouds behind a sharp foreground, 2 are taken for detail.
_CLOUDS_DENSITY = 0.07  # share of pixels at edges; on 30 composites: 0.05 to 0.07
_CLOUDS_GRADIENT = 15.0  # 7 to 14 there, 17 to 73 elsewhere
_CLOUDS_SPREAD = 1.4  # range of the blur of most edges, relative to that of a sharp one
_CLOUDS_AGREEMENT = 1.25  # of a, see below
_STRONGEST = 2000  # edge pixels that are used
_SHARPEST = 0.4  # quantile of the blur of a region's edges that stands for its sharp detail

# The variance is multiplied by _STEPS · (1 + _LINES · (1 - a)), a = σ² from σ₂ and σ₃ / σ² from σ₁ and σ₂ in [0, 1].
# For 15 images of skimage.data, half of each blurred by 1.2 to 1.9 pixels, with and without noise, the difference of
# the halves is within 25 % in 96 % of the cases that are measured (9 in 10), and 6 % low on average; with one factor
# for all of them in 78 %, and 15 % low.
_STEPS, _LINES = 1.08, 0.7
_ALIKE = 0.3  # share of the edges, those of the most similar blur, that a is measured at
_LEAST_AGREEMENT = -0.8  # of a; less shows that there are only thin lines, as in text,
_UNSHARP = 0.3  # unless the edges are sharp anyway: variance of their blur in square pixels, uncorrected


@dataclass(frozen=True, eq=False)
class Edges:
    """Pixels (E) in the middle of edges of a region.

    ratio: (E,) squared ratio of their gradients after the first and the second blur.
    wider_ratio: (E,) the same after the second and the third blur.
    strength: (E,) the first gradient, in 8-bit levels per pixel.
    pixels: number of pixels of the region.
    """

    ratio: Floats
    wider_ratio: Floats
    strength: Floats
    pixels: int

    @classmethod
    def of(cls, windows: Floats, valid: NDArray[np.bool_]) -> Edges:
        """Find those of windows.

        Args:
            windows: N×S×S×3 parts of the image in 8-bit levels.
            valid: N×S×S, the pixels that belong to the region.
        """
        # Below one another: pixels near their borders, where they mix, are not used.
        luma = cv2.transform(windows.reshape(-1, windows.shape[2], 3), np.array([LUMA], np.float32))
        usable = _far_from_others(valid).reshape(luma.shape)
        return cls(*_edge_ratios(np.asarray(luma, np.float32), usable), int(np.count_nonzero(valid)))

    @classmethod
    def joined(cls, parts: Sequence[Edges]) -> Edges:
        """Return those of all parts of the windows."""
        none = [np.zeros(0, np.float32)]
        ratio, wider, strength = (
            np.concatenate([getattr(part, name) for part in parts] or none)
            for name in ("ratio", "wider_ratio", "strength")
        )
        return cls(ratio, wider, strength, sum(part.pixels for part in parts))

    def _clear(self, noise: float) -> tuple[Floats, Floats, Floats]:
        """Return ratio, wider ratio and strength of the edges that exceed noise of a level."""
        # White noise of level 1 has gradients of 1 / (√8π σ²) after a Gaussian blur.
        clear = self.strength > _NOISE_GRADIENTS * noise / (np.sqrt(8 * np.pi) * _FIRST**2)
        return self.ratio[clear], self.wider_ratio[clear], self.strength[clear]

    def _show_detail(self, strength: Floats) -> bool:
        """Return whether edges of these strengths are enough, or clear enough, to be those of detail."""
        if len(strength) < _LEAST_EDGES:
            return False
        return len(strength) / self.pixels >= _LEAST_DENSITY or bool(np.quantile(strength, 0.9) >= _CLEAR_GRADIENT)

    def are_of_clouds(self, noise: float = 0.0) -> bool:
        """Return whether the edges are few, weak, and as soft as those of clouds; noise: as for `estimate_blur`."""
        ratio, wider, strength = self._clear(noise)
        if not self._show_detail(strength):
            return False
        if len(strength) / self.pixels >= _CLOUDS_DENSITY or np.quantile(strength, 0.9) >= _CLOUDS_GRADIENT:
            return False
        squares, sharp, agreement = _blur_of_edges(ratio, wider, strength)
        return agreement > _CLOUDS_AGREEMENT or _relative_spread(squares, sharp) > _CLOUDS_SPREAD

    def estimate_blur(self, noise: float = 0.0, *, background: bool = False) -> float | None:
        """Estimate the blur of the region's sharpest detail.

        Args:
            noise: level of the region's noise, in 8-bit levels.
            background: whether the region is one, whose edges may be those of clouds.

        Returns:
            Variance of the blur, sigma² in square pixels, at most LARGEST_BLUR²; below 0 for a sharpened image, whose
            edges overshoot. None = there are too few edges, or few and weak ones, or a background has only edges
            such as those of clouds, which are soft in a sharp photograph, too, or only thin lines.
        """
        ratio, wider, strength = self._clear(noise)
        if not self._show_detail(strength):
            return None
        _, sharp, agreement = _blur_of_edges(ratio, wider, strength)
        if background and (self.are_of_clouds(noise) or (sharp > _UNSHARP and agreement < _LEAST_AGREEMENT)):
            return None
        factor = _STEPS * (1 + _LINES * min(max(1 - agreement, 0), 1))
        return min(factor * sharp, LARGEST_BLUR**2)


def _blur_of_edges(ratio: Floats, wider: Floats, strength: Floats) -> tuple[Floats, float, float]:
    """Return the variances of the blur of the strongest edges, that of a sharp one, and their `_agreement`."""
    if len(ratio) > _STRONGEST:
        strongest = np.argpartition(-strength, _STRONGEST)[:_STRONGEST]
        ratio, wider = ratio[strongest], wider[strongest]
    squares = _squared_blur(ratio, _FIRST, _SECOND)
    sharp = float(np.quantile(squares, _SHARPEST))
    return squares, sharp, _agreement(squares, sharp, wider)


def _squared_blur(ratio: Floats, first: float, second: float) -> Floats:
    """Return the variance of the blur of steps by the squared ratio of their gradients after two blurs."""
    return np.asarray((second**2 - ratio * first**2) / np.maximum(ratio - 1, 1e-3), np.float32)


def _relative_spread(squares: Floats, sharp: float) -> float:
    """Return the range of the blur of most edges, relative to that of a sharp one; it is wide in clouds."""
    least, most = (float(np.quantile(squares, each)) for each in (0.1, 0.75))
    return (most - least) / max(sharp, 0.1)


def _agreement(squares: Floats, sharp: float, wider_ratio: Floats) -> float:
    """Return the variance of blur by σ₂ and σ₃, relative to that by σ₁ and σ₂ (E,), of edges around a sharp one."""
    alike = np.argsort(np.abs(squares - sharp))[: max(1, round(_ALIKE * len(squares)))]
    return float(_squared_blur(np.median(wider_ratio[alike], keepdims=True), _SECOND, _THIRD)[0]) / max(sharp, 0.1)


def _far_from_others(valid: NDArray[np.bool_]) -> Bytes:
    """Return 1 at the pixels of windows (N, S, S) whose gradients do not mix with what is beyond, else 0."""
    reach = kernel_reach(_THIRD)
    usable = np.zeros(valid.shape, np.uint8)
    usable[:, reach:-reach, reach:-reach] = 1
    if not valid.all():
        box = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        for window, inside in zip(usable, valid, strict=True):
            np.minimum(window, cv2.erode(inside.view(np.uint8), box), out=window)
    return usable


def _edge_ratios(luma: Floats, usable: Bytes) -> tuple[Floats, Floats, Floats]:
    """Return the squared ratios of the gradients and the strength at the edge pixels of luma (h, w), (E,) each."""
    sharper, *blurrier = (cv2.GaussianBlur(luma, (0, 0), sigma) for sigma in (_FIRST, _SECOND, _THIRD))
    across, down = (cv2.filter2D(sharper, -1, each) for each in (_CENTRAL, _CENTRAL.T))
    size = cv2.magnitude(across, down)
    y, x = np.nonzero((size > _LEAST_GRADIENT) & (usable > 0))
    level = np.abs(across[y, x]) > np.abs(down[y, x])  # the direction of the gradient
    beside, below = level.astype(np.intp), 1 - level
    found = size[y, x]
    ridge = (found >= size[y - below, x - beside]) & (found > size[y + below, x + beside])
    y, x, strength = y[ridge], x[ridge], found[ridge]
    # The other gradients along the direction of the first.
    along = [
        np.maximum(
            (across[y, x] * (each[y, x + 1] - each[y, x - 1]) + down[y, x] * (each[y + 1, x] - each[y - 1, x]))
            / (2 * strength),
            1e-3,
        )
        for each in blurrier
    ]
    ratio, wider = (np.square(first / second) for first, second in ((strength, along[0]), (along[0], along[1])))
    return np.asarray(ratio, np.float32), np.asarray(wider, np.float32), np.asarray(strength, np.float32)


_CENTRAL = np.array([[-0.5, 0, 0.5]], np.float32)


def soften(colors: Floats, sigma: float, alpha: Floats | None, scratch: Scratch) -> None:
    """Blur colors (h, w, 3), in place, by a Gaussian of radius sigma in pixels.

    `alpha`: (h, w), their weights in the mean; None = they are equal. `scratch`: memory of intermediate results.
    """
    _blur(colors, sigma, alpha, scratch, colors)


def unsharp_mask(colors: Floats, sigma: float, alpha: Floats | None, scratch: Scratch) -> None:
    """Add the difference from `soften` once (an unsharp mask of radius sigma and amount 1), in place."""
    blurred = scratch.floats("change", colors.shape)
    _blur(colors, sigma, alpha, scratch, blurred)
    cv2.addWeighted(colors, 2, blurred, -1, 0, dst=colors)


def _blur(colors: Floats, sigma: float, alpha: Floats | None, scratch: Scratch, out: Floats) -> None:
    """Write the colors that `soften` describes to `out`, which may be `colors` itself."""
    size = 2 * (2 * kernel_reach(sigma) + 1,)
    if alpha is None:
        cv2.GaussianBlur(colors, size, sigma, dst=out)
        return
    weighted = times(colors, alpha, out=scratch.floats("weights", colors.shape))
    cv2.GaussianBlur(weighted, size, sigma, dst=out)
    weight = cv2.GaussianBlur(alpha, size, sigma)
    cv2.divide(out, repeat_channels(np.maximum(weight, np.float32(1e-4)), weighted), dst=out)


def kernel_reach(sigma: float) -> int:
    """Return the pixels to each side that a Gaussian of radius sigma needs."""
    return int(np.ceil(3 * sigma))


def gaussian_weights(sigma: float) -> Doubles:
    """Return the weights (2·reach + 1,) of `soften` along an axis."""
    return np.asarray(cv2.getGaussianKernel(2 * kernel_reach(sigma) + 1, sigma, cv2.CV_64F), np.float64).ravel()
