# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line's options about masks: their meaning, their edges, and saving them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.image.io import load_image
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.types import Pixels
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, folder, run

__all__ = ["folder"]

PIXELS, MASK = composite()


def harmonized(capsys: pytest.CaptureFixture[str], folder: Path, *options: object) -> tuple[Pixels, str]:
    """Return the result of composite.png with these options, and what was printed to stderr."""
    output = folder / "out" / "out.png"
    output.parent.mkdir(exist_ok=True)
    code, _, err = run(capsys, "harmonize", folder / "composite.png", "--model", "concord", "-o", output, *options)
    assert code == 0, err
    return load_image(output).pixels, err


def test_mask_index_chooses_the_labels_of_the_foreground(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels = (MASK > 0).astype(np.uint8)
    labels[labels.shape[0] // 2 :] *= 2
    Image.fromarray(labels).save(folder / "labels.png")
    arguments = ("harmonize", folder / "composite.png", "--mask", folder / "labels.png", "-o", folder / "out.png")
    message = failed(folder, run(capsys, *arguments))
    assert "labels.png does not tell foreground from background" in message
    assert "--mask-index NUMBER" in message
    assert "choose from labels 0" in failed(folder, run(capsys, *arguments, "--mask-index", 1, 7))
    Image.fromarray((labels > 0).astype(np.uint8) * 255).save(folder / "binary.png")
    right, _ = harmonized(capsys, folder, "--mask", folder / "binary.png")
    found, err = harmonized(capsys, folder, "--mask", folder / "labels.png", "--mask-index", 1, 2)
    np.testing.assert_array_equal(found, right)
    assert err == ""


def test_invert_mask_is_offered_and_exchanges_the_sides(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, err = harmonized(capsys, folder, "--mask", folder / "mask.png")
    assert err == ""
    Image.fromarray(255 - MASK).save(folder / "inverted.png")
    _, err = harmonized(capsys, folder, "--mask", folder / "inverted.png")
    assert err.startswith(f"note: {folder / 'inverted.png'} marks most of the image's border as foreground")
    assert err.rstrip().endswith("(with --invert-mask).")
    assert err.count("\n") == 1
    found, err = harmonized(capsys, folder, "--mask", folder / "inverted.png", "--invert-mask")
    np.testing.assert_array_equal(found, right)
    assert err == ""


def test_save_mask_writes_the_mask_with_its_refined_edges(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = folder / "saved.png"
    harmonized(capsys, folder, "--mask", folder / "mask.png", "--save-mask", saved)
    np.testing.assert_array_equal(read_mask(saved), MASK)
    options = ("--refine-edges", "--smooth", 2, "--grow", 3, "--feather", 4, "--harden", 0.2)
    changed, _ = harmonized(capsys, folder, "--mask", folder / "mask.png", "--save-mask", saved, *options)
    expected = refine_edges(MASK, EdgeSettings(-1, 2, 3, 4, 0.2), PIXELS)
    assert not np.array_equal(expected, MASK)
    np.testing.assert_array_equal(read_mask(saved), expected)
    np.testing.assert_array_equal(changed[expected == 0], PIXELS[expected == 0])
    again, _ = harmonized(capsys, folder, "--mask", saved)
    np.testing.assert_array_equal(again, changed)


def test_edges_of_alpha_are_refined_and_the_alpha_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.dstack([PIXELS, MASK])).save(folder / "composite.png")
    changed, _ = harmonized(capsys, folder, "--grow", -4, "--save-mask", folder / "saved.png")
    expected = refine_edges(MASK, EdgeSettings(grow=-4))
    np.testing.assert_array_equal(read_mask(folder / "saved.png"), expected)
    np.testing.assert_array_equal(changed[expected == 0], PIXELS[expected == 0])
    np.testing.assert_array_equal(load_image(folder / "out" / "out.png").alpha, MASK)


def test_edges_of_a_layer_are_refined_before_it_is_pasted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(PIXELS).save(folder / "beach.png")
    Image.fromarray(np.dstack([PIXELS[..., ::-1], MASK])).save(folder / "layer.png")
    command = ("harmonize", folder / "layer.png", "--background", folder / "beach.png", "--model", "concord")
    options = ("-o", folder / "out.png", "--save-mask", folder / "saved.png", "--grow", -4)
    assert run(capsys, *command, *options)[0] == 0
    smaller = refine_edges(MASK, EdgeSettings(grow=-4))
    np.testing.assert_array_equal(read_mask(folder / "saved.png"), smaller)
    pasted = load_image(folder / "out.png").pixels
    np.testing.assert_array_equal(pasted[smaller == 0], PIXELS[smaller == 0])


def test_edges_need_a_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "harmonize", folder / "composite.png", "--feather", 3, "-o", folder / "out.png")
    assert "no mask whose edges could be refined: give one with --mask" in failed(folder, done)


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--mask-index", "1"], 2, "--mask-index needs --mask"),
        (["--invert-mask"], 2, "--invert-mask needs --mask"),
        (["--mask", "mask.png", "--feather", "-1"], 2, "must be from 0 to 100"),
        (["--mask", "mask.png", "--refine-edges", "1000"], 2, "must be from 0 to 100"),
        (["--mask", "mask.png", "--save-mask", "out.png"], 2, "name the same file"),
        (["--mask", "mask.png", "--save-mask", "mask.jpg"], 1, "must end in one of .png"),
        (["--mask", "mask.png", "--save-mask", "mask.png"], 1, "would replace mask.png"),
        (["--masks", "."], 2, "not the image out.png"),
    ],
)
def test_mask_options_that_cannot_be_used(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(folder)
    found, _, err = run(capsys, "harmonize", "composite.png", "-o", "out.png", *options)
    assert found == code
    assert sentence in err
    assert not (folder / "out.png").exists()
    np.testing.assert_array_equal(read_mask("mask.png"), MASK)
