# SPDX-License-Identifier: GPL-3.0-or-later
"""A map on a full-size picture: as exact as the map itself, in any shape, and never outside the mask."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from s2am_engine.color import rendering
from s2am_engine.color.color_map import IDENTITY, Blend, Chain, ColorMap, Curves, Matrix
from s2am_engine.color.rendering import apply
from tests.engine.color_maps import KINDS, any_map, some_map

DTYPES = (np.uint8, np.uint16, np.float32)
MASKS = ("none", "bool", "uint8", "uint16", "float32", "float64")
FULL = {"uint8": 255, "uint16": 65535, "float32": 1.0, "float64": 1.0, "bool": 1}


def picture(height: int, width: int, dtype: DTypeLike, channels: int = 3, seed: int = 0) -> NDArray[Any]:
    noise = np.random.default_rng(seed).random((height, width, channels))
    full = FULL[np.dtype(dtype).name]
    return (noise * full + (0.5 if full > 1 else 0)).astype(dtype)


def soft_mask(height: int, width: int, kind: str, seed: int = 0) -> NDArray[Any] | None:
    """Some of it empty, some full, some between."""
    if kind == "none":
        return None
    wave = np.sin(np.arange(width) / 3 + seed)[None] + np.cos(np.arange(height) / 4)[:, None]
    mask: NDArray[Any] = (np.clip(wave, 0, 1) * FULL[kind] + (0.5 if FULL[kind] > 1 else 0)).astype(kind)
    return mask


def reference(bent: ColorMap, pixels: NDArray[Any], mask: NDArray[Any] | None) -> NDArray[Any]:
    """What the result should be, unrounded, in the scale of the pixels, in one go over the whole picture."""
    full = FULL[pixels.dtype.name]
    before = pixels[..., :3] / full
    after = bent(before.astype(np.float32)).astype(np.float64)
    after = np.clip(after, 0, 1) if full > 1 else np.maximum(after, 0)
    share = 1.0 if mask is None else mask[..., None] / FULL[mask.dtype.name]
    return np.asarray((before + share * (after - before)) * full)


def assert_is(result: NDArray[Any], expected: NDArray[Any]) -> None:
    """Within rounding: half a level, and a little for float32 and the tables' steps."""
    extra = {"uint8": 0.1, "uint16": 3.0, "float32": 2e-5}[result.dtype.name]
    half = 0 if result.dtype == np.float32 else 0.5
    assert np.abs(result[..., :3].astype(np.float64) - expected).max() <= half + extra


@settings(deadline=None)
@given(
    any_map, st.sampled_from(DTYPES), st.sampled_from(MASKS), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99)
)
def test_blocks_give_what_the_whole_would(
    bent: ColorMap, dtype: DTypeLike, kind: str, height: int, width: int, seed: int
) -> None:
    pixels = picture(height, width, dtype, seed=seed)
    before = pixels.copy()
    mask = soft_mask(height, width, kind, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "_BLOCK_PIXELS", 64)
        result = apply(bent, pixels, mask)
    assert result.dtype == pixels.dtype
    assert pixels.tobytes() == before.tobytes()
    assert_is(result, reference(bent, pixels, mask))
    if mask is not None:
        assert result[mask == 0].tobytes() == pixels[mask == 0].tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_large_blocks_are_exact_too(kind: str, dtype: DTypeLike) -> None:
    bent, pixels = some_map(kind, 11), picture(300, 400, dtype)
    assert_is(apply(bent, pixels), reference(bent, pixels, None))


@pytest.mark.parametrize("gain", [0.02, 1.0, 30.0])
def test_what_one_stage_overshoots_the_next_brings_back(gain: float) -> None:
    there = Matrix(np.eye(3, 4) * gain)
    back = Curves(np.tile([0, 1 / gain], (3, 1)))
    pixels = picture(50, 60, np.uint8)
    np.testing.assert_array_equal(apply(Chain((there, back)), pixels), pixels)
    np.testing.assert_array_equal(apply(Chain((back, there)), pixels), pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [3, 4])
