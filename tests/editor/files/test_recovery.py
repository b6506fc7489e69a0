# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery copies: complete after a crash, ignored while their editor runs."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike

from s2am_common.errors import EngineError
from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.files.recovery import Recovery
from tests.editor.document.sample_documents import two_layers
from tests.editor.files.test_projects import assert_same, full_document
from tests.editor.recovery_lock import release_lock


def leave_copy(folder: Path, document: Document, title: str = "holiday", path: Path | None = None) -> None:
    """Leave a copy as a crash does."""
    recovery = Recovery(folder)
    recovery.save(document, title, path)
    release_lock(recovery)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_recovery_copy_is_lossless(tmp_path: Path, dtype: DTypeLike) -> None:
    document = full_document(dtype)
    leave_copy(tmp_path, two_layers()[0], "older")
    leave_copy(tmp_path, document, path=tmp_path / "holiday.ora")
    found = Recovery(tmp_path).find_copies()
    assert [each.title for each in found] == ["holiday", "older"]
    assert found[0].path == tmp_path / "holiday.ora"
    assert found[1].path is None
    assert_same(document, found[0].load())
    found[0].discard()
    assert [each.title for each in Recovery(tmp_path).find_copies()] == ["older"]


def test_recovery_finds_copy_of_killed_process_only(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import numpy as np
        from s2am_editor.document.model import Document
        from s2am_editor.files.recovery import Recovery
        from s2am_engine.image.data import ImageData
        recovery = Recovery(Path(sys.argv[1]))
        recovery.save(Document.from_image(ImageData(np.full((20, 30, 3), 77, np.uint8)), "beach"), "beach")
        print("saved", flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "saved\n"
            assert Recovery(tmp_path).find_copies() == []
        finally:
            process.kill()
    [found] = Recovery(tmp_path).find_copies()
    assert found.load().layers[0].raster.pixels[5, 5].tolist() == [77, 77, 77]


def test_recovery_clear_deletes_copy(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path)
    recovery.save(two_layers()[0], "holiday")
    recovery.clear()
    assert list(tmp_path.iterdir()) == []
    recovery.clear()  # has no effect
    recovery.save(two_layers()[0], "next")
    recovery.clear()
    assert Recovery(tmp_path).find_copies() == []
    assert Recovery(tmp_path / "never made").find_copies() == []


def test_recovery_writes_pixels_once_and_deletes_unused(tmp_path: Path) -> None:
    document, layer = two_layers()
    recovery = Recovery(tmp_path)
    recovery.save(document, "holiday")
    [folder] = tmp_path.iterdir()
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("*.npy")}
    recovery.save(commands.set_opacity(layer.id, 0.5).change(document), "holiday")
    assert {file.name: file.stat().st_mtime_ns for file in folder.glob("*.npy")} == before
    recovery.save(commands.remove_layer(layer.id).change(document), "holiday")
    assert len(list(folder.glob("*.npy"))) == 1
    recovery.save(document, "holiday")  # undone
    release_lock(recovery)
    assert_same(document, Recovery(tmp_path).find_copies()[0].load())
    recovery.clear()


def test_recovery_reports_damaged_copy_and_finds_others(tmp_path: Path) -> None:
    leave_copy(tmp_path, two_layers()[0], "first")
    leave_copy(tmp_path, two_layers()[0], "second")
    broken = Recovery(tmp_path).find_copies()[0]
    for file in broken.folder.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(EngineError, match="recovery copy of “second” is damaged"):
        broken.load()
    (broken.folder / "document.json").write_text("{")
    assert [each.title for each in Recovery(tmp_path).find_copies()] == ["first"]


def test_recovery_reports_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="No recovery copy of your changes was written"):
        Recovery(tmp_path / "file").save(dataclasses.replace(two_layers()[0]), "holiday")


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_recovery_on_a_full_disk_advises_to_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: int) -> None:
    """The advice does not depend on the file for which there is no space; another folder cannot be chosen."""
    recovery, replace, files = Recovery(tmp_path), os.replace, iter(range(100))

    def full(*arguments: Any) -> None:
        if next(files) >= stored:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(*arguments)

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(EngineError, match=r"\(No space left on device\): save your project often\.") as raised:
        recovery.save(two_layers()[0], "holiday")
    assert "another folder" not in str(raised.value)
