# SPDX-License-Identifier: GPL-3.0-or-later
"""All depths, encodings and profiles of a real GIMP 3, the arguments, and refused layers.

The tolerance is 0 for 16 bits and 1e-4 of white for floats; where GIMP rounds to the image's own 8 bits, in another
profile or in linear light, the test has its own tolerance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.models.model_store import DEFAULT_MODEL
from tests.gimp import pictures
from tests.gimp.answers import Case, Cases, Pixels, on_canvas, recolored

ALPHA = pictures.cut_out()[..., 3]
DEEP = {
    "sixteen_bits": np.uint16,
    "floats": np.float32,
    "linear_floats": np.float32,
    "linear_bytes": np.float32,
    "halves": np.float32,
    "thirty_two_bits": np.float32,
    "gray": np.uint8,
    "adobe_rgb": np.float32,
}
OUT_OF_GAMUT = (slice(30, 70), slice(40, 60))
"""The part of the wide cutout that is brighter than white or greener than sRGB's green."""


def answer(case: Case, kind: Any) -> tuple[Pixels, Pixels, Pixels]:
    """Return the pixels before and after, and the engine's own result."""
    assert case.succeeded, case.facts["message"]
    before, after = case.pixels("before", kind=kind), case.pixels("after", kind=kind)
    full = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1.0
    mask = np.rint(before[..., 3] / full * 255).astype(np.uint8)
    expected = recolored(case.color_map(on_canvas(mask)), before)
    assert (after != before).any()
    return before, after, expected


@pytest.mark.parametrize("name", sorted(DEEP))
def test_pixel_formats_keep_transparent_pixels(cases: Cases, name: str) -> None:
    case = cases[name]
    before, after = ((case.folder / case.facts[key]).read_bytes() for key in ("raw", "raw after"))
    size = len(before) // ALPHA.size
    hidden = ALPHA.ravel() == 0
    pixels = [np.frombuffer(data, np.uint8).reshape(-1, size) for data in (before, after)]
    np.testing.assert_array_equal(pixels[1][hidden], pixels[0][hidden])
    assert (pixels[1] != pixels[0]).any()


def test_pixel_format_of_sixteen_bits(cases: Cases) -> None:
    _, after, expected = answer(cases["sixteen_bits"], np.uint16)
    np.testing.assert_array_equal(after, expected)
    assert len(np.unique(after[..., :3] % 257)) > 200  # not 8 bits converted to 16


def case_pixels(case: Case, key: str, shape: tuple[int, ...]) -> Pixels:
    """Return a layer's floats as stored in the image."""
    return np.frombuffer((case.folder / case.facts[key]).read_bytes(), np.float32).reshape(shape)


@pytest.mark.parametrize("name", ["floats", "linear_floats"])
def test_pixel_format_of_floats_keeps_colors_out_of_gamut(cases: Cases, name: str) -> None:
    before, after, expected = answer(cases[name], np.float32)
    # Below black GIMP and the engine each continue sRGB's curve in their own way: there, linear light is compared.
    shown = (before[..., :3] >= 0).all(axis=-1)
    np.testing.assert_allclose(after[shown], expected[shown], atol=1e-4)
    if name == "linear_floats":
        mask = np.rint(before[..., 3] * 255).astype(np.uint8)
        raw, raw_after = (case_pixels(cases[name], key, before.shape) for key in ("raw", "raw after"))
        values = np.dstack([linear_to_srgb(raw[..., :3]), raw[..., 3]])
        wanted = srgb_to_linear(recolored(cases[name].color_map(on_canvas(mask)), values)[..., :3])
        np.testing.assert_allclose(raw_after[..., :3], wanted, atol=1e-4)
    else:
        np.testing.assert_allclose(after, expected, atol=1e-4)
    wide = after[OUT_OF_GAMUT][..., :3]
    assert wide.max() > 1.05
    assert wide.min() < -0.05
    assert before[OUT_OF_GAMUT][..., :3].max() > 1.25


def test_pixel_format_of_halves(cases: Cases) -> None:
    _, after, expected = answer(cases["halves"], np.float32)
    np.testing.assert_allclose(after, expected, atol=1e-3)  # a half has 11 bits


def test_pixel_format_of_thirty_two_bits(cases: Cases) -> None:
    _, after, expected = answer(cases["thirty_two_bits"], np.float32)
    np.testing.assert_allclose(after, np.clip(expected, 0, 1), atol=1e-4)


def test_pixel_format_of_linear_bytes(cases: Cases) -> None:
    _, after, expected = answer(cases["linear_bytes"], np.float32)
    linear = srgb_to_linear(np.clip(expected[..., :3], 0, 1))
    # A level of linear light, and its half for rounding.
    assert np.abs(srgb_to_linear(after[..., :3]) - linear).max() < 0.6 / 255


