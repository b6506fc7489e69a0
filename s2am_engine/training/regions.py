# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidate foreground regions of a photograph: from a label map, or proposed from the image itself.

Candidates are the regions that people cut out and paste: persons, objects, and areas such as a sky, a wall or a jacket.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.image.grabcut import GrabCut, foreground_labels

SMALLEST_SEARCHED_SIDE = 16  # pixels: no regions are proposed in smaller images
SMALLEST_AREA = 0.01
LARGEST_AREA = 0.75
SAME_OVERLAP = 0.85  # intersection over union from which two regions count as one
THINNEST = 0.17  # radius of the largest inscribed disc, relative to the square root of the area (a square: 0.5)
SMALLEST_HOLE = 0.06  # holes below this share of the region's area are closed

VISIBLE_DIFFERENCE = 6.0  # CIELAB units
VISIBLE_SHARE = 0.8  # of a region's edge

COARSE_SIDE = 80  # pixels: size of the first GrabCut pass
FACE_SIDE = 256  # pixels: size for face detection
SMALLEST_FACE = 24  # pixels of those
MOST_PEOPLE = 2
PERSON = (  # ellipses: offset below the face's center, half height, half width (in sides of the face), label
    (0.1, 1.6, 1.6, cv2.GC_PR_BGD),  # about the head
    (5.0, 4.5, 2.4, cv2.GC_PR_BGD),  # about the body
    (4.0, 3.2, 1.8, cv2.GC_PR_FGD),  # torso
    (-0.05, 0.85, 0.65, cv2.GC_PR_FGD),  # head
    (0.0, 0.45, 0.35, cv2.GC_FGD),  # face
    (2.5, 1.6, 0.6, cv2.GC_FGD),  # chest
)
MOST_AREAS = 3
RECTANGLES = 3

COUNT = 150
COMPACTNESS = 0.1  # of SLIC, for Lab scaled to a range of 1
BORDER = 2  # pixels: border that frames and compression artifacts may affect

SAME_COLOR = 10.0  # CIELAB units: scale of the color similarity
UNSEEN_STEP = 3.5  # CIELAB units: differences between neighbors to ignore, as in soft shading
CONTRAST_REACH = 0.25  # scale of the spatial weight of contrast, relative to the longer side
SMOOTHNESS = 0.1  # smallest similarity of neighbors


class Region(NamedTuple):
    """A region of a photograph that could be a pasted foreground."""

    kind: str  # "labeled", "people", "object" or "area"
    mask: NDArray[np.bool_]  # H×W


def propose_regions(
    image: NDArray[np.uint8], labels: NDArray[np.integer] | None, rng: np.random.Generator, most: int = 6
) -> list[Region]:
    """Propose regions of a photograph that a user might cut out.

    Args:
        image: H×W×3 uint8 RGB, 60 to 400 pixels per side.
        labels: H×W integers, 0 = no region; or None. If they yield regions, no others are proposed.
        rng: random numbers; the same state gives the same regions, in any thread.
        most: how many regions to keep.

    Returns:
        Distinct regions of plausible area; possibly none. People come first, then salient objects, then areas.
    """
    known = [] if labels is None else label_regions(labels, most)
    if known:
        return [Region("labeled", mask) for mask in known]
    if min(image.shape[:2]) < SMALLEST_SEARCHED_SIDE:
        return []
    return list(islice(drop_duplicates(find_regions(image, rng)), most))


def find_regions(image: NDArray[np.uint8], rng: np.random.Generator) -> Iterator[Region]:
    """Find people, objects and areas in a picture, the most certain first, lazily."""
    for face in find_faces(image)[:MOST_PEOPLE]:
        yield from cut_region("people", image, person_trimap(image.shape[:2], *face), rng)
    superpixels = find_superpixels(image)
    yield from cut_region("object", image, salient_trimap(superpixels), rng)
    for trimap in islice(area_trimaps(image, superpixels), MOST_AREAS):
        yield from cut_region("area", image, trimap, rng)
    for _ in range(RECTANGLES):
        yield from cut_region("object", image, window_trimap(superpixels, rng), rng)


def drop_duplicates(regions: Iterator[Region]) -> Iterator[Region]:
    """Skip regions that overlap an earlier one almost completely."""
    kept: list[NDArray[np.bool_]] = []
    for region in regions:
        if all(overlap(region.mask, other) <= SAME_OVERLAP for other in kept):
            kept.append(region.mask)
            yield region


