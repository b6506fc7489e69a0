# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataset writers: valid pairs in the published layout, reproducible, and never half-written."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_engine.training import dataset_writers
from s2am_engine.training.dataset_readers import Pair, find_pairs
from s2am_engine.training.dataset_writers import auto_retouch, build_recolored, build_swapped, unique_names

SIDE = 96


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Ten photographs with label maps: two large regions and a small one each."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    labels = np.zeros((96, 120), np.uint8)
    labels[10:70, 5:45], labels[20:90, 60:100], labels[80:92, 10:30] = 1, 2, 3
    Image.fromarray(labels).save(folder / "labels.png")
    lines = ["name,image,regions,split"]
    for number in range(10):
        image = (data.astronaut(), data.coffee())[number % 2][20 * number :: 2, 7 * number :: 2][:96, :120]
        Image.fromarray(image).save(folder / f"{number}.png")
        lines.append(f"photo_{number},{number}.png,labels.png,train")
    (folder / "index.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture
def versions(tmp_path: Path) -> list[Path]:
    """Three folders with a dark, a plain and a bright version of two photographs."""
    folders = [tmp_path / name for name in ("dark", "plain", "bright")]
    for folder, brightness in zip(folders, (0.5, 0.75, 1.0), strict=True):
        folder.mkdir()
        for name, image in (("cat.png", data.chelsea()), ("cup.jpg", data.coffee())):
            Image.fromarray((image[::2, ::2] * brightness).astype(np.uint8)).save(folder / name, quality=95)
    return folders


def read(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    composite, mask, target = (
        np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.uint8)
        for path in (pair.composite, pair.mask, pair.target)
    )
    return composite, mask, target


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_build_recolored_changes_only_a_large_region(photographs: Path, tmp_path: Path) -> None:
    output: list[tuple[int, int]] = []
    out = tmp_path / "new" / "set"
    built = build_recolored(photographs, out, 10, long_side=SIDE, progress=lambda *done: output.append(done))
    assert (built.pairs, built.skipped) == (10, [])
    assert output == [(done, 10) for done in range(1, 11)]
    pairs = find_pairs(out)
    assert len(pairs) == 10
    for pair in pairs:
        composite, mask, target = read(pair)
        assert composite.shape == target.shape == (*mask.shape, 3)
        assert max(mask.shape) == SIDE
        assert sorted(np.unique(mask)) == [0, 255]
        assert (mask > 0).mean() > 0.15
        np.testing.assert_array_equal(composite[mask == 0], target[mask == 0])
        assert np.abs(composite[mask > 0].astype(int) - target[mask > 0]).mean() > 2


def test_build_recolored_is_deterministic(photographs: Path, tmp_path: Path) -> None:
    for folder, seed in (("one", 1), ("two", 1), ("three", 2)):
        build_recolored(photographs, tmp_path / folder / "set", 4, long_side=SIDE, seed=seed)
    one, two, three = (contents(tmp_path / folder) for folder in ("one", "two", "three"))
    assert one == two
    assert one != three


def test_write_dataset_splits_by_photograph(photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_writers, "TEST_SHARE", 0.5)
    out = tmp_path / "half"
    build_recolored(photographs, out, 20, long_side=SIDE)
    train, test = (find_pairs(out, split) for split in ("train", "test"))
    assert len(train) + len(test) == 20
    assert {pair.target for pair in train}.isdisjoint(pair.target for pair in test)
    assert train
    assert test
    assert (out / "half_test.txt").read_text().splitlines() == [pair.composite.name for pair in test]


def test_recolored_cycles_through_regions_then_changes(photographs: Path, tmp_path: Path) -> None:
    build_recolored(photographs, tmp_path / "set", 40, long_side=SIDE)
    names = {pair.name for pair in find_pairs(tmp_path / "set") if pair.name.startswith("photo_3_")}
    assert names == {"photo_3_1_1", "photo_3_2_1", "photo_3_1_2", "photo_3_2_2"}
    composites = {(tmp_path / "set" / "composite_images" / f"{name}.png").read_bytes() for name in names}
    assert len(composites) == 4


def test_write_dataset_interrupted_leaves_whole_files(photographs: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_recolored(photographs, tmp_path / "stopped", 6, long_side=SIDE, progress=stop)
    build_recolored(photographs, tmp_path / "whole", 6, long_side=SIDE)
    stopped, whole = contents(tmp_path / "stopped"), contents(tmp_path / "whole")
    assert len(find_pairs(tmp_path / "stopped")) == 3
    assert len(stopped) == 9
    assert stopped.items() <= whole.items()


def test_create_layout_refuses_a_folder_with_files(photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "holidays"
    out.mkdir()
    (out / "beach.jpg").write_bytes(b"mine")
    with pytest.raises(EngineError, match="holidays is not empty: name a new folder"):
        build_recolored(photographs, out, 1)
    assert contents(out) == {"beach.jpg": b"mine"}
    with pytest.raises(EngineError, match=r"beach.jpg cannot be used \(Not a directory\)"):
        build_recolored(photographs, out / "beach.jpg", 1)


def test_build_recolored_reports_skipped_photographs(photographs: Path, tmp_path: Path) -> None:
    (photographs / "4.png").write_bytes(b"not a picture")
    Image.new("RGB", (96, 80), "gold").save(photographs / "5.png")
    with (photographs / "index.csv").open("a") as index:
        index.write("\nnothing,5.png,,train")
    built = build_recolored(photographs, tmp_path / "set", 12, long_side=SIDE)
    assert built.pairs == 12
    reasons = {skipped.path.name: skipped.why for skipped in built.skipped}
    assert set(reasons) == {"4.png", "5.png"}
    assert "not an image" in reasons["4.png"]
    assert "nothing that could be a foreground" in reasons["5.png"]


def test_build_swapped_joins_two_versions(versions: list[Path], tmp_path: Path) -> None:
    built = build_swapped(versions, tmp_path / "set", 8, long_side=SIDE)
    assert (built.pairs, built.skipped) == (8, [])
    brightness = (0.5, 0.75, 1.0)
    for pair in find_pairs(tmp_path / "set"):
        composite, mask, target = read(pair)
        np.testing.assert_array_equal(composite[mask == 0], target[mask == 0])
        outside, inside = int(pair.target.stem[-1]), int(pair.name[-1])
        assert outside != inside
        ratio = composite[mask > 0].mean() / target[mask > 0].mean()
        assert ratio == pytest.approx(brightness[inside - 1] / brightness[outside - 1], rel=0.03)


def test_build_swapped_ends_when_choices_are_exhausted(versions: list[Path], tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for name, image in (("cat", data.chelsea()), ("cup", data.coffee())):
        drawn = np.zeros(image[::2, ::2].shape[:2], np.uint8)
        drawn[20:120, 30:130] = 1
        Image.fromarray(drawn).save(labels / f"{name}.png")
    built = build_swapped(versions[:2], tmp_path / "set", 100, regions=labels, long_side=SIDE)
    names = [pair.name for pair in find_pairs(tmp_path / "set")]
    assert built.pairs == 4
    assert names == ["cat-v1_1_2", "cat-v2_1_1", "cup-v1_1_2", "cup-v2_1_1"]
    _, mask, _ = read(find_pairs(tmp_path / "set")[0])
    assert (mask > 0).mean() == pytest.approx(100 * 100 / (150 * 226), rel=0.05)


def test_build_swapped_skips_versions_of_other_sizes(versions: list[Path], tmp_path: Path) -> None:
    with Image.open(versions[1] / "cat.png") as cat:
        cat.resize((cat.width // 2, cat.height // 2)).save(versions[1] / "cat.png")
    built = build_swapped(versions, tmp_path / "set", 4, long_side=SIDE)
    assert built.pairs == 4
    assert [skipped.path.name for skipped in built.skipped] == ["cat.png"]
    assert "differs in size from its other versions" in built.skipped[0].why


def test_build_swapped_refuses_folders_without_common_names(versions: list[Path], tmp_path: Path) -> None:
    for path in list(versions[0].iterdir()):
        path.rename(path.with_name(f"my {path.name}"))
    with pytest.raises(EngineError, match="No image has the same name in two of the folders"):
        build_swapped(versions[:2], tmp_path / "set", 4)
    with pytest.raises(EngineError, match="nowhere is not a folder"):
        build_swapped([*versions, tmp_path / "nowhere"], tmp_path / "set", 4)
    assert not (tmp_path / "set").exists()


def test_unique_names_across_folders() -> None:
    names = unique_names(["a/1", "a-1", "A-1", "b/1"])
    assert names[0] == "a-1"
    assert names[3] == "b-1"
    assert len({name.casefold() for name in names}) == 4
    assert not any("/" in name for name in names)


def test_auto_retouch_removes_cast_and_stretches_tones() -> None:
    ramp = np.repeat(np.linspace(40, 200, 256), 64).reshape(256, 64, 1)
    dull = (ramp * (1.0, 0.9, 0.8)).astype(np.uint8)
    retouched = auto_retouch(dull)
    cast, left = np.ptp(dull.mean(axis=(0, 1))) / 255, np.ptp(retouched.mean(axis=(0, 1)))
    assert left < 0.3 * cast
    assert np.ptp(retouched.mean(axis=2)) > 1.2 * np.ptp(dull.mean(axis=2)) / 255
