# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening, dropping and pasting files and images; errors appear in the banner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QImage
from PyQt6.QtWidgets import QApplication

from s2am_editor.window import clipboard
from s2am_editor.window.dialogs import standard_dialogs
from s2am_editor.window.menus import menu_text
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from tests.editor.files.photoshop_files import psd_file, psd_layer
from tests.editor.ui.conftest import disc
from tests.editor.ui.driver import WindowDriver
from tests.engine import icc


def test_drop_opens_background_and_places_layer_at_pointer(
    driver: WindowDriver, background: Path, cut_out: Path
) -> None:
    driver.drop(background)
    assert driver.window.session.document.width == 320
    driver.drop(cut_out, at=(100, 80))
    layer = driver.active
    assert layer.name == "disc"
    assert (layer.transform.x, layer.transform.y) == pytest.approx((100, 80), abs=1)


@pytest.mark.parametrize("accepted", [True, False])
def test_photoshop_document_that_looks_different_offers_merged_image(
    driver: WindowDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool
) -> None:
    merged = np.arange(60 * 50 * 3).reshape(50, 60, 3).astype(np.uint8)
    (tmp_path / "a.psd").write_bytes(psd_file([psd_layer(b"negative", 255 - merged, None)], merged))
    details = []

    def choose(_parent: object, _title: str, _text: str, add: str, **options: str) -> str | None:
        details.append(options["details"])
        return add if accepted else None

    monkeypatch.setattr(standard_dialogs, "choose_answer", choose)
    driver.open(tmp_path / "a.psd")
    layers = driver.window.session.document.layers
    assert [layer.name for layer in layers] == ["negative", *(["Merged image"] if accepted else [])]
    if accepted:
        assert np.array_equal(layers[1].raster.pixels, merged)
    assert "look different here than in Photoshop" in details[0]


def test_clipboard_keeps_alpha(driver: WindowDriver, background: Path) -> None:
    given = disc(60, 50)
    clipboard.copy_image(given)
    found = clipboard.image_of(clipboard.clipboard_data())
    assert found is not None
    assert found.alpha is not None
    assert given.alpha is not None
    assert np.array_equal(found.alpha, given.alpha)
    opaque = np.asarray(given.alpha) == 255
    assert np.array_equal(found.pixels[opaque], given.pixels[opaque])


def test_paste_without_document_opens_one(driver: WindowDriver) -> None:
    clipboard.copy_image(ImageData(np.full((30, 40, 3), 90, np.uint8)))
    driver.window.all_actions["paste"].trigger()
    driver.settle()
    document = driver.window.session.document
    assert (document.width, document.height) == (40, 30)
    assert driver.window.session.is_modified


def test_from_image_keeps_16_bits(driver: WindowDriver) -> None:
    image = QImage(4, 3, QImage.Format.Format_RGBA64)
    image.fill(0)
    found = clipboard.from_image(image)
    assert found.pixels.dtype == np.uint16


