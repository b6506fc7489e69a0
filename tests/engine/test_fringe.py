# SPDX-License-Identifier: GPL-3.0-or-later
"""The automatic decontamination: fringes of a known old background, and edges that have none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from s2am_engine import Finish, Finisher, FinishMeasurement, Harmonizer
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.types import Floats, Mask, Pixels
from tests.engine.test_finish import at_depth

OLD = {"green": (40, 200, 60), "white": (255, 255, 255), "blue": (40, 80, 220)}


def scene(radius: float = 1.5, factor: int = 1) -> tuple[Floats, Floats, NDArray[np.uint8]]:
    """Return a photograph, another, and the mask of the first with an edge of some softness, 0 = hard."""
    size = 480 * factor, 360 * factor
    own, other = (
        np.asarray(cv2.resize(photograph, size, interpolation=cv2.INTER_AREA), np.float32)
        for photograph in (data.chelsea(), data.rocket())
    )
    mask = np.zeros(size[::-1], np.uint8)
    cv2.ellipse(mask, (size[0] // 2, size[1] // 2), (size[0] // 4, size[1] // 3), 0, 0, 360, 255, -1)
    return own, other, cv2.GaussianBlur(mask, (0, 0), radius * factor) if radius else mask  # type: ignore[return-value]


def pasted(own: Floats, other: Floats, mask: Mask, old: tuple[int, ...] | None) -> Floats:
    """Paste a cutout on a background, with the colors of an old one in its soft edges."""
    alpha = mask[..., None] / np.float32(255)
    layer = own if old is None else alpha * own + (1 - alpha) * np.array(old, np.float32)
    return np.asarray(alpha * layer + (1 - alpha) * other, np.float32)


def automatic(pixels: Pixels, mask: Mask) -> float:
    """Return the automatic value."""
    around = Surroundings.measure(pixels, mask)
    return FinishMeasurement.of(SampleWindows.of(pixels, mask), None, around).automatic().decontaminate


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("old", OLD)
def test_fringe_of_an_old_background_is_removed(old: str, dtype: str) -> None:
    own, other, mask = scene()
    composite = at_depth(pasted(own, other, mask, OLD[old]), dtype)
    assert automatic(composite, mask) == 1
    around, cleaned = Surroundings.measure(composite, mask), composite.copy()
    measured = FinishMeasurement.of(SampleWindows.of(composite, mask), None, around)
    Finisher(measured.resolve({"decontaminate": "auto"}), measured, around).apply(cleaned, mask)
    wanted = at_depth(pasted(own, other, mask, None), dtype).astype(np.float64)
    soft = (mask > 13) & (mask < 242)
    before, after = (np.square(each - wanted)[soft].mean() for each in (composite, cleaned))
    assert after < 0.5 * before
    cast, rest = (np.abs((each - wanted)[soft].mean(axis=0)).max() for each in (composite, cleaned))
    assert rest < 0.5 * cast
    np.testing.assert_array_equal(cleaned[mask == 0], composite[mask == 0])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("radius", [0, 1.5, 4])
def test_clean_and_hard_edges_are_left_alone(radius: float, dtype: str) -> None:
    own, other, mask = scene(radius)
    assert automatic(at_depth(pasted(own, other, mask, None), dtype), mask) == 0
    if not radius:
        assert automatic(at_depth(pasted(own, other, mask, OLD["green"]), dtype), mask) == 0


def test_no_fringe_is_seen_in_other_deviations() -> None:
    own, other, mask = scene()
    alpha = mask[..., None] / np.float32(255)
    linear = alpha * srgb_to_linear(own / 255) + (1 - alpha) * srgb_to_linear(other / 255)
    assert automatic(at_depth(255 * linear_to_srgb(linear), "uint8"), mask) == 0
    wider = np.clip(1.3 * mask.astype(np.float32), 0, 255).astype(np.uint8)
    assert automatic(at_depth(pasted(own, other, mask, None), "uint8"), wider) == 0


def test_fringe_of_a_large_image_is_found_in_every_size() -> None:
    own, other, mask = scene(factor=4)
    composite = at_depth(pasted(own, other, mask, OLD["green"]), "uint8")
    assert automatic(composite, mask) == 1
    half = [cv2.resize(each, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for each in (composite, mask)]
    assert automatic(*half) == 1  # as GIMP's client reads it


def test_result_is_rendered_with_the_automatic_value() -> None:
    own, other, mask = scene()
    result = Harmonizer("concord", device="cpu")(at_depth(pasted(own, other, mask, OLD["white"]), "uint8"), mask)
    assert result.measure().automatic().decontaminate == 1
    expected = result.render(finish=Finish(decontaminate=1))
    np.testing.assert_array_equal(result.render(finish={"decontaminate": "auto"}), expected)


def test_no_fringe_is_seen_where_a_dark_foreground_reaches_beyond_its_mask() -> None:
    own, other, mask = scene(3)
    seen = np.minimum(4 * mask.astype(np.float32), 255).astype(np.uint8)  # opaque where the mask is only soft
    assert automatic(at_depth(pasted(0.2 * own, 0.5 * other + 120, seen, None), "uint8"), mask) == 0
