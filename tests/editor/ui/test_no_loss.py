# SPDX-License-Identifier: GPL-3.0-or-later
"""No work and no file is lost without a question: recovery, replaced files, Delete, cancellation, and quitting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.files import document_io
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.files.recovery import Recovery
from s2am_editor.window.dialogs.batch import BatchDialog
from s2am_editor.window.dialogs.recovery import RecoveryDialog
from s2am_editor.window.dialogs.standard_dialogs import ExportDialog
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
from s2am_editor.window.theme import Theme
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from tests.editor.recovery_lock import release_lock
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import LONG, Questions, WindowDriver

CRASHING_EDITOR = """
import sys
from pathlib import Path
from PyQt6.QtCore import QTimer
from s2am_editor.app import make_application
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.files import recovery
recovery.default_folder = lambda: Path(sys.argv[1])
from s2am_editor.document import commands
from s2am_editor.window.editor_settings import EditorSettings
from s2am_editor.window.main_window import MainWindow
application = make_application()
window = MainWindow(EditorSettings(Path(sys.argv[1]).parent / "crashing.ini"))
window.open_files([Path(sys.argv[2])])

def edit():
    if not window.session.is_open:
        return
    timer.stop()
    window.session.do(commands.rename_item(window.session.active.id, "edited"))
    window.autosave.save_copy()
    window.jobs.ended.connect(lambda _: window.jobs.running or print("saved", flush=True))

