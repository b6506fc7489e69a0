# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects: saved without loss, readable by other programs, and damage is reported in one sentence."""

from __future__ import annotations

import dataclasses
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import DTypeLike
from PIL import Image

from s2am_common.errors import EngineError
from s2am_editor.document import commands
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Harmonization, Layer, Reference, new_layer_id
from s2am_editor.document.raster import TiledMask
from s2am_editor.document.tone_curves import ALL, ToneCurves
from s2am_editor.files.document_io import open_document, save_project
from s2am_editor.files.project import read_array
from s2am_editor.render.export import flatten
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import Chain, Curves, Matrix
from s2am_engine.image.data import ImageData, Metadata
from tests.editor.document.sample_documents import cutout, disc, scene, two_layers

CURVES = Curves(np.random.default_rng(0).random((3, 33)).astype(np.float32))
DRAWN = ToneCurves().with_line(ALL, ((0.0, 0.1), (0.3, 0.25), (1.0, 0.9))).with_line(2, ((0.0, 0.0), (1.0, 0.6)))


def full_document(dtype: DTypeLike = np.uint8) -> Document:
    """Return a document that uses every feature of the document model."""
    document, layer = two_layers(dtype)
    area = TiledMask.from_array(disc(300, 200))
    found = Chain((CURVES, Matrix(np.eye(3, 4) * 0.9)))
    reference = Reference("layer", layer=document.layers[0].id)
    harmonized = Harmonization(found, "concord", 0.83, reference, Sliders(0.7, warmth=0.1), DRAWN)
    layer = dataclasses.replace(
        *(layer,),
        name="Zoë’s “friend”\x07\n<&>",
        mask=TiledMask.from_array(disc(80, 60)),
        transform=Transform(140.5, 90.25, 1.5, 0.7, 33.3, True, False),
        opacity=0.123456789,
        harmonization=harmonized,
    )
    again = dataclasses.replace(layer, id=layer.id + 10**6, visible=False, harmonization=None, locked=True)
    painted = dataclasses.replace(harmonized, reference=Reference("area", area=area), curves=None)
    third = dataclasses.replace(document.new_layer(cutout(400, 90, 3, dtype), "third"), harmonization=painted)
    metadata = Metadata(
        b"Exif", b"<xmp/>", b"\x1c\x02", (300.0, 299.5), (("Title", "Ünder"),), ((b"gAMA", b"\0\1\x86\xa0"),)
    )
    return dataclasses.replace(
        *(document,),
        layers=(document.layers[0], layer, again, third),
        metadata=metadata,
        profile=None,
        active=layer.id,
        area=area,
    )


def assert_same(one: Document, other: Document) -> None:
    for field in ("width", "height", "dtype", "profile", "gray", "metadata"):
        assert getattr(one, field) == getattr(other, field), field
    assert (one.area is None) == (other.area is None)
    if one.area and other.area:
        np.testing.assert_array_equal(one.area.to_array(), other.area.to_array())
    assert len(one.layers) == len(other.layers)
    assert one.active is None or one.index(one.active) == other.index(other.active)
    for mine, theirs in zip(one.layers, other.layers, strict=True):
        assert_same_layer(mine, theirs)
        if mine.harmonization and mine.harmonization.reference.layer:
            assert theirs.harmonization is not None
            there = theirs.harmonization.reference.layer
            assert one.index(mine.harmonization.reference.layer) == other.index(there)


