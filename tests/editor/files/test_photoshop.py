# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents (written by psd-tools here): pixel layers, groups, masks, and notes on unsupported features."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from psd_tools import PSDImage
from psd_tools.constants import BlendMode

from s2am_common.errors import EngineError
from s2am_editor.document.blend_mode import BlendMode as LayerBlendMode
from s2am_editor.files.document_io import EXPORT_SUFFIXES, export_image, open_document, read_layer, save_project
from s2am_editor.render.export import flatten
from s2am_engine.image.arrays import to_uint8
from tests.editor.document.sample_documents import disc, scene
from tests.editor.files.photoshop_files import psd_file, psd_layer


@pytest.mark.skipif(not hasattr(PSDImage, "create_pixel_layer_from_array"), reason="psd-tools of Python 3.10")
@pytest.mark.parametrize("depth", [8, 16])
def test_read_photoshop_layers(tmp_path: Path, depth: int) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    document = PSDImage.new("RGB", (300, 200), depth=depth)  # type: ignore[arg-type]
    document.create_pixel_layer_from_array(scene(dtype=dtype), name="beach")
    person = np.dstack([scene(80, 60, 1, dtype), disc(80, 60, dtype)])
    document.create_pixel_layer_from_array(person, name="Zoë", top=70, left=-10, opacity=128)
    document.save(tmp_path / "holiday.psd")
    opened = open_document(tmp_path / "holiday.psd")
    beach, zoe = opened.document.layers
    assert opened.notes == ()
    assert (beach.name, zoe.name) == ("beach", "Zoë")
    assert (beach.locked, zoe.locked) == (True, False)
    np.testing.assert_array_equal(beach.raster.pixels, scene(dtype=dtype))
    np.testing.assert_array_equal(zoe.raster.pixels, person[..., :3])
    assert zoe.raster.alpha is not None
    np.testing.assert_array_equal(zoe.raster.alpha, person[..., 3])
    assert zoe.box == (-10, 70, 70, 130)
    assert zoe.opacity == pytest.approx(128 / 255)
    assert opened.document.dtype == dtype


def test_read_photoshop_groups_masks_and_hidden_layers(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    inside = document.create_pixel_layer(Image.fromarray(scene(80, 60, 1)), name="inside", top=20, left=30)
    inside.create_mask(Image.fromarray(disc(80, 60)))
    group = document.create_group([inside], name="people", opacity=128)
    group.visible = False
    document.save(tmp_path / "holiday.psd")
    opened = open_document(tmp_path / "holiday.psd").document
    layer = opened.layers[1]
    [people] = opened.groups_of(layer)
    assert (people.name, people.visible, people.isolated) == ("people", False, False)
    assert people.opacity == pytest.approx(128 / 255)
    assert (layer.visible, layer.opacity) == (True, 1)
    assert not opened.shows(layer)
    assert layer.mask is not None
    assert layer.mask.to_array()[30, 40] == 255
    assert layer.mask.to_array()[0, 0] == 0


def test_read_photoshop_notes_unsupported_features(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach", blend_mode=BlendMode.VIVID_LIGHT)
    document.save(tmp_path / "holiday.psd")
    notes = open_document(tmp_path / "holiday.psd").notes
    assert "Other blend modes are shown as normal: “beach” (vivid light)." in notes


@pytest.mark.parametrize("own", LayerBlendMode, ids=lambda mode: mode.name)
def test_read_photoshop_blends_layers_as_psd_tools_does(tmp_path: Path, own: LayerBlendMode) -> None:
    mode = BlendMode.LINEAR_DODGE if own is LayerBlendMode.ADD else BlendMode[own.name]
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    document.create_pixel_layer(Image.fromarray(scene(seed=4)), name="light", blend_mode=mode)
    document.save(tmp_path / "holiday.psd")
    found = open_document(tmp_path / "holiday.psd").document
    assert found.layers[1].blend_mode is own
    expected = np.asarray(PSDImage.open(tmp_path / "holiday.psd").composite(force=True).convert("RGB")).astype(int)
    assert np.abs(flatten(found).pixels - expected).max() <= 1


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_read_photoshop_without_layers(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(scene()).convert(mode)
    PSDImage.frompil(image).save(tmp_path / "flat.psd")
    document = open_document(tmp_path / "flat.psd").document
    np.testing.assert_array_equal(flatten(document).pixels, np.asarray(image.convert("RGB")))
    assert document.gray == (mode == "L")


def test_read_photoshop_refuses_other_color_modes(tmp_path: Path) -> None:
    for mode, name in ((7, "MULTICHANNEL"), (8, "DUOTONE")):
        head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, 20, 30, 8, mode) + bytes(14)
        (tmp_path / "print.psd").write_bytes(head + bytes(600))
        with pytest.raises(EngineError, match=rf"{name} colors with 8 bits: convert it to RGB"):
            open_document(tmp_path / "print.psd")


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("mode", "words"), [(4, "CMYK image without a color profile"), (9, "Lab image")])
def test_read_photoshop_converts_cmyk_and_lab(tmp_path: Path, mode: int, words: str, depth: int) -> None:
    image = Image.fromarray(scene(40, 30))
    if mode == 4:
        planes = 255 - np.moveaxis(np.asarray(image.convert("CMYK")), -1, 0).astype(np.uint16)
    else:
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        lab = ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
        planes = np.moveaxis(np.asarray(lab), -1, 0).astype(np.uint16)
        planes[1:] ^= 128  # Pillow's a and b are signed
    data = (planes * 257).astype(">u2") if depth == 16 else planes.astype(np.uint8)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, len(planes), 30, 40, depth, mode) + bytes(14)
    (tmp_path / "print.psd").write_bytes(head + data.tobytes())
    opened = open_document(tmp_path / "print.psd")
    pixels = to_uint8(opened.document.layers[0].raster.pixels)
    assert np.abs(pixels.astype(int) - scene(40, 30)).mean() < 2
    assert words in opened.notes[0]


