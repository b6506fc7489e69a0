# SPDX-License-Identifier: GPL-3.0-or-later
"""apply_color_map: exact for every map, dtype and shape, and never outside the mask."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import DTypeLike, NDArray

from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import IDENTITY, Blend, Chain, ColorMap, Curves, Matrix
from tests.engine.color_maps import KINDS, any_map, some_map

DTYPES = (np.uint8, np.uint16, np.float32)
MASKS = ("none", "bool", "uint8", "uint16", "float32", "float64")
FULL = {"uint8": 255, "uint16": 65535, "float32": 1.0, "float64": 1.0, "bool": 1}


def random_image(height: int, width: int, dtype: DTypeLike, channels: int = 3, seed: int = 0) -> NDArray[Any]:
    noise = np.random.default_rng(seed).random((height, width, channels))
    full = FULL[np.dtype(dtype).name]
    return (noise * full + (0.5 if full > 1 else 0)).astype(dtype)


def soft_mask(height: int, width: int, kind: str, seed: int = 0) -> NDArray[Any] | None:
    """Return a mask with empty, full and soft parts."""
    if kind == "none":
        return None
    wave = np.sin(np.arange(width) / 3 + seed)[None] + np.cos(np.arange(height) / 4)[:, None]
    mask: NDArray[Any] = (np.clip(wave, 0, 1) * FULL[kind] + (0.5 if FULL[kind] > 1 else 0)).astype(kind)
    return mask


def reference(bent: ColorMap, pixels: NDArray[Any], mask: NDArray[Any] | None) -> NDArray[Any]:
    """Apply a map to the whole image at once; unrounded, in the scale of the pixels."""
    full = FULL[pixels.dtype.name]
    before = pixels[..., :3] / full
    after = bent(before.astype(np.float32)).astype(np.float64)
    after = np.clip(after, 0, 1) if full > 1 else np.maximum(after, 0)
    share = 1.0 if mask is None else mask[..., None] / FULL[mask.dtype.name]
    return np.asarray((before + share * (after - before)) * full)


def assert_is(result: NDArray[Any], expected: NDArray[Any]) -> None:
    """Compare within rounding: half a level, and a little for float32 and the steps of tables."""
    extra = {"uint8": 0.1, "uint16": 3.0, "float32": 2e-5}[result.dtype.name]
    half = 0 if result.dtype == np.float32 else 0.5
    assert np.abs(result[..., :3].astype(np.float64) - expected).max() <= half + extra


@settings(deadline=None)
@given(
    any_map, st.sampled_from(DTYPES), st.sampled_from(MASKS), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99)
)
def test_apply_in_blocks_equals_the_map_on_the_whole_image(
    bent: ColorMap, dtype: DTypeLike, kind: str, height: int, width: int, seed: int
) -> None:
    pixels = random_image(height, width, dtype, seed=seed)
    before = pixels.copy()
    mask = soft_mask(height, width, kind, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s2am_engine.color.apply._BLOCK_PIXELS", 64)
        result = apply_color_map(bent, pixels, mask)
    assert result.dtype == pixels.dtype
    assert pixels.tobytes() == before.tobytes()
    assert_is(result, reference(bent, pixels, mask))
    if mask is not None:
        assert result[mask == 0].tobytes() == pixels[mask == 0].tobytes()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_apply_in_large_blocks_is_exact(kind: str, dtype: DTypeLike) -> None:
    bent, pixels = some_map(kind, 11), random_image(300, 400, dtype)
    assert_is(apply_color_map(bent, pixels), reference(bent, pixels, None))


@pytest.mark.parametrize("gain", [0.02, 1.0, 30.0])
def test_apply_does_not_clamp_between_stages(gain: float) -> None:
    there = Matrix(np.eye(3, 4) * gain)
    back = Curves(np.tile([0, 1 / gain], (3, 1)))
    pixels = random_image(50, 60, np.uint8)
    np.testing.assert_array_equal(apply_color_map(Chain((there, back)), pixels), pixels)
    np.testing.assert_array_equal(apply_color_map(Chain((back, there)), pixels), pixels)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [3, 4])
def test_apply_identity_or_empty_mask_changes_nothing(dtype: DTypeLike, channels: int) -> None:
    pixels = random_image(33, 44, dtype, channels)
    np.testing.assert_array_equal(apply_color_map(IDENTITY, pixels), pixels)
    np.testing.assert_array_equal(apply_color_map(some_map("matrix"), pixels, np.zeros((33, 44), np.uint8)), pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_apply_keeps_every_bit_of_background_floats(kind: str) -> None:
    pixels = random_image(20, 20, np.float32)
    odd = np.array([-0.0, np.inf, -np.inf, np.nan, 1e-42, 9e9], np.float32)[:, None]
    mask = np.ones((20, 20), np.float32) * 0.5
    for row in (0, 10):  # outside the mask's bounding box, and inside
        pixels[row, :6] = odd
        mask[row] = 0
    with np.errstate(invalid="ignore"):
        result = apply_color_map(some_map(kind, 3), pixels, mask)
    for row in (0, 10):
        assert result[row].tobytes() == pixels[row].tobytes()
    assert not np.array_equal(result[5], pixels[5])


@pytest.mark.parametrize("gain", [3.0, 100.0])
def test_apply_after_a_steep_matrix_is_as_exact_as_the_map(gain: float) -> None:
    """A matrix of a wide range must not be followed by a table with steps that are wider than a level."""
    mixing = gain * np.eye(3) + np.roll(np.eye(3), 1, axis=1)  # the other channel makes values between the steps
    steep = Matrix(np.hstack([mixing, np.full((3, 1), -gain / 2)]))
    zigzag = Curves(np.tile(np.arange(17) % 2, (3, 1)))
    pixels = random_image(100, 100, np.uint8)
    bent = Chain((steep, zigzag))
    assert_is(apply_color_map(bent, pixels), reference(bent, pixels, None))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["curves", "matrix", "blend"])
def test_apply_keeps_alpha(dtype: DTypeLike, kind: str) -> None:
    pixels, mask = random_image(60, 70, dtype, 4), soft_mask(60, 70, "uint8")
    for chosen in (None, mask):
        result = apply_color_map(some_map(kind), pixels, chosen)
        np.testing.assert_array_equal(result[..., 3], pixels[..., 3])
        plain = np.ascontiguousarray(pixels[..., :3])
        np.testing.assert_array_equal(result[..., :3], apply_color_map(some_map(kind), plain, chosen))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 30_000), (2, 70_000)])
@pytest.mark.parametrize("kind", ["curves", "matrix", "chain"])
def test_apply_to_odd_shapes(shape: tuple[int, int], kind: str) -> None:
    bent, pixels = some_map(kind, 5), random_image(*shape, np.uint8)
    mask = np.full(shape, 255, np.uint8)
    mask[:, -1] = 128
    assert_is(apply_color_map(bent, pixels, mask), reference(bent, pixels, mask))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("kind", ["curves", "linear", "chain"])
def test_apply_blend_and_following_maps(dtype: DTypeLike, kind: str) -> None:
    pixels, mask = random_image(70, 90, dtype), soft_mask(70, 90, "uint8")
    weak = Blend(some_map(kind, 3), 0.37)
    for bent in (weak, weak.then(some_map("matrix", 4)), weak.then(some_map("curves", 4))):
        for chosen in (None, mask):
            assert_is(apply_color_map(bent, pixels, chosen), reference(bent, pixels, chosen))


@pytest.mark.parametrize("channels", [3, 4])
def test_apply_reads_and_writes_views(channels: int) -> None:
    whole = random_image(80, 90, np.uint16, channels)
    bent, mask = some_map("matrix"), soft_mask(90, 80, "uint8")
    for view in (whole.transpose(1, 0, 2), whole[::-1].transpose(1, 0, 2), whole.transpose(1, 0, 2)[:, ::-1]):
        plain = apply_color_map(bent, np.ascontiguousarray(view), mask)
        np.testing.assert_array_equal(apply_color_map(bent, view, mask), plain)
        target = np.zeros((80, 90, channels), np.uint16).transpose(1, 0, 2)
        assert apply_color_map(bent, view, mask, out=target) is target
        np.testing.assert_array_equal(target, plain)
    bgr = random_image(30, 30, np.uint8)[..., ::-1]
    np.testing.assert_array_equal(apply_color_map(bent, bgr), apply_color_map(bent, np.ascontiguousarray(bgr)))


def test_apply_in_place_and_to_overlapping_arrays() -> None:
    bent, mask = some_map("curves"), soft_mask(400, 300, "uint8")
    store = random_image(401, 300, np.uint8)
    expected = apply_color_map(bent, store[1:], mask)
    overlapping = store.copy()
    np.testing.assert_array_equal(apply_color_map(bent, overlapping[1:], mask, out=overlapping[:-1]), expected)
    pixels = store[1:].copy()
    assert apply_color_map(bent, pixels, mask, out=pixels) is pixels
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
    ],
)
def test_apply_keeps_gradients_smooth(gentle: ColorMap) -> None:
    flatter = Matrix(np.hstack([np.eye(3) * 0.7, np.full((3, 1), 0.1)])).then(gentle)
    gradient = np.repeat(np.linspace(0, 255, 4096).round().astype(np.uint8)[None, :, None], 3, axis=2).repeat(8, 0)
    mask = np.full((8, 4096), 200, np.uint8)
    for bent in (gentle, flatter) if isinstance(gentle, Matrix | Curves) else (flatter,):
        for chosen in (None, mask):
            assert np.abs(np.diff(apply_color_map(bent, gradient, chosen).astype(int), axis=1)).max() <= 1


def test_apply_keeps_bright_floats_and_adds_no_negative_ones() -> None:
    darker = Matrix(np.hstack([np.eye(3), np.full((3, 1), -0.2)]))
    pixels = np.array([[[0.1, 0.5, 40.0], [-0.5, 0.1, 1.0]]], np.float32)
    expected = [[[0.0, 0.3, 39.8], [-0.5, 0.0, 0.8]]]
    np.testing.assert_allclose(apply_color_map(darker, pixels), expected, atol=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_apply_reports_progress_from_the_calling_thread(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2am_engine.color.apply._BLOCK_PIXELS", 64)
    monkeypatch.setattr("s2am_engine.color.apply._STRIP_ROWS", 1)
    reports: list[tuple[float, int]] = []
    apply_color_map(
        some_map("matrix"),
        random_image(200, 100, np.uint8),
        progress=lambda done: reports.append((done, threading.get_ident())),
        workers=workers,
    )
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert min(fractions) >= 0
    assert {thread for _, thread in reports} == {threading.get_ident()}
    if workers == 1:  # with others, the calling thread may get few strips
        assert len(fractions) > 100


def test_apply_is_canceled_by_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2am_engine.color.apply._BLOCK_PIXELS", 64)
    monkeypatch.setattr("s2am_engine.color.apply._STRIP_ROWS", 1)
    pixels = random_image(400, 400, np.uint8)
    out = pixels.copy()

    def stop(done: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply_color_map(some_map("linear"), pixels, out=out, progress=stop)
    assert (out == pixels).all(axis=2).mean() > 0.5
    assert threading.active_count() == 1 or not any(t.name.startswith("render") for t in threading.enumerate())


@pytest.mark.parametrize("kind", ["chain", "linear", "blend"])
def test_apply_allocates_little_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    pixels, mask = random_image(1500, 2000, np.uint8), np.full((1500, 2000), 200, np.uint8)
    tracemalloc.start()
    try:
        apply_color_map(some_map(kind, 3), pixels, mask, out=pixels)
        assert tracemalloc.get_traced_memory()[1] < 12e6
    finally:
        tracemalloc.stop()


def test_apply_refuses_arrays_that_do_not_match() -> None:
    bent, pixels = some_map("matrix"), random_image(4, 5, np.uint8)
    with pytest.raises(TypeError, match="float64"):
        apply_color_map(bent, pixels.astype(np.float64))
    with pytest.raises(ValueError, match="H, W, 3"):
        apply_color_map(bent, pixels[..., 0])
    with pytest.raises(ValueError, match=r"mask must have the shape \(4, 5\)"):
        apply_color_map(bent, pixels, np.ones((5, 4), np.uint8))
    with pytest.raises(TypeError, match="mask"):
        apply_color_map(bent, pixels, np.ones((4, 5), np.int64))
    with pytest.raises(ValueError, match="out must be"):
        apply_color_map(bent, pixels, out=np.empty((4, 5, 3), np.uint16))