def assert_same_layer(mine: Layer, theirs: Layer) -> None:
    for field in ("name", "transform", "opacity", "visible", "locked"):
        assert getattr(mine, field) == getattr(theirs, field), field
    np.testing.assert_array_equal(mine.raster.pixels, theirs.raster.pixels)
    assert (mine.raster.alpha is None) == (theirs.raster.alpha is None)
    if mine.raster.alpha is not None:
        np.testing.assert_array_equal(mine.raster.alpha, theirs.raster.alpha)
    assert (mine.mask is None) == (theirs.mask is None)
    if mine.mask and theirs.mask:
        np.testing.assert_array_equal(mine.mask.to_array(), theirs.mask.to_array())
    assert (mine.harmonization is None) == (theirs.harmonization is None)
    if mine.harmonization and theirs.harmonization:
        for field in ("model_map", "model", "confidence", "sliders", "curves"):
            assert getattr(mine.harmonization, field) == getattr(theirs.harmonization, field), field
        assert mine.harmonization.reference.kind == theirs.harmonization.reference.kind


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_save_project_is_lossless(tmp_path: Path, dtype: DTypeLike) -> None:
    document, path = full_document(dtype), tmp_path / "holiday.ora"
    done: list[float] = []
    save_project(path, document, done.append)
    opened: list[float] = []
    found = open_document(path, opened.append)
    assert found.notes == ()
    assert opened == [0.25, 0.5, 0.75, 1]
    assert_same(document, found.document)
    np.testing.assert_array_equal(flatten(document).pixels, flatten(found.document).pixels)
    save_project(path, found.document)  # overwrites the file
    assert_same(document, open_document(path).document)
    assert done == sorted(done)
    assert done[-1] == 1


def test_save_project_stores_shared_pixels_once(tmp_path: Path) -> None:
    document, layer = two_layers()
    copies = commands.duplicate_layer(layer.id).change(document)
    save_project(tmp_path / "one.ora", document)
    save_project(tmp_path / "two.ora", copies)
    layers = open_document(tmp_path / "two.ora").document.layers
    np.testing.assert_array_equal(layers[1].raster.pixels, layers[2].raster.pixels)
    with zipfile.ZipFile(tmp_path / "two.ora") as archive:
        assert not [name for name in archive.namelist() if name.startswith("s2am/pixels")]


def test_save_project_writes_valid_openraster(tmp_path: Path) -> None:
    document, path = full_document(), tmp_path / "holiday.ora"
    save_project(path, document)
    with zipfile.ZipFile(path) as archive:
        first = archive.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert archive.read("mimetype") == b"image/openraster"
        image = ElementTree.fromstring(archive.read("stack.xml"))
        assert (image.attrib["w"], image.attrib["h"]) == ("300", "200")
        layers = image.findall("stack/layer")
        assert [layer.attrib["name"] for layer in layers] == ["third", *["Zoë’s “friend”<&>"] * 2, "beach"]
        assert [layer.attrib["visibility"] for layer in layers] == ["visible", "hidden", "visible", "visible"]
        thumbnail = Image.open(io.BytesIO(archive.read("Thumbnails/thumbnail.png")))
        assert max(thumbnail.size) == 256
        merged = Image.open(io.BytesIO(archive.read("mergedimage.png")))
        np.testing.assert_array_equal(np.asarray(merged.convert("RGB")), flatten(document).pixels)
        stacked = Image.new("RGBA", (300, 200))
        for layer in reversed(layers):
            if layer.attrib["visibility"] == "hidden":
                continue
            rendered = Image.open(io.BytesIO(archive.read(layer.attrib["src"]))).convert("RGBA")
            opaque = rendered.getchannel("A").point(lambda a, by=float(layer.attrib["opacity"]): round(a * by))
            rendered.putalpha(opaque)
            placed = Image.new("RGBA", (300, 200))
            placed.paste(rendered, (int(layer.attrib["x"]), int(layer.attrib["y"])))
            stacked = Image.alpha_composite(stacked, placed)
    difference = np.abs(np.asarray(stacked.convert("RGB")).astype(int) - flatten(document).pixels)
    assert difference.max() <= 3  # opacities of 8 bits, rounded on the way


def test_open_document_prefers_later_changes_of_other_programs(tmp_path: Path) -> None:
    document, path = full_document(), tmp_path / "holiday.ora"
    save_project(path, document)
    changed = rewritten(path, tmp_path / "edited.ora", "stack.xml", lambda data: data.replace(b"beach", b"coast"))
    found = open_document(changed).document
    assert found.layers[0].name == "coast"
    assert found.layers[1].harmonization is None  # that program's layers are already harmonized
    difference = np.abs(flatten(found).pixels.astype(int) - flatten(document).pixels)
    assert difference.max() <= 1


