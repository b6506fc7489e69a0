# SPDX-License-Identifier: GPL-3.0-or-later
"""ICC profiles: conversion to sRGB and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from s2am_engine.image.icc import convert, from_srgb, is_srgb, to_srgb
from tests.engine import icc

DISPLAY_P3 = icc.rgb_profile(icc.P3, icc.srgb_curve)
ADOBE_RGB = icc.rgb_profile(icc.ADOBE, icc.adobe_curve)
PROFILES = {"Display P3": (DISPLAY_P3, icc.P3, icc.srgb_curve), "Adobe RGB": (ADOBE_RGB, icc.ADOBE, icc.adobe_curve)}


def science(colors: NDArray[Any], primaries: icc.Primaries, curve: icc.Curve) -> NDArray[np.float64]:
    """Colors of another space in sRGB, 0 to 255, by the definitions."""
    light = curve(colors / 255) @ (np.linalg.inv(icc.xyz_matrix(icc.SRGB)) @ icc.xyz_matrix(primaries)).T
    light = light.clip(0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", PROFILES)
def test_to_srgb_equals_colorimetric_conversion(name: str) -> None:
    profile, primaries, curve = PROFILES[name]
    colors = np.array([[255, 0, 0], [0, 255, 0], [200, 100, 50], [90, 140, 180], [128, 128, 128], [255] * 3], np.uint8)
    found = to_srgb(colors, profile).astype(float)
    assert np.abs(found - science(colors, primaries, curve)).max() <= 2
    assert not np.array_equal(found, colors)


def test_to_srgb_of_p3_red_is_more_saturated() -> None:
    red = to_srgb(np.array([[200, 60, 60]], np.uint8), DISPLAY_P3)[0]
    assert red[0] > 205
    assert red[1] < 55


@pytest.mark.parametrize("name", PROFILES)
def test_from_srgb_inverts_to_srgb(name: str) -> None:
    profile = PROFILES[name][0]
    colors = np.random.default_rng(0).integers(60, 256, (40, 30, 3), np.uint8)
    own = from_srgb(colors, profile)
    assert np.abs(own.astype(int) - colors).max() > 9
    back = to_srgb(own, profile)
    assert back.shape == colors.shape
    assert np.abs(back.astype(int) - colors).max() <= 3  # rounded to 8 bits twice


def test_is_srgb_judges_by_conversion() -> None:
    assert is_srgb(None)
    assert is_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    assert is_srgb(icc.rgb_profile(icc.SRGB, icc.srgb_curve))
    assert is_srgb(icc.gray_profile(icc.srgb_curve))
    assert not is_srgb(DISPLAY_P3)
    assert not is_srgb(ADOBE_RGB)
    assert not is_srgb(icc.gray_profile(lambda value: value**1.8))


def test_to_srgb_of_gray_profile_is_gray() -> None:
    profile = icc.gray_profile(lambda value: value**1.8)
    gray = np.repeat(np.arange(30, 256, dtype=np.uint8)[:, None], 3, axis=1)
    seen = to_srgb(gray, profile)
    assert (seen == seen[:, :1]).all()
    assert seen[98, 0] > 128 + 5  # 128 of gamma 1.8 is lighter than 128 of sRGB
    assert np.abs(from_srgb(seen, profile).astype(int) - gray).max() <= 1


@pytest.mark.parametrize(
    "profile",
    [b"", b"no profile at all", DISPLAY_P3[:200], ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()],
    ids=["empty", "nonsense", "cut off", "Lab"],
)
def test_unusable_profile_counts_as_srgb(profile: bytes) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (5, 3), np.uint8)
    assert is_srgb(profile)
    assert np.array_equal(to_srgb(colors, profile), colors)
    assert np.array_equal(from_srgb(colors, profile), colors)


def test_profiles_of_these_tests_are_valid() -> None:
    # Check by LittleCMS that they are matrix profiles with the right white point.
    profile = ImageCms.ImageCmsProfile(io.BytesIO(DISPLAY_P3))
    assert profile.profile.is_matrix_shaper
    white = Image.new("RGB", (1, 1), "white")
    lab = ImageCms.profileToProfile(white, profile, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert lab is not None
    assert np.abs(np.asarray(lab)[0, 0].astype(np.int8).astype(int) - [-1, 0, 0]).max() <= 1


def test_to_srgb_refuses_other_arrays() -> None:
    with pytest.raises(ValueError, match="uint8"):
        to_srgb(np.zeros((4, 3), np.float32), DISPLAY_P3)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_convert_keeps_more_than_8_bits(dtype: type[np.generic]) -> None:
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (40, 50, 3)) * 257 + rng.integers(-100, 100, (40, 50, 3))
    pixels = np.clip(levels, 0, 65535).astype(np.uint16)
    given = pixels if dtype == np.uint16 else (pixels / np.float32(65535))
    there = convert(given, None, ADOBE_RGB)
    assert there.dtype == dtype
    assert not np.array_equal(there, given)
    back = convert(there, ADOBE_RGB, None).astype(np.float64)
    scale = 1 if dtype == np.uint16 else 65535
    assert np.abs(back - given).max() * scale < 64  # a quarter of an 8-bit level, in the darkest colors
    expected = science((np.asarray(there, np.float64) * scale / 257), icc.ADOBE, icc.adobe_curve)
    assert np.abs(expected - pixels / 257).max() < 1


def test_convert_to_a_gray_profile_and_back() -> None:
    gray = icc.gray_profile(lambda value: value**1.8)
    pixels = np.repeat(np.linspace(0, 65535, 64).astype(np.uint16)[None, :, None], 3, axis=2)
    there = convert(pixels, None, gray)
    assert (there == there[..., :1]).all()
    assert np.abs(convert(there, gray, None).astype(int) - pixels).max() < 64


def test_convert_returns_pixels_of_the_same_space_as_they_are() -> None:
    pixels = np.zeros((2, 2, 3), np.uint16)
    assert convert(pixels, ADOBE_RGB, ADOBE_RGB) is pixels
    assert convert(pixels, None, b"unusable") is pixels
