# SPDX-License-Identifier: GPL-3.0-or-later
"""Sliders: validation against the table, and their effect on a color map."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s2am_common.sliders import SLIDERS, SliderSpec
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.map import IDENTITY, Chain, Curves, Matrix
from s2am_engine.color.srgb import LUMA
from tests.engine.color_maps import KINDS, colors, some_map

CHANGES = ("brightness", "contrast", "warmth", "tint", "saturation")
GRAYS = np.repeat(np.linspace(0, 1, 101, dtype=np.float32)[:, None], 3, axis=1)
any_value = st.floats(-1, 1)


def changed(**sliders: float) -> Chain | Curves | Matrix:
    found = adjust(IDENTITY, Sliders(**sliders))
    assert isinstance(found, Chain | Curves | Matrix)
    return found


def test_adjust_with_neutral_sliders_returns_the_same_map() -> None:
    bent = some_map("chain", 2)
    assert adjust(bent, Sliders()) is bent


def test_sliders_have_the_fields_and_defaults_of_the_table() -> None:
    assert {field.name: field.default for field in fields(Sliders)} == {
        spec.name: spec.default for spec in SLIDERS.values()
    }


@pytest.mark.parametrize("spec", SLIDERS.values(), ids=list(SLIDERS))
@pytest.mark.parametrize("value", [-1.01, 1.01, float("nan"), float("inf"), "half", None])
def test_sliders_refuse_value_out_of_range(spec: SliderSpec, value: Any) -> None:
    with pytest.raises(ValueError, match=f"{spec.name} must be from {spec.low:g} to 1, not {value}"):
        Sliders(**{spec.name: value})
    with pytest.raises(ValueError, match=f"{spec.name} must be from {spec.low:g} to 1"):
        Sliders().replace(**{spec.name: value})


def test_sliders_refuse_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"there is no slider “warmt”; the sliders are strength, .*saturation"):
        Sliders().replace(warmt=0.1)
    with pytest.raises(ValueError, match="there is no slider “warmt”"):
        Sliders.from_values({"warmt": 0.1})


def test_sliders_replace_keeps_the_others() -> None:
    assert Sliders.from_values({"tint": 0.5}).replace(warmth=-0.5) == Sliders(tint=0.5, warmth=-0.5)


def test_slider_mnemonics_are_letters_of_their_labels() -> None:
    letters = [spec.mnemonic for spec in SLIDERS.values()]
    assert len({letter.lower() for letter in letters}) == len(letters)
    assert all(spec.mnemonic in spec.label for spec in SLIDERS.values())


def test_adjust_strength_weakens_only_the_harmonizing_map() -> None:
    bent = some_map("matrix")
    without = adjust(bent, Sliders(strength=0, contrast=0.5))
    assert without == changed(contrast=0.5)
    half = adjust(bent, Sliders(strength=0.5))
    np.testing.assert_allclose(half(colors(9)), (bent(colors(9)) + colors(9)) / 2, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_adjust_color_and_tone_split_the_change_into_chroma_and_luma(kind: str) -> None:
    bent, before, luma = some_map(kind, 3), colors(50), np.array(LUMA)
    change = bent(before) - before
    tone = adjust(bent, Sliders(color=0))(before) - before
    np.testing.assert_allclose(tone, np.repeat((change @ luma)[:, None], 3, axis=1), atol=1e-5)
    color = adjust(bent, Sliders(tone=0))(before) - before
    np.testing.assert_allclose(color @ luma, 0, atol=1e-5)
    np.testing.assert_allclose(color + tone, change, atol=1e-5)
    some = adjust(bent, Sliders(strength=0.5, color=0.4, tone=0.8))
    np.testing.assert_allclose(some(before) - before, 0.2 * color + 0.4 * tone, atol=1e-5)


@settings(deadline=None)
@given(st.fixed_dictionaries(dict.fromkeys(CHANGES, any_value)))
def test_adjust_adds_at_most_one_matrix_and_one_curve(sliders: dict[str, float]) -> None:
    found = adjust(Chain((some_map("curves"), some_map("matrix"))), Sliders(**sliders))
    assert isinstance(found, Chain)
    assert [part.kind for part in found.maps] in (["curves", "matrix", "curves"], ["curves", "matrix"])
    assert np.isfinite(found(colors(50))).all()


@settings(deadline=None)
@given(any_value, any_value)
def test_adjust_brightness_and_contrast_are_monotone_and_keep_extremes(up: float, steep: float) -> None:
    curve = changed(brightness=up, contrast=steep)(GRAYS)
    np.testing.assert_allclose(curve[[0, -1]], GRAYS[[0, -1]], atol=1e-6)
    assert (np.diff(curve[:, 0]) >= 0).all()
    assert np.ptp(curve, axis=1).max() < 1e-6
    steps = np.diff(curve[:, 0]) / np.diff(GRAYS[:, 0])
    assert steps.max() < 5.5  # no step that would show the noise of shadows


def test_adjust_brightness_moves_mid_gray_by_about_a_stop() -> None:
    gray = np.full(3, 0.5, np.float32)
    assert 0.66 < changed(brightness=1)(gray)[0] < 0.75
    assert 0.25 < changed(brightness=-1)(gray)[0] < 0.34
    back = changed(brightness=-0.4)(changed(brightness=0.4)(GRAYS))
    np.testing.assert_allclose(back, GRAYS, atol=2e-3)


def test_adjust_contrast_changes_the_slope_at_mid_gray() -> None:
    dark, middle, light = (np.full(3, x, np.float32) for x in (0.3, 0.5, 0.7))
    more, less = changed(contrast=1), changed(contrast=-1)
    assert more(middle)[0] == pytest.approx(0.5, abs=1e-6)
    assert more(light)[0] - more(dark)[0] > 0.52
    assert less(light)[0] - less(dark)[0] < 0.3


def test_adjust_warmth_and_tint_keep_the_luma_of_grays() -> None:
    gray = np.full(3, 0.5, np.float32)
    for sliders in ({"warmth": 1.0}, {"warmth": -1.0}, {"tint": 1.0}, {"tint": -1.0}):
        assert changed(**sliders)(gray) @ LUMA == pytest.approx(0.5, abs=1e-5)
    red, green, blue = changed(warmth=1)(gray)
    assert red > green > blue
    assert 1.3 < red / blue < 1.7
    red, green, blue = changed(warmth=-1)(gray)
    assert red < green < blue
    red, green, blue = changed(tint=1)(gray)
    assert red == pytest.approx(blue)
    assert 1.15 < red / green < 1.4


def test_adjust_saturation_scales_the_distance_from_gray() -> None:
    seen = colors(50)
    gray = changed(saturation=-1)(seen)
    assert np.ptp(gray, axis=1).max() < 1e-6
    vivid = changed(saturation=1)(seen)
    np.testing.assert_allclose(vivid @ LUMA, seen @ LUMA, atol=1e-5)
    np.testing.assert_allclose(vivid - gray, 2 * (seen - gray), atol=1e-5)
    np.testing.assert_allclose(changed(saturation=1)(GRAYS), GRAYS, atol=1e-6)


def test_adjust_golden_values() -> None:
    """Results of version 0.1.0 with all sliders at odd values: order and constants must not change old projects."""
    sliders = Sliders(0.7, brightness=0.35, contrast=0.55, warmth=-0.4, tint=0.3, saturation=0.25)
    bent = Chain((Curves(np.array([[0, 0.6, 1], [0.1, 0.4, 0.9], [0, 0.5, 0.8]])), Matrix(np.eye(3, 4) * 0.9)))
    patch = np.array([[0.1, 0.2, 0.3], [0.5, 0.5, 0.5], [0.9, 0.6, 0.2]], np.float32)
    golden = [[0.0816508, 0.2081454, 0.4061206], [0.655435, 0.453688, 0.6794037], [0.9505893, 0.5787446, 0.1330696]]
    np.testing.assert_allclose(adjust(bent, sliders)(patch), golden, atol=1e-6)
