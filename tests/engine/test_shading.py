# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of the finish: interpolation of its field, changed pixels, and predictions of the bundled model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from s2am_engine import Finish, Finisher, FinishMeasurement, Harmonizer
from s2am_engine.cli.main import main
from s2am_engine.finish import finisher as finisher_module
from s2am_engine.finish.shading import GAMMA, MAX_STOPS, Shading
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from s2am_engine.inference import shading as shading_prediction
from s2am_engine.inference.shading import predict_shading
from s2am_engine.models.model_store import LIGHT_MODEL, find_model
from s2am_engine.types import Floats, Pixels
from tests.engine.pictures import composite

HEIGHT, WIDTH = 300, 420


def shading(stops: float = 0.8) -> Shading:
    """A field that falls off from the left to the right of an image, with a patch, over a part of the image."""
    gains = np.linspace(stops, -stops, 12, dtype=np.float32) + np.zeros((10, 1), np.float32)
    gains[4:6, 5:7] -= stops / 2
    return Shading((40.5, 20.0, 390.0, 290.5), gains, 0.4)


def picture() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The astronaut, and a mask with a soft edge."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, (WIDTH // 2, HEIGHT // 2), (140, 110), 0, 0, 360, 255, -1)
    return cv2.resize(data.astronaut(), (WIDTH, HEIGHT)), np.asarray(cv2.GaussianBlur(mask, (0, 0), 3), np.uint8)


def finisher_of(field: Shading, light: float = 1.0) -> Finisher:
    pixels, mask = picture()
    return Finisher(Finish(light=light), FinishMeasurement.of(SampleWindows.of(pixels, mask)), shading=field)


def lit_from_the_left(image: NDArray[np.uint8], stops: float, mask: NDArray[np.uint8] | None = None) -> Pixels:
    """Return an image that is brighter on the left and darker on the right, by stops of linear light, within a mask."""
    fall = np.linspace(stops, -stops, image.shape[1], dtype=np.float32)[None, :, None]
    lit = np.clip(0.75 * image * np.exp2(fall / GAMMA), 0, 255)
    share = 1 if mask is None else mask[..., None] / np.float32(255)
    return np.rint(0.75 * image + share * (lit - 0.75 * image)).astype(np.uint8)


def test_field_is_smooth_and_independent_of_blocks() -> None:
    field = shading()
    whole = field.factors(1, 0, 0, HEIGHT, WIDTH)
    parts = np.empty_like(whole)
    for top in range(0, HEIGHT, 37):
        for left in range(0, WIDTH, 53):
            part = np.s_[top : top + 37, left : left + 53]
            parts[part] = field.factors(1, top, left, *parts[part].shape)
    np.testing.assert_array_equal(parts, whole)
    # No grid: a bilinear field has kinks at its nodes, where the second difference is as large as the steps allow.
    for axis in (0, 1):
        first, second = np.diff(whole, axis=axis), np.diff(whole, 2, axis=axis)
        assert np.abs(second).max() < 0.08 * np.abs(first).max()
    assert whole[150, 60] > 1.2 > 0.85 > whole[150, 380]


def test_light_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    (pixels, mask), finisher = picture(), finisher_of(shading())
    assert finisher.reach == 0
    results = []
    monkeypatch.setattr(finisher_module, "_UNDIVIDED", 0)
    for size in (10_000, 41):
        for name in ("_BLOCK_ROWS", "_BLOCK_COLUMNS"):
            monkeypatch.setattr(finisher_module, name, size)
        results.append(pixels.copy())
        finisher.apply(results[-1], mask)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0][mask == 0], pixels[mask == 0])
    assert (results[0] != pixels)[mask > 0].mean() > 0.7


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_gains_are_stops_of_light_at_every_depth(dtype: str) -> None:
    field = Shading((0, 0, WIDTH, HEIGHT), np.full((3, 3), -1, np.float32))
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    pixels = np.full((HEIGHT, WIDTH, 3), 0.6 * full, dtype)
    finisher_of(field, 0.5).apply(pixels, np.full((HEIGHT, WIDTH), 255, np.uint8))
    np.testing.assert_allclose(pixels / full, 0.6 * 2 ** (-0.5 / GAMMA), atol=0.003)


