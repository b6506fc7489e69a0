# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: equal to arrays, tile by tile, also at reduced levels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2am_editor.document.raster import TiledMask
from s2am_engine.image.rect import Rect


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 700), st.integers(1, 700)),
    pieces=st.lists(
        st.tuples(
            st.integers(-50, 650), st.integers(-50, 650), st.integers(1, 300), st.integers(1, 300), st.integers(0, 255)
        ),
        max_size=6,
    ),
)
def test_mask_equals_array(size: tuple[int, int], pieces: list[tuple[int, int, int, int, int]]) -> None:
    width, height = size
    mask, array = TiledMask(width, height), np.zeros((height, width), np.uint8)
    for left, top, across, down, value in pieces:
        before, copy = mask, mask.to_array()
        mask = mask.replaced(left, top, np.full((down, across), value, np.uint8))
        array[max(0, top) : max(0, top + down), max(0, left) : max(0, left + across)] = value
        np.testing.assert_array_equal(before.to_array(), copy)  # masks are immutable
        differs = np.argwhere(before.to_array() != array)
        if len(differs):
            rows, columns = mask.changed_area(before).slices
            assert all(rows.start <= y < rows.stop and columns.start <= x < columns.stop for y, x in differs)
    np.testing.assert_array_equal(mask.to_array(), array)
    assert mask.is_empty == (not array.any())
    assert mask.is_full == bool((array == 255).all())
    x, y, across, down = cv2.boundingRect(array)
    if across:
        assert mask.box() == Rect(x, y, x + across, y + down)
    np.testing.assert_array_equal(TiledMask.from_array(array).to_array(), array)


def test_mask_read_is_zero_beyond_edges() -> None:
    values = TiledMask(300, 280, 255).read(Rect(-10, 270, 20, 300))
    assert values.shape == (30, 30)
    assert (values[:10, 10:] == 255).all()
    assert values[10:].max() == values[:, :10].max() == 0


@pytest.mark.parametrize("level", [1, 3, 8])
def test_mask_levels_are_means(level: int) -> None:
    side = 1 << level
    array = np.random.default_rng(0).integers(0, 256, (512, 768), np.uint8)
    means = array.reshape(512 // side, side, 768 // side, side).mean(axis=(1, 3))
    read = TiledMask.from_array(array).read(Rect(0, 0, 768 // side, 512 // side), level)
    assert np.abs(read - means).max() <= 1.5  # each halving rounds


def test_mask_levels_are_opaque_along_odd_edges() -> None:
    assert TiledMask(601, 399, 255).read(Rect(0, 0, 76, 50), 3).min() == 255
    half = TiledMask.from_array(np.full((399, 601), 200, np.uint8))
    assert half.read(Rect(0, 0, 76, 50), 3).min() == 200


def test_mask_levels_are_thread_safe() -> None:
    array = np.random.default_rng(0).integers(0, 256, (1024, 1024), np.uint8)

    def halved(mask: TiledMask, level: int) -> NDArray[np.uint8]:
        return mask.read(Rect(0, 0, 1024 >> level, 1024 >> level), level)

    expected = [halved(TiledMask.from_array(array), level) for level in range(9)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            read = pool.map(partial(halved, TiledMask.from_array(array)), [*range(9)] * 4)
            for values, wanted in zip(read, expected * 4, strict=True):
                np.testing.assert_array_equal(values, wanted)
