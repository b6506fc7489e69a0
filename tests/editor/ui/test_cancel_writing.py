# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving and exporting can be canceled between small pieces of work, and then leave nothing behind."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from s2am_editor.files.document_io import ExportOptions
from s2am_editor.render import export
from s2am_editor.window.jobs import BackgroundJob
from s2am_engine.image.formats import png
from s2am_engine.image.io import load_image
from tests.editor.ui.driver import LONG, WindowDriver

STRIP_PIXELS = 1 << 12
STRIPS = 19  # of the background of 320 × 240 pixels


class CountedJob:
    """Counts the pieces of work of the jobs, and holds the job after one of them until the user has clicked Cancel."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.pieces = 0
        self.reached, self.clicked = threading.Event(), threading.Event()
        self._last, self._progress = last, BackgroundJob.progress
        monkeypatch.setattr(BackgroundJob, "progress", lambda job, *given: self._count(job, *given))
        monkeypatch.setattr(export, "_STRIP_PIXELS", STRIP_PIXELS)
        monkeypatch.setattr(png, "_STRIP_PIXELS", STRIP_PIXELS)

    def _count(self, job: BackgroundJob, share: float, step: str = "") -> None:
        self.pieces += 1
        if self.pieces == self._last:
            self.reached.set()
            assert self.clicked.wait(LONG / 1000)
        self._progress(job, share, step)


@pytest.mark.parametrize("last", [5, STRIPS + 5])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".ora"])
def test_canceled_export_begins_no_further_piece_and_leaves_no_file(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, last: int
) -> None:
    window, target = driver.window, background.with_name(f"result{suffix}")
    driver.open(background, cut_out)
    driver.harmonize()
    target.write_bytes(b"precious")
    before = sorted(background.parent.iterdir())
    if suffix == ".tif" and last > STRIPS:
        last = STRIPS + 1  # TIFF's own strips are larger: the image has one
    work = CountedJob(monkeypatch, last)
    window.files.export(target)
    driver.wait(work.reached.is_set)
    QTest.mouseClick(window.status.job_bar.cancel_button, Qt.MouseButton.LeftButton)
    work.clicked.set()
    driver.settle()
    assert work.pieces == last
    assert target.read_bytes() == b"precious"
    assert sorted(background.parent.iterdir()) == before
    assert not window.banner.isVisible()


@pytest.mark.parametrize(
    ("suffix", "options", "images"),
    [
        (".png", None, 2),  # rendered and written
        (".png", ExportOptions(scale=2.0), 9),  # resized and written with four times the pixels
        (".ora", None, 4),  # the background, the rendered cutout, and the merged image, rendered and written
    ],
)
def test_export_reports_after_each_strip(
    driver: WindowDriver,
    background: Path,
    cut_out: Path,
    monkeypatch: pytest.MonkeyPatch,
    suffix: str,
    options: ExportOptions | None,
    images: int,
) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    work = CountedJob(monkeypatch, 0)
    target = background.with_name(f"result{suffix}")
    driver.window.files.export(target, options)
    driver.settle()
    assert work.pieces >= images * STRIPS
    if suffix == ".png":
        assert load_image(target).pixels.shape[1] == (640 if options else 320)