def test_nothing_changes_by_nothing(dtype: DTypeLike, channels: int) -> None:
    pixels = picture(33, 44, dtype, channels)
    np.testing.assert_array_equal(apply(IDENTITY, pixels), pixels)
    np.testing.assert_array_equal(apply(some_map("matrix"), pixels, np.zeros((33, 44), np.uint8)), pixels)


def test_background_floats_keep_every_bit() -> None:
    pixels = picture(20, 20, np.float32)
    pixels[0, :6] = np.array([-0.0, np.inf, -np.inf, np.nan, 1e-42, 9e9], np.float32)[:, None]
    mask = np.ones((20, 20), np.float32) * 0.5
    mask[0] = 0
    assert apply(some_map("matrix"), pixels, mask)[0].tobytes() == pixels[0].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["curves", "matrix", "polynomial"])
def test_alpha_is_kept_and_colors_are_as_without_it(dtype: DTypeLike, kind: str) -> None:
    pixels, mask = picture(60, 70, dtype, 4), soft_mask(60, 70, "uint8")
    for chosen in (None, mask):
        result = apply(some_map(kind), pixels, chosen)
        np.testing.assert_array_equal(result[..., 3], pixels[..., 3])
        plain = np.ascontiguousarray(pixels[..., :3])
        np.testing.assert_array_equal(result[..., :3], apply(some_map(kind), plain, chosen))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 30_000), (2, 70_000)])
@pytest.mark.parametrize("kind", ["curves", "matrix", "chain", "lut"])
def test_odd_shapes(shape: tuple[int, int], kind: str) -> None:
    bent, pixels = some_map(kind, 5), picture(*shape, np.uint8)
    mask = np.full(shape, 255, np.uint8)
    mask[:, -1] = 128
    assert_is(apply(bent, pixels, mask), reference(bent, pixels, mask))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("kind", ["curves", "linear", "chain"])
def test_weakened_maps_and_what_follows_them(dtype: DTypeLike, kind: str) -> None:
    pixels, mask = picture(70, 90, dtype), soft_mask(70, 90, "uint8")
    weak = Blend(some_map(kind, 3), 0.37)
    for bent in (weak, weak.then(some_map("matrix", 4)), weak.then(some_map("curves", 4))):
        for chosen in (None, mask):
            assert_is(apply(bent, pixels, chosen), reference(bent, pixels, chosen))


@pytest.mark.parametrize("channels", [3, 4])
def test_views_are_read_and_written_as_they_lie(channels: int) -> None:
    whole = picture(80, 90, np.uint16, channels)
    bent, mask = some_map("matrix"), soft_mask(90, 80, "uint8")
    for view in (whole.transpose(1, 0, 2), whole[::-1].transpose(1, 0, 2), whole.transpose(1, 0, 2)[:, ::-1]):
        plain = apply(bent, np.ascontiguousarray(view), mask)
        np.testing.assert_array_equal(apply(bent, view, mask), plain)
        target = np.zeros((80, 90, channels), np.uint16).transpose(1, 0, 2)
        assert apply(bent, view, mask, out=target) is target
        np.testing.assert_array_equal(target, plain)
    bgr = picture(30, 30, np.uint8)[..., ::-1]
    np.testing.assert_array_equal(apply(bent, bgr), apply(bent, np.ascontiguousarray(bgr)))


def test_a_picture_may_be_changed_in_place_or_over_its_neighbor() -> None:
    bent, mask = some_map("curves"), soft_mask(400, 300, "uint8")
    store = picture(401, 300, np.uint8)
    expected = apply(bent, store[1:], mask)
    overlapping = store.copy()
    np.testing.assert_array_equal(apply(bent, overlapping[1:], mask, out=overlapping[:-1]), expected)
    pixels = store[1:].copy()
    assert apply(bent, pixels, mask, out=pixels) is pixels
    np.testing.assert_array_equal(pixels, expected)


