# SPDX-License-Identifier: GPL-3.0-or-later
"""iHarmony4 in its published layout: four subsets with lists for training and testing."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import EngineError
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training.dataset_readers import find_pairs, has_pairs
from s2am_engine.training.evaluation import Evaluation, PairResult, evaluate_harmonizers, measure_pairs
from s2am_engine.training.loaded_pairs import LoadedPair, load_pair
from tests.engine.fake_networks import KnownColors
from tests.engine.pictures import composite

# Names consist of photograph, mask and color change.
SUBSETS = {
    "HAdobe5k": ["a0001_1_1", "a0001_1_2", "a0002_1_5"],
    "HCOCO": ["c100010_1124_1", "c100010_1124_2", "c99_12_2"],
    "HFlickr": ["f1002_1_1", "f1002_1_2"],
    "Hday2night": ["d90000014-1_1_10", "d90000014-9_1_3"],
}
TEST = {"HAdobe5k": [2], "HCOCO": [0, 2], "HFlickr": [1], "Hday2night": [0]}


@pytest.fixture
def iharmony(tmp_path: Path) -> Path:
    """A tiny iHarmony4 with the lists of each subset."""
    pixels, mask = composite(72, 96)
    target = np.ascontiguousarray(pixels[..., ::-1])
    for subset, names in SUBSETS.items():
        for part in ("composite_images", "masks", "real_images"):
            (tmp_path / subset / part).mkdir(parents=True, exist_ok=True)
        for name in names:
            masked, real = name.rsplit("_", 1)[0], name.rsplit("_", 2)[0]
            Image.fromarray(pixels).save(tmp_path / subset / "composite_images" / f"{name}.jpg", quality=100)
            Image.fromarray(mask).save(tmp_path / subset / "masks" / f"{masked}.png")
            Image.fromarray(target).save(tmp_path / subset / "real_images" / f"{real}.jpg", quality=100)
        test = [names[index] for index in TEST[subset]]
        train = [name for name in names if name not in test]
        (tmp_path / subset / f"{subset}_test.txt").write_text("".join(f"{name}.jpg\n" for name in test))
        (tmp_path / subset / f"{subset}_train.txt").write_text("".join(f"{name}.jpg\n" for name in train))
    return tmp_path


def names_of(folder: Path, split: str | None) -> set[str]:
    """Return the names of a folder's pairs."""
    return {pair.name for pair in find_pairs(folder, split)}


def expected(split: str | None) -> set[str]:
    """Return the names of all subsets' pairs."""
    return {
        f"{subset}/{name}"
        for subset, names in SUBSETS.items()
        for index, name in enumerate(names)
        if split is None or (index in TEST[subset]) == (split == "test")
    }


def write_whole_lists(folder: Path, separator: str = "/") -> None:
    """Replace the lists in the subsets by one list per split for all of them."""
    for path in folder.glob("*/*.txt"):
        path.unlink()
    for split in ("train", "test"):
        lines = [name.replace("/", "/composite_images/").replace("/", separator) for name in sorted(expected(split))]
        (folder / f"IHD_{split}.txt").write_text("\n".join([*(f"{line}.jpg" for line in lines), "", ""]))


@pytest.mark.parametrize("split", [None, "train", "test"])
def test_find_pairs_follows_split_lists(split: str | None, iharmony: Path) -> None:
    assert names_of(iharmony, split) == expected(split)
    for pair in find_pairs(iharmony, split):
        folder = iharmony / pair.subset
        real = pair.composite.stem.rsplit("_", 2)[0]
        assert pair.name == f"{pair.subset}/{pair.composite.stem}"
        assert pair.composite.parent == folder / "composite_images"
        assert pair.mask == folder / "masks" / f"{pair.composite.stem.rsplit('_', 1)[0]}.png"
        assert pair.target == folder / "real_images" / f"{real}.jpg"
    write_whole_lists(iharmony)
    assert names_of(iharmony, split) == expected(split)
    write_whole_lists(iharmony, "\\")
    assert names_of(iharmony, split) == expected(split)


@pytest.mark.parametrize("subset", SUBSETS)
def test_find_pairs_in_one_subset(subset: str, iharmony: Path) -> None:
    names = SUBSETS[subset]
    assert names_of(iharmony / subset, None) == set(names)
    assert names_of(iharmony / subset, "test") == {names[index] for index in TEST[subset]}
    assert {pair.subset for pair in find_pairs(iharmony / subset)} == {""}
    # Lines with a path are equivalent.
    path = iharmony / subset / f"{subset}_test.txt"
    path.write_text(f"{subset}/composite_images/{names[0]}.jpg\n")
    assert names_of(iharmony / subset, "test") == {names[0]}


def test_find_pairs_without_lists(iharmony: Path) -> None:
    for path in iharmony.glob("*/*.txt"):
        path.unlink()
    assert names_of(iharmony, "test") == names_of(iharmony, "train") == expected(None)


