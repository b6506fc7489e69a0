# SPDX-License-Identifier: GPL-3.0-or-later
"""After a crash the last automatic copy is there, whole; a running editor's copies are left alone."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike

from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.files.recovery import Recovery
from s2am_engine.errors import EngineError
from tests.editor.document.made_up import two_layers
from tests.editor.files.test_projects import assert_same, everything


def crashed(folder: Path, document: Document, title: str = "holiday", path: Path | None = None) -> None:
    """Leave a copy behind as a crash does: the lock is gone with the process, nothing is cleared."""
    recovery = Recovery(folder)
    recovery.save(document, title, path)
    assert recovery._lock is not None
    recovery._lock.release()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_what_a_crash_left_behind_comes_back(tmp_path: Path, dtype: DTypeLike) -> None:
    document = everything(dtype)
    crashed(tmp_path, two_layers()[0], "older")
    crashed(tmp_path, document, path=tmp_path / "holiday.ora")
    found = Recovery(tmp_path).found()
    assert [each.title for each in found] == ["holiday", "older"]
    assert found[0].path == tmp_path / "holiday.ora"
    assert found[1].path is None
    assert_same(document, found[0].load())
    found[0].discard()
    assert [each.title for each in Recovery(tmp_path).found()] == ["older"]


def test_a_process_that_is_killed_leaves_its_copy_and_a_running_one_is_left_alone(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        import numpy as np
        from s2am_editor.document.model import Document
        from s2am_editor.files.recovery import Recovery
        from s2am_engine.image.io import ImageData
        recovery = Recovery(Path(sys.argv[1]))
        recovery.save(Document.from_picture(ImageData(np.full((20, 30, 3), 77, np.uint8)), "beach"), "beach")
        print("saved", flush=True)
        time.sleep(600)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "saved\n"
            assert Recovery(tmp_path).found() == []
        finally:
            process.kill()
    [found] = Recovery(tmp_path).found()
    assert found.load().layers[0].raster.pixels[5, 5].tolist() == [77, 77, 77]


def test_what_was_saved_or_closed_is_no_crash(tmp_path: Path) -> None:
    recovery = Recovery(tmp_path)
    recovery.save(two_layers()[0], "holiday")
    recovery.clear()
    assert list(tmp_path.iterdir()) == []
    recovery.clear()  # nothing to clear is fine
    recovery.save(two_layers()[0], "next")
    recovery.clear()
    assert Recovery(tmp_path).found() == []
    assert Recovery(tmp_path / "never made").found() == []


def test_pixels_are_written_once_and_what_is_not_needed_any_more_goes(tmp_path: Path) -> None:
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
    recovery._lock.release()  # type: ignore[union-attr]
    assert_same(document, Recovery(tmp_path).found()[0].load())
    recovery.clear()


def test_a_damaged_copy_is_one_sentence_and_keeps_no_other_from_coming_back(tmp_path: Path) -> None:
    crashed(tmp_path, two_layers()[0], "first")
    crashed(tmp_path, two_layers()[0], "second")
    broken = Recovery(tmp_path).found()[0]
    for file in broken.folder.glob("*.npy"):
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(EngineError, match="automatic copy of “second” is damaged"):
        broken.load()
    (broken.folder / "document.json").write_text("{")
    assert [each.title for each in Recovery(tmp_path).found()] == ["first"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineError, match="No automatic copy could be made"):
        Recovery(tmp_path / "file").save(dataclasses.replace(two_layers()[0]), "holiday")
