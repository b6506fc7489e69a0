# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows: geometry and softness on synthetic silhouettes, limits of the layer, and blending."""

from __future__ import annotations

import json
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_engine.shadow.layer import ShadowLayer, Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import GROUND_DEPTH, Shadow
from s2am_engine.types import Mask

HEIGHT, WIDTH = 400, 600
HARD = Shadow(softness=0, contact=0, opacity=1)


def figure(height: int = 120, width: int = 50) -> NDArray[np.uint8]:
    """Return a flag on a pole: its shadow has a direction, a length and a side."""
    alpha = np.zeros((height, width), np.uint8)
    alpha[:, 8:16] = 255
    alpha[: height // 3, 16:] = 255
    return alpha


def on_canvas(layer: ShadowLayer, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.float64]:
    """Return the layer's opacity on its canvas, in [0, 1]."""
    canvas = np.zeros((height, width))
    canvas[layer.window] = layer.alpha / 65535
    return canvas


def expected(shadow: Shadow, silhouette: Silhouette) -> NDArray[np.bool_]:
    """Return where a hard shadow falls: each opaque pixel above its foot on the ground line, moved along the vector."""
    height, width = silhouette.alpha.shape
    right, down = shadow.vector
    fall = np.tan(np.radians(shadow.slope))
    level = silhouette.top + height * (1 - shadow.ground)
    # Samples closer together than a pixel of the shadow.
    y, x = (each.ravel() for each in np.mgrid[0:height:0.2, 0:width:0.2])
    opaque = silhouette.alpha[y.astype(int), x.astype(int)] > 0
    x, y = x[opaque] + silhouette.left, y[opaque] + silhouette.top
    foot = level + fall * (x - silhouette.left - width / 2)
    x, y, foot = (each[y <= foot] for each in (x, y, foot))
    there, down_there = (x + (foot - y) * right).astype(int), (foot + (foot - y) * down).astype(int)
    inside = (there >= 0) & (there < WIDTH) & (down_there >= 0) & (down_there < HEIGHT)
    hit = np.zeros((HEIGHT, WIDTH), bool)
    hit[down_there[inside], there[inside]] = True
    return hit


@pytest.mark.parametrize(
    "values",
    [
        {"direction": 180, "length": 0.6},
        {"direction": 50, "length": 1},
        {"direction": -90, "length": 1.5},
        {"direction": -130, "length": 0.8, "slope": 12, "ground": 0.1},
        {"direction": 20, "length": 0.9, "slope": -15},
        {"direction": 140, "length": 3},
    ],
    ids=str,
)
def test_render_shadow_projects_the_silhouette_onto_the_ground(values: dict[str, float]) -> None:
    shadow = HARD.replace(**values)
    silhouette = Silhouette(figure(), 260, 120)
    found, wanted = on_canvas(render_shadow(shadow, silhouette, HEIGHT, WIDTH)) > 0.5, expected(shadow, silhouette)
    # The ground between the body and the ground line is dark, too, and softer: it is not compared.
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ground = 240 - 120 * shadow.ground + np.tan(np.radians(shadow.slope)) * (x - 285)
    compared = (x < 250) | (x > 320) | (y < ground - 40) | (y > ground + 4)
    edges = cv2.dilate(wanted.astype(np.uint8), np.ones((5, 5))) - cv2.erode(wanted.astype(np.uint8), np.ones((5, 5)))
    assert wanted.sum() > 400
    assert not ((found != wanted) & (edges == 0) & compared).any()


def test_shadow_is_nowhere_flatter_than_the_ground_is_seen() -> None:
    for slope in (-30, 0, 30):
        right, down = Shadow(direction=90, length=2, slope=slope).vector
        across = down - np.tan(np.radians(slope)) * right
        assert abs(across) >= 2 * GROUND_DEPTH - 1e-9


def edge_width(row: NDArray[np.float64]) -> int:
    """Return the number of pixels between a tenth and nine tenths of a row's maximum, at its left edge."""
    rising = row[: row.argmax() + 1] / row.max()
    return int(((rising > 0.1) & (rising < 0.9)).sum())


def test_softness_grows_with_the_distance_from_the_ground_line() -> None:
    wall = np.full((300, 160), 255, np.uint8)
    shadow = Shadow(direction=180, length=0.8, softness=0.5, contact=0, opacity=1)
    alpha = on_canvas(render_shadow(shadow, Silhouette(wall, 220, 0), 700, WIDTH), 700)
    widths = [edge_width(alpha[y]) for y in (305, 360, 420, 480, 520)]
    assert widths == sorted(widths)
    assert widths[0] <= 3
    # A Gaussian rises from a tenth to nine tenths of its height in 2.56 σ.
    sigma = 0.5 * 0.12 * (480 - 300) / 0.8
    assert widths[3] == pytest.approx(2.56 * sigma, rel=0.2)
    sharp = on_canvas(render_shadow(shadow.replace(softness=0), Silhouette(wall, 220, 0), 700, WIDTH), 700)
    assert edge_width(sharp[520]) <= 3


@pytest.mark.parametrize(("left", "top"), [(-30, 90), (575, 60), (200, 330), (100, -60), (-2000, 10)])
def test_render_shadow_of_a_clipped_position_is_part_of_the_whole(left: int, top: int) -> None:
    shadow = Shadow(direction=130, length=0.8, softness=0.7)
    clipped = render_shadow(shadow, Silhouette(figure(), left, top), HEIGHT, WIDTH)
    window = clipped.window
    assert window[0].stop <= HEIGHT
    assert window[1].stop <= WIDTH
    whole = render_shadow(shadow, Silhouette(figure(), left + 2500, top + 500), HEIGHT + 1000, WIDTH + 5000)
    part = on_canvas(whole, HEIGHT + 1000, WIDTH + 5000)[500 : 500 + HEIGHT, 2500 : 2500 + WIDTH]
    if top + 120 < HEIGHT:  # else the contact shadow is left out
        np.testing.assert_allclose(on_canvas(clipped), part, atol=1 / 255)
    assert (clipped.alpha.size > 0) == (left > -2000 and top < 300)


def test_layer_is_no_larger_than_the_shadow_and_outside_it_nothing_changes() -> None:
    layer = render_shadow(Shadow(direction=60, length=1), Silhouette(figure(), 200, 150), HEIGHT, WIDTH)
    for line in (layer.alpha[0], layer.alpha[-1], layer.alpha[:, 0], layer.alpha[:, -1]):
        assert line.any()
    assert layer.alpha.size < HEIGHT * WIDTH / 4


def test_foreground_that_touches_nothing_in_the_image_casts_no_contact_shadow() -> None:
    contact = Shadow(length=0, contact=1)
    wall = np.full((100, 80), 255, np.uint8)
    standing = render_shadow(contact, Silhouette(wall, 200, 250), HEIGHT, WIDTH)
    assert standing.alpha.max() > 0.8 * 65535
    assert standing.top > 250  # at the feet
    for top in (HEIGHT - 100, HEIGHT - 60):
        assert render_shadow(contact, Silhouette(wall, 200, top), HEIGHT, WIDTH).alpha.size == 0
    # One of two feet stands within the image.
    legs = np.full((100, 80), 255, np.uint8)
    legs[60:, 30:50] = 0
    legs[96:, :30] = 0
    partly = on_canvas(render_shadow(contact, Silhouette(legs, 200, HEIGHT - 100), HEIGHT, WIDTH))
    assert partly[HEIGHT - 4, 215] > 0.3
    assert partly[:, 270:].max() < 0.05


def contact_of(alpha: NDArray[np.uint8], left: int, top: int) -> NDArray[np.float64]:
    """Return the contact shadow of a foreground on its canvas."""
    return on_canvas(render_shadow(Shadow(length=0, contact=1), Silhouette(alpha, left, top), HEIGHT, WIDTH))


def test_contact_shadow_below_a_span_is_dark_if_it_is_wide_for_its_height() -> None:
    # Below a long slab of width w at height g, the share sin(atan(w / 2g)) of the sky's light is blocked: 0.96 and 0.3.
    car = np.full((100, 300), 255, np.uint8)
    car[80:, 40:180] = 0
    car[80:, 220:] = 0
    below = contact_of(car, 150, 200)
    assert below[283:299, 220:300].mean() > 0.5
    assert below[283:299, 220:300].mean() > 2 * below[283:299, 420:450].mean()  # one end is free
    legs = np.full((200, 80), 255, np.uint8)
    legs[80:, 20:60] = 0
    assert contact_of(legs, 250, 100)[190:270, 280:300].max() < 0.1


def test_contact_shadow_below_a_raised_end_fades_out_beside_it() -> None:
    boat = np.full((100, 300), 255, np.uint8)
    boat[90:, 200:] = 0
    below = contact_of(boat, 150, 200)[293:299]
    assert below[:, 400:430].mean() > 0.3  # below the end, which is beside 450
    assert np.abs(np.diff(below, axis=1))[:, 430:].max() < 0.06


def test_render_shadow_depends_on_nothing_but_its_arguments() -> None:
    shadow, silhouette = Shadow(direction=70, length=1.2, slope=5), Silhouette(figure(), 200, 150)
    first = render_shadow(shadow, silhouette, HEIGHT, WIDTH)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        second = render_shadow(shadow, silhouette, HEIGHT, WIDTH)
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(first.alpha, second.alpha)
    for dtype, scale in ((np.uint16, 257), (np.float32, 1 / 255), (np.bool_, 1 / 255)):
        deep = Silhouette((figure() * np.float64(scale)).astype(dtype), 200, 150)
        np.testing.assert_array_equal(first.alpha, render_shadow(shadow, deep, HEIGHT, WIDTH).alpha)


@pytest.mark.parametrize(
    "silhouette", [np.zeros((50, 40), np.uint8), np.zeros((0, 0), np.uint8)], ids=["empty", "none"]
)
def test_render_shadow_of_a_transparent_foreground_is_empty(silhouette: Mask) -> None:
    layer = render_shadow(Shadow(), Silhouette(silhouette, 10, 10), HEIGHT, WIDTH)
    assert layer.alpha.shape == (0, 0)
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    layer.darken(pixels)
    assert (pixels == 90).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_darken_multiplies_and_keeps_the_bits_outside(dtype: type[Any]) -> None:
    scale = 1 if dtype == np.float32 else np.iinfo(dtype).max
    pixels = (np.random.default_rng(0).uniform(0, 1, (HEIGHT, WIDTH, 3)) * scale).astype(dtype)
    before = pixels.copy()
    shadow = Shadow(direction=60, length=1, color=(0.2, 0.25, 0.4))
    layer = render_shadow(shadow, Silhouette(figure(), 200, 150), HEIGHT, WIDTH)
    layer.darken(pixels)
    alpha = on_canvas(layer)
    np.testing.assert_array_equal(pixels[alpha == 0], before[alpha == 0])
    exact = before * (1 - alpha[..., None] * (1 - np.array(shadow.color)))
    error = pixels[alpha > 0] - exact[alpha > 0]
    assert np.abs(error).max() <= {np.uint8: 1, np.uint16: 0.51, np.float32: 1e-6}[dtype]
    assert abs(error.mean()) < 0.02


def test_soft_shadows_have_no_bands_in_8_bits() -> None:
    wall = np.full((380, 300), 255, np.uint8)
    layer = render_shadow(
        Shadow(length=1, softness=1, contact=0, opacity=0.1), Silhouette(wall, 150, -200), HEIGHT, WIDTH
    )
    pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    layer.darken(pixels)
    exact = 60 * (1 - on_canvas(layer))
    assert 5 < np.ptp(exact) < 7
    # Bands would be areas of constant value: up to half a level off, many pixels wide.
    smooth = cv2.blur(pixels[..., 0].astype(np.float64) - exact, (16, 16))
    assert np.abs(smooth).max() < 0.15
    alpha = cv2.blur(layer.opacity(np.uint8).astype(np.float64) - layer.alpha / 257, (16, 16))
    assert np.abs(alpha[8:-8, 8:-8]).max() < 0.15


def test_darken_keeps_gray_images_gray() -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    layer = render_shadow(Shadow(color=(0.1, 0.2, 0.6)), Silhouette(figure(), 200, 150), HEIGHT, WIDTH)
    layer.darken(pixels, gray=True)
    assert (np.ptp(pixels, axis=2) == 0).all()
    assert pixels.min() < 100


def test_shadow_survives_json() -> None:
    shadow = Shadow(direction=-33.5, length=1.25, color=(0.1, 0.2, 0.3))
    assert Shadow.from_json(json.loads(json.dumps(shadow.to_json()))) == shadow
    assert Shadow.from_json({}) == Shadow()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"length": 4}, "length must be from 0 to 3"),
        ({"lenght": 1}, "there is no slider “lenght”"),
        ({"length": None}, "numbers"),
        ({"color": [0, 0, 2]}, "color must be"),
        ({"opacity": float("nan")}, "opacity must be"),
    ],
)
def test_shadow_refuses_wrong_json(data: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Shadow.from_json(data)