def test_read_photoshop_refuses_truncated_file(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (300, 200))
    document.create_pixel_layer(Image.fromarray(scene()), name="beach")
    document.save(tmp_path / "holiday.psd")
    data = (tmp_path / "holiday.psd").read_bytes()
    for share in (0.001, 0.1, 0.5):
        (tmp_path / "short.psd").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(EngineError, match=r"is damaged or not a Photoshop document|is not an image"):
            open_document(tmp_path / "short.psd")


@pytest.mark.parametrize("outside", [0, 255])
@pytest.mark.parametrize("nested", [False, True], ids=["group", "nested"])
@pytest.mark.parametrize("own", [False, True], ids=["layer", "masked layer"])
def test_read_photoshop_applies_masks_of_groups(tmp_path: Path, own: bool, nested: bool, outside: int) -> None:
    values = np.zeros((30, 40), np.uint8)
    values[:, :15] = 200
    inner = (np.full((50, 60), 128, np.uint8), 0, 0, 128) if own else None
    layers = [psd_layer(b"person", scene(60, 50), inner)]
    for level in range(2 if nested else 1):
        start = psd_layer(b"group", None, (values, 10, 5, outside) if level == 0 else None, 1)
        layers = [psd_layer(b"end", None, None, 3), *layers, start]
    layers = [psd_layer(b"beach", scene(60, 50, 1), None), *layers]
    (tmp_path / "a.psd").write_bytes(psd_file(layers, np.zeros((50, 60, 3), np.uint8)))
    opened = open_document(tmp_path / "a.psd")
    assert [layer.name for layer in opened.document.layers] == ["beach", "person"]
    mask = opened.document.layers[1].mask
    assert mask is not None
    wanted = np.full((50, 60), outside, np.uint16)
    wanted[5:35, 10:50] = values
    np.testing.assert_array_equal(mask.to_array(), (wanted * 128 + 127) // 255 if own else wanted)
    assert opened.notes == ()


def test_read_photoshop_applies_fill_opacity(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (120, 80))
    layer = document.create_pixel_layer(Image.fromarray(scene(120, 80)), name="beach", opacity=128)
    layer.fill_opacity = 51
    document.save(tmp_path / "a.psd")
    assert open_document(tmp_path / "a.psd").document.layers[0].opacity == pytest.approx(128 / 255 * 51 / 255)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_read_photoshop_saved_selections_are_not_transparency(tmp_path: Path, channels: int, depth: int) -> None:
    planes = np.random.default_rng(0).integers(0, 2**depth, (channels, 30, 40))
    gray = channels < 3
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, channels, 30, 40, depth, 1 if gray else 3)
    resolution = b"8BIM" + struct.pack(">HHIIHHIHH", 1005, 0, 16, 300 << 16, 1, 1, 150 << 16, 1, 1)
    names = b"8BIM" + struct.pack(">HHI", 1006, 0, 8) + b"\7Alpha 1"
    resources = resolution + names
    data = planes.astype(">u2" if depth == 16 else "u1").tobytes()
    body = bytes(4) + struct.pack(">I", len(resources)) + resources + bytes(4) + bytes(2) + data
    (tmp_path / "flat.psd").write_bytes(head + body)
    opened = open_document(tmp_path / "flat.psd")
    raster = opened.document.layers[0].raster
    assert raster.alpha is None
    wanted = planes[[0, 0, 0] if gray else [0, 1, 2]]
    np.testing.assert_array_equal(raster.pixels, np.moveaxis(wanted, 0, -1))
    assert opened.document.metadata.dpi == pytest.approx((300, 150))
    kept = channels in (1, 3)
    assert opened.notes == (() if kept else ("Saved selections (additional channels) are not kept.",))


