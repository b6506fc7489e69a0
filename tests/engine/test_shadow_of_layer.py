# SPDX-License-Identifier: GPL-3.0-or-later
"""Shadows of pasted layers, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from s2am_engine import Harmonizer, ImageData, ImageError, Shadow, load_image, save_image
from s2am_engine.cli import main as cli
from tests.engine.fake_networks import KnownColors
from tests.engine.pictures import SCALE, composite

AT = (150, 40)


def background(dtype: str = "uint8") -> ImageData:
    """Return a background that is brighter on the left."""
    y, x = np.mgrid[:220, :400].astype(np.float32)
    unit = np.stack([0.8 - x / 600, 0.7 - x / 700, 0.5 - x / 1000 + y / 2000], axis=2)
    return ImageData((unit * SCALE[dtype]).astype(dtype))


def cutout() -> ImageData:
    """Return a layer of 90 × 120 pixels with a soft disc."""
    pixels, mask = composite(90, 120)
    return ImageData(pixels, mask)


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    return Harmonizer.from_network(KnownColors(), 64, "cpu")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_render_with_a_shadow_changes_only_layer_and_shadow(harmonizer: Harmonizer, dtype: str) -> None:
    behind = background(dtype)
    result = harmonizer.paste(cutout(), behind, AT)
    shadow = Shadow(direction=110, length=1.5, color=(0.2, 0.2, 0.3))
    plain, rendered, layer = result.render(), result.render(shadow=shadow), result.shadow_layer(shadow)
    shaded = np.zeros(behind.pixels.shape[:2], bool)
    shaded[layer.window] = layer.alpha > 0
    assert 1000 < shaded.sum() < shaded.size / 3
    np.testing.assert_array_equal(rendered.pixels[~shaded], plain.pixels[~shaded])
    outside = ~shaded & (result.mask == 0)
    np.testing.assert_array_equal(rendered.pixels[outside], behind.pixels[outside])
    # The shadow lies beneath the layer: opaque pixels stay, its own background darkens.
    opaque = result.mask == (1 if dtype == "float32" else np.iinfo(result.mask.dtype).max)
    np.testing.assert_array_equal(rendered.pixels[opaque], plain.pixels[opaque])
    alpha = np.where(result.mask[layer.window] == 0, layer.alpha, 0)
    row, column = np.unravel_index(alpha.argmax(), alpha.shape)
    place = layer.top + row, layer.left + column
    assert (rendered.pixels[place] < 0.8 * behind.pixels[place]).all()
    assert result.render(shadow=None).pixels.tobytes() == plain.pixels.tobytes()


def test_shadow_of_a_layer_that_exceeds_the_background(harmonizer: Harmonizer) -> None:
    result = harmonizer.paste(cutout(), background(), (-40, -30))
    layer = result.shadow_layer(Shadow(direction=120, length=1))
    assert layer.alpha.size
    whole = harmonizer.paste(cutout(), ImageData(np.full((420, 800, 3), 99, np.uint8)), (160, 170))
    beyond = whole.shadow_layer(Shadow(direction=120, length=1))
    part = np.zeros((420, 800), np.uint16)
    part[beyond.window] = beyond.alpha
    found = np.zeros((220, 400), np.uint16)
    found[layer.window] = layer.alpha
    np.testing.assert_allclose(found, part[200:, 200:600], atol=600)


def test_estimate_shadow_considers_the_background(harmonizer: Harmonizer) -> None:
    estimate = harmonizer.paste(cutout(), background(), AT).estimate_shadow()
    assert estimate.evidence == "brighter-side"
    assert estimate.shadow.direction > 0


def test_a_flattened_composite_has_no_shadow(harmonizer: Harmonizer) -> None:
    result = harmonizer(*composite())
    for call in (
        result.estimate_shadow,
        lambda: result.shadow_layer(Shadow()),
        lambda: result.render(shadow=Shadow()),
    ):
        with pytest.raises(ImageError, match="background") as failure:
            call()
        assert failure.value.code == "image.no-background"


# -- the command line


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_image(tmp_path / "layer.png", cutout())
    save_image(tmp_path / "scene.png", background())
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], folder: Path, *options: object) -> tuple[int, str, str]:
    words = ["harmonize", folder / "layer.png", *options, "--model", "concord", "--device", "cpu"]
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def pasted(folder: Path) -> list[object]:
    return ["--background", folder / "scene.png", "--at", "150,40", "-o", folder / "out.png"]


def pixels_of(path: Path) -> NDArray[Any]:
    return load_image(path).pixels


def test_harmonize_casts_an_automatic_shadow(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, folder, *pasted(folder))[0] == 0
    plain = pixels_of(folder / "out.png")
    code, out, err = run(capsys, folder, *pasted(folder), "--shadow", "--json")
    assert code == 0
    described = json.loads(out)["shadow"]
    assert described["evidence"] == "brighter-side"
    assert Shadow.from_json({name: value for name, value in described.items() if name != "evidence"}).direction > 0
    assert "falls away from the left" in err
    changed = (pixels_of(folder / "out.png") != plain).any(axis=2)
    assert changed[112:, 240:].any()
    assert not changed[:, :150].any()


def test_given_values_replace_automatic_ones(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*pasted(folder), "--shadow-direction", -120, "--shadow-length", 1.2, "--save-shadow", folder / "s.png"]
    code, out, err = run(capsys, folder, *options, "--json")
    assert code == 0
    described = json.loads(out)["shadow"]
    assert (described["direction"], described["length"]) == (-120, 1.2)
    assert described["softness"] == 0.5
    assert "falls away" not in err  # a given direction needs no explanation
    layer = load_image(folder / "s.png")
    assert layer.alpha is not None
    assert layer.alpha.shape == (220, 400)
    dark = layer.alpha > 60
    assert np.flatnonzero(dark.any(axis=0)).mean() < 200  # falls to the left
    # The saved layer, multiplied with the background, is the result outside the foreground.
    alpha = layer.alpha[..., None] / 255
    wanted = background().pixels * (1 - alpha * (1 - layer.pixels / 255))
    outside = np.ones((220, 400), bool)
    outside[40:130, 150:270] = cutout().alpha == 0
    np.testing.assert_allclose(pixels_of(folder / "out.png")[outside], wanted[outside], atol=2)


def test_no_file_is_left_if_the_result_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_image(folder / "wide.png", ImageData(np.full((130, 16400, 3), 90, np.uint8)))  # too wide for WebP
    saved = {"--save-shadow": "s.png", "--save-mask": "m.png", "--save-map": "map.json"}
    options = [each for name, file in saved.items() for each in (name, folder / file)]
    output = folder / "out.webp"
    code, _, err = run(capsys, folder, "--background", folder / "wide.png", "--shadow", "-o", output, *options)
    assert code == 1
    assert "out.webp" in err
    assert not [file for file in (*saved.values(), "out.webp") if (folder / file).exists()]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shadow"], "a shadow needs --background"),
        (["--shadow-length", "1"], "a shadow needs --background"),
        (["--background", "scene.png", "--shadow-length", "4"], "must be from 0 to 3"),
        (["--background", "scene.png", "--save-shadow", "o.png", "-o", "o.png"], "name the same file"),
        (["--background", "scene.png", "--save-mask", "s.png", "--save-shadow", "s.png"], "name the same file"),
    ],
    ids=str,
)
def test_wrong_use_of_the_shadow_options(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    code, _, err = run(capsys, folder, *options)
    assert code == 2
    assert message in err


def test_save_shadow_needs_a_format_with_transparency(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, folder, *pasted(folder), "--save-shadow", folder / "s.jpg")
    assert code == 1
    assert "s.jpg" in err
    assert not (folder / "out.png").exists()
