# SPDX-License-Identifier: GPL-3.0-or-later
"""Photo cache: orientation and color of photographs, completeness, reuse, and reasons for skipped files."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from s2am_common.errors import EngineError
from s2am_common.paths import user_paths
from s2am_engine.image import icc
from s2am_engine.image.io import load_image
from s2am_engine.training import dataset_readers, photo_cache
from s2am_engine.training.dataset_readers import PhotoFile
from s2am_engine.training.photo_cache import CachedPhotographs, load_photographs
from s2am_engine.training.photo_reader import read_source, shrink_to_side
from tests.engine.icc import ADOBE, P3, adobe_curve, rgb_profile, srgb_curve
from tests.folders import redirect_cache

COFFEE: NDArray[np.uint8] = data.coffee()  # 400 × 600


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache folder."""
    redirect_cache(monkeypatch, tmp_path / "cache")
    return user_paths().cache / "albums"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photographs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("astronaut", "chelsea", "coffee"):
        Image.fromarray(getattr(data, name)()).save(folder / f"{name}.jpg", quality=95)
    return folder


def same(one: CachedPhotographs, other: CachedPhotographs) -> bool:
    """Return whether two caches have equal contents."""
    return one.skipped == other.skipped and all(
        first.name == second.name
        and np.array_equal(first.image, second.image)
        and np.array_equal(first.regions, second.regions)
        for first, second in zip(one, other, strict=True)
    )


def read(path: Path, long_side: int = 150, labels: Path | None = None) -> NDArray[np.uint8]:
    """Return a reduced photograph."""
    return read_source(PhotoFile("it", path, labels), long_side)[0]


