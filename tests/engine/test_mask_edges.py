# SPDX-License-Identifier: GPL-3.0-or-later
"""Edge refinement: matting on composites of known alpha, and the changes of an edge's shape."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.sliders import SliderSpec
from s2am_engine.image import matting
from s2am_engine.image.mask_edges import AUTOMATIC, EdgeSettings, matting_radius, refine_edges
from s2am_engine.types import Bytes, Floats

SIDE, BAND = 240, 17
SQUARE = np.zeros((300, 300), np.uint8)
SQUARE[100:200, 100:200] = 255
GRAY = np.full((300, 300, 3), 128, np.uint8)


def hair() -> Floats:
    """A disc with strands around it, drawn at four times the size."""
    rng, large = np.random.default_rng(3), 4 * SIDE
    alpha = cv2.circle(np.zeros((large, large), np.uint8), (large // 2, large // 2), large // 5, 255, -1)
    for angle, length, bend in zip(
        rng.uniform(0, 2 * np.pi, 120), rng.uniform(0.02, 0.06, 120), rng.normal(0, 0.3, 120), strict=True
    ):
        along = np.linspace(0, 1, 16)
        angles, radii = angle + bend * along**2, large * (0.195 + length * along)
        strand = large / 2 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        cv2.polylines(alpha, [strand.astype(np.int32)], isClosed=False, color=255, thickness=4)
    return reduced(alpha)


def soft() -> Floats:
    disc = cv2.circle(np.zeros((SIDE, SIDE), np.float32), (SIDE // 2, SIDE // 2), SIDE // 4, 1, -1)
    return np.asarray(cv2.GaussianBlur(disc, (0, 0), 4), np.float32)


def holes() -> Floats:
    rng, large = np.random.default_rng(4), 4 * SIDE
    alpha = cv2.circle(np.zeros((large, large), np.uint8), (large // 2, large // 2), large // 4, 255, -1)
    for angle in rng.uniform(0, 2 * np.pi, 40):
        center = large / 2 + rng.uniform(0.2, 0.25) * large * np.array([np.cos(angle), np.sin(angle)])
        cv2.circle(alpha, [int(each) for each in center], int(rng.uniform(6, 20)), 0, -1)
    return reduced(alpha)


def reduced(alpha: NDArray[Any]) -> Floats:
    return np.asarray(cv2.resize(alpha, (SIDE, SIDE), interpolation=cv2.INTER_AREA) / np.float32(255), np.float32)


def background(name: str) -> Floats:
    if name == "plain":
        return np.full((SIDE, SIDE, 3), (0.55, 0.65, 0.8), np.float32)
    photograph = cv2.resize(getattr(data, name)()[..., :3], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(photograph / np.float32(255), np.float32)


def composite(alpha: Floats, behind: Floats) -> Bytes:
    rng = np.random.default_rng(0)
    grain = cv2.resize(rng.standard_normal((SIDE // 8, SIDE // 8, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    color = np.array([0.25, 0.15, 0.1]) + 0.03 * grain
    mixed = alpha[..., None] * color + (1 - alpha[..., None]) * behind + rng.normal(0, 0.01, (SIDE, SIDE, 3))
    return np.rint(mixed.clip(0, 1) * 255).astype(np.uint8)


def rough_mask(alpha: Floats) -> Bytes:
    """A mask as of a segmentation at a sixth of the size: without hair and holes."""
    opened = cv2.morphologyEx((alpha > 0.5).view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    small = cv2.resize(opened * np.float32(255), (SIDE // 6, SIDE // 6), interpolation=cv2.INTER_AREA)
    return np.rint(cv2.resize(small, (SIDE, SIDE))).astype(np.uint8)


def errors(mask: Bytes, alpha: Floats) -> tuple[float, float]:
    """Return the sum of absolute differences, in pixels, and the mean squared error."""
    difference = mask / 255 - alpha
    return float(np.abs(difference).sum()), float(np.square(difference).mean())


@pytest.mark.parametrize(
    ("shape", "behind", "share"),
    [
        (hair, "plain", 0.1),
        (soft, "plain", 0.7),
        (holes, "plain", 0.1),
        (hair, "rocket", 0.45),
        (holes, "rocket", 0.45),
        (hair, "coffee", 0.55),  # brown as the foreground
        (holes, "coffee", 0.8),
    ],
)
def test_refined_alpha_is_closer_to_the_known_one(shape: Any, behind: str, share: float) -> None:
    alpha = shape()
    raw = rough_mask(alpha)
    refined = refine_edges(raw, EdgeSettings(refine_edges=BAND), composite(alpha, background(behind)))
    for before, after in zip(errors(raw, alpha), errors(refined, alpha), strict=True):
        assert after < share * before


def test_matting_changes_only_the_band_and_keeps_every_depth() -> None:
    alpha = hair()
    image = composite(alpha, background("plain"))
    far = cv2.dilate(rough_mask(alpha), np.ones((2 * BAND + 9,) * 2, np.uint8)) == 0
    expected = None
    for dtype, full in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        mask = (rough_mask(alpha) / 255 * full).astype(dtype)
        before = mask.copy()
        refined = refine_edges(mask, EdgeSettings(refine_edges=BAND), image)
        assert refined.dtype == dtype
        np.testing.assert_array_equal(mask, before)
        assert not refined[far].any()
        expected = refined / full if expected is None else expected
        np.testing.assert_allclose(refined / full, expected, atol=0.02)


def test_matting_in_tiles_has_no_seams_and_reports_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    alpha = hair()
    image, raw = composite(alpha, background("plain")), rough_mask(alpha)
    whole = matting.matte_edges(raw, image, 5)
    monkeypatch.setattr(matting, "_TILE_SIDE", 64)
    steps: list[float] = []
    tiled = matting.matte_edges(raw, image, 5, steps.append)
    difference = np.abs(tiled.astype(int) - whole)
    assert difference.mean() < 0.2
    assert (difference > 12).mean() < 0.002
    assert len(steps) == 16
    assert steps == sorted(steps)


def test_canceled_matting_raises() -> None:
    def cancel(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        refine_edges(SQUARE, EdgeSettings(refine_edges=5), GRAY, cancel)


def test_automatic_radius_follows_the_size_of_the_image() -> None:
    assert matting_radius(4000, 6000) == 36
    assert matting_radius(300, 300) == 4
    alpha = hair()
    arguments = rough_mask(alpha), composite(alpha, background("plain"))
    by_size, given = (
        refine_edges(arguments[0], EdgeSettings(refine_edges=radius), arguments[1]) for radius in (AUTOMATIC, 4)
    )
    np.testing.assert_array_equal(by_size, given)


def test_matting_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="pixels"):
        refine_edges(SQUARE, EdgeSettings(refine_edges=5))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "bool"])
def test_feather_fades_on_both_sides_of_the_edge(dtype: str) -> None:
    full = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    soft_mask = refine_edges((SQUARE / 255 * full).astype(dtype), EdgeSettings(feather=20))
    levels = soft_mask / (255 if dtype == "bool" else full)
    assert levels[150, 150] == pytest.approx(1, abs=0.01)
    assert 0.4 < levels[150, 100] < 0.6
    assert levels[150, 70] < 0.01
    assert levels.sum() == pytest.approx(100 * 100, rel=0.01)


def test_wide_feather_equals_an_exact_gaussian() -> None:
    wide = refine_edges(SQUARE, EdgeSettings(feather=60)) / 255
    exact = cv2.GaussianBlur(SQUARE / 255, (0, 0), 30)
    np.testing.assert_allclose(wide, exact, atol=0.02)


@pytest.mark.parametrize("pixels", [3, 5, 12, 40])
def test_grow_moves_the_edge_by_pixels(pixels: int) -> None:
    grown = refine_edges(SQUARE, EdgeSettings(grow=pixels)) > 127
    shrunk = refine_edges(SQUARE, EdgeSettings(grow=-pixels)) > 127
    assert grown[150].sum() == 100 + 2 * pixels
    assert shrunk[150].sum() == 100 - 2 * pixels
    corner = np.hypot(*np.mgrid[:100, :100])  # a disc rounds the corner
    np.testing.assert_array_equal(grown[99::-1, 99::-1][60:, 60:], False)
    quarter = grown[99::-1, 99::-1]
    assert abs(int(quarter.sum()) - int((corner[1:, 1:] <= pixels).sum())) <= 4 * pixels


def test_shrinking_keeps_a_foreground_at_the_border() -> None:
    at_border = np.zeros((300, 300), np.uint8)
    at_border[:100, :100] = 255
    shrunk = refine_edges(at_border, EdgeSettings(grow=-5))
    assert shrunk[:95, :95].all()
    assert not shrunk[:, 95:].any()


def test_smooth_removes_spikes_and_keeps_straight_edges_sharp() -> None:
    spiked = SQUARE.copy()
    spiked[90:100, 150:152] = 255
    smooth = refine_edges(spiked, EdgeSettings(smooth=4))
    assert not (smooth[:99] > 127).any()
    profile = smooth[90:110, 130]
    assert ((profile > 10) & (profile < 245)).sum() <= 2


def test_harden_makes_a_soft_edge_hard() -> None:
    soft_mask = refine_edges(SQUARE, EdgeSettings(feather=20))
    hard = refine_edges(soft_mask, EdgeSettings(harden=1))
    assert ((hard == 0) | (hard == 255)).mean() > 0.999
    assert (hard > 0).sum() == pytest.approx(100 * 100, rel=0.05)  # rounder corners


def test_neutral_settings_and_empty_masks_change_nothing() -> None:
    assert refine_edges(SQUARE, EdgeSettings()) is SQUARE
    empty = SQUARE * 0
    assert refine_edges(empty, EdgeSettings(feather=3)) is empty
    assert not refine_edges(SQUARE, EdgeSettings(grow=-60)).any()
    assert refine_edges(SQUARE, EdgeSettings(grow=100))[100:200].all()


def test_every_slider_is_a_setting() -> None:
    values = {name: spec.high for name, spec in EDGE_SLIDERS.items()}
    assert vars(EdgeSettings.from_values(values)) == values
    assert EdgeSettings.from_values({name: spec.default for name, spec in EDGE_SLIDERS.items()}).is_neutral


@pytest.mark.parametrize("spec", EDGE_SLIDERS.values(), ids=list(EDGE_SLIDERS))
@pytest.mark.parametrize("outside", [-1001, 1001, np.nan, np.inf, "many", None])
def test_settings_outside_the_range_of_their_slider_are_refused(spec: SliderSpec, outside: Any) -> None:
    for make in (EdgeSettings, lambda **values: EdgeSettings.from_values(values)):
        with pytest.raises(ValueError, match=f"{spec.name} must be from {spec.low:g} to {spec.high:g}, not {outside}"):
            make(**{spec.name: outside})


def test_settings_refuse_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="no slider “blur”; the sliders are refine_edges, smooth"):
        EdgeSettings.from_values({"blur": 1})


def test_automatic_matting_is_a_value_outside_the_slider() -> None:
    assert EdgeSettings(refine_edges=AUTOMATIC) == EdgeSettings.from_values({"refine_edges": AUTOMATIC})