def test_has_pairs(iharmony: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    assert has_pairs(iharmony)
    assert has_pairs(iharmony / "HCOCO")
    assert not has_pairs(iharmony / "HCOCO" / "masks")
    assert not has_pairs(iharmony / "nowhere")
    assert not has_pairs(tmp_path_factory.mktemp("photos"))


def test_find_pairs_reports_missing_images(iharmony: Path) -> None:
    coco = iharmony / "HCOCO"
    (coco / "masks" / "c100010_1124.png").unlink()
    (coco / "real_images" / "c99.jpg").unlink()
    message = r"HCOCO lacks “masks/c100010_1124” \(images missing: 2\): copy or download it again\."
    for folder, split in ((iharmony, None), (iharmony, "test"), (coco, None)):
        with pytest.raises(EngineError, match=message):
            find_pairs(folder, split)
    # Missing files that are not needed are no error.
    (coco / "HCOCO_train.txt").write_text("")
    assert not any(name.startswith("HCOCO") for name in names_of(iharmony, "train"))
    (coco / "HCOCO_train.txt").write_text("c5_1_1.jpg\nc99_12_2.jpg")
    with pytest.raises(EngineError, match=r"lacks “composite_images/c5_1_1” \(images missing: 4\)"):
        find_pairs(coco, "train")
    shutil.rmtree(coco / "real_images")
    with pytest.raises(EngineError, match=r"HCOCO lacks “masks/c100010_1124” \(images missing: 3\)"):
        find_pairs(coco)


def test_find_pairs_reports_incomplete_layouts(iharmony: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(EngineError, match=r"is not in iHarmony4's layout: it needs composite_images, masks and real"):
        find_pairs(tmp_path_factory.mktemp("photos"))
    (iharmony / "HFlickr" / "HFlickr_test.txt").unlink()
    with pytest.raises(EngineError, match=r"HFlickr has no list of its “test” pairs \(\*_test.txt\): download it"):
        find_pairs(iharmony, "test")
    (iharmony / "HFlickr" / "HFlickr_test.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(EngineError, match=r"HFlickr_test.txt can't be read: download it again\."):
        find_pairs(iharmony, "test")
    write_whole_lists(iharmony)
    shutil.rmtree(iharmony / "HFlickr")
    with pytest.raises(EngineError, match=r"lacks HFlickr \(listed pairs missing: 1\): bring that folder, or name"):
        find_pairs(iharmony, "test")
    for path in (iharmony / "HCOCO" / "composite_images").iterdir():
        path.unlink()
    with pytest.raises(EngineError, match=r"HCOCO holds no pairs to use: copy or download it again\."):
        find_pairs(iharmony / "HCOCO")


def test_evaluate_reports_subsets(iharmony: Path) -> None:
    pixels, _ = composite(72, 96)
    better = Image.fromarray(np.ascontiguousarray(pixels[..., ::-1]) // 2 + pixels // 2)
    better.save(iharmony / "HCOCO" / "composite_images" / "c99_12_2.jpg", quality=100)
    sheet = io.BytesIO()
    found = evaluate_harmonizers(iharmony, [Harmonizer.from_network(KnownColors(), 64, "cpu", name="it")], sheet=sheet)
    assert set(found.names) == expected("test")
    output = found.to_json()
    assert "subsets" not in output
    for row in (output["untouched"], *output["models"]):
        assert {name: part["pictures"] for name, part in row["subsets"].items()} == {
            "HAdobe5k": 1,
            "HCOCO": 2,
            "HFlickr": 1,
            "Hday2night": 1,
        }
        images = [image for image in row["images"] if image["name"].startswith("HCOCO/")]
        for figure in ("psnr", "mse", "fmse", "ssim"):
            assert row["subsets"]["HCOCO"][figure] == pytest.approx(np.mean([image[figure] for image in images]))
    untouched = output["untouched"]["subsets"]
    assert untouched["HCOCO"]["psnr"] > untouched["HFlickr"]["psnr"] + 1
    table = found.to_table()
    assert f"HCOCO: 2 images\nuntouched composite     {untouched['HCOCO']['psnr']:8.2f}" in table
    assert Image.open(sheet).width > 0


def test_evaluate_one_subset_has_no_parts(iharmony: Path) -> None:
    found = evaluate_harmonizers(iharmony / "HCOCO", [])
    assert len(found.names) == 2
    assert "subsets" not in found.to_json()["untouched"]
    assert "\n\n" not in found.to_table()


def test_measure_pairs_equals_evaluate(iharmony: Path) -> None:
    harmonizers = [Harmonizer.from_network(KnownColors(), 64, "cpu", name="it")]
    on_disk = evaluate_harmonizers(iharmony / "HAdobe5k", harmonizers)
    (pair,) = [load_pair(pair) for pair in find_pairs(iharmony / "HAdobe5k", "test")]
    seen: list[tuple[str, str]] = []

    def watch(found: Evaluation, loaded: LoadedPair, results: Sequence[PairResult]) -> None:
        seen.append((found.names[-1], loaded.name))
        assert results[0].pixels.shape == loaded.composite.shape

    in_memory = measure_pairs(iter([pair]), harmonizers, "held out", watch=watch)
    assert in_memory.dataset == "held out"
    assert in_memory.models == on_disk.models
    assert in_memory.untouched == on_disk.untouched
    assert seen == [(pair.name, pair.name)]
