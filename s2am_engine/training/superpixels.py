# SPDX-License-Identifier: GPL-3.0-or-later
"""A photograph as some 150 superpixels: which of them stand out, and which belong together by color."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import slic

COUNT = 150
COMPACTNESS = 0.1  # of SLIC, for Lab scaled to a range of 1
BORDER = 2  # pixels: frames and compression spoil the outermost ones

SAME_COLOR = 10.0  # CIELAB units: the deviation within which colors pass for the same
UNSEEN_STEP = 3.5  # CIELAB units: steps between neighbors that do not count, as in soft shading
REACH = 0.25  # of the longer side: the deviation within which contrast counts
SMOOTHNESS = 0.1  # how much neighbors have in common, however different they are


@dataclass(frozen=True)
class Superpixels:
    """N small connected patches of a picture, each of about one color."""

    patches: NDArray[np.int64]  # H×W, 0 … N-1
    colors: NDArray[np.float64]  # N×3, mean CIELAB
    places: NDArray[np.float64]  # N×2, mean (row, column) in units of the picture's longer side
    sizes: NDArray[np.float64]  # N, pixels
    touching: NDArray[np.bool_]  # N×N, symmetric: which have a border in common
    outer: NDArray[np.bool_]  # N: which lie at the picture's border


def find_superpixels(image: NDArray[np.uint8]) -> Superpixels:
    """Divide a picture by SLIC (Achanta et al., PAMI 2012).

    Args:
        image: H×W×3 uint8 RGB.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    divided = slic(lab, COUNT, COMPACTNESS, max_num_iter=5, convert2lab=False, start_label=0)
    patches = np.asarray(divided, np.int64)
    sizes = np.bincount(patches.ravel()).astype(np.float64)
    return Superpixels(
        patches,
        means(patches, sizes, np.moveaxis(lab, 2, 0)),
        means(patches, sizes, np.indices(patches.shape)) / max(patches.shape),
        sizes,
        neighbors(patches, len(sizes)),
        at_border(patches, len(sizes)),
    )


def means(patches: NDArray[np.int64], sizes: NDArray[np.float64], channels: NDArray[np.generic]) -> NDArray[np.float64]:
    """Average C×H×W channels over each patch: N×C."""
    sums = [np.bincount(patches.ravel(), channel.ravel()) for channel in channels]
    return np.stack(sums, axis=1) / sizes[:, None]