def test_mask_mixes_the_colors_with_and_without_light() -> None:
    pixels, mask = picture()
    finisher = finisher_of(shading())
    whole, mixed = pixels.astype(np.float32) / 255, pixels.astype(np.float32) / 255
    finisher.apply(whole, np.full_like(mask, 255))
    finisher.apply(mixed, mask)
    before, share = pixels / 255, mask[..., None] / 255
    np.testing.assert_allclose(mixed, before + share * (whole - before), atol=1e-5)


def test_highlights_roll_off_and_black_stays() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.float32)[None, :, None], 3, axis=2)
    lit = Shading((0, 0, 256, 1), np.full((1, 1), 1, np.float32)).apply(ramp, 0, 0, 1)[0, :, 0]
    assert (lit[0], lit[255]) == (0, 255)
    assert (np.diff(lit) > 0).all()
    assert lit[64] == pytest.approx(64 * 2 ** (1 / GAMMA), rel=0.02)


@pytest.mark.parametrize("light", [0.0, 1.0])
def test_no_light_and_an_empty_field_change_no_bit(light: float) -> None:
    pixels, mask = picture()
    field = Shading((0, 0, WIDTH, HEIGHT), np.zeros((4, 4), np.float32)) if light else shading()
    after = pixels.copy()
    finisher_of(field, light).apply(after, mask)
    np.testing.assert_array_equal(after, pixels)
    with pytest.raises(ValueError, match="light needs the shading"):
        Finisher(Finish(light=1), FinishMeasurement.of(SampleWindows.of(pixels, mask)))


def test_field_survives_json_and_refuses_other_content() -> None:
    field = shading()
    again = Shading.from_json(json.loads(json.dumps(field.to_json())))
    np.testing.assert_array_equal(again.gains, field.gains)
    assert (again.box, again.automatic) == (field.box, 1)
    np.testing.assert_allclose(
        field.scaled(0.5).factors(1, 0, 0, 150, 210), field.factors(1, 0, 0, 300, 420)[::2, ::2], atol=0.01
    )
    refused: list[dict[str, Any]] = [{"gains": gains} for gains in ([[MAX_STOPS + 1]], [[float("nan")]], [])]
    for wrong in [*refused, {"box": [0, 0, 0, 5]}]:
        with pytest.raises(ValueError, match=r"the (gains|box)"):
            Shading.from_json(field.to_json() | wrong)


def column_means(values: Floats | Pixels, mask: NDArray[np.uint8]) -> tuple[float, float]:
    """Return the means of the left and of the right half of the foreground."""
    inside, middle = mask == 255, values.shape[1] // 2
    return float(values[:, :middle][inside[:, :middle]].mean()), float(values[:, middle:][inside[:, middle:]].mean())


