# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files: opened at their depth, added as layers, exported with profile and metadata."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import DTypeLike
from PIL import Image

from s2am_common.errors import EngineError
from s2am_editor.document import commands
from s2am_editor.document.model import Document
from s2am_editor.files.document_io import (
    ExportOptions,
    export_image,
    open_document,
    read_layer,
    save_project,
)
from s2am_editor.render.export import flatten
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.icc import is_srgb
from s2am_engine.image.io import load_image, save_image
from tests.editor.document.sample_documents import cutout, disc, scene, two_layers
from tests.engine.icc import ADOBE, adobe_curve, rgb_profile

ADOBE_RGB = rgb_profile(ADOBE, adobe_curve)


@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".tif", np.float32), (".webp", np.uint8)],
)
def test_export_image_of_opened_image_is_bit_identical(tmp_path: Path, suffix: str, dtype: DTypeLike) -> None:
    path, out = tmp_path / f"beach{suffix}", tmp_path / f"out{suffix}"
    image = ImageData(scene(dtype=dtype), profile=ADOBE_RGB, metadata=Metadata(dpi=(300.0, 300.0)))
    save_image(path, image)
    opened = open_document(path)
    assert opened.document.layers[0].name == "beach"
    assert opened.document.layers[0].locked
    export_image(out, opened.document)
    found = load_image(out)
    np.testing.assert_array_equal(found.pixels, image.pixels)
    assert found.profile == ADOBE_RGB
    if suffix != ".webp":
        assert found.metadata.dpi == pytest.approx((300, 300), rel=1e-3)


@pytest.mark.parametrize(
    ("suffix", "dtype", "stored"),
    [(".jpg", np.uint16, np.uint8), (".webp", np.float32, np.uint8), (".png", np.float32, np.uint16)],
)
def test_export_image_rounds_to_bits_of_format(
    tmp_path: Path, suffix: str, dtype: DTypeLike, stored: DTypeLike
) -> None:
    document, _ = two_layers(dtype)
    export_image(tmp_path / f"out{suffix}", document)
    found = load_image(tmp_path / f"out{suffix}").pixels
    assert found.dtype == stored
    expected = flatten(document).pixels / (1 if dtype == np.float32 else 65535)
    assert np.abs(found / np.iinfo(stored).max - expected).max() < (0.15 if suffix == ".jpg" else 0.003)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_export_image_converts_to_srgb_scales_and_drops_metadata(tmp_path: Path, dtype: DTypeLike) -> None:
    full = np.iinfo(dtype).max
    green = np.full((100, 200, 3), (100, 150, 100), np.float64) / 255 * full
    metadata = Metadata(xmp=b"<xmp/>", dpi=(300.0, 300.0))
    document = Document.from_image(ImageData(np.rint(green).astype(dtype), None, ADOBE_RGB, metadata=metadata), "beach")
    export_image(tmp_path / "out.png", document, ExportOptions(scale=0.25, srgb=True, metadata=False))
    found = load_image(tmp_path / "out.png")
    assert found.pixels.shape == (25, 50, 3)
    assert found.pixels.dtype == dtype
    assert is_srgb(found.profile)
    assert found.pixels[12, 25] / full * 255 == pytest.approx((66, 151, 97), abs=1)
    assert found.metadata.xmp is None
    assert found.metadata.dpi is None


def test_export_image_scales_transparent_images_without_fringes(tmp_path: Path) -> None:
    document, layer = two_layers()
    alone = dataclasses.replace(document, layers=(layer,))
    export_image(tmp_path / "out.png", alone, ExportOptions(scale=0.5))
    found = load_image(tmp_path / "out.png")
    assert found.alpha is not None
    assert found.pixels.shape == (100, 150, 3)
    covered = found.alpha > 0
    assert found.pixels[covered].min() > 10  # no black of the transparent pixels


def test_read_layer_converts_to_document_depth(tmp_path: Path) -> None:
    save_image(tmp_path / "person.png", cutout(dtype=np.uint16))
    document = Document.from_image(ImageData(scene()), "beach")
    layer = read_layer(tmp_path / "person.png", document)
    assert layer.name == "person"
    assert layer.raster.pixels.dtype == np.uint8
    assert layer.box == (110, 70, 190, 130)
    assert layer.raster.alpha is not None
    assert np.abs(layer.raster.alpha - disc(80, 60).astype(int)).max() <= 1
    dropped = read_layer(tmp_path / "person.png", document, center=(50, 40))
    assert (dropped.transform.x, dropped.transform.y) == (50, 40)


