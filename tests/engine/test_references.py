# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference photographs at use time, and notes about the likeness of a background."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from s2am_common.errors import FileError, ImageError
from s2am_common.references import MAX_REFERENCES
from s2am_engine import harmonize
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.references import References
from s2am_engine.networks.personal import Personal
from s2am_engine.networks.registry import build_network
from s2am_engine.types import Bytes
from tests.engine.test_cli import run

WARM = np.array([1.0, 0.85, 0.6])


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    return Harmonizer("concord", "cpu")


@pytest.fixture
def composite() -> Bytes:
    return np.ascontiguousarray(data.astronaut()[::4, ::4])


@pytest.fixture
def mask() -> Bytes:
    found = np.zeros((128, 128), np.uint8)
    found[30:100, 40:90] = 255
    return found


def tinted(gains: np.ndarray) -> list[Bytes]:
    """Two photographs of one scene in one light."""
    images = (data.coffee()[::4, ::4], data.coffee()[::3, 20::3])
    return [np.ascontiguousarray((image * gains).astype(np.uint8)) for image in images]


def test_references_give_the_foreground_their_look(harmonizer: Harmonizer, composite: Bytes, mask: Bytes) -> None:
    bright, dark = (harmonizer(composite, mask, references=tinted(gain * WARM)).render() for gain in (1.0, 0.3))
    inside = mask > 0
    assert bright[inside].mean() > dark[inside].mean() + 2
    assert (bright[~inside] == composite[~inside]).all()


def test_a_single_reference_needs_no_list(
    harmonizer: Harmonizer, composite: Bytes, mask: Bytes, tmp_path: Path
) -> None:
    photograph, file = tinted(WARM)[0], tmp_path / "reference.png"
    save_image(file, photograph)
    expected = harmonizer(composite, mask, references=[photograph]).render()
    for single in (photograph, file, str(file)):
        np.testing.assert_array_equal(harmonizer(composite, mask, references=single).render(), expected)


def test_references_that_disagree_weaken_the_effect(harmonizer: Harmonizer, composite: Bytes, mask: Bytes) -> None:
    warm, cool = tinted(np.array([1.0, 0.6, 0.25])), tinted(np.array([0.25, 0.6, 1.0]))
    alike = harmonizer(composite, mask, references=[warm[0], warm[0], warm[1]]).confidence
    assert harmonizer(composite, mask, references=[warm[0], cool[0], warm[1]]).confidence < alike


def test_background_counts_as_one_reference(harmonizer: Harmonizer, composite: Bytes, mask: Bytes) -> None:
    """With itself as the reference nothing changes, and one other reference counts half."""
    alone, again = harmonizer(composite, mask), harmonizer(composite, mask, references=[composite])
    assert again.references
    assert again.confidence == pytest.approx(1, abs=1e-3)
    colors = composite[mask > 0] / np.float32(255)
    change, expected = (one.color_map(colors) - colors for one in (again, alone))
    np.testing.assert_allclose(alone.confidence * change, expected, atol=2e-3)
    reference = np.ascontiguousarray(data.coffee()[:128, :128])
    pasted = harmonizer(np.where(mask[..., None] > 0, composite, reference), mask)
    mixed, swapped = harmonizer(composite, mask, references=[reference]), pasted.composite.pixels
    same = harmonizer(swapped, mask, references=[composite])
    np.testing.assert_allclose(mixed.color_map(colors), same.color_map(colors), atol=2e-3)


def test_references_can_be_reduced_once(harmonizer: Harmonizer, composite: Bytes, mask: Bytes, tmp_path: Path) -> None:
    path = tmp_path / "reference.png"
    save_image(path, ImageData(tinted(WARM)[0]))
    numbers: list[int] = []
    reduced = References.reduce([path, tinted(WARM)[1]], harmonizer.input_size, numbers.append)
    assert numbers == [1, 2]
    once = harmonizer(composite, mask, references=reduced).render()
    assert (harmonize(composite, mask, model="concord", device="cpu", references=tinted(WARM)) == once).all()