timer = QTimer()
timer.timeout.connect(edit)
timer.start(10)
application.exec()
"""


def crash(recovery_folder: Path, file: Path) -> None:
    """Edit a file in another editor, and kill that editor after it has written its recovery copy."""
    command = [sys.executable, "-c", CRASHING_EDITOR, str(recovery_folder), str(file)]
    editor = subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ | {"QT_QPA_PLATFORM": "offscreen"})
    assert editor.stdout is not None
    assert editor.stdout.readline().strip() == b"saved"
    editor.send_signal(signal.SIGKILL)
    editor.wait()


def copies(folder: Path) -> list[str]:
    return [copy.title for copy in Recovery(folder).find_copies()]


@pytest.fixture
def offered(driver: WindowDriver, background: Path, recovery_folder: Path) -> RecoveryDialog:
    """The dialog that the editor shows after a crash."""
    crash(recovery_folder, background)
    driver.window.autosave.offer_recovery()
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, RecoveryDialog)
    return dialog


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_recovery_copy_survives_escape_and_the_close_button(
    driver: WindowDriver, offered: RecoveryDialog, recovery_folder: Path
) -> None:
    QTest.keyClick(offered, Qt.Key.Key_Escape)
    assert not offered.isVisible()
    assert copies(recovery_folder) == ["background"]
    driver.window.all_actions["recover"].trigger()
    again = QApplication.activeModalWidget()
    assert isinstance(again, RecoveryDialog)
    again.close()
    assert copies(recovery_folder) == ["background"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_recovered_document_is_opened_and_has_a_copy_of_its_own(
    driver: WindowDriver, offered: RecoveryDialog, recovery_folder: Path, background: Path
) -> None:
    QTest.mouseClick(offered.open_button, Qt.MouseButton.LeftButton)
    driver.wait(lambda: driver.window.session.is_open)
    driver.settle()
    assert driver.active.name == "edited"
    assert driver.window.session.is_modified
    assert copies(recovery_folder) == []  # that of the crash is replaced by this editor's
    assert len(list(recovery_folder.iterdir())) == 1


def test_recovery_dialog_lists_all_copies_with_date_and_time(
    driver: WindowDriver, background: Path, recovery_folder: Path, questions: Questions
) -> None:
    document = document_io.open_document(background).document
    for title in ("Holiday", "Wedding"):
        recovery = Recovery(recovery_folder)
        recovery.save(document, title)
        release_lock(recovery)
    driver.open(background)  # also if files were named on the command line
    driver.window.autosave.offer_recovery()
    dialog = QApplication.activeModalWidget()
    assert isinstance(dialog, RecoveryDialog)
    texts = [item.text() for row in range(dialog.list.count()) if (item := dialog.list.item(row))]
    assert {text.split(",")[0] for text in texts} == {"Holiday", "Wedding"}
    assert all(":" in text for text in texts)  # the time
    questions.answer(Qt.Key.Key_Escape, "Discard")
    QTest.mouseClick(dialog.discard_button, Qt.MouseButton.LeftButton)
    assert dialog.list.count() == 2
    QTest.mouseClick(dialog.discard_button, Qt.MouseButton.LeftButton)
    assert dialog.list.count() == 1
    dialog.close()
    assert len(copies(recovery_folder)) == 1


# ---- files are not replaced without a question


def test_save_asks_before_replacing_a_file_whose_suffix_was_not_typed(
    driver: WindowDriver, background: Path, tmp_path: Path, questions: Questions
) -> None:
    precious = tmp_path / "over.ora"
    precious.write_bytes(b"precious")
    driver.open(background)
    questions.type_name(str(tmp_path / "over"), str(tmp_path / "free"))
    questions.answer(Qt.Key.Key_Return)  # the button that does nothing is the default
    driver.window.all_actions["save-as"].trigger()
    driver.settle()
    assert "over.ora" in questions.asked[0]
    assert precious.read_bytes() == b"precious"
    assert (tmp_path / "free.ora").is_file()
    questions.type_name(str(tmp_path / "over"))
    questions.answer("Replace")
    driver.window.all_actions["save-as"].trigger()
    driver.settle()
    assert zipfile.is_zipfile(precious)
    assert questions.all_answered


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".ora"])
def test_export_asks_before_replacing_a_file_whose_suffix_was_not_typed(
    driver: WindowDriver, background: Path, tmp_path: Path, questions: Questions, suffix: str
) -> None:
    driver.open(background)
    dialog = ExportDialog(driver.window.session, driver.window.settings, driver.window)
    dialog.formats.setCurrentIndex(dialog.formats.findData(suffix))
    precious = tmp_path / f"over{dialog.suffix}"
    precious.write_bytes(b"precious")
    questions.type_name(str(tmp_path / "over"), str(tmp_path / "free"))
    questions.answer("Cancel")
    QTest.mouseClick(dialog.export_button, Qt.MouseButton.LeftButton)
    assert dialog.path == tmp_path / f"free{dialog.suffix}"
    assert questions.all_answered


def test_color_map_asks_before_replacing_a_file_whose_suffix_was_not_typed(
    driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path, questions: Questions
) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    precious = tmp_path / "over.cube"
    precious.write_bytes(b"precious")
    questions.type_name(str(tmp_path / "over"), str(tmp_path / "free"))
    questions.answer("Cancel")
    driver.window.all_actions["save-map"].trigger()
    driver.settle()
    assert precious.read_bytes() == b"precious"
    assert (tmp_path / "free.cube").is_file()


def foreign_project(path: Path, image: ImageData, folder: Path) -> bytes:
    """Write an OpenRaster file of another program, with a group and a blend mode that this program does not know."""
    save_image(folder / "layer.png", image)
    stack = (
        '<?xml version="1.0"?><image w="320" h="240"><stack><stack name="Animals">'
        '<layer name="cat" src="data/a.png" composite-op="krita:unheard-of"/></stack>'
        '<layer name="sky" src="data/a.png"/></stack></image>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "image/openraster")
        archive.writestr("stack.xml", stack)
        archive.write(folder / "layer.png", "data/a.png")
    return path.read_bytes()


def test_project_of_another_program_is_not_replaced_without_naming_the_losses(
    driver: WindowDriver, background: Path, tmp_path: Path, questions: Questions
) -> None:
    window = driver.window
    project = tmp_path / "krita.ora"
    content = foreign_project(project, load_image(background), tmp_path)
    driver.open(project)
    window.session.do(commands.rename_item(driver.active.id, "fox"))
    questions.answer(Qt.Key.Key_Escape)
    window.all_actions["save"].trigger()
    driver.settle()
    assert "blend mode" in questions.asked[0]
    assert project.read_bytes() == content
    questions.answer("Save as…")
    questions.type_name(str(tmp_path / "mine"))
    window.all_actions["save"].trigger()
    driver.settle()
    assert project.read_bytes() == content
    assert window.session.path == tmp_path / "mine.ora"
    assert not window.session.is_modified
    window.session.do(commands.rename_item(driver.active.id, "wolf"))
    window.all_actions["save"].trigger()  # this program's own file: no question
    driver.settle()
    assert not window.session.is_modified
    assert questions.all_answered


def test_recovered_project_of_another_program_asks_before_it_is_replaced(
    driver: WindowDriver, background: Path, tmp_path: Path, questions: Questions, recovery_folder: Path
) -> None:
    project = tmp_path / "krita.ora"
    foreign_project(project, load_image(background), tmp_path)
    found = document_io.open_document(project)
    recovery = Recovery(recovery_folder)
    recovery.save(found.document, "krita.ora", project, found.notes)
    release_lock(recovery)
    driver.window.autosave._open(Recovery(recovery_folder).find_copies()[0])
    driver.settle()
    assert driver.window.session.losses == found.notes


def test_project_that_another_program_changed_meanwhile_is_not_replaced_without_a_question(
    driver: WindowDriver, background: Path, tmp_path: Path, questions: Questions
) -> None:
    window = driver.window
    project = tmp_path / "work.ora"
    driver.open(background)
    questions.type_name(str(project))
    window.all_actions["save"].trigger()
    driver.settle()
    project.write_bytes(b"saved by another program")
    window.session.do(commands.rename_item(driver.active.id, "fox"))
    questions.answer(None)
    window.all_actions["save"].trigger()
    driver.settle()
    assert project.read_bytes() == b"saved by another program"
    assert "changed by another program" in questions.asked[0]


def test_batch_asks_before_replacing_results_and_contact_sheet(
    qtbot: QtBot, theme: Theme, settings: EditorSettings, background: Path, tmp_path: Path, questions: Questions
) -> None:
    sources, output = tmp_path / "cutouts", tmp_path / "results"
    for folder in (sources, output):
        folder.mkdir()
    save_image(sources / "one.png", disc(80, 60))
    save_image(sources / "contact-sheet.png", disc(80, 60))
    (output / "one.png").write_bytes(b"my precious")
    dialog = BatchDialog(settings)
    dialog.show()
    form = dialog.form
    for row, path in ((form.sources, sources), (form.background, background), (form.output, output)):
        row.set_path(path)
    questions.answer(Qt.Key.Key_Escape)
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    assert not dialog.batch_job.busy
    assert "one.png" in questions.asked[0]
    questions.answer("Replace")
    QTest.mouseClick(dialog.start_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not dialog.batch_job.busy, timeout=LONG)
    assert load_image(output / "one.png").pixels.shape == (240, 320, 3)
    assert load_image(output / "contact-sheet.png").pixels.shape == (240, 320, 3)  # a result, not the sheet
    assert (output / "contact-sheet-2.png").is_file()
    dialog.close()


# ---- layers are not lost


@pytest.mark.parametrize("select", [True, False])
def test_delete_in_the_curve_editor_never_deletes_the_layer(
    driver: WindowDriver, background: Path, cut_out: Path, select: bool
) -> None:
    driver.open(background, cut_out)
    driver.harmonize()
    editor = driver.window.sidebar.curves.editor
    middle = QPoint(editor.width() // 2, editor.height() // 3)
    QTest.mouseClick(editor, Qt.MouseButton.LeftButton, pos=middle)
    if not select:
        QTest.keyClick(editor, Qt.Key.Key_Delete)
    for key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
        QTest.keyClick(editor, key)
    assert len(editor.points) == 2
    assert len(driver.window.session.document.layers) == 2


@pytest.mark.parametrize("tool", ["scribble", "box"])
def test_cut_out_tools_do_not_empty_a_layer(driver: WindowDriver, background: Path, tmp_path: Path, tool: str) -> None:
    cut = disc(120, 100)
    assert cut.alpha is not None
    cut.alpha[:, :70] = 0
    save_image(tmp_path / "half.png", cut)
    driver.open(background, tmp_path / "half.png")
    before = driver.window.session.document
    driver.window.tool_box.choose(tool)
    driver.drag((105, 100), (140, 140))
    driver.settle()
    assert driver.window.session.document is before
    assert driver.window.banner.isVisible()


def test_scribble_on_a_transparent_part_changes_nothing(driver: WindowDriver, background: Path, tmp_path: Path) -> None:
    """Although GrabCut finds a subject: the colors of the transparent part go on in the visible one."""
    pixels = np.random.default_rng(0).integers(0, 30, (100, 120, 3)) + np.where(np.arange(120) < 80, 200, 20)[:, None]
    alpha = np.full((100, 120), 255, np.uint8)
    alpha[:, :40] = 0
    save_image(tmp_path / "half.png", ImageData(pixels.astype(np.uint8), alpha))
    driver.open(background, tmp_path / "half.png")
    before = driver.window.session.document
    left, top, *_ = driver.active.box
    driver.window.tool_box.choose("scribble")
    driver.drag((left + 5, top + 20), (left + 20, top + 70))
    driver.settle()
    assert driver.window.session.document is before
    assert "not transparent" in driver.window.banner.text


# ---- quitting


class HeldExport:
    """Holds an export until `release` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.began, self.release = threading.Event(), threading.Event()
        self._export = document_io.export_image
        monkeypatch.setattr(document_io, "export_image", self)

    def __call__(self, path: Path, document: Document, options: object, *, progress: Callable[..., None]) -> None:
        self.began.set()
        while not self.release.wait(0.01):
            progress(0.5)
        self._export(path, document, progress=progress)