def person() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The astronaut, and a rough mask of her."""
    mask = np.zeros((512, 512), np.uint8)
    cv2.ellipse(mask, (225, 130), (85, 120), 0, 0, 360, 255, -1)
    cv2.ellipse(mask, (230, 420), (170, 190), 0, 0, 360, 255, -1)
    return data.astronaut(), mask


def test_foreground_gets_the_direction_of_the_backgrounds_light() -> None:
    photograph, mask = person()
    lit = lit_from_the_left(photograph, 2.0)
    flat = np.where(mask[..., None] > 0, lit_from_the_left(photograph, 0), lit).astype(np.uint8)
    for mirrored in (False, True):
        image, place = (np.ascontiguousarray(each[:, ::-1] if mirrored else each) for each in (flat, mask))
        field = predict_shading(ImageData(image), place, None)
        left, right = column_means(field.factors(1, 0, 0, 512, 512), place)
        assert (right > left) if mirrored else (left > right)
        assert abs(left - right) > 0.05
        assert field.automatic == 1


def test_only_a_foreground_that_covers_the_upper_border_is_at_the_top() -> None:
    photograph, subject = person()
    sky = np.zeros_like(subject)
    sky[:200] = 255
    for mask, at_top in ((sky, True), (255 - sky, False), (subject, False)):
        field = predict_shading(ImageData(photograph), mask, None)
        assert field.at_top == at_top
        assert Shading.from_json(json.loads(json.dumps(field.to_json()))).at_top == at_top
        assert field.moved(10, 5).scaled(2).at_top == at_top


def test_automatic_light_is_zero_without_a_local_difference() -> None:
    photograph, mask = person()
    for image in (photograph, np.clip(photograph * 0.8, 0, 255).astype(np.uint8)):
        field = predict_shading(ImageData(image), mask, None)
        assert field.automatic == 0
        assert field.rms < 0.05


def test_nothing_to_go_by_gives_no_light() -> None:
    photograph, mask = person()
    alpha = np.where(mask > 0, 255, 0).astype(np.uint8)  # the background is transparent
    for place, visible in ((np.zeros_like(mask), None), (mask, alpha)):
        field = predict_shading(ImageData(photograph, visible), place, None)
        assert field.changes_nothing
        assert field.automatic == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_render_with_light_keeps_the_background_and_is_off_by_default(dtype: str) -> None:
    pixels, mask = composite(dtype=dtype)
    result = Harmonizer("reinhard", device="cpu")(pixels, mask)
    plain, lit = result.render(), result.render(finish={"light": 1.0})
    np.testing.assert_array_equal(lit[mask == 0], pixels[mask == 0])
    np.testing.assert_array_equal(result.render(finish={"light": 0.0}), plain)
    chosen = result.finisher({"light": "auto", "light_wrap": 0.1})
    assert chosen is not None
    assert chosen.finish.light == result.predict_shading().automatic


def test_default_path_does_not_load_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise AssertionError("the network of the light was loaded")

    monkeypatch.setattr(shading_prediction, "light_runner", load)
    pixels, mask = composite()
    result = Harmonizer("reinhard", device="cpu")(pixels, mask)
    result.render(finish={"grain": "auto", "light": 0.0, "light_wrap": 0.5})
    with pytest.raises(AssertionError, match="was loaded"):
        result.render(finish={"light": 0.5})


def test_command_line_reports_the_automatic_light(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photograph, mask = person()
    lit = lit_from_the_left(photograph, 2.0)
    flat = np.where(mask[..., None] > 0, lit_from_the_left(photograph, 0), lit).astype(np.uint8)
    save_image(tmp_path / "flat.png", ImageData(flat))
    save_image(tmp_path / "mask.png", ImageData(np.repeat(mask[..., None], 3, axis=2)))
    line = ["harmonize", str(tmp_path / "flat.png"), "--mask", str(tmp_path / "mask.png"), "--model", "reinhard"]
    found = {}
    for name, more in (("plain", ["--strength", "0"]), ("lit", ["--strength", "0", "--light", "auto"])):
        out = tmp_path / f"{name}.png"
        assert main([*line, *more, "-o", str(out), "--json"]) == 0
        found[name] = json.loads(capsys.readouterr().out)["finish"]["light"], load_image(out).pixels
    assert (found["plain"][0], found["lit"][0]) == (0, 1)
    before, after = (column_means(found[name][1], mask) for name in ("plain", "lit"))
    assert after[0] - after[1] > before[0] - before[1] + 2
    np.testing.assert_array_equal(found["lit"][1][mask == 0], flat[mask == 0])


def test_model_is_small() -> None:
    card = find_model(LIGHT_MODEL).card
    assert card.parameters <= 500_000
    assert card.size <= 1_200_000
    assert not card.recolors
