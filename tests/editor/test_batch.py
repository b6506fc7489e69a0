# SPDX-License-Identifier: GPL-3.0-or-later
"""Batch harmonization in the editor: equal to the engine, with events, and failures do not stop it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import S2AMError
from s2am_editor import batch
from s2am_editor.batch import BatchSettings, BeforeAfter, harmonize_batch
from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_engine.batch import BatchEvent, plan_batch
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.result import HarmonizeResult
from tests.editor.document.sample_documents import cutout, disc, scene


@pytest.fixture(scope="module")
def models() -> LoadedModels:
    return LoadedModels("cpu")


def write_composites(folder: Path) -> tuple[Path, Path]:
    """Write three composites and their masks; one has no mask, and one is damaged."""
    images, masks = folder / "composites", folder / "masks"
    for path in (images, masks):
        path.mkdir()
    for index, name in enumerate(("a", "b", "c")):
        save_image(images / f"{name}.png", ImageData(scene(seed=index)))
    for name in ("a", "c"):
        save_image(masks / f"{name}.png", ImageData(np.repeat(disc(300, 200)[..., None], 3, axis=2), gray=True))
    (images / "c.png").write_bytes((images / "c.png").read_bytes()[:900])
    return images, masks


def test_harmonize_batch_of_composites_reports_failures(tmp_path: Path, models: LoadedModels) -> None:
    images, masks = write_composites(tmp_path)
    events: list[BatchEvent[BeforeAfter]] = []
    sheet = tmp_path / "sheet.png"
    items = plan_batch(images, tmp_path / "out")
    failed = harmonize_batch(items, BatchSettings("concord", 0.8, masks=masks), models, events.append, sheet)
    assert failed == 2
    assert [(event.kind, event.index) for event in events] == [
        *(("started", 0), ("done", 0), ("started", 1), ("failed", 1), ("started", 2), ("failed", 2)),
    ]
    assert "b.png has no mask" in str(events[3].error)
    assert "c.png is damaged" in str(events[5].error)
    expected = Harmonizer("concord", "cpu")(ImageData(scene(seed=0)), disc(300, 200)).render(strength=0.8)
    np.testing.assert_array_equal(load_image(tmp_path / "out" / "a.png").pixels, expected.pixels)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.png"]
    assert Image.open(sheet).width > 480  # two images side by side


def test_harmonize_batch_of_cut_outs_equals_engine(tmp_path: Path, models: LoadedModels) -> None:
    save_image(tmp_path / "beach.png", ImageData(scene()))
    files = [tmp_path / f"{name}.png" for name in ("ann", "bob")]
    for seed, file in enumerate(files):
        save_image(file, cutout(seed=seed))
    settings = BatchSettings("concord", background=tmp_path / "beach.png", anchor=(20 / 220, 30 / 140))
    assert harmonize_batch(plan_batch(files, tmp_path / "out"), settings, models, lambda _: None) == 0
    for seed, file in enumerate(files):
        expected = Harmonizer("concord", "cpu").paste(cutout(seed=seed), ImageData(scene()), (20, 30)).render()
        np.testing.assert_array_equal(load_image(tmp_path / "out" / file.name).pixels, expected.pixels)


class StoppedError(Exception):
    """Cancels a batch."""


def write_cutouts(folder: Path, count: int) -> tuple[list[Path], BatchSettings]:
    """Write a background and cutouts `0.png`, `1.png` …; return these and the settings to place them on it."""
    save_image(folder / "beach.png", ImageData(scene()))
    files = [folder / f"{index}.png" for index in range(count)]
    for file in files:
        save_image(file, cutout())
    return files, BatchSettings("concord", background=folder / "beach.png")


def test_harmonize_batch_is_canceled_by_callback(tmp_path: Path, models: LoadedModels) -> None:
    files, settings = write_cutouts(tmp_path, 4)

    def stop(event: BatchEvent[BeforeAfter]) -> None:
        if event.kind == "started" and event.index == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        harmonize_batch(plan_batch(files, tmp_path / "out"), settings, models, stop)
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


@pytest.mark.parametrize("step", ["load_image", "place_cutout", "render", "save_image"])
def test_harmonize_batch_stops_after_the_step_in_which_it_is_canceled(
    step: str, tmp_path: Path, models: LoadedModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps of an item: none is begun after the cancellation, and files are whole or absent."""
    files, settings = write_cutouts(tmp_path, 3)
    steps: list[str] = []

    def count(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            steps.append(name)
            return work(*arguments, **named)

        return counted

    for name in ("load_image", "place_cutout", "save_image"):
        monkeypatch.setattr(batch, name, count(name, getattr(batch, name)))
    monkeypatch.setattr(HarmonizeResult, "render", count("render", HarmonizeResult.render))

    def stop(_: object) -> None:
        if steps.count(step) == (3 if step == "load_image" else 2):  # of the second item; the background is loaded too
            raise StoppedError

    sheet = tmp_path / "sheet.png"
    with pytest.raises(StoppedError):
        harmonize_batch(plan_batch(files, tmp_path / "out"), settings, models, stop, sheet, stop)
    assert steps[-1] == step
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["0.png"]  # not the one that was being written
    assert load_image(tmp_path / "out" / "0.png").pixels.shape == scene().shape
    assert not sheet.exists()


def test_harmonize_batch_checks_settings_first(tmp_path: Path, models: LoadedModels) -> None:
    images, masks = write_composites(tmp_path)
    items = plan_batch(images, tmp_path / "out")
    for settings, message in (
        (BatchSettings("concord"), "need a folder with their masks"),
        (BatchSettings("concord", masks=tmp_path / "none"), "need a folder with their masks"),
        (BatchSettings("concord", background=tmp_path / "none.png"), "does not exist"),
        (BatchSettings("no-such-model", masks=masks), "no-such-model"),
    ):
        with pytest.raises(S2AMError, match=message):
            harmonize_batch(items, settings, models, lambda _: pytest.fail("an item was started"))


def test_harmonize_batch_names_file_of_unsuitable_image(tmp_path: Path, models: LoadedModels) -> None:
    save_image(tmp_path / "beach.png", ImageData(scene()))
    save_image(tmp_path / "opaque.png", ImageData(scene(80, 60)))
    settings = BatchSettings("concord", background=tmp_path / "beach.png")
    events: list[BatchEvent[BeforeAfter]] = []
    assert (
        harmonize_batch(plan_batch([tmp_path / "opaque.png"], tmp_path / "out"), settings, models, events.append) == 1
    )
    assert "opaque.png" in str(events[-1].error)