def distance(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the mean difference in 8-bit levels."""
    return float(np.abs(one.astype(int) - other).mean())


def test_load_photographs_from_a_plain_folder(photos: Path, cache: Path) -> None:
    (photos / "2024").mkdir()
    (photos / "coffee.jpg").rename(photos / "2024" / "a coffee.1.JPG")
    (photos / "notes.txt").write_text("no picture")
    for hidden in (".thumbnails/chelsea.jpg", "._chelsea.jpg"):
        (photos / hidden).parent.mkdir(exist_ok=True)
        (photos / hidden).write_bytes((photos / "chelsea.jpg").read_bytes())
    made = load_photographs(photos, None, long_side=96)
    again = load_photographs(photos, None, long_side=96)
    assert [photograph.name for photograph in made] == ["2024/a coffee.1", "astronaut", "chelsea"]
    assert same(made, again)
    assert len(list(cache.iterdir())) == 1
    for photograph in made:
        assert photograph.image.dtype == np.uint8
        assert max(photograph.image.shape) == 96
        assert 1 <= len(photograph.regions) <= 6
        assert all(region.shape == photograph.image.shape[:2] for region in photograph.regions)
        assert all(region.dtype == np.bool_ and region.any() for region in photograph.regions)
    assert made[-1].name == made[2].name == "chelsea"
    assert [photograph.name for photograph in made[1:]] == ["astronaut", "chelsea"]
    with pytest.raises(IndexError):
        made[3]


def test_find_photographs_puts_each_into_one_split(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_readers, "VALIDATION_SHARE", 0.5)
    names = [{source.name for source in dataset_readers.find_photographs(photos, split)} for split in ("train", "val")]
    assert names[0] | names[1] == {"astronaut", "chelsea", "coffee"}
    assert not names[0] & names[1]
    monkeypatch.setattr(dataset_readers, "VALIDATION_SHARE", 0.0)
    with pytest.raises(EngineError, match=r"holds no photographs for “val”, only 3 others: add some dozens more\."):
        load_photographs(photos, "val")


def test_find_photographs_reads_an_index(photos: Path) -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[10:30, 10:40], labels[32:38, 5:55] = 7, 9
    Image.fromarray(labels).save(photos / "labels.png")
    rows = ["name,image,regions,split", "one,coffee.jpg,labels.png,train", "two,chelsea.jpg,,val", "no,gone.jpg,,train"]
    (photos / "index.csv").write_text("\n".join(rows))
    train = load_photographs(photos, "train", long_side=60)
    assert [photograph.name for photograph in train] == ["one"]
    for region, label in zip(train[0].regions, (7, 9), strict=True):
        np.testing.assert_array_equal(region, labels == label)
    assert [(one.path.name, one.why) for one in train.skipped] == [
        ("gone.jpg", "does not exist: check the name and the folder")
    ]
    assert [photograph.name for photograph in load_photographs(photos, None)] == ["one", "two"]
    (photos / "index.csv").write_text("file\ncoffee.jpg")
    with pytest.raises(EngineError, match=r"index.csv can't be used: it needs the columns name, image, regions and"):
        load_photographs(photos, "train")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_read_reduced_applies_exif_orientation(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(COFFEE).save(tmp_path / "it.jpg", quality=95, exif=exif)
    found = read(tmp_path / "it.jpg")
    upright = load_image(tmp_path / "it.jpg").pixels
    assert found.shape == ((150, 100, 3) if orientation > 4 else (100, 150, 3))
    assert distance(found, shrink_to_side(upright, 150)) < 1.5


@pytest.mark.parametrize("profile", [rgb_profile(P3, srgb_curve), rgb_profile(ADOBE, adobe_curve)], ids=["P3", "Adobe"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_read_reduced_converts_profiles_to_srgb(suffix: str, profile: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"it{suffix}"
    Image.fromarray(COFFEE).save(path, icc_profile=profile, quality=95)
    whole = load_image(path)
    assert whole.profile == profile
    found = read(path)
    assert distance(found, shrink_to_side(icc.to_srgb(whole.pixels, profile), 150)) < 1.5
    assert distance(found, shrink_to_side(whole.pixels, 150)) > 3


def write_opaque(path: Path) -> None:
    """An alpha channel that hides nothing."""
    Image.fromarray(COFFEE).convert("RGBA").save(path)


def write_deep(path: Path) -> None:
    """16 bits."""
    tifffile.imwrite(path, COFFEE.astype(np.uint16) * 257)


@pytest.mark.parametrize(("name", "write"), [("opaque.png", write_opaque), ("deep.tif", write_deep)])
def test_read_reduced_reads_other_formats(name: str, write: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path / name)
    assert distance(read(tmp_path / name), shrink_to_side(COFFEE, 150)) < 1


def test_read_reduced_keeps_ratio_and_never_enlarges(tmp_path: Path) -> None:
    Image.fromarray(COFFEE[:80, :90]).save(tmp_path / "small.jpg")
    assert read(tmp_path / "small.jpg").shape == (80, 90, 3)
    large = cv2.resize(COFFEE, (3000, 1001), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(tmp_path / "large.jpg")
    assert read(tmp_path / "large.jpg", 192).shape == (64, 192, 3)


def test_read_source_resizes_labels(tmp_path: Path) -> None:
    Image.fromarray(COFFEE).save(tmp_path / "it.jpg")
    numbers = np.zeros((400, 600), np.uint16)
    numbers[100:300, 100:300], numbers[300:, 500:] = 3, 700
    Image.fromarray(numbers).save(tmp_path / "deep.png")
    _, labels = read_source(PhotoFile("it", tmp_path / "it.jpg", tmp_path / "deep.png"), 150)
    assert labels is not None
    np.testing.assert_array_equal(labels, numbers[2::4, 2::4])
    palette = Image.fromarray(numbers.astype(np.uint8), "P")
    palette.putpalette([255 - number // 3 for number in range(768)])
    palette.save(tmp_path / "palette.png")
    _, labels = read_source(PhotoFile("it", tmp_path / "it.jpg", tmp_path / "palette.png"), 150)
    np.testing.assert_array_equal(labels, numbers.astype(np.uint8)[2::4, 2::4])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((600, 400), np.uint8), r"it.jpg has labels of another aspect ratio: label the image in"),
        (np.zeros((400, 600, 3), np.uint8), r"labels.png is no label map, for it has several channels: save it in"),
        (None, r"labels.png can't be read as a label map: bring it back"),
    ],
)
def test_read_source_refuses_labels_of_another_shape(labels: NDArray[Any] | None, message: str, tmp_path: Path) -> None:
    Image.fromarray(COFFEE).save(tmp_path / "it.jpg")
    if labels is not None:
        Image.fromarray(labels).save(tmp_path / "labels.png")
    with pytest.raises(EngineError, match=message):
        read(tmp_path / "it.jpg", labels=tmp_path / "labels.png")


def test_load_photographs_lists_skipped_files(photos: Path) -> None:
    (photos / "a.gif").write_bytes(b"GIF89a")
    (photos / "b.NEF").write_bytes(b"MM\0*")
    (photos / "coffee.cr2").write_bytes(b"II*\0")  # is there as JPEG, too
    (photos / "c.jpg").write_bytes(b"")
    (photos / "d.jpg").write_bytes((photos / "coffee.jpg").read_bytes()[:9000])
    (photos / "e.jpg").write_bytes(b"\0\0\0\x18ftypqt  ")
    Image.fromarray(COFFEE[:63]).save(photos / "f.png")
    Image.fromarray(data.camera()).convert("RGB").save(photos / "g.jpg")
    Image.fromarray(np.full((100, 120, 3), (200, 120, 60), np.uint8)).save(photos / "h.png")
    Image.fromarray(np.dstack([COFFEE, np.tile(np.array([0, 255], np.uint8), (400, 300))])).save(photos / "i.png")
    found = load_photographs(photos, None)
    assert [photograph.name for photograph in found] == ["astronaut", "chelsea", "coffee"]
    assert {one.path.name: one.why for one in found.skipped} == {
        "a.gif": "a GIF file is not read here: export it as JPEG",
        "b.NEF": "a camera raw file is not read here: export it as JPEG",
        "c.jpg": "empty (0 bytes): copy or download it again",
        "d.jpg": "damaged or incomplete: copy or download it again",
        "e.jpg": "a video file: save one frame as PNG first",
        "f.png": "smaller than 64 pixels: bring it in its full size",
        "g.jpg": "black and white: bring it in color",
        "h.png": "nothing in it could be a foreground: bring photographs of people or things",
        "i.png": "partly transparent: flatten it onto a background first",
    }
    assert load_photographs(photos, None).skipped == found.skipped


def test_find_photographs_reports_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(EngineError, match=r"holds no photographs: name a folder with JPEG, PNG, WebP or TIFF files\."):
        load_photographs(tmp_path / "photos", "train")
    with pytest.raises(EngineError, match=r"is not a folder: name a folder with photographs\."):
        dataset_readers.find_photographs(tmp_path / "nowhere", "train")


def test_load_photographs_reports_unusable_folders(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "photos").mkdir()
    for index in range(3):
        (tmp_path / "photos" / f"{index}.gif").write_bytes(b"GIF89a")
    (tmp_path / "photos" / "3.jpg").write_bytes(b"")
    with pytest.raises(EngineError, match=r"3 of them: “a GIF file is not read"):
        load_photographs(tmp_path / "photos", None)
    assert not list(cache.iterdir())


def test_load_photographs_notices_edited_files(photos: Path) -> None:
    before = load_photographs(photos, None)
    changed = before[1].image[:, ::-1]
    Image.fromarray(np.ascontiguousarray(changed)).save(photos / "chelsea.jpg", quality=95)
    after = load_photographs(photos, None)
    assert distance(after[1].image, changed) < 3
    assert np.array_equal(after[0].image, before[0].image)


def test_load_photographs_is_independent_of_threads(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(7):
        Image.fromarray(np.roll(COFFEE, 70 * index, axis=1)).save(photos / f"{index}.png")
    found = []
    for threads, place in ((1, "one"), (4, "four")):
        monkeypatch.setattr(os, "cpu_count", lambda threads=threads: threads)
        found.append(load_photographs(photos, None))
        cache.rename(cache.with_name(place))
    assert same(*found)
    assert len(found[0]) == 10


class CancelledError(Exception):
    """Raised by a progress callback."""


def test_load_photographs_canceled_leaves_nothing(photos: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for index in range(50):
        (photos / f"{index}.jpg").hardlink_to(photos / "coffee.jpg")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    read: list[str] = []

    def watched(source: PhotoFile, long_side: int) -> tuple[NDArray[np.uint8], NDArray[np.integer] | None]:
        read.append(source.name)
        return read_source(source, long_side)

    monkeypatch.setattr(photo_cache, "read_source", watched)

    def progress(done: int, total: int) -> None:
        assert total == 53
        if done == 3:
            raise CancelledError

    with pytest.raises(CancelledError):
        load_photographs(photos, None, progress=progress)
    assert len(read) < 20
    assert not list(cache.iterdir())


@pytest.mark.parametrize("file", [photo_cache.PIXELS, photo_cache.REGIONS, photo_cache.CACHE_INDEX])
def test_open_cached_replaces_damaged_caches(file: str, photos: Path, cache: Path) -> None:
    for name in ("astronaut.jpg", "coffee.jpg"):
        (photos / name).unlink()
    image = np.array(load_photographs(photos, None, 96)[0].image)
    path = next(cache.glob(f"*/{file}"))
    content = path.read_bytes()
    for left in (None, 0, 200):
        path.unlink()
        if left is not None:
            path.write_bytes(content[:left])
        (again,) = load_photographs(photos, None, 96)
        assert np.array_equal(again.image, image)
        assert path.read_bytes() == content


def test_move_into_place_accepts_a_concurrent_cache(photos: Path, cache: Path) -> None:
    found: list[CachedPhotographs] = []

    def progress(done: int, total: int) -> None:
        if done == total:
            found.append(load_photographs(photos, None))

    mine = load_photographs(photos, None, progress=progress)
    assert same(mine, found[0])
    assert [place.name.startswith(".") for place in cache.iterdir()] == [False]


def test_drop_unused_removes_old_caches(photos: Path, cache: Path) -> None:
    load_photographs(photos, None, 80)
    load_photographs(photos, None, 90)
    broken_off = cache / ".killed"
    broken_off.mkdir()
    long_ago = time.time() - 61 * 86400
    for place in cache.iterdir():
        os.utime(place, (long_ago, long_ago))
    load_photographs(photos, None, 80)  # used: counts from now on
    load_photographs(photos, None, 100)
    assert len(list(cache.iterdir())) == 2
    assert not broken_off.exists()


def test_load_photographs_reports_an_unwritable_cache(photos: Path, cache: Path) -> None:
    cache.parent.parent.mkdir(parents=True, exist_ok=True)
    cache.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(EngineError, match=r"albums can't be written to \(.*\): free some space, or allow writing\."):
        load_photographs(photos, None)


def test_load_photographs_accepts_names_that_are_not_unicode(photos: Path) -> None:
    content = io.BytesIO()
    Image.fromarray(COFFEE).save(content, "JPEG")
    try:
        Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.jpg")).write_bytes(content.getvalue())
    except OSError:
        pytest.skip("this file system takes Unicode names alone")
    assert len(load_photographs(photos, None)) == len(load_photographs(photos, None)) == 4
