# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: its contract, and one clear sentence for every error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from s2am_common import log
from s2am_common.sliders import SLIDERS
from s2am_engine.cli import main as cli
from s2am_engine.color.map import ColorMap
from s2am_engine.image.io import load_image
from s2am_engine.models.model_store import DEFAULT_MODEL
from tests.engine.permissions import ordinary_user
from tests.engine.pictures import composite

Run = tuple[int, str, str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with composite.png and its mask.png."""
    pixels, mask = composite()
    Image.fromarray(pixels).save(tmp_path / "composite.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> Run:
    """Run `s2am` in this process: exit code, stdout, stderr."""
    try:
        code = cli.main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def failed(folder: Path, done: Run) -> str:
    """Check that a run failed cleanly, and return its error message."""
    code, out, err = done
    assert code == 1
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1, err
    assert "Traceback" not in err
    assert not list(folder.rglob("*.tmp"))
    return err


def test_harmonize_writes_the_harmonized_composite(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("harmonize", folder / "composite.png", "--mask", folder / "mask.png", "-o", folder / "out.png")
    assert run(capsys, *arguments)[:2] == (0, f"{folder / 'out.png'}\n")
    pixels, mask = composite()
    result = load_image(folder / "out.png").pixels
    np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])
    assert not np.array_equal(result[mask == 255], pixels[mask == 255])


def test_harmonize_json_describes_the_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "harmonize", folder / "composite.png", "--mask", folder / "mask.png", "--strength", 0.5, "--json"
    )
    printed = json.loads(out)
    assert code == 0
    assert printed["output"] == str(folder / "composite-harmonized.png")
    assert Path(printed["output"]).is_file()
    assert (printed["model"], printed["strength"], printed["sliders"]["warmth"]) == (DEFAULT_MODEL, 0.5, 0.0)


def test_harmonize_has_an_option_for_every_slider(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ("harmonize", folder / "composite.png", "--mask", folder / "mask.png", "--model", "concord")
    assert run(capsys, *base, "-o", folder / "plain.png")[0] == 0
    plain = load_image(folder / "plain.png").pixels
    for name, spec in SLIDERS.items():
        low = json.loads(run(capsys, *base, "--json", "-o", folder / "low.png", f"--{name}", spec.low)[1])
        assert low["sliders"] == {other: one.default for other, one in SLIDERS.items()} | {name: spec.low}
        assert not np.array_equal(load_image(folder / "low.png").pixels, plain)
        code, _, err = run(capsys, *base, f"--{name}", 1.5)
        assert (code, f"must be from {spec.low:g} to 1" in err) == (2, True)


def test_harmonize_writes_jpegs_as_png_unless_output_is_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(composite()[0]).save(folder / "beach.jpg")
    assert run(capsys, "harmonize", folder / "beach.jpg", "--mask", folder / "mask.png")[0] == 0
    decoded = load_image(folder / "beach.jpg").pixels
    outside = composite()[1] == 0
    np.testing.assert_array_equal(load_image(folder / "beach-harmonized.png").pixels[outside], decoded[outside])
    options = ("-o", folder / "again.jpg")
    assert run(capsys, "harmonize", folder / "beach.jpg", "--mask", folder / "mask.png", *options)[0] == 0
    assert Image.open(folder / "again.jpg").format == "JPEG"


def test_harmonize_takes_the_images_alpha_as_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, mask = composite()
    Image.fromarray(np.dstack([pixels, mask])).save(folder / "rgba.png")
    assert run(capsys, "harmonize", folder / "rgba.png", "-o", folder / "by-alpha.png")[0] == 0
    run(capsys, "harmonize", folder / "composite.png", "--mask", folder / "mask.png", "-o", folder / "by-mask.png")
    by_alpha, by_mask = (load_image(folder / name) for name in ("by-alpha.png", "by-mask.png"))
    np.testing.assert_array_equal(by_alpha.pixels, by_mask.pixels)
    np.testing.assert_array_equal(by_alpha.alpha, mask)


def test_harmonize_pastes_a_layer_at_a_position(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = np.random.default_rng(0).integers(40, 90, (200, 300, 3)).astype(np.uint8)
    Image.fromarray(scene).save(folder / "scene.png")
    layer = np.full((40, 50, 4), (220, 220, 255, 255), np.uint8)
    Image.fromarray(layer).save(folder / "layer.png")
    arguments = ("--background", folder / "scene.png", "--at", "200,100", "-o", folder / "out.png")
    assert run(capsys, "harmonize", folder / "layer.png", *arguments)[0] == 0
    changed = (load_image(folder / "out.png").pixels != scene).any(axis=2)
    assert changed[100:140, 200:250].all()
    assert changed.sum() == 40 * 50
    arguments = ("--background", folder / "scene.png", "--at", "-10,-20", "-o", folder / "corner.png")
    code, _, notes = run(capsys, "harmonize", folder / "layer.png", *arguments)
    assert (code, notes) == (0, "note: 60 % of the layer lies beyond the edge of the background and is cut off.\n")
    changed = (load_image(folder / "corner.png").pixels != scene).any(axis=2)
    assert changed[:20, :40].all()
    assert changed.sum() == 20 * 40


def test_save_map_writes_json_and_cube(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = (
        "harmonize",
        folder / "composite.png",
        "--mask",
        folder / "mask.png",
        "-o",
        folder / "out.png",
        "--save-map",
    )
    assert run(capsys, *base, folder / "map.json")[0] == 0
    assert run(capsys, *base, folder / "map.cube")[0] == 0
    saved = ColorMap.loads((folder / "map.json").read_text())
    pixels, mask = composite()
    rendered = saved(pixels[mask == 255] / np.float32(255))
    result = load_image(folder / "out.png").pixels[mask == 255]
    np.testing.assert_allclose(np.clip(rendered, 0, 1) * 255, result, atol=0.51)
    assert "LUT_3D_SIZE 33" in (folder / "map.cube").read_text()


def test_harmonize_folder_reports_bad_files_and_continues(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in").mkdir()
    (folder / "masks").mkdir()
    pixels, mask = composite()
    for name in ("a", "b", "c", "d"):
        Image.fromarray(pixels).save(folder / "in" / f"{name}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    (folder / "in" / "b.png").write_bytes(b"not a picture")
    (folder / "masks" / "c.png").unlink()
    arguments = ("harmonize", folder / "in", "--masks", folder / "masks", "-o", folder / "out")
    code, out, err = run(capsys, *arguments, "--json")
    results = json.loads(out)["results"]
    assert code == 0
    assert [Path(r["input"]).name for r in results if "error" in r] == ["b.png", "c.png"]
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["a.png", "d.png"]
    assert err.count("error:") == 2
    assert run(capsys, *arguments)[1].startswith("2 of 4 images")


def test_harmonize_folder_exits_with_1_if_no_image_worked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("in", "masks"):
        (folder / name).mkdir()
    (folder / "in" / "a.png").write_bytes(b"not an image")
    code, out, err = run(capsys, "harmonize", folder / "in", "--masks", folder / "masks", "-o", folder / "out")
    assert (code, err.count("error:")) == (1, 1)
    assert out.startswith("0 of 1 images")


@pytest.fixture
def bad_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as the current one, with unusable files."""
    monkeypatch.chdir(folder)
    pixels, mask = composite()
    Path("text.png").write_text("no picture")
    Path("empty.png").touch()
    Path("cut.png").write_bytes(Path("composite.png").read_bytes()[:2000])
    Image.fromarray(mask[:50]).save("small.png")
    Image.fromarray(mask * 0).save("black.png")
    Image.fromarray(mask * 0 + 255).save("white.png")
    hole = pixels / np.float32(255)
    hole[3, 4] = np.nan
    tifffile.imwrite("nan.tif", hole, photometric="rgb")
    Image.fromarray(pixels[:1, :1]).save("dot.png")
    Image.fromarray(mask[:1, :1] * 0 + 255).save("dot-mask.png")
    return folder


def test_harmonize_folder_refuses_two_sources_for_one_output(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("in", "masks"):
        (folder / name).mkdir()
    Image.fromarray(composite()[0]).save(folder / "in" / "a.jpg")
    Image.fromarray(composite()[0]).save(folder / "in" / "a.png")
    Image.fromarray(composite()[1]).save(folder / "masks" / "a.png")
    code, out, err = run(capsys, "harmonize", folder / "in", "--masks", folder / "masks", "-o", folder / "out")
    assert code == 0
    assert "would both become" in err
    assert out.startswith("1 of 2 images")


def test_save_map_that_fails_leaves_no_image_behind(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--mask", folder / "mask.png", "-o", folder / "out.png", "--save-map", folder / "no" / "map.json")
    assert "no folder" in failed(folder, run(capsys, "harmonize", folder / "composite.png", *arguments))
    assert not (folder / "out.png").exists()
    arguments = ("--mask", folder / "mask.png", "-o", folder / "no" / "out.png", "--save-map", folder / "map.json")
    assert "no folder" in failed(folder, run(capsys, "harmonize", folder / "composite.png", *arguments))
    assert not (folder / "map.json").exists()


def test_unexpected_error_is_one_sentence_that_names_the_log(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object) -> None:
        raise RuntimeError("a pipe burst")

    monkeypatch.setattr("s2am_engine.models.model_store.list_models", burst)
    sentence = failed(folder, run(capsys, "models"))
    assert "RuntimeError: a pipe burst" in sentence
    assert str(log.log_path()) in sentence
    text = log.log_path().read_text(encoding="utf-8")
    assert "unexpected error\nTraceback" in text
    monkeypatch.setenv("S2AM_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        cli.main(["models"])


BAD_INPUT = {
    "nowhere.png --mask mask.png": "nowhere.png does not exist",
    ". --masks nowhere -o out": "nowhere is not a folder",
    "text.png --mask mask.png": "text.png",
    "empty.png --mask mask.png": "empty.png is empty",
    "cut.png --mask mask.png": "cut.png is damaged or incomplete",
    "composite.png": "“connoisseur” needs a mask: give one with --mask MASK, or detect it with --auto-mask.",
    "composite.png --mask nowhere.png": "nowhere.png does not exist",
    "composite.png --mask small.png": "small.png has 120×50 pixels and the image 120×90",
    "composite.png --mask black.png": "black.png is empty",
    "composite.png --mask white.png": "white.png covers the whole image",
    "nan.tif --mask mask.png": "nan.tif",
    "dot.png --mask dot-mask.png": "covers the whole image",
    "composite.png --mask mask.png --model unknown": f"choose one of {DEFAULT_MODEL}",
    "composite.png --mask mask.png --model unet": "trained weights of the network “unet”",
    "composite.png --mask mask.png --device warp": "no device",
    "composite.png --mask mask.png -o out.xyz": "out.xyz",
    "composite.png --mask mask.png -o nowhere/out.png": "no folder nowhere",
    "composite.png --mask mask.png -o composite.png": "would replace composite.png",
    "composite.png --mask mask.png -o mask.png": "would replace mask.png",
    "composite.png --background mask.png": "no transparency",
}


@pytest.mark.parametrize("call", BAD_INPUT)
def test_harmonize_refuses_bad_input_in_one_sentence_and_writes_no_file(
    bad_files: Path, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    before = {path: path.read_bytes() for path in bad_files.rglob("*") if path.is_file()}
    assert BAD_INPUT[call] in failed(bad_files, run(capsys, "harmonize", *call.split()))
    assert {path: path.read_bytes() for path in bad_files.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "call",
    [
        "harmonize",
        "harmonize composite.png --strength 2",
        "harmonize composite.png --at 3,4",
        "harmonize composite.png --at here",
        "harmonize composite.png --mask mask.png --native --strength 1",
        "harmonize composite.png --mask mask.png --native --save-map map.json",
        "harmonize composite.png --background mask.png --native",
        "harmonize composite.png --mask mask.png --save-map map.txt",
        "harmonize . -o out",
        "harmonize . --masks . --save-map map.json -o out",
        "paint composite.png",
    ],
)
def test_wrong_usage_exits_with_2_and_one_sentence(
    bad_files: Path, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    code, _, err = run(capsys, *call.split())
    assert code == 2
    error, options = err.splitlines()
    assert ": error: " in error
    assert options.startswith("All options: s2am ")


def test_an_unknown_option_names_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "harmonize", "composite.png", "--strenght", "1")
    assert code == 2
    assert "unrecognized arguments: --strenght 1\nAll options: s2am harmonize --help" in err


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_stderr_changes_no_result(folder: Path) -> None:
    command = [sys.executable, "-m", "s2am_engine.cli", "harmonize", "composite.png", "--mask", "mask.png", "--json"]
    shell = ["sh", "-c", 'exec "$@" 2>&-', "sh", *command]
    done = subprocess.run(shell, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["output"]) == (0, "composite-harmonized.png")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_on_a_full_disk_is_no_fault_of_the_program() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        command = [sys.executable, "-m", "s2am_engine.cli", "models", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "The disk is full" in done.stderr


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "Recolor the foreground of a composite" in err


def test_harmonize_names_a_read_only_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with ordinary_user() as locked:
        pixels, mask = composite()
        picture, given = locked.parent / f"{locked.name}-c.png", locked.parent / f"{locked.name}-m.png"
        Image.fromarray(pixels).save(picture)
        Image.fromarray(mask).save(given)
        done = run(capsys, "harmonize", picture, "--mask", given, "-o", locked / "out.png")
        picture.unlink()
        given.unlink()
        assert f"{locked} is read-only" in failed(locked, done)


def test_harmonize_handles_extreme_shapes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for height, width in ((1, 5000), (5000, 1), (40, 30_000)):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        mask[: max(1, height // 3), : max(1, width // 3)] = 255
        Image.fromarray(pixels).save(folder / "odd.png")
        Image.fromarray(mask).save(folder / "odd-mask.png")
        arguments = ("--mask", folder / "odd-mask.png", "-o", folder / "out.png")
        assert run(capsys, "harmonize", folder / "odd.png", *arguments)[0] == 0
        result = load_image(folder / "out.png").pixels
        np.testing.assert_array_equal(result[mask == 0], pixels[mask == 0])


def start(*arguments: object, limit: str = "") -> subprocess.Popen[str]:
    """Start `s2am` in a separate process, optionally under a limit set by the shell."""
    call = [sys.executable, "-m", "s2am_engine.cli", *(str(argument) for argument in arguments)]
    if limit:
        call = ["sh", "-c", f'{limit}; exec "$0" "$@"', *call]
    root = Path(__file__).parents[2]
    # Under a limit for files Python would leave truncated bytecode behind, and the next start would fail.
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    # The parent of the tests may ignore Ctrl-C (nohup, a background job), which children would inherit.
    given = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    finally:
        signal.signal(signal.SIGINT, given or signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit for the size of files")
def test_full_disk_leaves_no_partial_file(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    mask = np.zeros((300, 400), np.uint8)
    mask[50:150, 50:150] = 255
    Image.fromarray(mask).save(folder / "noise-mask.png")
    (folder / "out.png").write_bytes(b"precious")
    arguments = ("harmonize", folder / "noise.png", "--mask", folder / "noise-mask.png", "-o", folder / "out.png")
    process = start(*arguments, limit="ulimit -f 64")
    out, err = process.communicate(timeout=120)
    failed(folder, (process.returncode, out, err))
    assert (folder / "out.png").read_bytes() == b"precious"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child")
def test_ctrl_c_stops_a_folder_and_leaves_whole_files(folder: Path) -> None:
    for name in ("in", "masks"):
        (folder / name).mkdir()
    for index in range(200):
        (folder / "in" / f"{index:03}.png").symlink_to(folder / "composite.png")
        (folder / "masks" / f"{index:03}.png").symlink_to(folder / "mask.png")
    process = start("harmonize", folder / "in", "--masks", folder / "masks", "-o", folder / "out")
    try:
        while not list((folder / "out").glob("*.png")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()  # without effect on a process that has ended
    assert "Stopped" in failed(folder, (process.returncode, out, err))
    written = list((folder / "out").iterdir())
    assert 0 < len(written) < 200
    for path in written:
        assert load_image(path).pixels.shape == (90, 120, 3)


def test_evaluate_checks_the_sheet_before_measuring(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # The data set does not exist either; the sheet is checked first.
    arguments = ("evaluate", folder / "nowhere", "--sheet", folder / "no" / "sheet.png")
    assert "there is no folder" in failed(folder, run(capsys, *arguments))