def test_references_are_checked(harmonizer: Harmonizer, composite: Bytes, mask: Bytes) -> None:
    with pytest.raises(ImageError, match="There is no reference photograph"):
        harmonizer(composite, mask, references=[])
    with pytest.raises(ImageError, match="more than 20 reference photographs: give fewer"):
        harmonizer(composite, mask, references=[composite] * (MAX_REFERENCES + 1))
    with pytest.raises(FileError, match=r"nowhere\.png does not exist"):
        harmonizer(composite, mask, references=["nowhere.png"])


def test_harmonize_command_takes_references(
    composite: Bytes, mask: Bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, pixels in (("a.png", composite), ("m.png", np.repeat(mask[..., None], 3, 2)), ("r.png", tinted(WARM)[0])):
        save_image(Path(name), ImageData(pixels))
    line = ["harmonize", "a.png", "--mask", "m.png", "--model", "concord", "--json"]
    code, out, _ = run(capsys, *line, "-o", "with.png", "--reference", "r.png")
    assert (code, json.loads(out)["references"]) == (0, ["r.png"])
    assert run(capsys, *line, "-o", "without.png")[0] == 0
    images = [load_image(Path(name)).pixels for name in ("with.png", "without.png")]
    assert (images[0] != images[1]).any()
    code, _, err = run(capsys, *line, "-o", "r.png", "--reference", "r.png")
    assert (code, "The result would replace r.png" in err) == (1, True)
    assert run(capsys, *line, "--native", "--reference", "r.png")[0] == 2


@pytest.fixture
def personal() -> Callable[[float], Harmonizer]:
    """Return a function that makes a fine-tuned model for which every background has a given likeness."""

    def make(likeness: float) -> Harmonizer:
        known, learned = (build_network("concord", width=24, hidden=32) for _ in range(2))
        network = Personal(known, learned)
        network.likeness.offset.fill_(2 * np.log(likeness / (1 - likeness)))
        return Harmonizer.from_network(network, 64, "cpu", "wedding")

    return make


@pytest.mark.parametrize(
    ("likeness", "ending"),
    [
        (0.002, "the look to which “wedding” was fine-tuned (likeness 0%): its base model was used."),
        (0.3, "(likeness 30%): its base model counts 70%."),
        (0.9, None),
    ],
)
def test_result_notes_a_background_without_the_look(
    personal: Callable[[float], Harmonizer], composite: Bytes, mask: Bytes, likeness: float, ending: str | None
) -> None:
    result = personal(likeness)(composite, mask)
    assert result.likeness == pytest.approx(likeness, abs=0.01)
    assert [note.endswith(ending or "") for note in result.notes] == ([True] if ending else [])


def test_result_notes_references_without_the_look(
    personal: Callable[[float], Harmonizer], composite: Bytes, mask: Bytes
) -> None:
    (note,) = personal(0.2)(composite, mask, references=tinted(WARM)).notes
    assert note.startswith("Background and reference photographs do not have the look")


def test_models_without_fine_tuning_have_no_likeness(harmonizer: Harmonizer, composite: Bytes, mask: Bytes) -> None:
    result = harmonizer(composite, mask)
    assert (result.likeness, result.notes, result.references) == (None, (), False)


def test_harmonize_file_logs_the_notes(
    personal: Callable[[float], Harmonizer],
    composite: Bytes,
    mask: Bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from s2am_engine.file_harmonizer import FileHarmonizer, FileJob, describe_result

    paths = [tmp_path / name for name in ("composite.png", "mask.png")]
    for path, pixels in zip(paths, (composite, np.repeat(mask[..., None], 3, 2)), strict=True):
        save_image(path, ImageData(pixels))
    files = FileHarmonizer()
    files.harmonizer = personal(0.1)
    with caplog.at_level(logging.WARNING):
        result = files.harmonize_file(FileJob(paths[0], tmp_path / "result.png", mask=paths[1]))
    assert "composite.png: The background does not have the look" in caplog.text
    described = describe_result(files, result)
    assert described["likeness"] == pytest.approx(0.1, abs=0.01)
    assert described["notes"] == list(result.prediction.notes)