def test_open_document_reads_openraster_groups(tmp_path: Path) -> None:
    path = tmp_path / "krita.ora"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", b"image/openraster")
        archive.writestr(
            "stack.xml",
            '<image w="60" h="40"><stack><text/><stack x="5" y="6" opacity="0.5" visibility="hidden">'
            '<layer src="data/a.png" x="-2" y="3" opacity="0.5" composite-op="svg:multiply"/></stack>'
            '<layer name="back" src="data/b.png"/></stack></image>',
        )
        for name, mode, size in (("a", "LA", (10, 10)), ("b", "RGB", (60, 40))):
            encoded = io.BytesIO()
            Image.new(mode, size, 90 if mode == "LA" else (10, 20, 30)).save(encoded, "PNG")
            archive.writestr(f"data/{name}.png", encoded.getvalue())
    found = open_document(path)
    back, above = found.document.layers
    assert (back.name, above.name) == ("back", "a")
    assert above.box[:2] == (3, 9)
    [group] = found.document.groups_of(above)
    assert (group.opacity, group.visible, group.isolated) == (0.5, False, True)
    assert (above.opacity, above.visible, back.group) == (0.5, True, None)
    assert above.blend_mode is BlendMode.MULTIPLY
    assert len(found.notes) == 1


def rewritten(path: Path, target: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """Copy an archive with one entry changed or removed."""
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as copy:
        for entry in source.namelist():
            data = change(source.read(entry)) if entry == name else source.read(entry)
            if data is not None:
                copy.writestr(entry, data)
    return target


def without_map(data: bytes) -> bytes:
    described = json.loads(data)
    described["layers"][1]["harmonization"]["model_map"]["map"] = {"kind": "curves"}
    return json.dumps(described).encode()


def newer(data: bytes) -> bytes:
    return json.dumps(json.loads(data) | {"version": 99}).encode()


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><image w="9" h="9"><stack>&b;</stack></image>'


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("s2am/document.json", lambda data: data[: len(data) // 2], "is damaged or incomplete: open an earlier copy"),
        ("s2am/document.json", lambda _: b"[]", "is damaged or incomplete"),
        ("s2am/document.json", without_map, "This color map is damaged"),
        ("s2am/document.json", newer, "has version 99, but this program reads versions up to 2"),
        ("data/layer0.png", lambda data: data[:500], "is damaged or incomplete"),
        ("data/layer0.png", lambda _: None, "is damaged or incomplete"),
        ("s2am/mask1.png", lambda _: None, "is damaged or incomplete"),
        ("stack.xml", lambda _: None, "is damaged or incomplete"),
        ("stack.xml", lambda _: b"<image", "is damaged or incomplete"),
        ("stack.xml", lambda _: BOMB, "is damaged or incomplete"),
        ("stack.xml", lambda _: b'<image w="0" h="4"><stack/></image>', "without any pixels"),
        ("stack.xml", lambda _: b'<image w="99999999" h="99999999"><stack/></image>', "thousand megapixels"),
        ("stack.xml", lambda _: b'<image w="5" h="4"><stack/></image>', "is damaged or incomplete"),
        ("mimetype", lambda _: b"application/zip", "is not an OpenRaster file"),
    ],
)
def test_open_document_reports_damaged_project_in_one_sentence(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes | None], message: str
) -> None:
    save_project(tmp_path / "whole.ora", full_document())
    with zipfile.ZipFile(tmp_path / "whole.ora") as archive:
        assert name in archive.namelist()
    broken = rewritten(tmp_path / "whole.ora", tmp_path / "broken.ora", name, change)
    with pytest.raises(EngineError, match=message) as refused:
        open_document(broken)
    assert str(broken) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_open_document_refuses_entries_that_unpack_to_any_size(tmp_path: Path) -> None:
    save_project(tmp_path / "whole.ora", full_document())
    for name in ("data/layer0.png", "s2am/mask1.png"):
        bomb = tmp_path / "bomb.ora"
        with zipfile.ZipFile(tmp_path / "whole.ora") as source, zipfile.ZipFile(bomb, "w") as copy:
            for entry in source.namelist():
                if entry != name:
                    copy.writestr(entry, source.read(entry))
            copy.writestr(name, bytes(70 << 20), zipfile.ZIP_DEFLATED)
        tracemalloc.start()
        try:
            with pytest.raises(EngineError, match="is damaged or incomplete"):
                open_document(bomb)
            assert tracemalloc.get_traced_memory()[1] < 20 << 20
        finally:
            tracemalloc.stop()


