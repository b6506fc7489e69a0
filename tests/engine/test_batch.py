# SPDX-License-Identifier: GPL-3.0-or-later
"""The batch loop: plans, events, failures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from s2am_common.errors import FileError, ImageError, MaskError, NothingFoundError, S2AMError
from s2am_engine.batch import BatchEvent, BatchItem, plan_batch, run_batch
from s2am_engine.file_harmonizer import FileHarmonizer, FileJob, with_file_name
from s2am_engine.mask_files import find_mask_file
from tests.engine.pictures import composite


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with a.png and b.jpg, and their masks in the folder “masks” next to it."""
    pixels, mask = composite()
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(pixels).save(tmp_path / "images" / name)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name[0]}.png")
    return tmp_path / "images"


def test_plan_batch_keeps_lossless_formats_and_makes_the_output_folder(images: Path, tmp_path: Path) -> None:
    items = plan_batch(images, tmp_path / "new" / "out")
    assert [item.output.name for item in items] == ["a.png", "b.png"]
    assert (tmp_path / "new" / "out").is_dir()
    assert plan_batch([images / "b.jpg"], tmp_path / "out")[0].source == images / "b.jpg"


def test_plan_batch_marks_a_second_source_of_one_output(images: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(images / "a.jpg")
    problems = [item.problem for item in plan_batch(images, tmp_path / "out")]
    assert [bool(problem) for problem in problems] == [False, True, False]
    assert "would both become" in str(problems[1])


def test_plan_batch_refuses_folders_that_cannot_be_used(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    masks = tmp_path / "masks"
    for arguments, code in (
        ((tmp_path / "none", tmp_path / "out"), "file.no-folder"),
        ((tmp_path / "empty", tmp_path / "out"), "file.no-images"),
        (([], tmp_path / "out"), "file.no-images"),
        ((images, images), "file.output"),
        ((images, masks, masks), "file.output"),
        ((images, tmp_path / "out", tmp_path / "none"), "file.no-folder"),
        ((images, tmp_path / "file" / "out"), "file.output"),
    ):
        with pytest.raises(FileError) as caught:
            plan_batch(*arguments)
        assert caught.value.code == code


def test_run_batch_reports_every_item_and_continues_after_failures(tmp_path: Path) -> None:
    def process(item: BatchItem) -> str:
        if item.source.name == "bad":
            raise ImageError("It is bad.")
        if item.source.name == "large":
            raise MemoryError
        return item.source.name.upper()

    problem = FileError("It has a problem.")
    items = [BatchItem(tmp_path / name, tmp_path / f"{name}.png") for name in ("one", "bad", "large", "two")]
    items.append(BatchItem(tmp_path / "three", tmp_path / "one.png", problem))
    events: list[BatchEvent[str]] = []
    assert run_batch(items, process, events.append) == 3
    assert [event.kind for event in events if event.kind != "started"] == ["done", "failed", "failed", "done", "failed"]
    assert [event.index for event in events] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [event.result for event in events if event.kind == "done"] == ["ONE", "TWO"]
    errors = [event.error for event in events if event.error]
    assert [error.code for error in errors] == ["image", "file.memory", "file"]
    assert errors[2] is problem
    assert all(event.seconds >= 0 for event in events)


def test_run_batch_ends_when_report_raises(tmp_path: Path) -> None:
    done: list[Path] = []

    def stop(event: BatchEvent[None]) -> None:
        if event.kind == "done":
            raise KeyboardInterrupt

    items = [BatchItem(tmp_path / name, tmp_path / name) for name in "ab"]
    with pytest.raises(KeyboardInterrupt):
        run_batch(items, lambda item: done.append(item.source), stop)
    assert done == [tmp_path / "a"]


def test_file_harmonizer_harmonizes_a_batch_with_masks(images: Path, tmp_path: Path) -> None:
    files = FileHarmonizer("concord", "cpu")
    masks = tmp_path / "masks"
    (masks / "b.png").rename(masks / "b.PNG")
    events: list[BatchEvent[Path]] = []

    def process(item: BatchItem) -> Path:
        return files.harmonize_file(FileJob(item.source, item.output, find_mask_file(item.source, masks))).output

    assert run_batch(plan_batch(images, tmp_path / "out", masks), process, events.append) == 0
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["a.png", "b.png"]
    assert [event.result for event in events if event.result] == [
        tmp_path / "out" / name for name in ("a.png", "b.png")
    ]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MaskError("The image has no mask."), "a.png has no mask."),
        (
            NothingFoundError("No pasted region was found in this image."),
            "a.png: No pasted region was found in this image.",
        ),
        (ImageError("a.png is transparent."), "a.png is transparent."),
    ],
)
def test_with_file_name_puts_the_file_into_the_message(error: S2AMError, message: str) -> None:
    found = with_file_name(error, Path("a.png"))
    assert (str(found), type(found), found.code) == (message, type(error), error.code)
    assert found.fields["path"] == "a.png"


def test_masks_beside_their_images_are_found_and_are_no_images(tmp_path: Path) -> None:
    pixels, mask = composite()
    for name in ("beach.jpg", "town.png"):
        Image.fromarray(pixels).save(tmp_path / name)
    for name in ("beach_mask.png", "town-mask.PNG", "alone_mask.png"):
        Image.fromarray(mask).save(tmp_path / name)
    items = plan_batch(tmp_path, tmp_path / "out", tmp_path)
    assert [item.source.name for item in items] == ["alone_mask.png", "beach.jpg", "town.png"]
    found = [find_mask_file(item.source, tmp_path).name for item in items[1:]]
    assert found == ["beach_mask.png", "town-mask.PNG"]
    with pytest.raises(FileError, match="alone_mask_mask"):
        find_mask_file(items[0].source, tmp_path)


def test_an_image_is_not_its_own_mask(images: Path, tmp_path: Path) -> None:
    assert find_mask_file(images / "a.png", tmp_path / "masks") == tmp_path / "masks" / "a.png"
    for folder in (images, images / ".." / "images"):
        with pytest.raises(FileError, match="has no mask") as caught:
            find_mask_file(images / "a.png", folder)
        assert caught.value.code == "file.no-mask"
    with pytest.raises(MaskError, match="the image itself") as refused:
        FileHarmonizer("concord", "cpu").harmonize_file(
            FileJob(images / "a.png", tmp_path / "out.png", mask=images / ".." / "images" / "a.png")
        )
    assert refused.value.code == "mask.same-file"
    assert not (tmp_path / "out.png").exists()
