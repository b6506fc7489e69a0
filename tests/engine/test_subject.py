# SPDX-License-Identifier: GPL-3.0-or-later
"""Selecting the subject: the engine's functions and the command line, with networks of known results."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import ModelNotFoundError, NothingFoundError
from s2am_engine import SubjectSelector, select_subject
from s2am_engine.image.io import load_image
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from s2am_engine.inference.subject import keep_main_regions
from s2am_engine.models.model_store import SUBJECT_MODEL
from s2am_engine.networks import registry
from s2am_engine.networks.spec import NetworkSpec
from tests.engine.fake_networks import Doubter, Spotter, write_fake_model
from tests.engine.pictures import composite
from tests.engine.test_cli import failed, folder, run

__all__ = ["folder"]


@pytest.fixture(autouse=True)
def spotter(no_personal_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the model by one that selects blue regions, so the expected mask is known."""
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Spotter, "for tests", None, None))
    write_fake_model(no_personal_models, SUBJECT_MODEL, "spotter")


@pytest.fixture
def doubter(spotter: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the model by one that is not certain."""
    monkeypatch.setitem(registry.NETWORKS, "spotter", NetworkSpec("spotter", Doubter, "for tests", None, None))


def is_selected(found: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bool:
    here, there = found > 127, composite()[1] > 127
    return bool((here & there).sum() / (here | there).sum() > 0.85)


def test_transparent_margins_change_nothing() -> None:
    pixels, _ = composite()
    height, width = pixels.shape[:2]
    wide = np.zeros((2 * height, 5 * width, 3), np.uint8)
    alpha = np.zeros(wide.shape[:2], np.uint8)
    part = slice(height // 2, height // 2 + height), slice(3 * width, 4 * width)
    wide[part], alpha[part] = pixels, 255
    alone = SubjectSelector().select(wide, alpha=alpha)
    assert (alone.mask[part] == select_subject(pixels).mask).all()
    assert np.count_nonzero(alone.mask) == np.count_nonzero(alone.mask[part])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_select_subject_gives_mask_and_confidence(dtype: str) -> None:
    found = select_subject(composite(dtype=dtype)[0])
    assert is_selected(found.mask)
    assert 0.9 < found.confidence <= 1
    assert found.is_certain
    assert found.model == SUBJECT_MODEL


def test_keep_main_regions_removes_small_ones_with_their_soft_edges() -> None:
    mask = np.zeros((40, 60), np.float32)
    mask[5:25, 5:25] = 1
    mask[5:25, 30:40] = 0.9  # a second subject of half the area
    mask[30:36, 50:56] = 1
    mask[29:37, 49:57] = np.maximum(mask[29:37, 49:57], 0.3)
    mask[38, 5] = 0.4
    kept = keep_main_regions(mask)
    np.testing.assert_array_equal(kept[:29], mask[:29])
    assert not kept[29:].any()
    np.testing.assert_array_equal(keep_main_regions(mask * 0), mask * 0)


def test_select_subject_reports_that_there_is_none() -> None:
    with pytest.raises(NothingFoundError, match="no clear subject") as caught:
        select_subject(composite()[0][..., ::-1].copy(), likeliest=True)
    assert caught.value.code == "subject.not-found"
    blue = np.full((60, 80, 3), (90, 120, 220), np.uint8)
    with pytest.raises(NothingFoundError, match="whole image"):
        select_subject(blue)


@pytest.mark.usefixtures("doubter")
def test_likeliest_subject_must_be_asked_for() -> None:
    selector = SubjectSelector()
    with pytest.raises(NothingFoundError) as caught:
        selector.select(composite()[0])
    assert caught.value.fields["confidence"] == 0.3
    found = selector.select(composite()[0], likeliest=True)
    assert is_selected(found.mask)
    assert not found.is_certain


def test_transparent_parts_are_never_selected() -> None:
    pixels, _ = composite()
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:, :60] = 0
    mask = SubjectSelector().select(pixels, alpha=alpha).mask
    assert not mask[:, :60].any()
    assert mask.any()


def test_downloadable_model_must_be_installed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelNotFoundError, match=r"“isnet” is not installed \(179 MB to download\)"):
        SubjectSelector("isnet")
    done = run(capsys, "cutout", folder / "composite.png", "--model", "isnet")
    assert "s2am models install isnet" in failed(folder, done)


def test_cutout_writes_the_subject_with_alpha(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "cutout", folder / "composite.png", "--json")
    printed = json.loads(out)
    assert code == 0
    assert printed["output"] == str(folder / "composite-cutout.png")
    assert printed["model"] == SUBJECT_MODEL
    found = load_image(printed["output"])
    assert found.alpha is not None
    assert is_selected(found.alpha)
    visible = found.alpha > 0
    np.testing.assert_array_equal(found.pixels[visible], composite()[0][visible])
    run(capsys, "cutout", folder / "composite.png", "--mask-only", "-o", folder / "found.png")
    mask = Image.open(folder / "found.png")
    assert mask.mode == "L"
    np.testing.assert_array_equal(mask, found.alpha)


def test_cutout_refines_its_edges(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, shrunk = (folder / f"{name}.png" for name in ("plain", "shrunk"))
    run(capsys, "cutout", folder / "composite.png", "-o", plain)
    assert run(capsys, "cutout", folder / "composite.png", "-o", shrunk, "--grow", -3, "--feather", 2)[0] == 0
    expected = refine_edges(load_image(plain).samples()[..., 3], EdgeSettings(grow=-3, feather=2))
    np.testing.assert_array_equal(load_image(shrunk).samples()[..., 3], expected)


def test_cutout_keeps_the_depth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from s2am_engine.image.data import ImageData
    from s2am_engine.image.io import save_image

    save_image(tmp_path / "deep.tif", ImageData(composite(dtype="uint16")[0]))
    assert run(capsys, "cutout", tmp_path / "deep.tif", "-o", tmp_path / "cut.tif")[0] == 0
    found = load_image(tmp_path / "cut.tif")
    assert found.alpha is not None
    assert found.pixels.dtype == found.alpha.dtype == np.uint16
    assert found.alpha.max() == 65535


def test_cutout_needs_a_format_with_transparency(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "must end in one of" in failed(
        folder, run(capsys, "cutout", folder / "composite.png", "-o", folder / "cut.jpg")
    )


@pytest.mark.usefixtures("doubter")
def test_cutout_without_a_clear_subject(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = failed(folder, run(capsys, "cutout", folder / "composite.png"))
    assert f"{folder / 'composite.png'} has no clear subject" in message
    assert "s2am cutout --likeliest" in message
    assert not (folder / "composite-cutout.png").exists()
    assert run(capsys, "cutout", folder / "composite.png", "--likeliest")[0] == 0


def test_harmonize_the_subject_of_a_composite(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    composed = folder / "composite.png"
    run(capsys, "cutout", composed, "--mask-only", "-o", folder / "found.png")
    for mask, name in (("subject", "one.png"), (folder / "found.png", "other.png")):
        line = ("harmonize", composed, "--mask", mask, "--model", "reinhard", "-o", folder / name)
        assert run(capsys, *line)[0] == 0
    one, other = (load_image(folder / name).pixels for name in ("one.png", "other.png"))
    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, composite()[0])


def test_harmonize_the_subject_of_a_photograph_on_a_background(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    background = np.random.default_rng(5).integers(40, 220, (200, 240, 3)).astype(np.uint8)
    Image.fromarray(background).save(folder / "background.png")
    line = ("harmonize", folder / "composite.png", "--background", folder / "background.png", "--at", "20,30")
    assert run(capsys, *line, "--mask", "subject", "--model", "reinhard", "-o", folder / "out.png")[0] == 0
    changed = (load_image(folder / "out.png").pixels != background).any(axis=2)
    assert is_selected(changed[30:120, 20:140].astype(np.uint8) * 255)
    assert not changed[:25].any()
    done = run(capsys, *line, "--auto-mask")
    assert done[0] == 2


def test_harmonize_the_subjects_of_a_folder(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "in").mkdir()
    (folder / "composite.png").rename(folder / "in" / "a.png")
    Image.fromarray(composite()[0][..., ::-1]).save(folder / "in" / "b.png")
    line = ("harmonize", folder / "in", "--mask", "subject", "--model", "reinhard", "-o", folder / "out")
    code, out, err = run(capsys, *line)
    assert (code, out.split(" images")[0]) == (0, "1 of 2")
    assert "b.png has no clear subject" in err