@pytest.mark.parametrize(("offset", "differs"), [(0, False), (1, False), (3, True), (60, True)])
def test_read_photoshop_compares_layers_with_merged_image(tmp_path: Path, offset: int, differs: bool) -> None:
    beach = scene(60, 50) // 2
    merged = (beach + offset).astype(np.uint8)
    (tmp_path / "a.psd").write_bytes(psd_file([psd_layer(b"beach", beach, None)], merged))
    opened = open_document(tmp_path / "a.psd")
    assert (opened.merged is not None) == differs
    assert [note for note in opened.notes if f"by {offset} of 255 levels" in note] == list(opened.notes)
    assert len(opened.notes) == differs
    if opened.merged is not None:
        np.testing.assert_array_equal(opened.merged.pixels, merged)
    layer = read_layer(tmp_path / "a.psd", opened.document)
    np.testing.assert_array_equal(layer.raster.pixels, merged if differs else beach)


def test_read_photoshop_ignores_merged_image_that_the_file_disclaims(tmp_path: Path) -> None:
    version = b"8BIM" + struct.pack(">HHI", 1057, 0, 17) + struct.pack(">IBIIIx", 1, False, 0, 0, 1)
    layers = [psd_layer(b"beach", scene(60, 50), None)]
    (tmp_path / "a.psd").write_bytes(psd_file(layers, scene(60, 50, 2), version))
    opened = open_document(tmp_path / "a.psd")
    assert (opened.merged, opened.notes) == (None, ())


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1)])
def test_photoshop_layers_of_one_pixel_are_saved_in_projects(tmp_path: Path, size: tuple[int, int]) -> None:
    layers = [psd_layer(b"beach", scene(60, 50), None), psd_layer(b"dot", scene(*size, 1), None)]
    layers.append(psd_layer(b"empty", np.zeros((0, 0, 3), np.uint8), None))
    (tmp_path / "a.psd").write_bytes(psd_file(layers, np.zeros((50, 60, 3), np.uint8)))
    document = open_document(tmp_path / "a.psd").document
    save_project(tmp_path / "a.ora", document)
    again = open_document(tmp_path / "a.ora").document
    assert [layer.name for layer in again.layers] == ["beach", "dot"]
    np.testing.assert_array_equal(again.layers[1].raster.pixels, document.layers[1].raster.pixels)
    for suffix in EXPORT_SUFFIXES:
        export_image(tmp_path / f"b{suffix}", document)


def test_read_photoshop_names_blend_modes_of_groups_and_effects(tmp_path: Path) -> None:
    document = PSDImage.new("RGB", (60, 50))
    inside = document.create_pixel_layer(Image.fromarray(scene(60, 50)), name="person", blend_mode=BlendMode.PIN_LIGHT)
    group = document.create_group([inside], name="people")
    group.blend_mode = BlendMode.LINEAR_BURN
    document.save(tmp_path / "a.psd")
    notes = open_document(tmp_path / "a.psd").notes
    assert "Other blend modes are shown as normal: “person” (pin light), “people” (linear burn)." in notes


def test_read_photoshop_of_odd_blocks_is_silent(tmp_path: Path) -> None:
    data = psd_file([psd_layer(b"beach", scene(60, 50), None)], scene(60, 50))
    start = data.index(b"8BIMnorm")
    (tmp_path / "a.psd").write_bytes(data[:start] + bytes(4) + data[start + 4 :])
    code = "import sys; from pathlib import Path; from s2am_editor.files.document_io import open_document\n"
    code += "try: open_document(Path(sys.argv[1]))\nexcept Exception as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.psd"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