def neighbors(patches: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which patches touch which, as an N×N matrix."""
    touching = np.zeros((count, count), np.bool_)
    touching[patches[1:], patches[:-1]] = True
    touching[patches[:, 1:], patches[:, :-1]] = True
    touching |= touching.T
    np.fill_diagonal(touching, False)
    return touching


def at_border(patches: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which patches lie at the picture's border."""
    inner = np.zeros(patches.shape, np.bool_)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    outer = np.zeros(count, np.bool_)
    outer[patches[~inner]] = True
    return outer


def saliency(superpixels: Superpixels) -> NDArray[np.float64]:
    """How much each superpixel stands out from what reaches the picture's border.

    Zhu, Liang, Wei & Sun, “Saliency Optimization from Robust Background Detection”, CVPR 2014.

    Returns:
        N values, scaled to 0 … 1; all 0 when nothing stands out.
    """
    contrast = distances(superpixels.colors)
    background = background_chance(superpixels, contrast)
    near = np.exp(-np.square(distances(superpixels.places)) / (2 * REACH**2))
    foreground = (contrast * near * background).sum(axis=1)
    if foreground.max() < 1e-6:
        return np.zeros(len(foreground))
    foreground /= foreground.max()
    alike = superpixels.touching * (np.exp(-np.square(contrast) / (2 * SAME_COLOR**2)) + SMOOTHNESS)
    smooth = np.diag(alike.sum(axis=1)) - alike
    # OpenCV's solver, because NumPy's would start threads of its own beneath those of a thread pool.
    _, solved = cv2.solve(smooth + np.diag(background + foreground), foreground[:, None], flags=cv2.DECOMP_CHOLESKY)
    found = solved[:, 0] - solved.min()
    return found / max(float(found.max()), 1e-6)


def background_chance(superpixels: Superpixels, contrast: NDArray[np.float64]) -> NDArray[np.float64]:
    """How likely each superpixel is background: how much of its area's outline is the picture's border."""
    along = np.exp(-np.square(color_paths(superpixels, contrast)) / (2 * SAME_COLOR**2))
    return 1 - np.exp(-np.square(along @ superpixels.outer) / (2 * along.sum(axis=1)))


def color_paths(superpixels: Superpixels, contrast: NDArray[np.float64]) -> NDArray[np.float64]:
    """The N×N lengths of the shortest paths from superpixel to superpixel, by color (Floyd & Warshall)."""
    joined = superpixels.touching | np.logical_and.outer(superpixels.outer, superpixels.outer)
    lengths = np.where(joined, np.maximum(contrast - UNSEEN_STEP, 0), np.inf)
    np.fill_diagonal(lengths, 0)
    for way in range(len(lengths)):
        np.minimum(lengths, lengths[:, way, None] + lengths[None, way], out=lengths)
    return lengths


def distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Euclidean distances between N points, N×N."""
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@dataclass(frozen=True)
class Area:
    """Superpixels of like colors that together form one connected area."""

    members: NDArray[np.bool_]  # N
    contrast: float  # how much less its parts differ from each other than it does from what it is merged with next


def color_areas(superpixels: Superpixels) -> list[Area]:
    """Merge superpixels, the most alike neighbors first, until the picture is one area, and list all on the way.

    An area stands out when it stays unmerged for long, as the maximally stable regions of Matas et al. (2002) do.

    Returns:
        Areas of two or more superpixels, nested in each other, the one that stands out most first.
    """
    merging = Merging(superpixels)
    born = np.zeros(len(superpixels.sizes))
    areas = []
    for _ in range(len(born) - 1):
        pair, cost = merging.most_alike()
        areas += [Area(merging.members[one].copy(), cost - born[one]) for one in pair if merging.members[one].sum() > 1]
        merging.merge(*pair)
        born[pair[0]] = cost
    return sorted(areas, key=lambda area: -area.contrast)


class Merging:
    """Areas that begin as superpixels and are merged pair by pair, by Ward's criterion (1963).

    It weighs the difference of two areas' colors by their sizes, so that small areas are merged sooner.
    """

    def __init__(self, superpixels: Superpixels) -> None:
        """Begin with one area for each superpixel."""
        count = len(superpixels.sizes)
        self.members = np.eye(count, dtype=np.bool_)  # areas × superpixels
        self.sizes = superpixels.sizes.copy()
        self.colors = superpixels.colors.copy()
        self.touching = superpixels.touching.copy()
        self.costs = np.stack([self.costs_of(one) for one in range(count)])

    def costs_of(self, one: int) -> NDArray[np.float64]:
        """What merging one area with each other one costs; infinite where they do not touch."""
        weights = self.sizes * self.sizes[one] / (self.sizes + self.sizes[one])
        change = np.square(self.colors - self.colors[one]).sum(axis=1)
        return np.where(self.touching[one], np.sqrt(weights * change), np.inf)

    def most_alike(self) -> tuple[tuple[int, int], float]:
        """The two areas that are merged at the least cost, and that cost."""
        one, other = divmod(int(np.argmin(self.costs)), len(self.costs))
        return (one, other), float(self.costs[one, other])

    def merge(self, kept: int, gone: int) -> None:
        """Make two areas one, under the number of the first."""
        total = self.sizes[kept] + self.sizes[gone]
        self.colors[kept] += (self.colors[gone] - self.colors[kept]) * (self.sizes[gone] / total)
        self.sizes[kept] = total
        self.members[kept] |= self.members[gone]
        self.touching[kept] |= self.touching[gone]
        self.touching[:, kept] = self.touching[kept]
        self.touching[kept, kept] = False
        self.touching[gone] = self.touching[:, gone] = False
        self.costs[gone] = self.costs[:, gone] = np.inf
        self.costs[kept] = self.costs[:, kept] = self.costs_of(kept)
