# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of data sets of any size and of models of any kind."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import EngineError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training import evaluation
from s2am_engine.training.dataset_readers import Pair
from s2am_engine.training.evaluation import EvaluationOptions
from s2am_engine.training.loaded_pairs import group_of
from s2am_engine.types import Pixels
from tests.engine.fake_networks import KNOWN_MAP, KnownColors, Spotter
from tests.engine.pictures import composite

NATIVE = EvaluationOptions(native=True)


def write_pair(folder: Path, name: str, pixels: Pixels, mask: Pixels, target: Pixels) -> None:
    """Add a pair to a data set."""
    pictures = {f"composite_images/{name}_1_1": pixels, f"masks/{name}_1": mask, f"real_images/{name}": target}
    for path, picture in pictures.items():
        file = folder / f"{path}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(picture).save(file)


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """Two pairs whose target is the known map of the composite; the second has no blue region."""
    pixels, mask = composite(180, 240)
    for name, picture in (("blue", pixels), ("red", np.ascontiguousarray(pixels[..., ::-1]))):
        write_pair(tmp_path, name, picture, mask, apply_color_map(KNOWN_MAP, picture, mask))
    return tmp_path


def test_evaluate_measures_all_and_draws_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, mask = composite()
    for index in range(7):
        write_pair(tmp_path, f"p{index}", pixels, mask, np.roll(pixels, 1, axis=2))
    monkeypatch.setattr(evaluation, "MOST_SHOWN", 3)
    sheet = io.BytesIO()
    found = evaluation.evaluate_harmonizers(tmp_path, [Harmonizer("concord", "cpu")], sheet=sheet)
    assert len(found.names) == len(found.models[0].images) == 7
    everything = io.BytesIO()
    monkeypatch.setattr(evaluation, "MOST_SHOWN", 120)
    evaluation.evaluate_harmonizers(tmp_path, [Harmonizer("concord", "cpu")], sheet=everything)
    # Three images are side by side: one line instead of three.
    assert Image.open(sheet).height < 0.5 * Image.open(everything).height


def test_evaluate_mask_free_network(known: Path) -> None:
    harmonizers = [Harmonizer.from_network(KnownColors(), 96, "cpu"), Harmonizer.from_network(Spotter(), 64, "cpu")]
    found = evaluation.evaluate_harmonizers(known, harmonizers)
    output = found.to_json()
    painter, spotter = output["models"]
    assert [image["name"] for image in spotter["images"]] == ["blue_1_1", "red_1_1"]
    assert "mask" not in painter
    assert painter["psnr"] > 50
    seen, missed = spotter["images"]
    assert seen["mask"]["iou"] > 0.9
    assert seen["mask"]["mae"] < 0.02
    assert seen["psnr"] > output["untouched"]["images"][0]["psnr"] + 3
    assert (missed["mask"]["iou"], missed["mask"]["f1"]) == (0, 0)
    assert missed["psnr"] == output["untouched"]["images"][1]["psnr"]
    assert spotter["mask"]["iou"] == pytest.approx(seen["mask"]["iou"] / 2)
    assert f"{spotter['mask']['iou']:.3f}" in found.to_table()


def test_evaluate_native_measures_own_pixels(known: Path) -> None:
    harmonizers = [
        Harmonizer.from_network(KnownColors(), 64, "cpu", name="one"),
        Harmonizer.from_network(Spotter(), 64, "cpu", name="two"),
    ]
    sheet = io.BytesIO()
    found = evaluation.evaluate_harmonizers(known, harmonizers, NATIVE, sheet=sheet)
    assert found.size == 64
    one, two = found.models
    # Both reproduce the target, up to the edge and to rounding; the second omits regions that are not blue.
    assert min(score.psnr for score in one.images) > 38
    assert two.images[0].psnr > found.untouched.images[0].psnr + 3
    assert two.masks[0].iou > 0.9
    assert two.masks[1].iou == 0
    assert Image.open(sheet).width > 0


def test_evaluate_native_refuses_different_sizes(known: Path) -> None:
    harmonizers = [Harmonizer.from_network(KnownColors(), size, "cpu", name=f"p{size}") for size in (64, 96)]
    with pytest.raises(EngineError, match=r"different input sizes \(p64 64×64, p96 96×96\): measure them one by one"):
        evaluation.evaluate_harmonizers(known, harmonizers, NATIVE)


def test_loaded_foreground_is_never_empty(tmp_path: Path) -> None:
    pixels, mask = composite(180, 240)
    mask[:] = 0
    mask[50, 60] = 255
    target = pixels.copy()
    target[50, 60] = 255 - target[50, 60]
    write_pair(tmp_path, "dot", pixels, mask, target)
    found = evaluation.evaluate_harmonizers(tmp_path, [Harmonizer.from_network(KnownColors(), 32, "cpu")], NATIVE)
    assert found.untouched.mean.fmse > 0
    assert found.untouched.mean.fpsnr < 60


def test_group_of_is_the_subfolder_or_the_source_in_the_name() -> None:
    def group(name: str, subset: str = "") -> str:
        return group_of(Pair(name, Path(), Path(), Path(), subset))

    names = ["a0065_1_2", "c102344_1_1", "d90000014-10_1_9", "f160_1_2", "bsds-1_1_1", "flower_1_1", "a1_2"]
    assert [group(name) for name in names] == ["HAdobe5k", "HCOCO", "Hday2night", "HFlickr", "", "", ""]
    assert group("HCOCO/c1_1_1", "HCOCO") == "HCOCO"


def test_evaluate_gives_means_by_source(tmp_path: Path) -> None:
    pixels, mask = composite(60, 80)
    for name, shift in (("a1", 10), ("f1", 20), ("f2", 40), ("x", 5)):
        write_pair(tmp_path, name, pixels, mask, np.minimum(pixels, 255 - shift) + np.uint8(shift))
    found = evaluation.evaluate_harmonizers(tmp_path, [Harmonizer.from_network(KnownColors(), 32, "cpu")])
    subsets = found.to_json()["untouched"]["subsets"]
    assert {name: part["pictures"] for name, part in subsets.items()} == {"HAdobe5k": 1, "HFlickr": 2, "other": 1}
    images = {image["name"]: image["psnr"] for image in found.to_json()["untouched"]["images"]}
    assert subsets["HFlickr"]["psnr"] == pytest.approx((images["f1_1_1"] + images["f2_1_1"]) / 2)
    assert "HFlickr: 2 images" in found.to_table()


def test_evaluate_takes_a_foreground_at_the_border_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels, mask = composite(60, 80)
    write_pair(tmp_path, "around", pixels, 255 - mask, pixels)
    evaluation.evaluate_harmonizers(tmp_path, [Harmonizer.from_network(KnownColors(), 32, "cpu")])
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_sheet_is_sorted_by_gain_the_least_first(known: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def draw(rows: object, captions: list[str], *_: object, **__: object) -> Image.Image:
        drawn.extend(captions)
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr(evaluation, "draw_contact_sheet", draw)
    harmonizer = Harmonizer.from_network(Spotter(), 64, "cpu")
    found = evaluation.evaluate_harmonizers(known, [harmonizer], sheet=io.BytesIO())
    gains = [one.psnr - before.psnr for one, before in zip(found.models[0].images, found.untouched.images, strict=True)]
    assert gains[0] > 3 > gains[1]
    assert [caption.split(":")[0] for caption in drawn] == ["red_1_1", "blue_1_1"]
