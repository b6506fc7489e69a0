# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening, dropping and pasting; what can't be read is told calmly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData
from PyQt6.QtGui import QImage

from s2am_editor.window import clipboard
from s2am_engine.image.io import ImageData, save_image
from tests.editor.ui.conftest import disc
from tests.editor.ui.hands import Hands


def test_dropping_a_background_and_then_a_cut_out_where_it_is_dropped(
    hands: Hands, background: Path, cut_out: Path
) -> None:
    hands.drop(background)
    assert hands.window.session.document.width == 320
    hands.drop(cut_out, at=(100, 80))
    layer = hands.active
    assert layer.name == "disc"
    assert (layer.transform.x, layer.transform.y) == pytest.approx((100, 80), abs=1)


def test_the_clipboards_transparency_survives(hands: Hands, background: Path) -> None:
    given = disc(60, 50)
    clipboard.copy_image(given)
    found = clipboard.image_of(clipboard.clipboard_data())
    assert found is not None
    assert found.alpha is not None
    assert given.alpha is not None
    assert np.array_equal(found.alpha, given.alpha)
    opaque = np.asarray(given.alpha) == 255
    assert np.array_equal(found.pixels[opaque], given.pixels[opaque])


def test_pasting_without_a_document_opens_one(hands: Hands) -> None:
    clipboard.copy_image(ImageData(np.full((30, 40, 3), 90, np.uint8)))
    hands.window.all_actions["paste"].trigger()
    hands.settle()
    document = hands.window.session.document
    assert (document.width, document.height) == (40, 30)
    assert hands.window.session.is_modified


def test_a_picture_of_16_bits_keeps_them(hands: Hands) -> None:
    image = QImage(4, 3, QImage.Format.Format_RGBA64)
    image.fill(0)
    found = clipboard.from_image(image)
    assert found.pixels.dtype == np.uint16


def test_an_empty_clipboard_is_told(hands: Hands, background: Path) -> None:
    hands.open(background)
    data = clipboard.clipboard_data()
    assert data is not None
    empty = QMimeData()
    empty.setText("no picture")
    assert hands.window.files.paste(empty) is False


def test_a_bad_file_is_told_in_a_banner_and_the_document_stays(hands: Hands, background: Path, tmp_path: Path) -> None:
    hands.open(background)
    bad = tmp_path / "bad.png"
    bad.write_bytes(background.read_bytes()[:300])
    hands.drop(bad)
    banner = hands.window.banner
    assert banner.isVisible()
    assert "bad.png" in banner.text
    assert "damaged" in banner.text
    assert "Traceback" not in banner.text
    assert "Traceback" in banner.details
    assert len(hands.window.session.document.layers) == 1


def test_a_corrupt_project_opens_nothing_and_says_why(hands: Hands, background: Path, tmp_path: Path) -> None:
    project = tmp_path / "work.ora"
    hands.open(background)
    hands.window.session.path = project
    hands.window.files.save()
    hands.settle()
    content = project.read_bytes()
    project.write_bytes(content[: len(content) // 2])
    before = hands.window.session.document
    hands.drop(project)
    assert hands.window.banner.isVisible()
    assert "work.ora" in hands.window.banner.text
    assert hands.window.session.document is before


def test_one_bad_layer_does_not_keep_the_others_out(
    hands: Hands, background: Path, cut_out: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"nothing")
    hands.open(background)
    hands.drop(bad, cut_out)
    assert [layer.name for layer in hands.window.session.document.layers] == ["background", "disc"]
    assert "broken.png" in hands.window.banner.text


def test_files_are_remembered_and_listed(hands: Hands, background: Path) -> None:
    hands.open(background)
    assert hands.window.settings.recent[0] == background.resolve()
    hands.window.session.close()
    shown = [button.text() for button in hands.window.welcome.findChildren(type(hands.window.welcome.open_button))]
    assert "background.png" in shown


def test_a_gray_and_a_16_bit_picture_open(hands: Hands, tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    save_image(path, ImageData(np.full((20, 30, 3), 30000, np.uint16)))
    hands.open(path)
    assert hands.window.session.document.dtype == np.uint16
    shown = hands.screen()
    view = hands.window.canvas.viewport
    assert abs(int(shown[view.top + 10, view.left + 15, 0]) - round(30000 / 257)) <= 1