def label_regions(labels: NDArray[np.integer], most: int = 6) -> list[NDArray[np.bool_]]:
    """Split a label map into candidate foreground regions.

    Each label is one candidate, and so is each of its connected components.

    Args:
        labels: H×W integers, 0 = no region.
        most: how many regions to keep, the largest first.

    Returns:
        H×W masks whose area is plausible for a foreground; possibly none.
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


def find_faces(image: NDArray[np.uint8]) -> list[tuple[float, float, float]]:
    """Find frontal faces with boosted local binary patterns (Liao et al., 2007), as trained by scikit-image.

    Args:
        image: H×W×3 uint8 RGB.

    Returns:
        (row, column) of each face's center and its side in pixels, the largest first.
    """
    scale = FACE_SIDE / max(image.shape[:2])
    gray = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale)
    sizes = (SMALLEST_FACE, SMALLEST_FACE), (FACE_SIDE, FACE_SIDE)
    found = face_cascade().detect_multi_scale(gray, 1.2, 1.5, *sizes, 3)
    faces = [(face["r"] + face["height"] / 2, face["c"] + face["width"] / 2, face["width"]) for face in found]
    return sorted(
        ((row / scale, column / scale, side / scale) for row, column, side in faces), key=lambda face: -face[2]
    )


@cache
def face_cascade() -> Any:
    """Return the trained detector, which threads share."""
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


def person_trimap(shape: tuple[int, int], row: float, column: float, side: float) -> NDArray[np.uint8]:
    """Mark a person's face, body and surroundings: an H×W trimap for `grabcut`.

    Args:
        shape: H, W.
        row: the face's center in pixels.
        column: the face's center in pixels.
        side: of the face's square, in pixels.
    """
    trimap = np.full(shape, cv2.GC_BGD, np.uint8)
    for below, tall, wide, value in PERSON:
        center = round(column), round(row + below * side)
        cv2.ellipse(trimap, center, (round(wide * side), round(tall * side)), 0, 0, 360, value, cv2.FILLED)
    return trimap


def salient_trimap(superpixels: Superpixels) -> NDArray[np.uint8]:
    """Mark salient superpixels by Otsu's threshold: an H×W trimap for `grabcut`."""
    shades = (saliency(superpixels)[superpixels.patches] * 255).astype(np.uint8)
    threshold, salient = cv2.threshold(shades, 0, 1, cv2.THRESH_OTSU)
    trimap = np.where(salient, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    trimap[shades < threshold / 2] = cv2.GC_BGD
    trimap[shades > (threshold + 255) / 2] = cv2.GC_FGD
    return trimap.astype(np.uint8)


def area_trimaps(image: NDArray[np.uint8], superpixels: Superpixels) -> Iterator[NDArray[np.uint8]]:
    """Mark disjoint areas of uniform color: H×W trimaps for `grabcut`."""
    taken = np.zeros(len(superpixels.sizes), np.bool_)
    for area in color_areas(superpixels):
        mask = area.members[superpixels.patches]
        if not (area.members & taken).any() and is_plausible(mask) and has_visible_edge(image, mask):
            taken |= area.members
            yield edge_trimap(mask, max(2, max(mask.shape) // 32))


def edge_trimap(mask: NDArray[np.bool_], radius: int) -> NDArray[np.uint8]:
    """Mark a band of `radius` pixels along an H×W mask's edge as uncertain."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    region = mask.astype(np.uint8)
    trimap = np.where(mask, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[cv2.erode(region, kernel) > 0] = cv2.GC_FGD
    trimap[cv2.dilate(region, kernel) == 0] = cv2.GC_BGD
    return trimap


def window_trimap(superpixels: Superpixels, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Mark salient superpixels within a random rectangle: an H×W trimap for `grabcut`."""
    height, width = superpixels.patches.shape
    tall, wide = (rng.uniform(0.45, 0.85, 2) * (height, width)).astype(int)
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    window = np.zeros((height, width), np.bool_)
    window[top : top + tall, left : left + wide] = True
    outer = np.zeros_like(superpixels.outer)
    outer[superpixels.patches[~window]] = True
    trimap = salient_trimap(replace(superpixels, outer=outer))
    trimap[~window] = cv2.GC_BGD
    return trimap


def cut_region(
    kind: str, image: NDArray[np.uint8], trimap: NDArray[np.uint8], rng: np.random.Generator
) -> Iterator[Region]:
    """Segment a region, and yield it if its shape is plausible for a pasted foreground."""
    mask = smooth_region(grabcut(image, trimap, rng))
    if is_plausible(mask) and is_compact(mask) and has_visible_edge(image, mask):
        yield Region(kind, mask)


def grabcut(image: NDArray[np.uint8], trimap: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Segment by GrabCut from a trimap (Rother et al., 2004): coarsely, then refined along the edge.

    Args:
        image: H×W×3 uint8 RGB.
        trimap: H×W of `cv2.GC_BGD`, `GC_FGD`, `GC_PR_BGD`, `GC_PR_FGD`.
        rng: seeds the initial clustering of the colors.

    Returns:
        An H×W mask, empty when the trimap lacks foreground or background.
    """
    height, width = trimap.shape
    scale = min(1.0, COARSE_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    coarse = np.asarray(cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    if foreground_labels(coarse).all() or not foreground_labels(coarse).any():
        return np.zeros((height, width), np.bool_)
    segmentation = GrabCut(seed=int(rng.integers(2**31)))
    segmentation.run(small, coarse)
    region = cv2.resize(foreground_labels(coarse).astype(np.float32), (width, height)) > 0.5
    fine = edge_trimap(region, 2 + round(1 / scale))
    segmentation.run(image, fine)
    return foreground_labels(fine)


def smooth_region(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Smooth a region, remove specks and thin protrusions, keep its largest part and close its small holes."""
    radius = max(1, max(mask.shape) // 96)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    smooth = cv2.medianBlur(mask.astype(np.uint8), 2 * radius + 1)
    largest = largest_component(np.asarray(cv2.morphologyEx(smooth, cv2.MORPH_OPEN, kernel), np.uint8))
    _, holes, stats, _ = cv2.connectedComponentsWithStats((~largest).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < SMALLEST_HOLE * largest.sum()
    return largest | small[holes]


def largest_component(region: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Keep the largest connected part of an H×W region (0 or 1)."""
    _, components, stats, _ = cv2.connectedComponentsWithStats(region)
    if len(stats) < 2:
        return np.zeros(region.shape, np.bool_)
    return np.asarray(components == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def is_plausible(mask: NDArray[np.bool_]) -> bool:
    """Return whether a mask covers a plausible share of the image."""
    return SMALLEST_AREA <= float(mask.mean()) <= LARGEST_AREA


def is_compact(mask: NDArray[np.bool_]) -> bool:
    """Return whether a mask is neither a thin line nor a frame."""
    inside = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    radius = float(cv2.distanceTransform(inside, cv2.DIST_L2, 3).max())
    return radius >= THINNEST * float(np.sqrt(mask.sum()))


def has_visible_edge(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> bool:
    """Return whether colors differ along most of a mask's edge."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    weight = mask.astype(np.float32)[..., None]
    inside, outside = (
        cv2.blur(lab * share, (5, 5)) / np.maximum(cv2.blur(share, (5, 5)), 0.01)[..., None]
        for share in (weight, 1 - weight)
    )
    edge = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    difference = np.linalg.norm(inside[edge] - outside[edge], axis=1)
    return float((difference > VISIBLE_DIFFERENCE).mean()) >= VISIBLE_SHARE if len(difference) else False


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks."""
    return float((one & other).sum() / max(1, (one | other).sum()))


@dataclass(frozen=True)
class Superpixels:
    """N small connected patches of an image, each of about one color."""

    patches: NDArray[np.int64]  # H×W, 0 … N-1
    colors: NDArray[np.float64]  # N×3, mean CIELAB
    places: NDArray[np.float64]  # N×2, mean (row, column) in units of the image's longer side
    sizes: NDArray[np.float64]  # N, pixels
    touching: NDArray[np.bool_]  # N×N bool, symmetric: adjacency
    outer: NDArray[np.bool_]  # N bool: touches the image border


def find_superpixels(image: NDArray[np.uint8]) -> Superpixels:
    """Divide an image by SLIC (Achanta et al., PAMI 2012).

    Args:
        image: H×W×3 uint8 RGB.
    """
    from skimage.segmentation import slic

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
    """Return the N×N adjacency matrix of patches."""
    touching = np.zeros((count, count), np.bool_)
    touching[patches[1:], patches[:-1]] = True
    touching[patches[:, 1:], patches[:, :-1]] = True
    touching |= touching.T
    np.fill_diagonal(touching, False)
    return touching


def at_border(patches: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Return the patches that touch the image border: (N,) bool."""
    inner = np.zeros(patches.shape, np.bool_)
    inner[BORDER:-BORDER, BORDER:-BORDER] = True
    outer = np.zeros(count, np.bool_)
    outer[patches[~inner]] = True
    return outer


def saliency(superpixels: Superpixels) -> NDArray[np.float64]:
    """Return the difference of each superpixel from those connected to the image border.

    Zhu, Liang, Wei & Sun, “Saliency Optimization from Robust Background Detection”, CVPR 2014.

    Returns:
        N values, scaled to 0 … 1; all 0 when nothing stands out.
    """
    contrast = distances(superpixels.colors)
    background = background_probability(superpixels, contrast)
    near = np.exp(-np.square(distances(superpixels.places)) / (2 * CONTRAST_REACH**2))
    foreground = (contrast * near * background).sum(axis=1)
    if foreground.max() < 1e-6:
        return np.zeros(len(foreground))
    foreground /= foreground.max()
    alike = superpixels.touching * (np.exp(-np.square(contrast) / (2 * SAME_COLOR**2)) + SMOOTHNESS)
    smooth = np.diag(alike.sum(axis=1)) - alike
    # OpenCV's solver, because NumPy's starts additional threads inside those of a thread pool.
    _, solved = cv2.solve(smooth + np.diag(background + foreground), foreground[:, None], flags=cv2.DECOMP_CHOLESKY)
    found = solved[:, 0] - solved.min()
    return found / max(float(found.max()), 1e-6)


def background_probability(superpixels: Superpixels, contrast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the probability that each superpixel is background, from its connectivity to the border."""
    along = np.exp(-np.square(color_paths(superpixels, contrast)) / (2 * SAME_COLOR**2))
    return 1 - np.exp(-np.square(along @ superpixels.outer) / (2 * along.sum(axis=1)))


def color_paths(superpixels: Superpixels, contrast: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the N×N lengths of shortest color paths between superpixels (Floyd-Warshall)."""
    joined = superpixels.touching | np.logical_and.outer(superpixels.outer, superpixels.outer)
    lengths = np.where(joined, np.maximum(contrast - UNSEEN_STEP, 0), np.inf)
    np.fill_diagonal(lengths, 0)
    for way in range(len(lengths)):
        np.minimum(lengths, lengths[:, way, None] + lengths[None, way], out=lengths)
    return lengths


def distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the N×N Euclidean distances between N points."""
    return np.linalg.norm(points[:, None] - points[None], axis=2)


@dataclass(frozen=True)
class Area:
    """Superpixels of similar colors that form one connected area."""

    members: NDArray[np.bool_]  # N
    contrast: float  # cost of merging it with the next area minus the cost that formed it


def color_areas(superpixels: Superpixels) -> list[Area]:
    """Merge superpixels, the most alike neighbors first, until one area is left, and return all intermediate areas.

    An area is stable if it stays unmerged for long, as the maximally stable regions of Matas et al. (2002) do.

    Returns:
        Areas of two or more superpixels, nested in each other, the most stable first.
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

    The color difference of two areas is weighted by their sizes, so small areas are merged sooner.
    """

    def __init__(self, superpixels: Superpixels) -> None:
        """Start with one area per superpixel."""
        count = len(superpixels.sizes)
        self.members = np.eye(count, dtype=np.bool_)  # areas × superpixels
        self.sizes = superpixels.sizes.copy()
        self.colors = superpixels.colors.copy()
        self.touching = superpixels.touching.copy()
        self.costs = np.stack([self.costs_of(one) for one in range(count)])

    def costs_of(self, one: int) -> NDArray[np.float64]:
        """Return the cost of merging one area with each other one; infinite if they do not touch."""
        weights = self.sizes * self.sizes[one] / (self.sizes + self.sizes[one])
        change = np.square(self.colors - self.colors[one]).sum(axis=1)
        return np.where(self.touching[one], np.sqrt(weights * change), np.inf)

    def most_alike(self) -> tuple[tuple[int, int], float]:
        """Return the two areas with the lowest merging cost, and that cost."""
        one, other = divmod(int(np.argmin(self.costs)), len(self.costs))
        return (one, other), float(self.costs[one, other])

    def merge(self, kept: int, gone: int) -> None:
        """Merge two areas under the index of the first."""
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
