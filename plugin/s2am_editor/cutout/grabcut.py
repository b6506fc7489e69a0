# SPDX-License-Identifier: GPL-3.0-or-later
"""From a rough box or scribbles to a mask: GrabCut on a small copy, its edge fitted to the picture at full size.

Rother, Kolmogorov & Blake, SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_editor.document.geometry import Rect
from s2am_editor.document.mask import Levels, Mask
from s2am_editor.document.raster import Raster
from s2am_engine.errors import EngineError
from s2am_engine.image.guided import enlarge_along_edges
from s2am_engine.inference.network_input import to_bytes

Progress = Callable[[float], None]

SIDE = 384  # of the copy that is cut, the longer one: about a second
ROUNDS = 4
_MARGIN = 0.3  # around the box, of its size: what shows the background's colors
_SPECK = 0.004  # islands smaller than this share of the largest one are dropped
_REACH = 3  # pixels of the copy over which the edge may move
_COLORS = 5  # as many as GrabCut itself tells apart on each side
_UNSURE = np.uint8(128)
_FAINT = 0.15  # the guided edge is never quite 0 or 1: what is this near counts as 0 or 1
_SURER = np.rint((np.linspace(0, 1, 256) - _FAINT).clip(0, 1 - 2 * _FAINT) / (1 - 2 * _FAINT) * 255).astype(np.uint8)


def grab_cut(
    raster: Raster,
    *,
    box: Rect | None = None,
    foreground: Mask | None = None,
    background: Mask | None = None,
    mask: Mask | None = None,
    progress: Progress | None = None,
) -> Mask:
    """Cut out the subject that a person pointed at.

    Args:
        raster: the layer's pixels.
        box: roughly around the subject: all outside of it is background.
        foreground: scribbles on the subject. background: scribbles beside it. Both of the raster's size.
        background: see `foreground`.
        mask: an earlier result to refine with scribbles.
        progress: called with the share done; what it raises ends the work.

    Raises:
        EngineError: nothing was pointed at, or nothing was found there.
    """
    whole = Rect(0, 0, *raster.size)
    marked = foreground is not None and not foreground.is_empty
    if (box is None or box.within(whole).is_empty) and not marked:
        raise EngineError("Nothing is marked: draw a box around the subject, or scribble on it.")
    area = _area(box, whole) if box is not None and mask is None else whole
    guide = to_bytes(_small(raster, area))
    labels = _labels(guide.shape[:2], area, box if mask is None else None, foreground, background, mask)
    if box is None and mask is None:
        _guess(guide, labels)
    _rounds(guide, labels, progress or (lambda _: None))
    found = _cleaned(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)), labels == cv2.GC_FGD)
    if not found.any():
        raise EngineError("No subject was found there: draw the box closer, or scribble on the subject.")
    return _at_full_size(raster, area, found)


def _area(box: Rect, whole: Rect) -> Rect:
    box = box.within(whole)
    return box.grown(int(_MARGIN * max(box.width, box.height)) + 8).within(whole)


def _small(raster: Raster, area: Rect) -> NDArray[Any]:
    """The pixels of an area, its longer side at most SIDE."""
    level = 0
    while max(area.width, area.height) >> (level + 1) >= SIDE:
        level += 1
    pixels = raster.level(level).pixels
    part = pixels[area.top >> level : -(-area.bottom >> level), area.left >> level : -(-area.right >> level)]
    scale = min(1.0, SIDE / max(part.shape[:2]))
    size = max(2, round(part.shape[1] * scale)), max(2, round(part.shape[0] * scale))
    return cv2.resize(part, size, interpolation=cv2.INTER_AREA)


def _labels(
    shape: tuple[int, ...],
    area: Rect,
    box: Rect | None,
    foreground: Mask | None,
    background: Mask | None,
    mask: Mask | None,
) -> Levels:
    """What is known and what is guessed of each pixel of the copy, in GrabCut's own numbers."""
    height, width = shape
    labels = np.full((height, width), cv2.GC_PR_BGD, np.uint8)
    if box is not None:
        across, down = width / area.width, height / area.height
        inside = box.within(area).moved(-area.left, -area.top)
        labels[:] = cv2.GC_BGD
        rows = slice(int(inside.top * down), max(int(inside.top * down) + 1, round(inside.bottom * down)))
        columns = slice(int(inside.left * across), max(int(inside.left * across) + 1, round(inside.right * across)))
        labels[rows, columns] = cv2.GC_PR_FGD
    if mask is not None:
        labels[_touched(mask, area, shape, 128)] = cv2.GC_PR_FGD
    elif box is None and (background is None or background.is_empty):
        labels[[0, -1]] = labels[:, [0, -1]] = cv2.GC_BGD  # the picture's rim is most likely not the subject
    if foreground is not None:
        labels[_touched(foreground, area, shape, 16)] = cv2.GC_FGD
    if background is not None:
        labels[_touched(background, area, shape, 16)] = cv2.GC_BGD
    return labels


