# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting out: the subject that was pointed at, a brush that paints what it says, edges without the old background."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from skimage import data

from s2am_editor.cutout import grabcut, refine
from s2am_editor.cutout.brush import Brush, paint
from s2am_editor.cutout.edges import decontaminated
from s2am_editor.cutout.finding import Finder
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster
from s2am_engine.errors import EngineError, NothingFoundError
from s2am_engine.image.io import ImageData, load_image
from s2am_engine.image.masks import full_scale
from s2am_engine.inference.detector import Detector
from tests.editor.document.made_up import cutout, disc, scene
from tests.shared import SHARED, needs_shared


def overlap(mask: Mask, truth: NDArray[np.bool_]) -> float:
    found = mask.to_array() >= 128
    return float((found & truth).sum() / (found | truth).sum())


def orange_on_blue(width: int, height: int, dtype: DTypeLike = np.uint8) -> tuple[Raster, NDArray[np.bool_]]:
    """A textured disc before a textured background, and where it is."""
    truth = cv2.circle(np.zeros((height, width), np.uint8), (width // 2, height // 3), height // 5, 1, -1) > 0
    grain = scene(width, height) * 0.25
    orange, blue = np.array([200, 120, 30]), np.array([30, 60, 120])
    pixels = np.where(truth[..., None], orange + grain * 0.2, blue + grain)
    full = full_scale(np.dtype(dtype))
    return Raster((pixels / 255 * full).astype(dtype)), truth


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_rough_box_gives_the_subject(dtype: DTypeLike) -> None:
    raster, truth = orange_on_blue(600, 400, dtype)
    found = grabcut.grab_cut(raster, box=Rect(190, 30, 410, 240))
    assert overlap(found, truth) > 0.97
    assert not found.read(Rect(0, 250, 600, 400)).any()


def test_scribbles_give_the_subject_and_refine_it() -> None:
    raster, truth = orange_on_blue(600, 400)
    on = paint(Mask(600, 400), [(280, 130), (320, 140)], Brush(10))
    found = grabcut.grab_cut(raster, foreground=on)
    assert overlap(found, truth) > 0.97
    # The subject is said to end half way: what was cut off stays off, the rest stays.
    off = paint(Mask(600, 400), [(330, 60), (330, 210)], Brush(60))
    less = grabcut.grab_cut(raster, mask=found, foreground=on, background=off)
    assert not less.read(Rect(310, 100, 340, 160)).any()
    assert less.read(Rect(285, 130, 290, 135)).min() == 255


def test_a_face_is_found_in_a_photograph() -> None:
    raster = Raster(data.astronaut())
    found = grabcut.grab_cut(raster, box=Rect(30, 5, 450, 512))
    assert found.read(Rect(190, 80, 250, 150)).min() == 255  # her face
    assert not found.read(Rect(0, 0, 25, 512)).any()


def test_the_edge_is_as_fine_as_the_picture_not_as_the_copy() -> None:
    raster, truth = orange_on_blue(3000, 2000)
    found = grabcut.grab_cut(raster, box=Rect(950, 150, 2050, 1200)).to_array()
    band = cv2.dilate(truth.view(np.uint8), np.ones((9, 9))) != cv2.erode(truth.view(np.uint8), np.ones((9, 9)))
    assert ((found >= 128) == truth)[~band].all()  # right to four pixels; a pixel of the copy is eight


def test_nothing_pointed_at_is_said() -> None:
    raster, _ = orange_on_blue(100, 80)
    for box in (None, Rect(500, 500, 600, 600)):
        with pytest.raises(EngineError, match="Nothing is marked: draw a box"):
            grabcut.grab_cut(raster, box=box)
    with pytest.raises(EngineError, match="leave a margin"):
        grabcut.grab_cut(raster, box=Rect(0, 0, 100, 80))
    flat = Raster(np.full((80, 100, 3), 90, np.uint8))
    with pytest.raises(EngineError, match=r"No subject"):
        grabcut.grab_cut(flat, box=Rect(20, 20, 60, 60))


def test_grabcut_can_be_cancelled() -> None:
    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.2:
            raise StoppedError

    with pytest.raises(StoppedError):
        grabcut.grab_cut(orange_on_blue(600, 400)[0], box=Rect(190, 30, 410, 240), progress=stop)


def test_a_brush_covers_its_diameter_and_hardness_its_edge() -> None:
    hard = paint(Mask(400, 300), [(200.0, 150.0)], Brush(100, hardness=1)).to_array()
    assert abs((hard / 255).sum() - np.pi * 50**2) < 60
    assert ((hard > 0) & (hard < 255)).sum() < 2.5 * np.pi * 100  # an edge of one pixel
    soft = paint(Mask(400, 300), [(200.0, 150.0)], Brush(100, hardness=0)).to_array()
    row = soft[150, 200:252].astype(int)
    assert (np.diff(row) <= 0).all()
    assert 100 < row[25] < 155  # half way out it covers half
    assert (soft <= hard).all()


def test_a_stroke_in_pieces_is_the_stroke_as_a_whole() -> None:
    points = [(30.0, 40.0), (200.0, 70.0), (220.0, 200.0), (60.0, 90.0)]
    brush = Brush(50, hardness=0.2)
    whole = paint(Mask(300, 250), points, brush)
    pieces = Mask(300, 250)
    for start, end in itertools.pairwise(points):
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        pieces = paint(paint(pieces, [start, middle], brush), [middle, end], brush)
    assert np.abs(whole.to_array().astype(int) - pieces.to_array()).max() <= 1
    assert paint(whole, points, brush) is whole


def test_the_eraser_takes_away_what_the_brush_gave() -> None:
    painted = paint(Mask(300, 250), [(150, 120)], Brush(80, 0.5))
    assert paint(painted, [(150, 120)], Brush(120, 1, erase=True)).is_empty
    assert paint(Mask(300, 250), [(-500, 0)], Brush(80)).is_empty
    with pytest.raises(ValueError, match="size above 0"):
        Brush(0)


def test_feathering_softens_the_edge_alone() -> None:
    hard = Mask.from_array(np.pad(np.full((100, 100), 255, np.uint8), 100))
    soft = refine.feathered(hard, 20).to_array()
    assert soft[150, 150] == 255
    assert 100 < soft[150, 100] < 155
    assert soft[150, 50] == 0
    assert abs(int(soft.sum()) - int(hard.to_array().sum())) < 0.01 * soft.sum()


@pytest.mark.parametrize("by", [-30, -3, 4, 25])
def test_growing_moves_the_edge_by_pixels(by: int) -> None:
    square = Mask.from_array(np.pad(np.full((100, 100), 255, np.uint8), 100))
    row = refine.grown(square, by).to_array()[150]
    assert abs((row >= 128).sum() - (100 + 2 * by)) <= 1


def test_masks_are_put_together() -> None:
    left, top = Mask(300, 300).replaced(0, 0, np.full((300, 150), 255, np.uint8)), Mask(300, 300)
    top = top.replaced(0, 0, np.full((150, 300), 255, np.uint8))
    counts = {how: (refine.together(left, top, how).to_array() > 0).sum() for how in ("add", "subtract", "intersect")}
    assert counts == {"add": 3 * 150**2, "subtract": 150**2, "intersect": 150**2}
    assert refine.together(left, top, "replace") is top
    assert (refine.inverted(left).to_array() == 255 - left.to_array()).all()


def test_alpha_becomes_a_mask_that_can_be_painted_on() -> None:
    document = Document.from_picture(ImageData(scene()), "beach")
    layer = document.adopt(cutout(), "person")
    np.testing.assert_array_equal(refine.from_alpha(layer).to_array(), disc(80, 60))
    with pytest.raises(EngineError, match="“beach” has no transparency"):
        refine.from_alpha(document.layers[0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("by_mask", [False, True])
def test_clean_edges_lose_the_old_background_and_keep_alpha(dtype: DTypeLike, by_mask: bool) -> None:
    full = full_scale(np.dtype(dtype))
    alpha = disc(200, 150, dtype)
    cover = (alpha / full)[..., None]
    truth = scene(200, 150) * 0.3 / 255 + np.array([0.6, 0.2, 0.1])
    seen = ((truth * cover + np.array([0.0, 1.0, 0.0]) * (1 - cover)) * full).astype(dtype)
    mask = Mask.from_array(disc(200, 150)) if by_mask else None
    layer = Layer("person", Raster(seen, None if by_mask else alpha), Transform(0, 0), mask)
    clean = decontaminated(layer)
    edge = (cover[..., 0] > 0.1) & (cover[..., 0] < 1)
    before = np.abs(seen[edge] / full - truth[edge]).mean()
    after = np.abs(clean.pixels[edge] / full - truth[edge]).mean()
    assert after < 0.25 * before
    np.testing.assert_array_equal(clean.pixels[cover[..., 0] == 1], seen[cover[..., 0] == 1])
    assert clean.alpha is layer.raster.alpha
    assert clean.pixels.dtype == dtype


def test_hard_edges_have_nothing_to_clean() -> None:
    layer = Layer("person", Raster(scene()), Transform(0, 0))
    with pytest.raises(EngineError, match="“person” has no soft edge"):
        decontaminated(layer)


@needs_shared
def test_the_detector_proposes_what_was_pasted() -> None:
    picture = load_image(sorted((SHARED / "composites/images").iterdir())[0])
    document = Document.from_picture(picture, "composite")
    finder = Finder(device="cpu")
    try:
        expected = Detector(device="cpu").detect(picture.pixels, profile=picture.profile, likeliest=True)
    except NothingFoundError as nothing:
        with pytest.raises(NothingFoundError, match=str(nothing)):
            finder.find(document, document.layers[0].id)
        return
    found = finder.find(document, document.layers[0].id)
    np.testing.assert_array_equal(found.mask.to_array(), expected.mask)
    assert found.confidence == expected.confidence
