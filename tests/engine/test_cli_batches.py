# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `harmonize`, `detect` and `cutout` with several images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.image.io import load_image
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, run


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a.jpg and c.png, a damaged b.png, and masks in the folder “masks”."""
    monkeypatch.chdir(tmp_path)
    pixels, mask = composite()
    Path("masks").mkdir()
    for name in ("a.jpg", "c.png"):
        Image.fromarray(pixels).save(name)
        Image.fromarray(mask).save(Path("masks", f"{name[0]}.png"))
    Path("b.png").write_bytes(b"no image")
    return tmp_path


@pytest.mark.parametrize(
    ("call", "report"),
    [
        ("harmonize a.jpg b.png c.png --masks masks --model reinhard", "2 of 3 images harmonized into out"),
        ("cutout a.jpg b.png c.png --likeliest", "2 of 3 images cut out into out"),
        ("cutout a.jpg missing.png c.png --likeliest --mask-only", "2 of 3 masks written into out"),
        ("detect --likeliest a.jpg b.png c.png", "2 of 3 masks written into out"),
        ("detect a.jpg --likeliest b.png --device cpu c.png", "2 of 3 masks written into out"),
    ],
)
@pytest.mark.usefixtures("images")
def test_several_images_are_processed_as_those_of_a_folder(
    capsys: pytest.CaptureFixture[str], call: str, report: str
) -> None:
    code, out, err = run(capsys, *call.split(), "-o", "out")
    assert (code, out.strip()) == (0, report)
    assert err.count("error:") == 1
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]


@pytest.mark.usefixtures("images")
def test_several_images_are_harmonized_as_each_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "harmonize", "c.png", "--mask", "masks/c.png", "-o", "alone.png", "--model", "concord")
    line = "harmonize c.png a.jpg --masks masks -o out --model concord --json"
    results = json.loads(run(capsys, *line.split())[1])["results"]
    assert [result["output"] for result in results] == [str(Path("out", "c.png")), str(Path("out", "a.png"))]
    np.testing.assert_array_equal(load_image(Path("out/c.png")).pixels, load_image(Path("alone.png")).pixels)


@pytest.mark.usefixtures("images")
def test_two_images_for_one_result_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Image.open("c.png").save("a.png")
    line = "harmonize a.jpg a.png --masks masks --model reinhard -o out"
    code, out, err = run(capsys, *line.split())
    assert (code, out.strip()) == (0, "1 of 2 images harmonized into out")
    assert "would both become" in err


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("harmonize a.jpg c.png -o out", "a folder or several images need --masks DIR, --auto-mask or --mask subject"),
        ("harmonize a.jpg c.png --mask masks/a.png -o out", "not a single mask"),
        (
            "harmonize a.jpg c.png --auto-mask --save-mask b.tif -o out",
            "not a single mask, --background",
        ),
        ("harmonize a.jpg --masks masks --save-mask b.tif -o out", "--save-mask"),
        ("harmonize a.jpg c.png --auto-mask", "need -o DIR, a folder for the results"),
        ("harmonize a.jpg c.png --auto-mask -o out.png", "a folder for the results, not the image out.png"),
        ("harmonize . --auto-mask -o out.png", "a folder for the results, not the image out.png"),
        ("harmonize a.jpg masks --auto-mask -o out", "masks is a folder: give it alone, or images only"),
        ("detect a.jpg c.png", "need -o DIR, a folder for the results"),
        ("cutout a.jpg c.png -o c-cutout.png", "a folder for the results, not the image c-cutout.png"),
    ],
)
def test_several_images_need_masks_and_a_folder(
    images: Path, capsys: pytest.CaptureFixture[str], call: str, sentence: str
) -> None:
    before = sorted(images.rglob("*"))
    code, _, err = run(capsys, *call.split())
    assert (code, sentence in err) == (2, True), err
    assert sorted(images.rglob("*")) == before


def test_an_unknown_option_is_no_image(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "detect", "a.jpg", "--sure", "c.png", "-o", "out")
    assert (code, "unrecognized arguments: --sure c.png" in err) == (2, True)
    assert not (images / "out").exists()


def test_results_beside_their_images_are_refused(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "cutout", "a.jpg", "c.png", "-o", ".")
    assert "holds the input: choose another folder (use -o DIR)" in failed(images, done)
