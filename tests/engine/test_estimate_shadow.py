# SPDX-License-Identifier: GPL-3.0-or-later
"""Automatic values of a shadow: the light's direction on synthetic backgrounds, ambient color, and ground line."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_common.errors import ImageError
from s2am_engine.shadow.estimate import estimate_shadow
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow

HEIGHT, WIDTH = 300, 400
WALL = Silhouette(np.full((100, 60), 255, np.uint8), 170, 150)


def scene(seed: int = 0, level: float = 110) -> NDArray[np.float64]:
    """Return a noisy gray scene with a slightly brighter upper half, H×W×3."""
    rng = np.random.default_rng(seed)
    pixels = np.full((HEIGHT, WIDTH, 3), level) + rng.normal(0, 8, (HEIGHT, WIDTH, 1))
    pixels[: HEIGHT // 2] += 25
    return pixels


def eight_bits(pixels: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(pixels.clip(0, 255)).astype(np.uint8)


@pytest.mark.parametrize("sun", [(60, 40), (330, 30), (200, 20)])
def test_shadow_falls_away_from_a_visible_light_source(sun: tuple[int, int]) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    glow = 300 * np.exp(-((x - sun[0]) ** 2 + (y - sun[1]) ** 2) / (2 * 14**2))
    found = estimate_shadow(eight_bits(scene(level=70) + glow[..., None]), WALL)
    assert found.evidence == "light-source"
    wanted = math.degrees(math.atan2(200 - sun[0], -(250 - sun[1])))
    assert (found.shadow.direction - wanted + 180) % 360 - 180 == pytest.approx(0, abs=8)
    assert found.shadow.length > 0.5


@pytest.mark.parametrize(("left", "right"), [(1.4, 0.7), (0.7, 1.4)])
def test_shadow_falls_away_from_the_brighter_side(left: float, right: float) -> None:
    found = estimate_shadow(eight_bits(scene() * np.linspace(left, right, WIDTH)[:, None]), WALL)
    assert found.evidence == "brighter-side"
    assert np.sign(found.shadow.direction) == np.sign(left - right)
    assert ("left" if left > right else "right") in found.notes[0]
    vector = found.shadow.vector
    assert vector[0] * (left - right) > 0
    assert vector[1] > 0  # on the ground in front


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_without_evidence_light_comes_from_above(dtype: type[Any]) -> None:
    scale = 1 / 255 if dtype == np.float32 else np.iinfo(dtype).max / 255
    found = estimate_shadow((eight_bits(scene()) * scale).astype(dtype), WALL)
    assert found.evidence == "none"
    assert found.shadow.length == 0
    assert found.shadow.contact > 0.5
    assert "no direction" in found.notes[0]


def test_pixels_that_do_not_belong_to_the_background_do_not_count() -> None:
    pixels = eight_bits(scene() * np.linspace(1.4, 0.7, WIDTH)[:, None])
    visible = np.full((HEIGHT, WIDTH), 255, np.uint8)
    visible[:, 250:] = 0
    pixels[:, 250:] = 255
    found = estimate_shadow(pixels, WALL, visible)
    assert found.shadow == estimate_shadow(np.where(visible[..., None] > 0, pixels, 0), WALL, visible).shadow


def test_ambient_color_is_that_of_the_upper_half() -> None:
    pixels = scene()
    pixels[: HEIGHT // 2] *= (0.7, 0.9, 1.3)
    red, green, blue = estimate_shadow(eight_bits(pixels), WALL).shadow.color
    assert red < green < blue < 0.35


def test_ground_line_passes_through_both_feet() -> None:
    alpha = np.zeros((200, 120), np.uint8)
    alpha[:150, 20:100] = 255
    alpha[150:185, 20:40] = 255
    alpha[150:199, 80:100] = 255
    shadow = estimate_shadow(eight_bits(scene()), Silhouette(alpha, 100, 60)).shadow
    # From the outer corner of the higher foot to the inner corner of the lower one, as the line supports both.
    assert shadow.slope == pytest.approx(math.degrees(math.atan2(14, 60)), abs=1)
    # Both feet cast a contact shadow, although one stands higher.
    layer = render_shadow(shadow.replace(contact=1), Silhouette(alpha, 100, 60), HEIGHT, WIDTH)
    canvas = np.zeros((HEIGHT, WIDTH))
    canvas[layer.window] = layer.alpha / 65535
    assert canvas[60 + 186, 130] > 0.5
    assert canvas[60 + 200, 190] > 0.5


def on_feet() -> NDArray[np.uint8]:
    """Return the alpha of a body on two feet."""
    alpha = np.zeros((100, 60), np.uint8)
    alpha[:80] = 255
    alpha[:, 5:12] = alpha[:, 45:52] = 255
    return alpha


@pytest.mark.parametrize("below", [0, 10])
@pytest.mark.parametrize("light", [1.0, np.linspace(0.7, 1.4, WIDTH)[:, None]])
def test_a_body_cut_off_by_the_lower_border_casts_no_shadow(below: int, light: Any) -> None:
    portrait = Silhouette(WALL.alpha, 100, HEIGHT - 100 + below)
    found = estimate_shadow(eight_bits(scene() * light), portrait)
    assert render_shadow(found.shadow, portrait, HEIGHT, WIDTH).alpha.size == 0
    assert found.notes == ("The lower border cuts off the foreground above the ground: it casts no visible shadow.",)
    assert found.with_values({"direction": 90}).shadow.length > 0  # on request


@pytest.mark.parametrize("below", [0, 10])
def test_feet_at_the_lower_border_still_cast_a_shadow(below: int) -> None:
    found = estimate_shadow(eight_bits(scene()), Silhouette(on_feet(), 100, HEIGHT - 100 + below))
    assert found.shadow.contact > 0.5
    assert any("lower border" in note for note in found.notes)


def test_a_replaced_sky_casts_no_shadow() -> None:
    sky = Silhouette(np.full((HEIGHT // 2, WIDTH), 255, np.uint8))
    for light in (1.0, np.linspace(0.7, 1.4, WIDTH)[:, None]):
        found = estimate_shadow(eight_bits(scene() * light), sky)
        assert render_shadow(found.shadow, sky, HEIGHT, WIDTH).alpha.size == 0
        assert found.notes == ("The foreground covers the image above, as a sky does: it casts no shadow.",)
    # A wall from border to border stands on the ground.
    wall = Silhouette(np.full((HEIGHT // 2, WIDTH), 255, np.uint8), 0, 20)
    assert estimate_shadow(eight_bits(scene()), wall).shadow.contact > 0.5


def test_a_transparent_foreground_has_no_shadow_to_estimate() -> None:
    with pytest.raises(ImageError, match="transparent everywhere"):
        estimate_shadow(eight_bits(scene()), Silhouette(np.zeros((20, 20), np.uint8)))


def test_given_values_replace_automatic_ones_and_a_direction_needs_a_length() -> None:
    found = estimate_shadow(eight_bits(scene()), WALL)
    assert found.with_values({"contact": 0.2}).shadow == found.shadow.replace(contact=0.2)
    assert found.with_values({"contact": 0.2}).notes == found.notes
    turned = found.with_values({"direction": 45})
    assert (turned.shadow.direction, turned.notes) == (45, ())
    assert turned.shadow.length > 0
    assert found.with_values({"direction": 45, "length": 0}).shadow.length == 0