DARKER = Matrix(np.eye(3, 4) * 0.7, linear=True)


@pytest.mark.parametrize(
    "gentle",
    [
        DARKER,
        DARKER.blend(0.5),
        Matrix(np.full((3, 4), 0.2)),
        Curves(np.array([[0.1, 0.4, 0.8]] * 3)),
        Chain((Curves(np.array([[0.1, 0.4, 0.8]] * 3)), Matrix(np.full((3, 4), 0.3)))),
        Chain((Matrix(np.full((3, 4), 0.2)), Curves(np.array([[0.1, 0.4, 0.8]] * 3)))),
        some_map("polynomial", 1).blend(0.1),
        some_map("lut", 1).blend(0.1),
    ],
)
def test_a_smooth_gradient_stays_smooth_under_a_soft_mask(gentle: ColorMap) -> None:
    flatter = Matrix(np.hstack([np.eye(3) * 0.7, np.full((3, 1), 0.1)])).then(gentle)
    gradient = np.repeat(np.linspace(0, 255, 4096).round().astype(np.uint8)[None, :, None], 3, axis=2).repeat(8, 0)
    mask = np.full((8, 4096), 200, np.uint8)
    for bent in (gentle, flatter) if isinstance(gentle, Matrix | Curves) else (flatter,):
        for chosen in (None, mask):
            assert np.abs(np.diff(apply(bent, gradient, chosen).astype(int), axis=1)).max() <= 1


def test_bright_floats_survive_and_nothing_new_gets_negative() -> None:
    darker = Matrix(np.hstack([np.eye(3), np.full((3, 1), -0.2)]))
    pixels = np.array([[[0.1, 0.5, 40.0], [-0.5, 0.1, 1.0]]], np.float32)
    expected = [[[0.0, 0.3, 39.8], [-0.5, 0.0, 0.8]]]
    np.testing.assert_allclose(apply(darker, pixels), expected, atol=1e-6)


def test_progress_is_reported_from_this_thread_and_ends_at_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_BLOCK_PIXELS", 64)
    seen: list[tuple[float, int]] = []
    apply(
        some_map("matrix"),
        picture(100, 100, np.uint8),
        progress=lambda done: seen.append((done, threading.get_ident())),
    )
    fractions = [fraction for fraction, _ in seen]
    assert len(seen) > 3
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert min(fractions) >= 0
    assert {thread for _, thread in seen} == {threading.get_ident()}


def test_progress_can_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "_BLOCK_PIXELS", 64)
    pixels = picture(400, 400, np.uint8)
    out = pixels.copy()

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(some_map("polynomial"), pixels, out=out, progress=stop)
    assert (out == pixels).all(axis=2).mean() > 0.5
    assert threading.active_count() == 1 or not any(t.name.startswith("render") for t in threading.enumerate())


@pytest.mark.parametrize("kind", ["chain", "polynomial", "lut"])
def test_memory_does_not_grow_with_the_picture(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    pixels, mask = picture(1500, 2000, np.uint8), np.full((1500, 2000), 200, np.uint8)
    tracemalloc.start()
    try:
        apply(some_map(kind, 3), pixels, mask, out=pixels)
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


def test_what_does_not_belong_together_is_refused() -> None:
    bent, pixels = some_map("matrix"), picture(4, 5, np.uint8)
    with pytest.raises(TypeError, match="float64"):
        apply(bent, pixels.astype(np.float64))
    with pytest.raises(ValueError, match="H, W, 3"):
        apply(bent, pixels[..., 0])
    with pytest.raises(ValueError, match=r"mask must have the shape \(4, 5\)"):
        apply(bent, pixels, np.ones((5, 4), np.uint8))
    with pytest.raises(TypeError, match="mask"):
        apply(bent, pixels, np.ones((4, 5), np.int64))
    with pytest.raises(ValueError, match="out must be"):
        apply(bent, pixels, out=np.empty((4, 5, 3), np.uint16))
