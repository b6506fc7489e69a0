# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line without masks: `detect`, `--auto-mask`, and the harmony score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.image.io import load_image
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.image.mask_reading import invert_mask
from s2am_engine.models.model_store import DETECTOR
from s2am_engine.networks import registry
from s2am_engine.networks.spec import NetworkSpec
from tests.engine.fake_networks import Doubter, Spotter, write_fake_model
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, folder, run

__all__ = ["folder"]


@pytest.fixture(autouse=True)
def spotter(no_personal_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the detector by one that detects blue regions, so the expected mask is known."""
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, DETECTOR, "spotter")


def without_foreground(path: Path) -> Path:
    Image.fromarray(composite()[0][..., ::-1]).save(path)
    return path


def test_detect_writes_a_soft_mask_of_the_images_size(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "detect", folder / "composite.png", "--json")
    printed = json.loads(out)
    assert code == 0
    assert printed["output"] == str(folder / "composite-mask.png")
    found, (_, mask) = Image.open(printed["output"]), composite()
    assert found.mode == "L"
    here, there = np.asarray(found) > 127, mask > 127
    assert (here & there).sum() / (here | there).sum() > 0.85
    assert printed["area"] == pytest.approx(mask.mean() / 255, abs=0.03)
    assert 0.9 < printed["confidence"] <= 1


def test_detect_writes_nothing_if_nothing_is_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "detect", without_foreground(folder / "whole.png"), "-o", folder / "found.png")
    assert "No pasted region was found" in failed(folder, done)
    assert not (folder / "found.png").exists()


def test_detect_likeliest_writes_uncertain_regions(
    folder: Path, no_personal_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "detect", folder / "composite.png", "-o", folder / "sure.png")
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Doubter, "for tests", None, None))
    done = run(capsys, "detect", folder / "composite.png", "-o", folder / "found.png")
    assert "or see what “s2am detect --likeliest” finds" in failed(folder, done)
    line = ("detect", folder / "composite.png", "--likeliest", "-o", folder / "found.png", "--json")
    code, out, _ = run(capsys, *line)
    assert (code, json.loads(out)["confidence"]) == (0, 0.3)
    np.testing.assert_array_equal(Image.open(folder / "found.png"), Image.open(folder / "sure.png"))


def test_detect_refuses_a_model_that_needs_a_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = run(capsys, "detect", folder / "composite.png", "--model", "reinhard")
    assert "choose one of s2am-mask-free" in failed(folder, done)


def test_auto_mask_harmonizes_the_detected_region_with_the_given_model(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / "out.png"
    code, printed, _ = run(
        capsys, "harmonize", folder / "composite.png", "--auto-mask", "--model", "s2crnet", "-o", out, "--json"
    )
    assert code == 0
    assert json.loads(printed)["model"] == "s2crnet"
    assert json.loads(printed)["mask"]["area"] == pytest.approx(composite()[1].mean() / 255, abs=0.03)
    run(capsys, "detect", folder / "composite.png", "-o", folder / "found.png")
    with_mask = ("harmonize", folder / "composite.png", "--mask", folder / "found.png", "--model", "s2crnet")
    run(capsys, *with_mask, "-o", folder / "same.png")
    result = load_image(out).pixels
    np.testing.assert_array_equal(result, load_image(folder / "same.png").pixels)
    assert not np.array_equal(result, composite()[0])


def test_auto_mask_folder_continues_after_an_empty_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = folder / "pictures"
    pictures.mkdir()
    (folder / "composite.png").rename(pictures / "one.png")
    without_foreground(pictures / "two.png")
    code, out, err = run(capsys, "harmonize", pictures, "--auto-mask", "-o", folder / "results", "--json")
    assert code == 0
    first, second = json.loads(out)["results"]
    assert Path(first["output"]).is_file()
    assert "No pasted region was found" in second["error"]
    assert [path.name for path in (folder / "results").iterdir()] == ["one.png"]
    assert err.count("error:") == 1


def test_harmonize_json_holds_harmony_scores_before_and_after(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        capsys, "harmonize", folder / "composite.png", "--mask", folder / "mask.png", "--model", "reinhard", "--json"
    )
    assert code == 0
    harmony = json.loads(out)["harmony"]
    assert 0 <= harmony["before"] < 0.25
    assert harmony["after"] == 1


def test_harmony_score_sees_the_background_of_a_cut_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pixels, mask = composite()
    hard = np.where(mask > 127, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([pixels, hard])).save(folder / "cut.png")
    Image.fromarray(hard).save(folder / "hard.png")
    out, same = (
        json.loads(run(capsys, "harmonize", *words, "--model", "reinhard", "-o", folder / "out.png", "--json")[1])
        for words in ((folder / "cut.png",), (folder / "composite.png", "--mask", folder / "hard.png"))
    )
    assert out["harmony"] == same["harmony"]
    assert out["harmony"]["before"] < 0.3


def test_detect_inverts_and_refines_the_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, options = folder / "composite.png", ("--invert-mask", "--grow", -3)
    assert run(capsys, "detect", source, "-o", folder / "plain.png")[0] == 0
    assert run(capsys, "detect", source, "-o", folder / "changed.png", *options)[0] == 0
    plain, changed = (load_image(folder / f"{name}.png").pixels[..., 0] for name in ("plain", "changed"))
    np.testing.assert_array_equal(changed, refine_edges(invert_mask(plain), EdgeSettings(grow=-3)))
    assert (changed > 127).mean() < (plain < 128).mean()


@pytest.mark.parametrize(
    ("call", "report", "mode"),
    [
        ("cutout", "2 of 3 images cut out into out", "RGBA"),
        ("cutout --mask-only", "2 of 3 masks written into out", "L"),
        ("detect", "2 of 3 masks written into out", "L"),
    ],
)
def test_folders_are_processed_past_damaged_files(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    report: str,
    mode: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    pixels, _ = composite()
    for name in ("a.jpg", "c.png"):
        Image.fromarray(pixels).save(Path("in", name))
    Path("in/b.png").write_bytes(b"no image")
    code, out, err = run(capsys, *call.split(), "in", "-o", "out", "--likeliest")
    assert (code, out.strip()) == (0, report)
    assert "b.png" in err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "c.png"]
    for path in Path("out").iterdir():
        with Image.open(path) as written:
            assert (written.mode, written.size) == (mode, pixels.shape[1::-1])
    assert run(capsys, *call.split(), "in")[0] == 2  # the folder of the results is missing


@pytest.mark.parametrize(
    "call",
    [
        "cutout . -o out --model nope",
        "detect . -o out --device gpu",
        "harmonize . --auto-mask -o out --model nope",
        "harmonize . --mask subject -o out --reference missing.png",
    ],
)
def test_an_error_that_concerns_all_images_of_a_folder_is_reported_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.chdir(folder)
    failed(folder, run(capsys, *call.split()))
    assert not (folder / "out").exists()