def test_read_layer_scales_large_image_to_fit(tmp_path: Path) -> None:
    save_image(tmp_path / "large.png", cutout(900, 400))
    layer = read_layer(tmp_path / "large.png", Document.from_image(ImageData(scene()), "beach"))
    assert layer.box.intersection(Document(300, 200).rect) == layer.box
    assert layer.box.width == 300
    assert layer.size == (900, 400)  # the original resolution is kept


def test_read_layer_converts_the_profile_at_any_depth(tmp_path: Path) -> None:
    green = np.full((20, 20, 3), (100, 180, 60), np.uint8)
    save_image(tmp_path / "adobe.png", ImageData(green, profile=ADOBE_RGB))
    layer = read_layer(tmp_path / "adobe.png", Document.from_image(ImageData(scene()), "beach"))
    assert layer.raster.pixels[0, 0, 0] < 80
    save_image(tmp_path / "deep.png", ImageData(green.astype(np.uint16) * 257, profile=ADOBE_RGB))
    for dtype in (np.uint8, np.uint16):
        deep = read_layer(tmp_path / "deep.png", Document.from_image(ImageData(scene(dtype=dtype)), "beach"))
        shown = deep.raster.pixels[0, 0] / np.iinfo(dtype).max * 255
        assert np.abs(shown - layer.raster.pixels[0, 0]).max() <= 1


def test_read_layer_merges_project(tmp_path: Path) -> None:
    document, _ = two_layers()
    save_project(tmp_path / "holiday.ora", document)
    layer = read_layer(tmp_path / "holiday.ora", document)
    np.testing.assert_array_equal(layer.raster.pixels, flatten(document).pixels)


def test_export_image_with_alpha(tmp_path: Path) -> None:
    opaque = ImageData(scene(), np.full((200, 300), 255, np.uint8))
    export_image(tmp_path / "out.jpg", Document.from_image(opaque, "beach"))
    assert Image.open(tmp_path / "out.jpg").mode == "RGB"
    clear = Document.from_image(ImageData(scene(), disc(300, 200)), "logo")
    with pytest.raises(EngineError, match="JPEG cannot store transparency"):
        export_image(tmp_path / "clear.jpg", clear)
    assert not (tmp_path / "clear.jpg").exists()
    export_image(tmp_path / "clear.png", clear)
    alpha = load_image(tmp_path / "clear.png").alpha
    assert alpha is not None
    np.testing.assert_array_equal(alpha, disc(300, 200))


def test_export_image_keeps_gray(tmp_path: Path) -> None:
    gray = np.repeat(scene()[..., :1], 3, axis=2)
    export_image(tmp_path / "out.png", Document.from_image(ImageData(gray, gray=True), "old"))
    assert Image.open(tmp_path / "out.png").mode == "L"


def test_export_image_skips_hidden_layers(tmp_path: Path) -> None:
    document, layer = two_layers()
    export_image(tmp_path / "out.png", commands.set_visible(layer.id, False).change(document))
    np.testing.assert_array_equal(load_image(tmp_path / "out.png").pixels, scene())


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing.png", None, "does not exist"),
        ("empty.png", b"", "is empty"),
        ("text.png", b"hello, this is no picture", "is not an image that can be read"),
        ("half.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "is damaged or incomplete"),
        ("broken.ora", b"PK\3\4rubbish", "is damaged or incomplete"),
        ("broken.psd", b"8BPS\0\1rubbish", "is damaged or not a Photoshop document"),
        ("a.jp2", b"\0\0\0\x0cjP  " + b"\0" * 50, "is a JPEG 2000 file"),
    ],
)
def test_open_document_refuses_bad_files_in_one_sentence(
    tmp_path: Path, name: str, data: bytes | None, message: str
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(EngineError, match=message) as refused:
        open_document(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_export_image_refuses_bad_paths_in_one_sentence(tmp_path: Path) -> None:
    document = dataclasses.replace(two_layers()[0])
    with pytest.raises(EngineError, match=r"use a name that ends in one of \.png"):
        export_image(tmp_path / "out.xyz", document)
    with pytest.raises(EngineError, match="there is no folder"):
        export_image(tmp_path / "none" / "out.png", document)
