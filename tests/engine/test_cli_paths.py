# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line with unusual names, hidden files, and folders that may not be entered."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from s2am_common.errors import FileError
from s2am_engine.batch import list_images
from s2am_engine.mask_files import find_mask_file
from s2am_engine.outputs import check_output
from s2am_engine.training.dataset_writers import create_layout
from tests.engine.permissions import locked_folder
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with composite.png and its mask.png."""
    pixels, mask = composite()
    Image.fromarray(pixels).save(tmp_path / "composite.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no mode")
def test_cli_with_locked_folder_names_the_path(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: (folder / name).read_bytes() for name in ("composite.png", "mask.png")}
    with locked_folder(files) as (place, locked):
        good, white, inside = place / "composite.png", place / "mask.png", locked / "composite.png"
        for words in (
            ("harmonize", inside, "--mask", white),
            ("harmonize", good, "--mask", inside),
            ("harmonize", inside, "--background", good),
            ("harmonize", locked, "--auto-mask", "-o", place / "results"),
            ("harmonize", place, "--masks", inside, "-o", place / "results"),
        ):
            sentence = failed(place, run(capsys, *words))
            assert f"{locked}" in sentence
            assert "may not be read" in sentence, sentence


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no mode")
@pytest.mark.parametrize("name", ["new", "composite"])
def test_cli_refuses_outputs_in_a_locked_folder(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    files = {name: (folder / name).read_bytes() for name in ("composite.png", "mask.png")}
    with locked_folder(files) as (place, locked):
        image, mask, inside = place / "composite.png", place / "mask.png", locked / f"{name}.png"
        for words in (
            ("harmonize", image, "--mask", mask, "-o", inside),
            ("harmonize", image, "--mask", mask, "-o", place / "r.png", "--save-map", inside.with_suffix(".cube")),
            ("harmonize", image, "--mask", mask, "-o", place / "r.png", "--save-mask", inside),
            ("harmonize", place, "--masks", place, "-o", locked),
            ("harmonize", place, "--masks", place, "-o", locked / "results"),
            ("detect", image, "-o", inside),
            ("cutout", image, "-o", inside),
            ("evaluate", place, "--sheet", inside),
            ("models", "export", "concord", inside.with_suffix(".s2am")),
        ):
            sentence = failed(place, run(capsys, *words))
            assert f"the folder {locked} is read-only" in sentence or "cannot be created" in sentence, sentence
        for command in ("detect", "cutout"):
            assert "may not be read" in failed(place, run(capsys, command, locked / "composite.png"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no mode")
def test_outputs_in_a_locked_folder_name_it_where_a_link_points(tmp_path: Path) -> None:
    with locked_folder({"a.png": b""}) as (place, locked):
        (place / "link.png").symlink_to(locked / "a.png")
        with pytest.raises(FileError, match=f"link.png cannot be written: the folder {locked} is read-only"):
            check_output(place / "link.png", [place / "a.png"])
        with pytest.raises(FileError, match="cannot be created"):
            create_layout(locked)
        with pytest.raises(FileError, match=f"the folder {locked} is read-only"):
            create_layout(locked / "pairs")


def test_cli_with_names_at_the_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = folder / ("b" * 248 + ".png")
    shutil.copy(folder / "composite.png", long)
    mask, good = folder / "mask.png", folder / "composite.png"
    sentence = failed(folder, run(capsys, "harmonize", long, "--mask", mask))
    assert "the name is too long" in sentence
    assert "-o OUT" in sentence
    too_long = folder / ("a" * 300 + ".png")
    for words in (
        ("harmonize", too_long, "--mask", mask),
        ("harmonize", good, "--mask", too_long),
        ("harmonize", good, "--mask", mask, "-o", too_long),
        ("detect", too_long),
        ("detect", good, "-o", too_long),
    ):
        assert "too long" in failed(folder, run(capsys, *words)).lower()


def test_find_mask_file_of_an_image_whose_name_is_at_the_limit(folder: Path) -> None:
    image, mask = folder / ("b" * 248 + ".png"), folder / "masks" / ("b" * 248 + ".png")
    mask.parent.mkdir()
    mask.write_bytes(b"")
    assert find_mask_file(image, mask.parent) == mask


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_cli_prints_names_that_are_not_utf8(folder: Path, encoding: str) -> None:
    name = os.fsencode(folder) + b"/caf\xe9.png"
    Path(os.fsdecode(name)).write_bytes((folder / "composite.png").read_bytes())
    command = [sys.executable, "-m", "s2am_engine.cli", "harmonize"]
    color_map = os.fsencode(folder) + b"/caf\xe9.cube"
    done = subprocess.run(
        [*command, name, "--mask", folder / "mask.png", "--save-map", color_map],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9-harmonized.png")).is_file()
    if encoding.startswith("utf"):
        assert done.stdout == os.fsencode(folder) + b"/caf\xe9-harmonized.png\n"


def test_harmonize_folder_ignores_hidden_files_and_takes_jfif(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, mask = composite()
    sources, masks = folder / "images", folder / "masks"
    for place, content in ((sources, pixels), (masks, mask)):
        place.mkdir()
        Image.fromarray(content).save(place / "a.png")
        (place / "._a.png").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(40))
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    Image.fromarray(pixels).save(sources / "b.jfif", "JPEG", quality=95)
    Image.fromarray(mask).save(masks / "b.JFIF", "JPEG", quality=100)
    code, out, err = run(capsys, "harmonize", sources, "--masks", masks, "-o", folder / "results")
    assert (code, err) == (0, "")
    assert out.startswith("2 of 2 images")
    assert sorted(path.name for path in (folder / "results").iterdir()) == ["a.png", "b.png"]


def test_list_images_of_hidden_files_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "._a.png").touch()
    with pytest.raises(FileError, match="holds no images"):
        list_images(tmp_path)
