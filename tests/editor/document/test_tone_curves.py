# SPDX-License-Identifier: GPL-3.0-or-later
"""Tone curves keep the points that the user drew."""

from __future__ import annotations

import numpy as np
import pytest

from s2am_editor.document.tone_curves import (
    ALL,
    FIT_TOLERANCE,
    GREEN,
    STRAIGHT_LINE,
    ToneCurves,
    fit_points,
    insert_point,
    remove_point,
    sample_curve,
)
from s2am_engine.color.map import Curves

BENT = ((0.0, 0.05), (0.3, 0.5), (0.7, 0.6), (1.0, 0.95))


def test_fit_points_reproduces_the_curve() -> None:
    values = sample_curve(BENT)
    assert (np.diff(values) >= 0).all()
    again = sample_curve(fit_points(values))
    assert np.abs(again - values).max() <= 2 * FIT_TOLERANCE


def test_straight_lines_change_nothing() -> None:
    grays = np.repeat(np.linspace(0, 1, 33, dtype=np.float32)[:, None], 3, axis=1)
    np.testing.assert_allclose(ToneCurves().curves(grays), grays, atol=1e-6)


def test_curve_for_all_channels_keeps_those_of_single_channels() -> None:
    curves = ToneCurves().with_line(GREEN, BENT).with_line(ALL, ((0.0, 0.0), (1.0, 0.5)))
    assert curves.lines == (((0.0, 0.0), (1.0, 0.5)), STRAIGHT_LINE, BENT, STRAIGHT_LINE)
    values = np.asarray(curves.curves.values)
    np.testing.assert_allclose(values[1], 0.5 * sample_curve(BENT), atol=1e-6)
    np.testing.assert_allclose(values[0], np.linspace(0, 0.5, values.shape[1]), atol=1e-6)


def test_curves_from_samples_are_exact_until_they_are_edited() -> None:
    samples = Curves(np.random.default_rng(0).random((3, 65)).astype(np.float32))
    curves = ToneCurves.from_samples(samples)
    assert curves.curves is samples
    assert curves.with_line(ALL, BENT).curves is not samples


@pytest.mark.parametrize("same", [True, False])
def test_curves_from_samples_of_equal_channels_are_one_curve(same: bool) -> None:
    lines = [sample_curve(BENT), sample_curve(BENT), sample_curve(BENT if same else STRAIGHT_LINE)]
    found = ToneCurves.from_samples(Curves(np.stack(lines).astype(np.float32))).lines
    assert (found[ALL] == STRAIGHT_LINE) is not same
    assert (found[GREEN] == STRAIGHT_LINE) is same


def test_inserted_point_can_be_removed_but_not_an_end() -> None:
    found = insert_point(BENT, 0.5, 0.4)
    assert found is not None
    points, index = found
    assert points[index] == (0.5, 0.4)
    assert remove_point(points, index) == BENT
    assert remove_point(BENT, 0) == BENT
    assert insert_point(BENT, 0.305, 0.4) is None  # too close to another one
