# SPDX-License-Identifier: GPL-3.0-or-later
"""A queue does what the engine does to each picture, tells how far it is, and goes on past what fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_editor.batch import BatchEvent, BatchSettings, plan_batch, run_batch
from s2am_editor.render.harmonize_layer import LoadedModels
from s2am_engine.errors import EngineError
from s2am_engine.image.io import ImageData, load_image, save_image
from s2am_engine.inference.harmonizer import Harmonizer
from tests.editor.document.sample_documents import cutout, disc, scene


@pytest.fixture(scope="module")
def models() -> LoadedModels:
    return LoadedModels("cpu")


def composites(folder: Path) -> tuple[Path, Path]:
    """Three composites, of which one has no mask and one is damaged, and their masks."""
    pictures, masks = folder / "composites", folder / "masks"
    for each in (pictures, masks):
        each.mkdir()
    for index, name in enumerate(("a", "b", "c")):
        save_image(pictures / f"{name}.png", ImageData(scene(seed=index)))
    save_image(masks / "a.png", ImageData(np.repeat(disc(300, 200)[..., None], 3, axis=2), gray=True))
    (pictures / "c.png").write_bytes((pictures / "c.png").read_bytes()[:900])
    save_image(masks / "c.png", ImageData(np.repeat(disc(300, 200)[..., None], 3, axis=2), gray=True))
    return pictures, masks


def test_composites_are_harmonized_past_those_that_fail(tmp_path: Path, models: LoadedModels) -> None:
    pictures, masks = composites(tmp_path)
    events: list[BatchEvent] = []
    items = plan_batch(pictures, tmp_path / "out")
    sheet = tmp_path / "sheet.png"
    failed = run_batch(items, BatchSettings("concord", 0.8, masks=masks), models, events.append, sheet)
    assert failed == 2
    assert [(event.kind, event.index) for event in events] == [
        *(("started", 0), ("done", 0), ("started", 1), ("failed", 1), ("started", 2), ("failed", 2)),
    ]
    assert "b.png has no mask" in str(events[3].error)
    assert "c.png is damaged" in str(events[5].error)
    harmonizer = Harmonizer("concord", "cpu")
    expected = harmonizer.harmonize_picture(ImageData(scene(seed=0)), disc(300, 200), strength=0.8)
    np.testing.assert_array_equal(load_image(tmp_path / "out" / "a.png").pixels, expected.pixels)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["a.png"]
    assert Image.open(sheet).width > 480  # before and after beside each other


def test_cut_outs_are_put_on_one_background(tmp_path: Path, models: LoadedModels) -> None:
    save_image(tmp_path / "beach.png", ImageData(scene()))
    files = [tmp_path / f"{name}.png" for name in ("ann", "bob")]
    for seed, file in enumerate(files):
        save_image(file, cutout(seed=seed))
    settings = BatchSettings("concord", background=tmp_path / "beach.png", at=(20, 30))
    assert run_batch(plan_batch(files, tmp_path / "out"), settings, models, lambda _: None) == 0
    for seed, file in enumerate(files):
        expected = Harmonizer("concord", "cpu").harmonize_layer(cutout(seed=seed), ImageData(scene()), (20, 30))
        np.testing.assert_array_equal(load_image(tmp_path / "out" / file.name).pixels, expected.pixels)


def test_a_queue_can_be_cancelled_and_leaves_whole_files(tmp_path: Path, models: LoadedModels) -> None:
    class StoppedError(Exception):
        pass

    save_image(tmp_path / "beach.png", ImageData(scene()))
    files = [tmp_path / f"{index}.png" for index in range(4)]
    for file in files:
        save_image(file, cutout())

    def stop(event: BatchEvent) -> None:
        if event.kind == "started" and event.index == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        run_batch(
            plan_batch(files, tmp_path / "out"),
            *(BatchSettings("concord", background=tmp_path / "beach.png"), models, stop),
        )
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["0.png", "1.png"]


def test_what_all_need_is_missed_before_anything_is_done(tmp_path: Path, models: LoadedModels) -> None:
    pictures, masks = composites(tmp_path)
    items = plan_batch(pictures, tmp_path / "out")
    for settings, says in (
        (BatchSettings("concord"), "need a folder with their masks"),
        (BatchSettings("concord", masks=tmp_path / "none"), "need a folder with their masks"),
        (BatchSettings("concord", background=tmp_path / "none.png"), "does not exist"),
        (BatchSettings("no-such-model", masks=masks), "no-such-model"),
    ):
        with pytest.raises(EngineError, match=says):
            run_batch(items, settings, models, lambda _: pytest.fail("something was done"))
    assert not (tmp_path / "out").exists()


def test_queues_that_would_go_wrong_are_refused(tmp_path: Path) -> None:
    pictures, _ = composites(tmp_path)
    with pytest.raises(EngineError, match="holds the pictures themselves"):
        plan_batch(pictures, pictures)
    with pytest.raises(EngineError, match="is not a folder"):
        plan_batch(tmp_path / "none", tmp_path)
    with pytest.raises(EngineError, match="no pictures in the queue"):
        plan_batch([], tmp_path)
    with pytest.raises(EngineError, match="would both become"):
        plan_batch([pictures / "a.png", pictures / "a.jpg"], tmp_path / "out")