def _guess(guide: Levels, labels: Levels) -> None:
    """Take what is not known for foreground where its color is closer to the scribbles on the subject."""
    distances = []
    for known in (cv2.GC_FGD, cv2.GC_BGD):
        colors = guide[labels == known].astype(np.float32)
        if not len(colors):
            return
        stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 10, 1.0)
        none = np.empty(0, np.int32)
        centers = cv2.kmeans(colors, min(_COLORS, len(colors)), none, stop, 1, cv2.KMEANS_PP_CENTERS)[2]
        distances.append(np.min([np.square(guide - center).sum(axis=2) for center in centers], axis=0))
    labels[(labels == cv2.GC_PR_BGD) & (distances[0] < distances[1])] = cv2.GC_PR_FGD


def _touched(mask: Mask, area: Rect, shape: tuple[int, ...], least: int) -> NDArray[np.bool_]:
    """Which pixels of the copy a mask covers at all."""
    small = cv2.resize(mask.read(area), shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(small >= least)


def _rounds(guide: Levels, labels: Levels, report: Progress) -> None:
    models = np.zeros((1, 65)), np.zeros((1, 65))
    has_both = np.isin(labels, (cv2.GC_BGD, cv2.GC_PR_BGD)).any() and np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).any()
    if not has_both:
        raise EngineError("The box covers the whole picture: leave a margin around the subject, or scribble on it.")
    for index in range(ROUNDS):
        report(0.1 + 0.7 * index / ROUNDS)
        mode = cv2.GC_EVAL if index else cv2.GC_INIT_WITH_MASK
        try:
            cv2.grabCut(guide, labels, None, *models, 1, mode)  # type: ignore[call-overload]
        except cv2.error as error:  # all of one color
            raise EngineError(
                "No subject can be told from what is around it there: paint it with the brush."
            ) from error
        if not np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).any():
            return
    report(0.8)


def _cleaned(found: NDArray[np.bool_], certain: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Without specks and pinholes, unless a person scribbled on them."""
    for inverse in (False, True):
        part = (~found if inverse else found).view(np.uint8)
        count, islands, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
        if count > 1:
            sizes = stats[:, cv2.CC_STAT_AREA]
            small = sizes < max(4, _SPECK * sizes[1:].max())
            small[0] = False
            small[np.unique(islands[certain])] = False
            found = found ^ small[islands]
    return found


def _at_full_size(raster: Raster, area: Rect, found: NDArray[np.bool_]) -> Mask:
    """The mask of the copy, its edge moved to where the picture's own is; away from it nothing is in between."""
    edge = cv2.LUT(enlarge_along_edges(found.astype(np.float32), raster.pixels[area.window]), _SURER)
    window = np.ones((2 * _REACH + 1,) * 2, np.uint8)
    small = found.view(np.uint8)
    sure = cv2.dilate(small, window) == cv2.erode(small, window)
    known = np.where(sure, small * np.uint8(255), _UNSURE)
    large = cv2.resize(known, (area.width, area.height), interpolation=cv2.INTER_NEAREST)
    values = np.where(large == _UNSURE, edge, large).astype(np.uint8)
    return Mask(*raster.size).replaced(area.left, area.top, values)
