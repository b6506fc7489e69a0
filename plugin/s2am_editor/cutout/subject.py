# SPDX-License-Identifier: GPL-3.0-or-later
"""Selection of a subject: from a box or scribbles by GrabCut, or by the models for subjects and pasted regions.

GrabCut runs on a reduced copy; the edge of its mask is then aligned with the image's edges at full size.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.model import Document, DocumentError
from s2am_editor.document.raster import Raster, TiledMask
from s2am_engine.image.arrays import to_uint8
from s2am_engine.image.grabcut import GrabCut, foreground_labels
from s2am_engine.image.masks import snap_mask, upsample_mask
from s2am_engine.image.rect import Rect
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.models.model_store import DETECTOR
from s2am_engine.types import FractionCallback

_MAX_SIDE = 384  # of the reduced copy; takes about a second
_ITERATIONS = 4
_BOX_MARGIN = 0.3  # share of the box's size; contains samples of the background's colors
_MIN_ISLAND = 0.004  # share of the largest island's area; smaller ones are removed
_EDGE_REACH = 3  # pixels of the reduced copy by which the edge can move
_CLUSTERS = 5  # of colors, as many as in GrabCut's own models
_UNDECIDED = np.uint8(128)
_COVERED = 16  # of 255; thin scribbles cover pixels of the reduced copy only in part


def grab_cut(
    raster: Raster,
    *,
    box: Rect | None = None,
    foreground: TiledMask | None = None,
    background: TiledMask | None = None,
    progress: FractionCallback | None = None,
) -> TiledMask:
    """Segment the subject that the user marked.

    Args:
        raster: the layer's pixels.
        box: surrounds the subject roughly; everything outside is background.
        foreground: scribbles on the subject, as a mask of the raster's size.
        background: scribbles on the background, as a mask of the raster's size.
        progress: see `FractionCallback`.

    Raises:
        DocumentError: nothing is marked, or no subject was found.
    """
    bounds = Rect(0, 0, *raster.size)
    has_scribbles = foreground is not None and not foreground.is_empty
    if (box is None or box.intersection(bounds).is_empty) and not has_scribbles:
        raise DocumentError(
            "Nothing is marked: draw a box around the subject, or scribble on it.", code="document.nothing-marked"
        )
    area = _expand_box(box, bounds) if box is not None else bounds
    image = to_uint8(_reduce(raster, area))
    labels = _initial_labels(image.shape[:2], area, box, foreground, background)
    if box is None:
        _label_by_color(image, labels)
    _run(image, labels, progress or (lambda _: None))
    found = _remove_islands(foreground_labels(labels), labels == cv2.GC_FGD)
    if not found.any():
        raise DocumentError(
            "No subject was found there: draw the box closer to it, or scribble on the subject.",
            code="document.no-subject",
        )
    return _to_full_size(raster, area, found)


def _expand_box(box: Rect, bounds: Rect) -> Rect:
    box = box.intersection(bounds)
    return box.expanded(int(_BOX_MARGIN * max(box.width, box.height)) + 8).intersection(bounds)


def _reduce(raster: Raster, area: Rect) -> NDArray[Any]:
    """Return the pixels of an area, with a longer side of at most _MAX_SIDE."""
    level = 0
    while max(area.width, area.height) >> (level + 1) >= _MAX_SIDE:
        level += 1
    pixels = raster.level(level).pixels
    part = pixels[area.top >> level : -(-area.bottom >> level), area.left >> level : -(-area.right >> level)]
    scale = min(1.0, _MAX_SIDE / max(part.shape[:2]))
    size = max(2, round(part.shape[1] * scale)), max(2, round(part.shape[0] * scale))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)


def _initial_labels(
    shape: tuple[int, ...],
    area: Rect,
    box: Rect | None,
    foreground: TiledMask | None,
    background: TiledMask | None,
) -> NDArray[np.uint8]:
    """Return GrabCut's label for each pixel of the reduced copy."""
    height, width = shape
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    if box is not None:
        scale_x, scale_y = width / area.width, height / area.height
        inside = box.intersection(area).translated(-area.left, -area.top)
        top, left = int(inside.top * scale_y), int(inside.left * scale_x)
        labels[:] = cv2.GC_BGD
        rows = slice(top, max(top + 1, round(inside.bottom * scale_y)))
        columns = slice(left, max(left + 1, round(inside.right * scale_x)))
        labels[rows, columns] = cv2.GC_PR_FGD
    elif background is None or background.is_empty:
        labels[[0, -1]] = labels[:, [0, -1]] = cv2.GC_BGD  # the border is most likely background
    if foreground is not None:
        labels[_covered_pixels(foreground, area, shape)] = cv2.GC_FGD
    if background is not None:
        labels[_covered_pixels(background, area, shape)] = cv2.GC_BGD
    return labels


