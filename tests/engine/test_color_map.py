# SPDX-License-Identifier: GPL-3.0-or-later
"""What people rely on in color maps: fits that are never wild, and maps that survive files and other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PyOpenColorIO
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from skimage import data as photographs

from s2am_engine.color import color_map
from s2am_engine.color.color_map import IDENTITY, Blend, Chain, ColorMap, Curves, Form, Lut3D, Matrix, Polynomial
from s2am_engine.errors import EngineError
from tests.engine.color_maps import KINDS, any_map, colors, some_map

FORMS: tuple[Form, ...] = ("curves", "matrix", "linear-matrix", "polynomial", "lut", "curves+matrix", "matrix+curves")


def test_curves_from_pieces_are_s2crnets_sum() -> None:
    pieces = np.random.default_rng(1).random((3, 64)) + 0.2
    rendered = Curves.from_pieces(pieces)
    assert rendered.values.shape == (3, 65)
    for x in np.linspace(0, 1, 57):
        for channel, answer in enumerate(rendered(np.full(3, x, np.float32))):
            total = sum(min(max(x - i / 64, 0), 1 / 64) * p for i, p in enumerate(pieces[channel]))
            assert answer == pytest.approx(total * 64 / pieces[channel].sum(), abs=2e-6)


@pytest.mark.parametrize("knots", [2, 33, 257, 258, 1000])
def test_curves_interpolate_and_go_on_with_their_slope(knots: int) -> None:
    values = np.random.default_rng(knots).random((3, knots))
    x = np.random.default_rng(0).uniform(0, 1, (500, 3)).astype(np.float32)
    expected = [np.interp(x[:, c], np.linspace(0, 1, knots), values[c]) for c in range(3)]
    np.testing.assert_allclose(Curves(values)(x), np.transpose(expected), atol=1e-4)
    step = (values[:, 1] - values[:, 0]) * (knots - 1)
    np.testing.assert_allclose(Curves(values)(np.full(3, -0.5, np.float32)), values[:, 0] - step / 2, rtol=1e-5)


def test_a_linear_matrix_doubles_light_not_values() -> None:
    brighter = Matrix(2 * np.eye(3, 4), linear=True)
    assert brighter(np.full(3, 0.5))[0] == pytest.approx(0.6858, abs=1e-4)  # 0.2140 → 0.4281 of linear light
    assert Matrix(np.eye(3, 4), linear=True)(np.array([-0.3, 0.02, 1.7], np.float32)) == pytest.approx(
        [-0.3, 0.02, 1.7], abs=1e-5
    )


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_a_polynomial_is_the_sum_of_its_terms_in_order(degree: int) -> None:
    order = ["r", "g", "b", "rr", "rg", "rb", "gg", "gb", "bb"]
    order += ["rrr", "rrg", "rrb", "rgg", "rgb", "rbb", "ggg", "ggb", "gbb", "bbb"]
    count = (4, 10, 20)[degree - 1]
    coefficients = np.random.default_rng(2).normal(0, 1, (3, count))
    for color in colors(20):
        value = dict(zip("rgb", color, strict=True))
        terms = [1, *(np.prod([value[letter] for letter in term]) for term in order[: count - 1])]
        expected = coefficients @ np.array(terms)
        np.testing.assert_allclose(Polynomial(degree, coefficients)(color), expected, atol=1e-5)


def test_a_table_is_indexed_red_green_blue_and_interpolated_trilinearly() -> None:
    table = np.random.default_rng(3).random((4, 4, 4, 3))
    applied = Lut3D(table)
    np.testing.assert_allclose(applied(np.array([1, 0, 1 / 3], np.float32)), table[3, 0, 1], atol=1e-6)
    middle = applied(np.array([0.5, 0.5, 0.5], np.float32))
    np.testing.assert_allclose(middle, table[1:3, 1:3, 1:3].mean((0, 1, 2)), atol=1e-6)


@pytest.mark.parametrize("kind", ["polynomial", "lut"])
def test_colors_beyond_white_move_as_white_does(kind: str) -> None:
    bent = some_map(kind)
    white = bent(np.ones(3)) - 1
    np.testing.assert_allclose(bent(np.full(3, 7.0)) - 7, white, atol=1e-5)


@given(any_map, st.floats(0, 1))
def test_blending_is_a_share_of_the_change(bent: ColorMap, strength: float) -> None:
    x = colors(50) * 1.5 - 0.25
    np.testing.assert_allclose(bent.blend(strength)(x), x + strength * (bent(x) - x), atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_strength_one_is_the_map_itself_and_zero_is_nothing(kind: str) -> None:
    bent = some_map(kind, 3)
    assert bent.blend(1) is bent
    assert bent.blend(0) == IDENTITY
    with pytest.raises(ValueError, match="strength"):
        bent.blend(1.01)


@pytest.mark.parametrize("kind", ["curves", "matrix", "polynomial", "lut"])
def test_blending_stays_closed_form_where_it_can(kind: str) -> None:
    assert type(some_map(kind).blend(0.3)) is type(some_map(kind))


def test_chains_are_flat_and_matrices_that_meet_are_multiplied() -> None:
    first, second, bend = some_map("matrix", 1), some_map("matrix", 2), some_map("curves")
    assert Chain((Chain((bend, first)), IDENTITY, second)).maps == (bend, first, second)
    joined = bend.then(first).then(second)
    assert isinstance(joined, Chain)
    assert len(joined.maps) == 2
    np.testing.assert_allclose(joined(colors(9)), second(first(bend(colors(9)))), atol=1e-5)
    assert IDENTITY.then(bend) is bend


@given(any_map)
def test_json_keeps_every_bit(bent: ColorMap) -> None:
    again = color_map.loads(color_map.dumps(bent))
    assert again == bent
    assert hash(again) == hash(bent)
    assert again(colors(20)).tobytes() == bent(colors(20)).tobytes()


def _good() -> dict[str, Any]:
    return Chain((some_map("curves"), some_map("matrix"))).to_json()


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "other"},
        {"version": 99},
        {"map": None},
        {"map": {"kind": "hologram"}},
        {"map": {"kind": "matrix", "matrix": [[1, 2], [3]], "linear": False}},
        {"map": {"kind": "matrix", "matrix": [["1"] * 4] * 3, "linear": False}},
        {"map": {"kind": "matrix", "matrix": [[1e99] * 4] * 3, "linear": False}},
        {"map": {"kind": "matrix", "matrix": [[float("nan")] * 4] * 3, "linear": False}},
        {"map": {"kind": "matrix", "matrix": [[1] * 4] * 3, "linear": "yes"}},
        {"map": {"kind": "curves", "values": [[1], [1], [1]]}},
        {"map": {"kind": "polynomial", "degree": 9, "coefficients": [[1]] * 3}},
        {"map": {"kind": "lut", "table": []}},
        {"map": {"kind": "chain", "maps": {"kind": "chain"}}},
        {"map": {"kind": "blend", "map": {"kind": "chain", "maps": []}, "strength": 2.0}},
    ],
)
def test_damaged_json_is_refused_with_a_sentence(damage: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"color map.*: .*\w"):
        color_map.from_json(_good() | damage)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_text_that_is_no_map_is_refused(text: str) -> None:
    with pytest.raises(EngineError, match="not a color map"):
        color_map.loads(text)


def test_parameters_cannot_be_changed_afterwards_and_must_be_finite() -> None:
    matrix = np.eye(3, 4)
    kept = Matrix(matrix)
    matrix[0, 0] = 9
    assert kept.matrix[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        kept.matrix[0, 0] = 9
    with pytest.raises(ValueError, match="finite"):
        Curves(np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match=r"shape \(3, 4\)"):
        Matrix(np.eye(3))


def _recolored(shape: tuple[int, ...] = (64, 64)) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A photograph's thumbnail and the same made warmer and more contrasty, by none of the forms exactly."""
    before = cv2.resize(photographs.astronaut(), shape, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    after = 0.9 * before ** np.array([0.8, 0.95, 1.1], np.float32) + 0.1 * before[..., [1, 2, 0]]
    return before, after


@pytest.mark.parametrize("form", FORMS)
def test_every_form_restores_a_recolored_photograph(form: Form) -> None:
    before, after = _recolored()
    found = color_map.fit(before, after, form=form)
    left = np.abs(found(before) - after).mean() / np.abs(before - after).mean()
    assert left < (0.15 if form in ("curves+matrix", "matrix+curves", "polynomial", "lut") else 0.6)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("full", [255, 65535])
def test_integers_are_fitted_as_floats_are(form: Form, full: int) -> None:
    dtype = np.uint8 if full == 255 else np.uint16
    before, after = (np.rint(x * full).astype(dtype) for x in _recolored())
    of_floats = color_map.fit(before / np.float32(full), after / np.float32(full), form=form)
    np.testing.assert_allclose(color_map.fit(before, after, form=form)(colors(50)), of_floats(colors(50)), atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_only_the_mask_counts(form: Form) -> None:
    before, after = _recolored()
    mask = np.zeros(before.shape[:2])
    mask[10:50, 10:50] = 1
    garbled = np.where(mask[..., None] > 0, after, 1 - before)
    cut = color_map.fit(before[10:50, 10:50], after[10:50, 10:50], form=form)
    np.testing.assert_allclose(color_map.fit(before, garbled, mask, form)(before), cut(before), atol=1e-3)


@pytest.mark.parametrize(
    ("form", "made"),
    [("curves+matrix", ("curves", "matrix")), ("matrix+curves", ("matrix", "curves")), ("linear-matrix", ("linear",))],
)
def test_a_fit_finds_a_map_of_its_own_form(form: Form, made: tuple[str, ...]) -> None:
    truth = Chain(tuple(_gentle(kind) for kind in made))
    before = colors(4000)
    found = color_map.fit(before, truth(before), form=form)
    assert np.abs(found(before) - truth(before)).max() < 0.02


def _gentle(kind: str) -> ColorMap:
    if kind == "curves":
        return Curves(np.linspace(0, 1, 33) ** np.array([[0.8], [0.9], [1.2]]) * 0.9 + 0.05)
    matrix = np.array([[0.9, 0.05, 0, 0.01], [0.02, 0.85, 0.05, 0.02], [0, 0.1, 0.8, 0.02]])
    return Matrix(matrix, linear=kind == "linear")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pixels", [1, 400])
@pytest.mark.parametrize("color", [(0.0, 0.0, 0.0), (0.9, 0.5, 0.1), (1.0, 1.0, 1.0)])
def test_a_flat_foreground_never_gives_a_wild_map(form: Form, pixels: int, color: tuple[float, float, float]) -> None:
    before = np.tile(np.array(color, np.float32), (pixels, 1))
    after = np.clip(before + np.array([0.1, -0.05, 0.02], np.float32), 0, 1)
    found = color_map.fit(before, after, form=form)
    np.testing.assert_allclose(found(before), after, atol=0.02)
    assert np.abs(found(colors(500)) - colors(500)).max() < 0.25


@pytest.mark.parametrize("form", FORMS)
def test_a_gray_picture_tells_nothing_about_saturated_colors(form: Form) -> None:
    gray = np.repeat(np.linspace(0.1, 0.9, 300, dtype=np.float32)[:, None], 3, axis=1)
    after = 0.8 * gray + np.array([0.1, 0.08, 0.05], np.float32)
    found = color_map.fit(gray, after, form=form)
    np.testing.assert_allclose(found(gray), after, atol=0.05 if form == "linear-matrix" else 0.01)
    assert np.abs(found(colors(500)) - colors(500)).max() < 0.4


@pytest.mark.parametrize("form", FORMS)
def test_colors_that_were_not_seen_move_moderately(form: Form) -> None:
    rng = np.random.default_rng(5)
    before = rng.normal(0.5, 0.03, (2000, 3)).astype(np.float32)
    after = before + np.array([0.08, 0.02, -0.06], np.float32) + rng.normal(0, 0.02, before.shape).astype(np.float32)
    assert np.abs(color_map.fit(before, after, form=form)(colors(500)) - colors(500)).max() < 0.3


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_mask_gives_the_identity(form: Form) -> None:
    before, after = _recolored((8, 8))
    found = color_map.fit(before, after, np.zeros((8, 8)), form)
    np.testing.assert_allclose(found(colors(50)), colors(50), atol=1e-3)


def test_more_colors_than_a_fit_needs_are_thinned_out_evenly() -> None:
    before = colors(600_000)
    truth = _gentle("matrix")
    np.testing.assert_allclose(Matrix.fit(before, truth(before))(colors(9)), truth(colors(9)), atol=1e-3)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        color_map.fit(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="weights must have the shape"):
        color_map.fit(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"unknown form 'magic'.*curves\+matrix"):
        color_map.fit(np.zeros((4, 3)), np.zeros((4, 3)), form="magic")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="colors must have the shape"):
        IDENTITY(np.zeros((3, 4)))


def test_no_colors_are_no_problem() -> None:
    assert some_map("matrix")(np.zeros((0, 3))).shape == (0, 3)


def test_pillow_reads_the_cube_as_we_mean_it() -> None:
    bent = Chain((_gentle("curves"), _gentle("linear")))
    lines = bent.to_cube("A title").splitlines()
    assert lines[:4] == ['TITLE "A title"', "LUT_3D_SIZE 33", "DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0"]
    table = [float(number) for line in lines[5:] for number in line.split()]
    photograph = photographs.chelsea()
    read = np.asarray(Image.fromarray(photograph).filter(ImageFilter.Color3DLUT(33, table)))
    ours = np.clip(bent(photograph / np.float32(255)) * 255, 0, 255)
    assert np.abs(read - ours).max() < 3
    assert np.abs(read - ours).mean() < 0.5


def test_opencolorio_reads_the_cube_as_we_mean_it(tmp_path: Path) -> None:
    bent = some_map("linear", 6)
    (tmp_path / "map.cube").write_text(bent.to_cube("linear", 17), encoding="ascii")
    transform = PyOpenColorIO.FileTransform(src=str(tmp_path / "map.cube"), interpolation=PyOpenColorIO.INTERP_LINEAR)
    processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor()
    seen = colors(1000)
    expected = Lut3D.from_cube(bent.to_cube("linear", 17))(seen)
    processor.applyRGB(seen)
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_a_table_goes_through_a_cube_file_unclamped() -> None:
    table = Lut3D(np.random.default_rng(7).normal(0.5, 1, (5, 5, 5, 3)))
    text = table.to_cube('bad "title"\nLUT_1D_SIZE 2 ü', size=5)
    np.testing.assert_allclose(Lut3D.from_cube(text).table, table.table, atol=1e-6)
    assert text.splitlines()[1] == "LUT_3D_SIZE 5"
    assert Lut3D.from_cube("\ufeff# comment\r\n\r\n" + text.replace("\n", "\r\n")) == Lut3D.from_cube(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "not a readable"),
        ("hello", "not a readable"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1", "one-dimensional"),
        ("LUT_3D_SIZE 2\n0 0 0\n1 1 1", "needs 8 rows"),
        ("LUT_3D_SIZE 2\n" + "0 0 nan\n" * 8, "damaged"),
        ("LUT_3D_SIZE 2\n" + "0 zero 0\n" * 8, "not a readable"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 2 2 2\n" + "0 0 0\n" * 8, "domain"),
    ],
)
def test_a_bad_cube_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        Lut3D.from_cube(text)


def test_blends_of_blends_are_one_blend() -> None:
    bent = some_map("linear")
    assert bent.blend(0.5).blend(0.5) == Blend(bent, 0.25)
