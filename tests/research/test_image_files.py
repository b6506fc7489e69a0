# SPDX-License-Identifier: GPL-3.0-or-later
"""The bulk check of image files sorts them by outcome, and ends processes that hang or print."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from research import image_files
from research.image_files import ReadingOutcome, check_file, check_files, list_files
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.io import save_image

RGB = np.random.default_rng(0).integers(0, 256, (12, 17, 3), np.uint8)


@pytest.mark.parametrize(
    ("name", "image", "kind"),
    [
        ("a.png", ImageData(RGB), "same"),
        ("a.webp", ImageData(RGB), "same"),
        ("b.png", ImageData(RGB, metadata=Metadata(text=(("Title", "Beach"),))), "noted"),
        ("a.tif", ImageData(RGB.astype(np.float32)), "noted"),
        ("a.png", None, "refused"),
    ],
)
def test_check_file(tmp_path: Path, name: str, image: ImageData | None, kind: str) -> None:
    (tmp_path / name).write_bytes(b"no image")
    if image is not None:
        save_image(tmp_path / name, image)
    (tmp_path / "out").mkdir()
    assert check_file(tmp_path / name, tmp_path / "out").kind == kind


def test_check_file_reports_differences_and_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_image(tmp_path / "a.png", ImageData(RGB))
    monkeypatch.setattr(image_files, "save_image", lambda path, image: save_image(path, ImageData(image.pixels // 2)))
    outcome = check_file(tmp_path / "a.png", tmp_path)
    assert (outcome.kind, outcome.details) == ("differs", "pixels of PNG, pixels of TIFF, pixels of WebP")
    monkeypatch.setattr(image_files, "load_image", lambda path: 1 // 0)
    outcome = check_file(tmp_path / "a.png", tmp_path)
    assert outcome.kind == "fault"
    assert "ZeroDivisionError" in outcome.details


def misbehave(path: Path, _: Path) -> ReadingOutcome:
    """Stand in for `check_file`: act as the file's name says."""
    if path.name == "hang":
        time.sleep(1000)
    elif path.name == "talk":
        os.write(2, b"libpng warning\n")
    elif path.name == "die":
        os._exit(1)
    return ReadingOutcome(path, "same")


def serve_misbehaving(connection: object) -> None:
    """Stand in for the process's own function."""
    setattr(image_files, "check_file", misbehave)  # noqa: B010  # in the process of the worker
    SERVE(connection)  # type: ignore[arg-type]


SERVE = image_files._serve


@pytest.mark.skipif(sys.platform == "win32", reason="file descriptor 2 is not that of C libraries there")
def test_check_files_survives_files_that_hang_print_or_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "_serve", serve_misbehaving)
    names = ["fine", "talk", "die", "fine", "hang", "fine"]
    kinds = [outcome.kind for outcome in check_files(map(Path, names), seconds=5)]
    assert kinds == ["same", "talks", "fault", "same", "hangs", "same"]


def test_list_files_walks_subfolders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    save_image(tmp_path / "sub" / "a.png", ImageData(RGB))
    (tmp_path / "b.txt").write_text("no image")
    outcomes = {outcome.path.name: outcome.kind for outcome in check_files(list_files(tmp_path))}
    assert outcomes == {"a.png": "same", "b.txt": "refused"}