def test_gray_layers_stay_gray(cases: Cases) -> None:
    _, after, expected = answer(cases["gray"], np.uint8)
    luminance = srgb_to_linear(expected[..., :3] / np.float32(255)) @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    gray = np.rint(linear_to_srgb(luminance) * 255)
    seen = ALPHA > 0
    assert np.abs(after[..., :3] - gray[..., None])[seen].max() <= 1


def light_of(values: Pixels) -> Pixels:
    """Return the linear light of GIMP's sRGB values, whose curve is a line below black."""
    return np.where(values >= 0, srgb_to_linear(values), values / np.float32(12.92))


def test_adobe_rgb_keeps_colors_outside_of_srgb(cases: Cases) -> None:
    before, after, _ = answer(cases["adobe_rgb"], np.float32)
    # Below black GIMP and the engine each continue sRGB's curve in their own way: linear light is compared.
    values = np.dstack([linear_to_srgb(light_of(before[..., :3])), before[..., 3]])
    mask = np.rint(before[..., 3] * 255).astype(np.uint8)
    wanted = srgb_to_linear(recolored(cases["adobe_rgb"].color_map(on_canvas(mask)), values)[..., :3])
    seen = ALPHA > 0
    # Half a step of AdobeRGB's 8 bits near white, in the reds and (with a negative share) in the greens together.
    assert np.abs(light_of(after[..., :3]) - wanted)[seen].max() < 0.5 / 255 * 2.2 * (1.398 + 0.398)
    green = (slice(50, 70), slice(40, 60))
    assert before[green][..., 0].max() < -0.1
    assert after[green][..., 0].max() < -0.05


def test_effect_in_another_color_space(cases: Cases) -> None:
    case = cases["adobe_rgb_effect"]
    assert case.succeeded
    linear = case.pixels("before", kind=np.float32)
    srgb = np.dstack([linear_to_srgb(linear[..., :3]), linear[..., 3]]).astype(np.float32)
    full = recolored(case.color_map(on_canvas(np.rint(linear[..., 3] * 255).astype(np.uint8))), srgb)
    merged = linear_to_srgb(case.pixels("merged", kind=np.float32)[..., :3])
    inside = (linear[..., 3] > 0.5) & (srgb[..., :3].min(axis=2) >= 0) & (srgb[..., :3].max(axis=2) <= 1)
    # Limited by the approximation of the map by a matrix; with wrong primaries the reds alone would differ more.
    changed = np.abs(merged - srgb[..., :3])[inside].mean()
    assert changed > 3 / 255
    assert np.abs(merged - full[..., :3])[inside].mean() < min(4 / 255, changed / 2)


@pytest.mark.parametrize("precision", ["U8_NON_LINEAR", "U16_NON_LINEAR", "HALF_LINEAR", "FLOAT_LINEAR"])
def test_alpha_reduced_by_gimp_is_that_of_gegl(cases: Cases, precision: str) -> None:
    own, of_gegl = (cases["reduced_alpha"].pixels(f"{precision}{key}", (120, 80), 1) for key in ("", " of GEGL"))
    assert np.abs(own.astype(int) - of_gegl).max() <= 1
    assert {0, 255} < set(own.ravel())


# -- arguments


def test_strength_0_changes_no_pixel(cases: Cases) -> None:
    case = cases["no_strength"]
    assert case.succeeded
    np.testing.assert_array_equal(case.pixels("after"), case.pixels("before"))


def test_all_arguments_of_a_script(cases: Cases) -> None:
    case = cases["all_arguments"]
    sliders = {"strength": 0.7, "brightness": 0.2, "contrast": -0.1, "warmth": 0.3, "tint": -0.2, "saturation": 0.4}
    color_map = case.color_map(on_canvas(ALPHA), "s2crnet", sliders)
    np.testing.assert_array_equal(case.pixels("after"), recolored(color_map, case.pixels("before")))


# -- refusals


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_engine", "run the installer again"),
        ("unknown_model", f"There is no model “no-such-model”: choose one of {DEFAULT_MODEL}"),
        ("outside_the_canvas", "No visible part of “pasted” lies on the canvas"),
        ("empty", "“pasted” is empty"),
        ("locked", "The pixels of “pasted” are locked: unlock them"),
        ("locked_parent", "The pixels of “pasted” are locked by “The group”"),
        ("indexed", "convert it with Image > Mode > RGB"),
        ("only_a_cut_out", "add a background layer"),
    ],
)
def test_refusals_have_a_message_and_leave_the_image_unchanged(cases: Cases, name: str, message: str) -> None:
    case = cases[name]
    assert case.facts["status"] == "execution-error"
    assert message in case.facts["message"]
    assert "\n" not in case.facts["message"]
    assert case.untouched


def test_engine_errors_name_the_log(cases: Cases) -> None:
    log = cases.gimp.log
    assert str(log) in cases["no_engine"].facts["message"]
    assert "nowhere" in log.read_text(encoding="utf-8")


def test_missing_references_are_errors(cases: Cases) -> None:
    case = cases["no_reference_chosen"]
    assert "Choose a reference layer" in case.facts["layer"]["message"]
    assert "Select the area" in case.facts["area"]["message"]
