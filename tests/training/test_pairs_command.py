# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am pairs`: a sheet of training pairs, or a data set of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from s2am_engine.cli import main as cli
from s2am_engine.training.dataset_readers import find_pairs
from tests.engine.test_cli import failed, run
from tests.folders import redirect_cache


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs, a version of each in another folder, and an unreadable file."""
    redirect_cache(monkeypatch, tmp_path / "cache")
    monkeypatch.setattr("s2am_engine.training.dataset_readers.split_of", lambda name: "train")
    for version, gain in (("own", 1.0), ("retouched", 0.7)):
        (tmp_path / "photos" / version).mkdir(parents=True)
        for name in ("astronaut", "chelsea", "coffee"):
            small = np.asarray(getattr(data, name)()[::3, ::3] * gain, np.uint8)
            Image.fromarray(small).save(tmp_path / "photos" / version / f"{name}.png")
    (tmp_path / "photos" / "own" / "phone.heic").write_bytes(b"from a phone")
    return tmp_path / "photos"


def test_pairs_command_draws_a_sheet(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["pairs", photos / "own", "--count", "6", "--size", "64", "--sheet"]
    code, out, err = run(capsys, *line, tmp_path / "one.png", "--json")
    output = json.loads(out)
    assert (code, output["pairs"], output["photographs"]) == (0, 6, 3)
    assert [Path(one["path"]).name for one in output["skipped"]] == ["phone.heic"]
    code, out, err = run(capsys, *line, tmp_path / "two.png")
    assert "6 pairs of 3 photographs" in out
    assert "left out" in err
    assert "phone.heic: not an image that can be read" in err
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes(), "the same seed, the same pairs"
    run(capsys, *line, tmp_path / "three.png", "--seed", "1")
    assert (tmp_path / "one.png").read_bytes() != (tmp_path / "three.png").read_bytes()


@pytest.mark.parametrize("kind", ["recolored", "swapped"])
def test_pairs_command_writes_a_data_set(
    kind: str, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = photos if kind == "swapped" else photos / "own"
    code, out, _ = run(capsys, "pairs", source, "-o", tmp_path / "set", "--kind", kind, "--count", "3", "--json")
    assert code == 0
    output = json.loads(out)
    pairs = find_pairs(tmp_path / "set")
    assert output["pairs"] == len(pairs) == 3
    for pair in pairs:
        composite, target = (np.asarray(Image.open(path)) for path in (pair.composite, pair.target))
        mask = np.asarray(Image.open(pair.mask))
        assert np.array_equal(composite[mask == 0], target[mask == 0])
        assert not np.array_equal(composite, target)


def test_pairs_command_refuses_conflicting_options(photos: Path, tmp_path: Path) -> None:
    for line in (["--sheet", "a.png", "-o", "b"], ["--kind", "swapped"], ["--count", "0"]):
        with pytest.raises(SystemExit) as stopped:
            cli.main(["pairs", str(photos), *line])
        assert stopped.value.code == 2


def test_pairs_command_reports_unusable_photographs(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for line in (["--sheet", tmp_path / "a.png"], ["-o", tmp_path / "set"]):
        assert "holds no photographs" in failed(tmp_path, run(capsys, "pairs", tmp_path / "empty", *line))
    assert not (tmp_path / "a.png").exists()
    nowhere = run(capsys, "pairs", tmp_path / "nowhere", "-o", tmp_path / "set", "--kind", "swapped")
    assert "No image has the same name in two of the folders" in failed(tmp_path, nowhere)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.jpg").write_bytes(b"broken")
    assert "No pair could be made" in failed(
        tmp_path, run(capsys, "pairs", tmp_path / "broken", "-o", tmp_path / "other")
    )


def test_pairs_command_leaves_out_kinds(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["pairs", photos / "own", "--count", "4", "--size", "64", "--sheet"]
    sheets = []
    for name, left_out in (("all", []), ("some", ["--without", "transfers", "--without", "film"])):
        assert run(capsys, *line, tmp_path / f"{name}.png", *left_out)[0] == 0
        sheets.append((tmp_path / f"{name}.png").read_bytes())
    assert sheets[0] != sheets[1]
    every = [word for kind in ("renditions", "edits", "transfers") for word in ("--without", kind)]
    refused: tuple[tuple[list[str | Path], str], ...] = (
        (["--without", "scans"], "--without takes one of: renditions, edits, transfers, scenes, exposure"),
        ([*every], "At most two kinds of pairs"),
        (["--styles", photos], "does not hold styles"),
        (["--scenes", photos], "holds no scenes"),
    )
    for given, expected in refused:
        code, _, err = run(capsys, *line, tmp_path / "none.png", *given)
        assert code != 0
        assert expected in err
    assert not (tmp_path / "none.png").exists()
