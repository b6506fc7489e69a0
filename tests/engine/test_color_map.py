# SPDX-License-Identifier: GPL-3.0-or-later
"""Color maps: evaluation, JSON of this and earlier versions, .cube export, and fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PyOpenColorIO
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from skimage import data as photographs

from s2am_common.errors import EngineError
from s2am_engine.color.fit import fit_color_map, fit_linear_matrix
from s2am_engine.color.map import IDENTITY, Blend, Chain, ColorMap, Curves, Matrix
from tests.engine.color_maps import KINDS, any_map, colors, some_map

FITS: dict[str, Callable[..., ColorMap]] = {"curves+matrix": fit_color_map, "linear-matrix": fit_linear_matrix}
each_fit = pytest.mark.parametrize("fit", FITS.values(), ids=list(FITS))


def test_curves_from_pieces_equal_s2crnet_formula() -> None:
    pieces = np.random.default_rng(1).random((3, 64)) + 0.2
    rendered = Curves.from_pieces(pieces)
    assert rendered.values.shape == (3, 65)
    for x in np.linspace(0, 1, 57):
        for channel, answer in enumerate(rendered(np.full(3, x, np.float32))):
            total = sum(min(max(x - i / 64, 0), 1 / 64) * p for i, p in enumerate(pieces[channel]))
            assert answer == pytest.approx(total * 64 / pieces[channel].sum(), abs=2e-6)


@pytest.mark.parametrize("knots", [2, 33, 257, 258, 1000])
def test_curves_interpolate_and_extrapolate(knots: int) -> None:
    values = np.random.default_rng(knots).random((3, knots))
    x = np.random.default_rng(0).uniform(0, 1, (500, 3)).astype(np.float32)
    expected = [np.interp(x[:, c], np.linspace(0, 1, knots), values[c]) for c in range(3)]
    np.testing.assert_allclose(Curves(values)(x), np.transpose(expected), atol=1e-4)
    step = (values[:, 1] - values[:, 0]) * (knots - 1)
    np.testing.assert_allclose(Curves(values)(np.full(3, -0.5, np.float32)), values[:, 0] - step / 2, rtol=1e-5)


def test_linear_matrix_scales_linear_light() -> None:
    brighter = Matrix(2 * np.eye(3, 4), linear=True)
    assert brighter(np.full(3, 0.5))[0] == pytest.approx(0.6858, abs=1e-4)  # 0.2140 → 0.4281 of linear light
    assert Matrix(np.eye(3, 4), linear=True)(np.array([-0.3, 0.02, 1.7], np.float32)) == pytest.approx(
        [-0.3, 0.02, 1.7], abs=1e-5
    )


@settings(deadline=None)
@given(any_map, st.floats(0, 1))
def test_blend_scales_the_change(bent: ColorMap, strength: float) -> None:
    x = colors(50) * 1.5 - 0.25
    np.testing.assert_allclose(bent.blend(strength)(x), x + strength * (bent(x) - x), atol=2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_blend_at_one_is_the_map_and_at_zero_the_identity(kind: str) -> None:
    bent = some_map(kind, 3)
    assert bent.blend(1) is bent
    assert bent.blend(0) == IDENTITY
    with pytest.raises(ValueError, match="strength"):
        bent.blend(1.01)


@pytest.mark.parametrize("kind", ["curves", "matrix"])
def test_blend_of_curves_and_matrix_keeps_the_kind(kind: str) -> None:
    assert type(some_map(kind).blend(0.3)) is type(some_map(kind))


def test_blend_of_blend_is_one_blend() -> None:
    bent = some_map("linear")
    assert bent.blend(0.5).blend(0.5) == Blend(bent, 0.25)


def test_then_flattens_chains_and_multiplies_adjacent_matrices() -> None:
    first, second, bend = some_map("matrix", 1), some_map("matrix", 2), some_map("curves")
    assert Chain((Chain((bend, first)), IDENTITY, second)).maps == (bend, first, second)
    joined = bend.then(first).then(second)
    assert isinstance(joined, Chain)
    assert len(joined.maps) == 2
    np.testing.assert_allclose(joined(colors(9)), second(first(bend(colors(9)))), atol=1e-5)
    assert IDENTITY.then(bend) is bend


@settings(deadline=None)
@given(any_map)
def test_json_round_trip_is_exact(bent: ColorMap) -> None:
    again = ColorMap.loads(bent.dumps())
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
        {"map": {"kind": ["matrix"], "matrix": [[1] * 4] * 3, "linear": False}},
        {"map": {"kind": "chain", "maps": {"kind": "chain"}}},
        {"map": {"kind": "blend", "map": {"kind": "chain", "maps": []}, "strength": 2.0}},
    ],
)
def test_from_json_refuses_damage_with_a_sentence(damage: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match=r"color map.*: .*\w"):
        ColorMap.from_json(_good() | damage)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_loads_refuses_other_text(text: str) -> None:
    with pytest.raises(EngineError, match="not a color map"):
        ColorMap.loads(text)


def test_parameters_are_read_only_and_finite() -> None:
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
    """A small photograph, and a copy with more warmth and contrast that no form of map reproduces exactly."""
    before = cv2.resize(photographs.astronaut(), shape, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    after = 0.9 * before ** np.array([0.8, 0.95, 1.1], np.float32) + 0.1 * before[..., [1, 2, 0]]
    return before, after


@pytest.mark.parametrize(("fit", "share"), [(fit_color_map, 0.15), (fit_linear_matrix, 0.6)])
def test_fit_restores_a_recolored_photograph(fit: Callable[..., ColorMap], share: float) -> None:
    before, after = _recolored()
    assert np.abs(fit(before, after)(before) - after).mean() < share * np.abs(before - after).mean()


@each_fit
@pytest.mark.parametrize("full", [255, 65535])
def test_fit_scales_integers(fit: Callable[..., ColorMap], full: int) -> None:
    dtype = np.uint8 if full == 255 else np.uint16
    before, after = (np.rint(x * full).astype(dtype) for x in _recolored())
    of_floats = fit(before / np.float32(full), after / np.float32(full))
    np.testing.assert_allclose(fit(before, after)(colors(50)), of_floats(colors(50)), atol=1e-4)


@each_fit
def test_fit_ignores_pixels_outside_the_mask(fit: Callable[..., ColorMap]) -> None:
    before, after = _recolored()
    mask = np.zeros(before.shape[:2])
    mask[10:50, 10:50] = 1
    garbled = np.where(mask[..., None] > 0, after, 1 - before)
    cropped = fit(before[10:50, 10:50], after[10:50, 10:50])
    np.testing.assert_allclose(fit(before, garbled, mask)(before), cropped(before), atol=1e-3)


@pytest.mark.parametrize(("fit", "kinds"), [(fit_color_map, ["curves", "matrix"]), (fit_linear_matrix, ["linear"])])
def test_fit_finds_a_map_of_its_own_form(fit: Callable[..., ColorMap], kinds: list[str]) -> None:
    target = Chain(tuple(_gentle(kind) for kind in kinds))
    before = colors(4000)
    assert np.abs(fit(before, target(before))(before) - target(before)).max() < 0.02


def _gentle(kind: str) -> ColorMap:
    if kind == "curves":
        return Curves(np.linspace(0, 1, 33) ** np.array([[0.8], [0.9], [1.2]]) * 0.9 + 0.05)
    matrix = np.array([[0.9, 0.05, 0, 0.01], [0.02, 0.85, 0.05, 0.02], [0, 0.1, 0.8, 0.02]])
    if kind == "linear":  # gains only
        matrix[:, 3] = 0
    return Matrix(matrix, linear=kind == "linear")


@each_fit
@pytest.mark.parametrize("pixels", [1, 400])
@pytest.mark.parametrize("color", [(0.0, 0.0, 0.0), (0.9, 0.5, 0.1), (1.0, 1.0, 1.0)])
def test_fit_of_a_flat_foreground_is_moderate(
    fit: Callable[..., ColorMap], pixels: int, color: tuple[float, float, float]
) -> None:
    before = np.tile(np.array(color, np.float32), (pixels, 1))
    after = np.clip(before + np.array([0.1, -0.05, 0.02], np.float32), 0, 1)
    found = fit(before, after)
    if fit is not fit_linear_matrix or min(color) > 0:  # gains do not change black
        np.testing.assert_allclose(found(before), after, atol=0.02)
    assert np.abs(found(colors(500)) - colors(500)).max() < 0.25


@each_fit
def test_fit_of_grays_is_moderate_for_saturated_colors(fit: Callable[..., ColorMap]) -> None:
    gray = np.repeat(np.linspace(0.1, 0.9, 300, dtype=np.float32)[:, None], 3, axis=1)
    after = 0.8 * gray + np.array([0.1, 0.08, 0.05], np.float32)
    found = fit(gray, after)
    np.testing.assert_allclose(found(gray), after, atol=0.1 if fit is fit_linear_matrix else 0.01)
    assert np.abs(found(colors(500)) - colors(500)).max() < 0.4


@each_fit
def test_fit_is_moderate_for_colors_that_do_not_occur(fit: Callable[..., ColorMap]) -> None:
    rng = np.random.default_rng(5)
    before = rng.normal(0.5, 0.03, (2000, 3)).astype(np.float32)
    after = before + np.array([0.08, 0.02, -0.06], np.float32) + rng.normal(0, 0.02, before.shape).astype(np.float32)
    most = 0.4 if fit is fit_linear_matrix else 0.3  # a gain changes bright colors most
    assert np.abs(fit(before, after)(colors(500)) - colors(500)).max() < most


@each_fit
def test_fit_with_an_empty_mask_is_the_identity(fit: Callable[..., ColorMap]) -> None:
    before, after = _recolored((8, 8))
    np.testing.assert_allclose(fit(before, after, np.zeros((8, 8)))(colors(50)), colors(50), atol=1e-3)


def test_fit_subsamples_many_colors_evenly() -> None:
    before = colors(600_000)
    target = _gentle("matrix")
    np.testing.assert_allclose(fit_color_map(before, target(before))(colors(9)), target(colors(9)), atol=1e-3)


def test_fit_refuses_shapes_that_do_not_match() -> None:
    with pytest.raises(ValueError, match="one shape"):
        fit_color_map(np.zeros((4, 4, 3)), np.zeros((4, 5, 3)))
    with pytest.raises(ValueError, match="weights must have the shape"):
        fit_color_map(np.zeros((4, 4, 3)), np.zeros((4, 4, 3)), np.ones((2, 2)))


def test_map_refuses_colors_without_three_channels() -> None:
    with pytest.raises(ValueError, match="colors must have the shape"):
        IDENTITY(np.zeros((3, 4)))


def test_map_of_no_colors_is_empty() -> None:
    assert some_map("matrix")(np.zeros((0, 3))).shape == (0, 3)


def test_to_cube_agrees_with_pillow() -> None:
    bent = Chain((_gentle("curves"), _gentle("linear")))
    lines = bent.to_cube("A title").splitlines()
    assert lines[:4] == ['TITLE "A title"', "LUT_3D_SIZE 33", "DOMAIN_MIN 0.0 0.0 0.0", "DOMAIN_MAX 1.0 1.0 1.0"]
    table = [float(number) for line in lines[5:] for number in line.split()]
    photograph = photographs.chelsea()
    read = np.asarray(Image.fromarray(photograph).filter(ImageFilter.Color3DLUT(33, table)))
    ours = np.clip(bent(photograph / np.float32(255)) * 255, 0, 255)
    assert np.abs(read - ours).max() < 3
    assert np.abs(read - ours).mean() < 0.5


def test_to_cube_agrees_with_opencolorio(tmp_path: Path) -> None:
    bent = some_map("matrix", 6)  # affine, so trilinear interpolation is exact
    (tmp_path / "map.cube").write_text(bent.to_cube("linear", 17), encoding="ascii")
    transform = PyOpenColorIO.FileTransform(src=str(tmp_path / "map.cube"), interpolation=PyOpenColorIO.INTERP_LINEAR)
    processor = PyOpenColorIO.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor()
    seen = colors(1000)
    expected = bent(seen)
    processor.applyRGB(seen)
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_to_cube_is_unclamped_and_its_title_cannot_add_lines() -> None:
    bent = Matrix(np.hstack([2 * np.eye(3), np.full((3, 1), -0.5)]))
    lines = bent.to_cube('bad "title"\nLUT_1D_SIZE 2 ü', size=2).splitlines()
    assert lines[0] == 'TITLE "bad _title__LUT_1D_SIZE 2 _"'
    assert lines[5:7] == ["-0.5000000 -0.5000000 -0.5000000", "1.5000000 -0.5000000 -0.5000000"]


@pytest.mark.parametrize("size", [1, 257])
def test_to_cube_refuses_other_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="size must be from 2 to 256"):
        IDENTITY.to_cube("", size)


# Written by s2am 0.1.0 (British spelling): a harmonized GIMP layer's parasite, an editor project and --save-map.
EARLIER = {
    "format": "s2am colour map",
    "version": 1,
    "map": {
        "kind": "chain",
        "maps": [
            {"kind": "blend", "strength": 0.75, "map": {"kind": "chain", "maps": [
                {"kind": "curves", "values": [[0.0, 0.5, 1.0], [0.0, 0.25, 1.0], [0.125, 0.5, 0.875]]},
                {"kind": "matrix", "linear": True, "matrix": [[0.5, 0.0, 0.0, 0.0], [0, 1, 0, 0], [0, 0, 1, 0]]},
            ]}},
            {"kind": "matrix", "linear": False, "matrix": [[1, 0, 0, 0.125], [0, 1, 0, 0], [0, 0, 1, 0]]},
        ],
    },
}  # fmt: skip


def test_from_json_reads_maps_of_earlier_versions() -> None:
    found = ColorMap.from_json(EARLIER)
    curves = Curves(np.array([[0, 0.5, 1], [0, 0.25, 1], [0.125, 0.5, 0.875]]))
    halved = Matrix(np.diag([0.5, 1, 1, 1])[:3], linear=True)
    shifted = Matrix(np.eye(3, 4) + np.eye(3, 4, 3) / 8)
    assert found == Chain((Blend(Chain((curves, halved)), 0.75), shifted))
    assert found.to_json() == EARLIER | {"format": "s2am color map"}
