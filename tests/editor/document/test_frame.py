# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame lies around the visible pixels, and transforms happen about it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from s2am_editor.document.frame import Frame, flip, place_in_frame, untransformed
from s2am_editor.document.geometry import Transform, bounding_rect, transform_points
from s2am_editor.document.model import Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_engine.image.rect import Rect


@pytest.fixture
def subject() -> Layer:
    """A subject of 40 × 30 pixels at (100, 20) in a photograph of 300 × 200, most of which its mask hides."""
    values = np.zeros((200, 300), np.uint8)
    values[20:50, 100:140] = 255
    raster = Raster(np.zeros((200, 300, 3), np.uint8))
    return Layer("subject", raster, Transform.at(0, 0, (300, 200)), TiledMask.from_array(values))


def visible_box(layer: Layer) -> Rect:
    """Return where the subject lies on the canvas."""
    corners = [(100, 20), (140, 20), (140, 50), (100, 50)]
    return bounding_rect(transform_points(layer.transform.matrix(layer.size), corners))


def test_frame_surrounds_visible_pixels_of_mask_and_alpha(subject: Layer) -> None:
    assert Frame.of(subject) == Frame(120, 35, 40, 30)
    alpha = np.full((200, 300), 1, np.uint8)  # nobody sees 1 of 255
    alpha[:, 110:] = 200
    both = dataclasses.replace(subject, raster=Raster(subject.raster.pixels, alpha))
    assert Frame.of(both) == Frame(125, 35, 30, 30)
    hidden = dataclasses.replace(subject, mask=TiledMask(300, 200))
    assert Frame.of(hidden) == Frame(150, 100, 300, 200)


@pytest.mark.parametrize("axis", ["x", "y"])
@pytest.mark.parametrize("rotation", [0.0, 30.0])
def test_flip_leaves_the_subject_in_place(subject: Layer, axis: str, rotation: float) -> None:
    turned = dataclasses.replace(subject, transform=dataclasses.replace(subject.transform, rotation=rotation))
    flipped = dataclasses.replace(turned, transform=flip(turned, axis))  # type: ignore[arg-type]
    assert flipped.transform != turned.transform
    before, after = Frame.of(turned), Frame.of(flipped)
    assert (after.x, after.y) == pytest.approx((before.x, before.y))
    assert visible_box(flipped) == visible_box(turned)


def test_flip_without_scaling_needs_no_resampling(subject: Layer) -> None:
    transform = flip(subject, "x")
    assert (transform.matrix(subject.size)[:, 2] % 1 == 0).all()


def test_place_in_frame_fills_it_with_the_subject(subject: Layer) -> None:
    flipped = dataclasses.replace(subject, transform=flip(subject, "x"))
    for layer in (subject, flipped):
        wanted = Frame(60, 80, 80, 90, 90)
        placed = dataclasses.replace(layer, transform=place_in_frame(layer, wanted))
        assert visible_box(placed) == wanted.box == Rect(15, 40, 105, 120)
        assert placed.transform.flip_x is layer.transform.flip_x


def test_resized_and_rotated_keep_the_fixed_point() -> None:
    frame = Frame(50, 40, 20, 10, 30)
    for fixed in ((0, 0), (-1, 1), (0.4, -2)):
        for changed in (frame.resized(60, 5, fixed), frame.rotated(-100, fixed)):
            assert changed.point(fixed) == pytest.approx(frame.point(fixed))
    assert frame.resized(-5, 0).width == 2
    assert frame.anchor(frame.point((0.3, -0.7))) == pytest.approx((0.3, -0.7))


def test_untransformed_keeps_the_subject_near_on_whole_pixels(subject: Layer) -> None:
    moved = dataclasses.replace(subject, transform=place_in_frame(subject, Frame(77.3, 88.8, 100, 10, 45)))
    restored = dataclasses.replace(subject, transform=untransformed(moved))
    frame = Frame.of(restored)
    assert (frame.width, frame.height, frame.rotation) == (40, 30, 0)
    assert (frame.x, frame.y) == pytest.approx((77.3, 88.8), abs=0.5)
    assert (restored.transform.matrix(restored.size)[:, 2] % 1 == 0).all()