def test_window_closes_after_a_running_export(
    driver: WindowDriver, background: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, target = driver.window, tmp_path / "out.png"
    driver.open(background)
    held = HeldExport(monkeypatch)
    window.files.export(target)
    driver.wait(held.began.is_set)
    window.all_actions["quit"].trigger()
    assert window.isVisible()
    assert "closes as soon as" in window.banner.text
    held.release.set()
    driver.wait(lambda: not window.isVisible())
    assert np.array_equal(load_image(target).pixels, load_image(background).pixels)


def test_window_stays_if_the_export_fails_that_it_waited_for(
    driver: WindowDriver, background: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window, target = driver.window, tmp_path / "missing" / "out.png"
    driver.open(background)
    held = HeldExport(monkeypatch)
    window.files.export(target)
    driver.wait(held.began.is_set)
    window.close()
    held.release.set()
    driver.settle()
    assert window.isVisible()
    assert "missing" in window.banner.text


def test_second_close_offers_to_stop_the_export(
    driver: WindowDriver, background: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, questions: Questions
) -> None:
    window, target = driver.window, tmp_path / "out.png"
    driver.open(background)
    held = HeldExport(monkeypatch)
    window.files.export(target)
    driver.wait(held.began.is_set)
    window.close()
    questions.answer(Qt.Key.Key_Escape, "Close without it")
    window.close()
    assert window.isVisible()
    window.close()
    assert not window.isVisible()
    assert not target.exists()


def test_window_asks_about_a_running_batch(
    driver: WindowDriver, settings: EditorSettings, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = BatchDialog(settings, driver.window)
    dialog.show()
    monkeypatch.setattr(type(dialog.batch_job), "busy", True)
    questions.answer("Continue")
    driver.window.close()
    assert driver.window.isVisible()
    assert dialog.isVisible()
    questions.answer("Stop")
    driver.window.close()
    assert not driver.window.isVisible()


def test_file_dialogs_start_beside_the_background(driver: WindowDriver, background: Path) -> None:
    window: MainWindow = driver.window
    driver.open(background)
    assert window.session.folder == background.parent


def test_slow_opening_does_not_replace_what_was_changed_meanwhile(
    driver: WindowDriver, background: Path, cut_out: Path, questions: Questions, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open(background)
    opened, release = document_io.open_document, threading.Event()

    def slow(path: Path, progress: object = None) -> OpenedFile:
        assert release.wait(LONG / 1000)
        return opened(path)

    monkeypatch.setattr(document_io, "open_document", slow)
    window.files.open(cut_out)
    window.session.do(commands.rename_item(driver.active.id, "precious"))
    questions.answer(Qt.Key.Key_Escape)
    release.set()
    driver.settle()
    assert driver.active.name == "precious"
    assert questions.all_answered


def test_layers_that_were_read_for_another_document_are_read_again(
    driver: WindowDriver, background: Path, cut_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = driver.window
    driver.open(background)
    read, release = document_io.read_layer, threading.Event()

    def slow(*given: object, **named: object) -> object:
        assert release.wait(LONG / 1000)
        return read(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(document_io, "read_layer", slow)
    window.files.add_layers([cut_out])
    window.session.open(Document.from_image(ImageData(np.zeros((50, 60, 3), np.uint16)), "deep"), "deep")
    release.set()
    driver.settle()
    assert {layer.raster.pixels.dtype for layer in window.session.document.layers} == {np.dtype(np.uint16)}
    assert len(window.session.document.layers) == 2
