# SPDX-License-Identifier: GPL-3.0-or-later
"""Output files of all commands: free names, checks before the work, questions before replacing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import FileError, ImageFormatError
from s2am_engine.cli import outputs
from s2am_engine.image.io import load_image, save_image
from s2am_engine.outputs import check_output, unused_path
from tests.engine.pictures import composite
from tests.engine.test_cli import run


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with composite.png, its mask.png, and old files under all default names."""
    pixels, mask = composite()
    Image.fromarray(pixels).save(tmp_path / "composite.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for name in ("composite-mask.png", "composite-harmonized.png", "evaluation.png", "pairs.png"):
        (tmp_path / name).write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def type_answer(monkeypatch: pytest.MonkeyPatch, answer: str) -> Terminal:
    shown = Terminal()
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    monkeypatch.setattr("sys.stderr", shown)
    return shown


def test_unused_path_counts_up(tmp_path: Path) -> None:
    assert unused_path(tmp_path / "a.png") == tmp_path / "a.png"
    for name in ("a.png", "a-2.png"):
        (tmp_path / name).touch()
    assert unused_path(tmp_path / "a.png") == tmp_path / "a-3.png"


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("harmonize composite.png --mask mask.png --model reinhard", "composite-harmonized-2.png"),
        ("detect composite.png --likeliest", "composite-mask-2.png"),
    ],
)
def test_commands_without_a_name_keep_existing_files(
    call: str, written: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    code, out, _ = run(capsys, *call.split())
    assert (code, Path(out.strip()).name) == (0, written)
    assert {path: path.read_bytes() for path in before} == before
    assert np.asarray(Image.open(folder / written)).size


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("harmonize composite.png --mask mask.png --model reinhard", "composite-harmonized"),
        ("detect composite.png --likeliest", "composite-mask"),
        ("cutout composite.png --likeliest", "composite-cutout"),
    ],
)
def test_a_folder_gets_a_file_of_the_default_name(
    call: str, written: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "results").mkdir()
    for name in (f"{written}.png", f"{written}-2.png"):
        code, out, _ = run(capsys, *call.split(), "-o", "results")
        assert (code, out.strip()) == (0, f"results/{name}")
        assert np.asarray(Image.open(folder / "results" / name)).size


def test_cutout_of_a_floating_point_image_is_a_tiff_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, _ = composite()
    save_image(folder / "float.tif", (pixels / 255).astype(np.float32))
    code, out, _ = run(capsys, "cutout", "float.tif", "--likeliest")
    assert (code, out.strip()) == (0, "float-cutout.tif")
    assert load_image(folder / "float-cutout.tif").pixels.dtype == np.float32


def test_check_output_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(tmp_path / "new.png", suffixes=(".png",))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ImageFormatError, match=r"must end in one of \.png"):
        check_output(tmp_path / "new.gif", suffixes=(".png",))
    with pytest.raises(FileError, match="there is no folder"):
        check_output(tmp_path / "missing/new.png")
    with pytest.raises(FileError, match="is a folder"):
        check_output(tmp_path)


@pytest.mark.parametrize(
    "call",
    [
        "harmonize composite.png --mask mask.png -o new.gif",
        "harmonize composite.png --mask mask.png -o new.avif",
        "harmonize composite.png --mask mask.png -o missing/new.png",
        "harmonize composite.png --mask mask.png --save-map missing/map.cube",
        "detect composite.png -o missing/mask.png",
        "evaluate . --sheet missing/sheet.png",
        "pairs . --sheet missing/sheet.png",
        "finetune . --name mine --sheet missing/sheet.png",
        "export concord --onnx missing/concord.onnx",
        "export concord --onnx mask.png",
    ],
)
def test_commands_check_their_output_before_the_work(
    call: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    for work in ("file_harmonizer.load_image", "training.photo_cache.load_photographs"):
        monkeypatch.setattr(f"s2am_engine.{work}", fail)
    monkeypatch.setattr("s2am_engine.models.model_store.find_model", fail)
    code, out, err = run(capsys, *call.split())
    assert (code, out) == (1, "")
    assert "cannot be written" in err


def test_a_named_file_is_replaced_only_after_a_question(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = folder / "pairs.png"
    shown = type_answer(monkeypatch, "n")
    with pytest.raises(FileError, match="was not replaced"):
        outputs.choose_output(named, named)
    assert "pairs.png exists: replace it?" in shown.getvalue()
    type_answer(monkeypatch, "y")
    assert outputs.choose_output(named, named) == named


def test_without_a_terminal_a_named_file_is_replaced(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert outputs.choose_output(folder / "pairs.png", folder / "x.png") == folder / "pairs.png"