def test_open_document_reads_shared_pixels_once(tmp_path: Path) -> None:
    document = full_document()
    again = dataclasses.replace(document.layers[0], id=new_layer_id())
    save_project(tmp_path / "a.ora", dataclasses.replace(document, layers=(*document.layers, again)))
    layers = open_document(tmp_path / "a.ora").document.layers
    assert layers[-1].raster is layers[0].raster


@pytest.mark.parametrize("shape", [(10**6, 10**6, 3), (2**62, 2, 3), (40, 30), (0, 0, 0, 0)])
def test_read_array_refuses_sizes_that_the_file_does_not_have(shape: tuple[int, ...]) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"shape": shape, "fortran_order": False, "descr": "<f4"})
    size = file.tell()
    file.seek(0)
    with pytest.raises(ValueError, match=r"dimensions|ends too early"):
        read_array(file, size, 3)


def test_open_document_reports_truncated_project(tmp_path: Path) -> None:
    save_project(tmp_path / "whole.ora", full_document())
    data = (tmp_path / "whole.ora").read_bytes()
    for share in (0.01, 0.3, 0.6, 0.99):
        broken = tmp_path / "broken.ora"
        broken.write_bytes(data[: int(len(data) * share)])
        with pytest.raises(EngineError, match="is damaged or incomplete"):
            open_document(broken)


def test_save_project_is_atomic(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: float) -> None:
        if done > 0.5:
            raise StoppedError

    path = tmp_path / "holiday.ora"
    save_project(path, two_layers()[0])
    before = path.read_bytes()
    with pytest.raises(StoppedError):
        save_project(path, full_document(), stop)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.ora"]
    with pytest.raises(EngineError, match="there is no folder"):
        save_project(tmp_path / "missing" / "x.ora", full_document())
    with pytest.raises(EngineError, match=r"name that ends in \.ora"):
        save_project(tmp_path / "x.png", full_document())


def test_save_project_without_layers(tmp_path: Path) -> None:
    save_project(tmp_path / "empty.ora", Document(30, 20))
    assert open_document(tmp_path / "empty.ora").document.layers == ()


def test_save_project_keeps_colors_of_transparent_pixels(tmp_path: Path) -> None:
    image = ImageData(scene(), np.where(disc(300, 200) > 128, 255, 0).astype(np.uint8))
    save_project(tmp_path / "logo.ora", Document.from_image(image, "logo"))
    raster = open_document(tmp_path / "logo.ora").document.layers[0].raster
    np.testing.assert_array_equal(raster.pixels, image.pixels)


def test_open_document_leaves_out_a_reference_area_of_another_canvas(tmp_path: Path) -> None:
    """Earlier versions stored such areas, when the image was turned while a model was running."""
    document, layer = two_layers()
    reference = Reference("area", area=TiledMask.from_array(disc(200, 300)))
    found = Harmonization(Matrix(np.eye(3, 4) * 0.9), "concord", reference=reference)
    document = document.with_layer(dataclasses.replace(layer, harmonization=found))
    save_project(tmp_path / "p.ora", document)
    opened = open_document(tmp_path / "p.ora").document
    restored = opened.layers[1].harmonization
    assert restored is not None
    assert restored.reference.kind == "beneath"
    np.testing.assert_array_equal(flatten(opened).pixels, flatten(document).pixels)
