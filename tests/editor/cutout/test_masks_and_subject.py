# SPDX-License-Identifier: GPL-3.0-or-later
"""Selecting a subject, painting, combining and refining masks, and decontaminating edges."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from skimage import data

from s2am_common.errors import EngineError, NothingFoundError
from s2am_editor.cutout.masks import (
    Brush,
    Combination,
    alpha_to_mask,
    combine_masks,
    decontaminate_edges,
    paint_stroke,
    refine_mask,
)
from s2am_editor.cutout.subject import LazyDetector, grab_cut
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_engine.image.arrays import full_scale
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image
from s2am_engine.image.mask_edges import EdgeSettings
from s2am_engine.image.rect import Rect
from s2am_engine.inference.detector import Detector
from tests.editor.document.sample_documents import cutout, disc, scene
from tests.shared import SHARED, needs_shared


def intersection_over_union(mask: TiledMask, target: NDArray[np.bool_]) -> float:
    found = mask.to_array() >= 128
    return float((found & target).sum() / (found | target).sum())


def orange_on_blue(width: int, height: int, dtype: DTypeLike = np.uint8) -> tuple[Raster, NDArray[np.bool_]]:
    """Return a textured disc on a textured background, and its mask."""
    target = cv2.circle(np.zeros((height, width), np.uint8), (width // 2, height // 3), height // 5, 1, -1) > 0
    grain = scene(width, height) * 0.25
    orange, blue = np.array([200, 120, 30]), np.array([30, 60, 120])
    pixels = np.where(target[..., None], orange + grain * 0.2, blue + grain)
    full = full_scale(np.dtype(dtype))
    return Raster((pixels / 255 * full).astype(dtype)), target


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grab_cut_segments_subject_in_rough_box(dtype: DTypeLike) -> None:
    raster, target = orange_on_blue(600, 400, dtype)
    found = grab_cut(raster, box=Rect(190, 30, 410, 240))
    assert intersection_over_union(found, target) > 0.97
    assert not found.read(Rect(0, 250, 600, 400)).any()


def test_grab_cut_segments_by_scribbles() -> None:
    raster, target = orange_on_blue(600, 400)
    on = paint_stroke(TiledMask(600, 400), [(280, 130), (320, 140)], Brush(10))
    found = grab_cut(raster, foreground=on)
    assert intersection_over_union(found, target) > 0.97
    # Background scribbles over one half remove it and keep the other half.
    off = paint_stroke(TiledMask(600, 400), [(330, 60), (330, 210)], Brush(60))
    less = grab_cut(raster, foreground=on, background=off)
    assert not less.read(Rect(310, 100, 340, 160)).any()
    assert less.read(Rect(285, 130, 290, 135)).min() == 255


def test_grab_cut_includes_face_of_photograph() -> None:
    raster = Raster(data.astronaut())
    found = grab_cut(raster, box=Rect(30, 5, 450, 512))
    assert found.read(Rect(190, 80, 250, 150)).min() == 255  # her face
    assert not found.read(Rect(0, 0, 25, 512)).any()


def test_grab_cut_edge_has_full_resolution() -> None:
    raster, target = orange_on_blue(3000, 2000)
    found = grab_cut(raster, box=Rect(950, 150, 2050, 1200)).to_array()
    band = cv2.dilate(target.view(np.uint8), np.ones((9, 9))) != cv2.erode(target.view(np.uint8), np.ones((9, 9)))
    assert ((found >= 128) == target)[~band].all()  # within four pixels; a pixel of the reduced copy has eight


def test_grab_cut_without_usable_marks_raises() -> None:
    raster, _ = orange_on_blue(100, 80)
    for box in (None, Rect(500, 500, 600, 600)):
        with pytest.raises(EngineError, match=r"Nothing is marked: draw a box"):
            grab_cut(raster, box=box)
    with pytest.raises(EngineError, match="leave a margin"):
        grab_cut(raster, box=Rect(0, 0, 100, 80))
    flat = Raster(np.full((80, 100, 3), 90, np.uint8))
    with pytest.raises(EngineError, match=r"No subject|cannot be distinguished"):
        grab_cut(flat, box=Rect(20, 20, 60, 60))


def test_grab_cut_is_canceled_by_progress_exception() -> None:
    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.2:
            raise StoppedError

    with pytest.raises(StoppedError):
        grab_cut(orange_on_blue(600, 400)[0], box=Rect(190, 30, 410, 240), progress=stop)


def test_paint_stroke_size_and_hardness() -> None:
    hard = paint_stroke(TiledMask(400, 300), [(200.0, 150.0)], Brush(100, hardness=1)).to_array()
    assert abs((hard / 255).sum() - np.pi * 50**2) < 60
    assert ((hard > 0) & (hard < 255)).sum() < 2.5 * np.pi * 100  # antialiased over one pixel
    soft = paint_stroke(TiledMask(400, 300), [(200.0, 150.0)], Brush(100, hardness=0)).to_array()
    row = soft[150, 200:252].astype(int)
    assert (np.diff(row) <= 0).all()
    assert 100 < row[25] < 155  # half strength at half the radius
    assert (soft <= hard).all()


def test_paint_stroke_in_pieces_equals_whole_stroke() -> None:
    points = [(30.0, 40.0), (200.0, 70.0), (220.0, 200.0), (60.0, 90.0)]
    brush = Brush(50, hardness=0.2)
    whole = paint_stroke(TiledMask(300, 250), points, brush)
    pieces = TiledMask(300, 250)
    for start, end in itertools.pairwise(points):
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        pieces = paint_stroke(paint_stroke(pieces, [start, middle], brush), [middle, end], brush)
    assert np.abs(whole.to_array().astype(int) - pieces.to_array()).max() <= 1
    assert paint_stroke(whole, points, brush) is whole


def test_paint_stroke_erases() -> None:
    painted = paint_stroke(TiledMask(300, 250), [(150, 120)], Brush(80, 0.5))
    assert paint_stroke(painted, [(150, 120)], Brush(120, 1, erase=True)).is_empty
    assert paint_stroke(TiledMask(300, 250), [(-500, 0)], Brush(80)).is_empty
    with pytest.raises(ValueError, match="size above 0"):
        Brush(0)


SQUARE = TiledMask.from_array(np.pad(np.full((100, 100), 255, np.uint8), 100))


def area(mask: TiledMask) -> float:
    return mask.to_array().sum() / 255


def test_refine_mask_changes_the_edge_in_the_area_of_the_mask() -> None:
    layer = Layer("layer", Raster(scene(300, 300)), Transform(0, 0))
    assert refine_mask(layer, SQUARE, EdgeSettings(grow=5)).box() == Rect(95, 95, 205, 205)
    assert refine_mask(layer, SQUARE, EdgeSettings()) is SQUARE
    empty = TiledMask(300, 300)
    assert refine_mask(layer, empty, EdgeSettings(feather=3)) is empty


def test_refine_mask_follows_the_pixels_of_the_layer() -> None:
    raster, target = orange_on_blue(400, 300)
    rough = TiledMask.from_array(cv2.dilate(target.view(np.uint8), np.ones((9, 9), np.uint8)).astype(np.uint8) * 255)
    steps: list[float] = []
    refined = refine_mask(Layer("layer", raster, Transform(0, 0)), rough, EdgeSettings(refine_edges=12), steps.append)
    assert intersection_over_union(rough, target) < 0.9
    assert intersection_over_union(refined, target) > 0.98
    assert steps == sorted(steps)


def test_combine_masks() -> None:
    left, right = (TiledMask(300, 300).replaced(x, 100, np.full((50, 60), 255, np.uint8)) for x in (100, 130))
    expected = {Combination.REPLACE: 60, Combination.ADD: 90, Combination.SUBTRACT: 30, Combination.INTERSECT: 30}
    for how, columns in expected.items():
        assert area(combine_masks(left, right, how)) == 50 * columns
    assert area(combine_masks(None, right, Combination.ADD)) == 50 * 60
    assert area(combine_masks(None, right, Combination.SUBTRACT)) == 300 * 300 - 50 * 60
    assert area(left.inverted()) == 300 * 300 - 50 * 60


def test_alpha_to_mask() -> None:
    document = Document.from_image(ImageData(scene()), "beach")
    layer = document.new_layer(cutout(), "person")
    np.testing.assert_array_equal(alpha_to_mask(layer).to_array(), disc(80, 60))
    with pytest.raises(EngineError, match="“beach” has no transparency"):
        alpha_to_mask(document.layers[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("by_mask", [False, True])
def test_decontaminate_edges_removes_background_color_and_keeps_alpha(dtype: DTypeLike, by_mask: bool) -> None:
    full = full_scale(np.dtype(dtype))
    alpha = disc(200, 150, dtype)
    cover = (alpha / full)[..., None]
    target = scene(200, 150) * 0.3 / 255 + np.array([0.6, 0.2, 0.1])
    seen = ((target * cover + np.array([0.0, 1.0, 0.0]) * (1 - cover)) * full).astype(dtype)
    mask = TiledMask.from_array(disc(200, 150)) if by_mask else None
    layer = Layer("person", Raster(seen, None if by_mask else alpha), Transform(0, 0), mask)
    clean = decontaminate_edges(layer)
    edge = (cover[..., 0] > 0.1) & (cover[..., 0] < 1)
    before = np.abs(seen[edge] / full - target[edge]).mean()
    after = np.abs(clean.pixels[edge] / full - target[edge]).mean()
    assert after < 0.25 * before
    np.testing.assert_array_equal(clean.pixels[cover[..., 0] == 1], seen[cover[..., 0] == 1])
    assert clean.alpha is layer.raster.alpha
    assert clean.pixels.dtype == dtype


def test_decontaminate_edges_without_soft_edge_raises() -> None:
    layer = Layer("person", Raster(scene()), Transform(0, 0))
    with pytest.raises(EngineError, match="“person” has no soft edge"):
        decontaminate_edges(layer)


@needs_shared
def test_subject_detector_equals_engine_detector() -> None:
    image = load_image(sorted((SHARED / "composites/images").iterdir())[0])
    document = Document.from_image(image, "composite")
    detector = LazyDetector(device="cpu")
    try:
        expected = Detector(device="cpu").detect(image.pixels, profile=image.profile, likeliest=True)
    except NothingFoundError as nothing:
        with pytest.raises(NothingFoundError, match=str(nothing)):
            detector.detect(document, document.layers[0].id)
        return
    found = detector.detect(document, document.layers[0].id)
    np.testing.assert_array_equal(found.mask.to_array(), expected.mask)
    assert found.confidence == expected.confidence