def test_paste_returns_false_without_image(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    data = clipboard.clipboard_data()
    assert data is not None
    empty = QMimeData()
    empty.setText("no picture")
    assert driver.window.files.paste(empty) is False


def test_hint_about_an_empty_clipboard_ends_with_the_next_paste(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    board, banner = QApplication.clipboard(), driver.window.banner
    assert board is not None
    board.setText("no picture")
    driver.window.all_actions["paste"].trigger()
    assert banner.isVisible()
    assert "contains no image" in banner.text
    clipboard.copy_image(disc(40, 30))
    driver.window.all_actions["paste"].trigger()
    driver.settle()
    assert driver.active.size == (40, 30)
    assert not banner.isVisible()


def test_damaged_image_shows_banner_and_keeps_document(driver: WindowDriver, background: Path, tmp_path: Path) -> None:
    driver.open(background)
    bad = tmp_path / "bad.png"
    bad.write_bytes(background.read_bytes()[:300])
    driver.drop(bad)
    banner = driver.window.banner
    assert banner.isVisible()
    assert "bad.png" in banner.text
    assert "damaged" in banner.text
    assert "Traceback" not in banner.text
    assert "Traceback" in banner.details
    assert len(driver.window.session.document.layers) == 1


def test_truncated_project_shows_banner_and_keeps_document(
    driver: WindowDriver, background: Path, tmp_path: Path
) -> None:
    project = tmp_path / "work.ora"
    driver.open(background)
    driver.window.session.path = project
    driver.window.files.save()
    driver.settle()
    content = project.read_bytes()
    project.write_bytes(content[: len(content) // 2])
    before = driver.window.session.document
    driver.drop(project)
    assert driver.window.banner.isVisible()
    assert "work.ora" in driver.window.banner.text
    assert driver.window.session.document is before


def test_add_layers_skips_unreadable_file(
    driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "broken.png"
    bad.write_bytes(b"nothing")
    driver.open(background)
    driver.drop(bad, cut_out)
    assert [layer.name for layer in driver.window.session.document.layers] == ["background", "disc"]
    assert "broken.png" in driver.window.banner.text


def test_recent_files_are_listed_on_welcome_page(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    assert driver.window.settings.recent[0] == background.resolve()
    driver.window.session.close()
    shown = [button.text() for button in driver.window.welcome.findChildren(type(driver.window.welcome.open_button))]
    assert menu_text(background) in shown


def test_open_16_bit_tiff_shows_its_gray(driver: WindowDriver, tmp_path: Path) -> None:
    path = tmp_path / "deep.tif"
    save_image(path, ImageData(np.full((20, 30, 3), 30000, np.uint16)))
    driver.open(path)
    assert driver.window.session.document.dtype == np.uint16
    shown = driver.screen()
    view = driver.window.canvas.viewport
    assert abs(int(shown[view.top + 10, view.left + 15, 0]) - round(30000 / 257)) <= 1


@pytest.mark.parametrize("deep_document", [False, True])
def test_16_bit_layer_of_another_profile_is_converted(
    driver: WindowDriver, tmp_path: Path, deep_document: bool
) -> None:
    depth = np.uint16 if deep_document else np.uint8
    save_image(tmp_path / "background.tif", ImageData(np.full((40, 60, 3), np.iinfo(depth).max // 2, depth)))
    adobe = icc.rgb_profile(icc.ADOBE, icc.adobe_curve)
    green = np.full((20, 30, 3), (100, 150, 100), np.uint16) * np.uint16(257)
    save_image(tmp_path / "layer.tif", ImageData(green, profile=adobe))
    driver.open(tmp_path / "background.tif")
    driver.drop(tmp_path / "layer.tif")
    assert not driver.window.banner.isVisible()
    layer = driver.active
    assert layer.name == "layer"
    assert layer.raster.pixels.dtype == depth
    shown = layer.raster.pixels[5, 5].astype(float) * (255 / np.iinfo(depth).max)
    assert shown == pytest.approx((66, 151, 97), abs=1)  # the color that LittleCMS computes for sRGB


def test_files_named_relative_to_the_current_folder_are_found_from_any_other(
    driver: WindowDriver, background: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For file dialogs, which start beside the background, and the list of recent files."""
    monkeypatch.chdir(background.parent)
    driver.open(Path(background.name))
    assert driver.window.session.folder == background.parent
    assert driver.window.session.source == background


def test_dropped_address_is_refused_with_advice(driver: WindowDriver, background: Path) -> None:
    driver.open(background)
    data = QMimeData()
    data.setUrls([QUrl("https://example.com/cat.jpg")])
    event = QDragEnterEvent(
        QPoint(50, 50), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    event.ignore()
    driver.window.dragEnterEvent(event)
    assert event.isAccepted()
    driver.window.dropEvent(event)
    driver.settle()
    assert "copy the image in the browser" in driver.window.banner.text
    assert len(driver.window.session.document.layers) == 1


@pytest.mark.parametrize(("bad", "lines"), [(2, 2), (5, 4)])
def test_every_unreadable_file_of_a_drop_is_named(
    driver: WindowDriver, background: Path, cut_out: Path, tmp_path: Path, bad: int, lines: int
) -> None:
    driver.open(background)
    damaged = [tmp_path / f"damaged-{number}.png" for number in range(bad)]
    for path in damaged:
        path.write_bytes(b"")
    driver.drop(damaged[0], cut_out, *damaged[1:])
    shown = driver.window.banner.text.splitlines()
    assert len(shown) == lines
    assert all(path.name in line for path, line in zip(damaged[:3], shown, strict=False))
    assert bad <= 3 or "2 more" in shown[-1]
    assert len(driver.window.session.document.layers) == 2