def _label_by_color(image: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Label undecided pixels as foreground if their color is closer to the foreground scribbles."""
    distances = []
    for label in (cv2.GC_FGD, cv2.GC_BGD):
        colors = image[labels == label].astype(np.float32)
        if not len(colors):
            return
        criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
        no_labels = np.empty(0, np.int32)
        clusters = min(_CLUSTERS, len(colors))
        centers = cv2.kmeans(colors, clusters, no_labels, criteria, 1, cv2.KMEANS_PP_CENTERS)[2]
        distances.append(np.min([np.square(image - center).sum(axis=2) for center in centers], axis=0))
    labels[(labels == cv2.GC_PR_BGD) & (distances[0] < distances[1])] = cv2.GC_PR_FGD


def _covered_pixels(mask: TiledMask, area: Rect, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels of the reduced copy that a mask covers: h×w bool."""
    reduced = cv2.resize(mask.read(area), shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(reduced >= _COVERED)


def _run(image: NDArray[np.uint8], labels: NDArray[np.uint8], report: FractionCallback) -> None:
    """Run GrabCut on the reduced copy."""
    is_foreground = foreground_labels(labels)
    if is_foreground.all() or not is_foreground.any():
        raise DocumentError(
            "The box covers the whole image: leave a margin around the subject, or scribble on it.",
            code="document.no-background",
        )
    segmentation = GrabCut()
    for index in range(_ITERATIONS):
        report(0.1 + 0.7 * index / _ITERATIONS)
        try:
            segmentation.run(image, labels)
        except cv2.error as error:  # nothing is left of foreground or background
            raise DocumentError(
                "The subject cannot be distinguished from its surroundings: paint the mask with the brush.",
                code="document.no-subject",
            ) from error
        if not foreground_labels(labels).any():
            return
    report(0.8)


def _remove_islands(found: NDArray[np.bool_], scribbled: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Remove specks and fill pinholes, except for those that the user scribbled on."""
    for inverted in (False, True):
        part = (~found if inverted else found).view(np.uint8)
        count, islands, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
        if count > 1:
            areas = stats[:, cv2.CC_STAT_AREA]
            is_small = areas < max(4, _MIN_ISLAND * areas[1:].max())
            is_small[0] = False
            is_small[np.unique(islands[scribbled])] = False
            found = found ^ is_small[islands]
    return found


def _to_full_size(raster: Raster, area: Rect, found: NDArray[np.bool_]) -> TiledMask:
    """Enlarge the mask of the reduced copy, with its edge aligned to the image's; it is 0 or 255 elsewhere."""
    edge = snap_mask(upsample_mask(found.astype(np.float32), raster.pixels[area.slices]))
    kernel = np.ones((2 * _EDGE_REACH + 1,) * 2, np.uint8)
    reduced = found.view(np.uint8)
    is_decided = cv2.dilate(reduced, kernel) == cv2.erode(reduced, kernel)
    decided = np.where(is_decided, reduced * np.uint8(255), _UNDECIDED)
    enlarged = cv2.resize(decided, (area.width, area.height), interpolation=cv2.INTER_NEAREST)
    values = np.where(enlarged == _UNDECIDED, edge, enlarged).astype(np.uint8)
    return TiledMask(*raster.size).replaced(area.left, area.top, values)


@dataclass(frozen=True)
class Proposal:
    """A detected region, for the user to accept or refine.

    Attributes:
        mask: of the layer's size.
        confidence: 0 to 1, that it was pasted.
    """

    mask: TiledMask
    confidence: float


class LazyDetector:
    """The detector of pasted regions, loaded on first use; used by one thread at a time."""

    def __init__(self, model: str = DETECTOR, device: str | None = None) -> None:
        """Load nothing yet; arguments as for `Detector`."""
        self._arguments = model, device
        self._detector: Detector | None = None
        self._lock = threading.Lock()

    def detect(self, document: Document, layer_id: int) -> Proposal:
        """Detect the pasted region in a layer's pixels, or the most likely one. The document does not change.

        Raises:
            NothingFoundError: no region was detected, or the whole image.
            DocumentError: the layer does not exist.
            ModelError: the model is damaged.
        """
        raster = document.layer(layer_id).raster
        with self._lock:
            if self._detector is None:
                self._detector = Detector(*self._arguments)
            detection = self._detector.detect(
                raster.pixels, alpha=raster.alpha, profile=document.profile, likeliest=True
            )
        return Proposal(TiledMask.from_array(detection.mask), detection.confidence)


class LazySubjectSelector:
    """The selector of a photograph's subject, loaded on first use; used by one thread at a time."""

    def __init__(self, device: str | None = None) -> None:
        """Load nothing yet; `device` as for `SubjectSelector`."""
        self._device = device
        self._selector: SubjectSelector | None = None
        self._lock = threading.Lock()

    def select(self, raster: Raster, profile: bytes | None) -> TiledMask:
        """Return the mask of the subject in a layer's pixels.

        Raises:
            NoSubjectError: there is no clear subject, or it covers everything.
            ModelError: the model is damaged.
        """
        with self._lock:
            if self._selector is None:
                self._selector = SubjectSelector(device=self._device)
            found = self._selector.select(raster.pixels, alpha=raster.alpha, profile=profile)
        return TiledMask.from_array(found.mask)
