# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files that other programs write and read, against the letter of their format; TIFF has a file of its own."""

from __future__ import annotations

import hashlib
import io
import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import exiv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from s2am_common.errors import ImageFormatError
from s2am_engine.image.arrays import to_uint8
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.exif import normalize_exif
from s2am_engine.image.formats.iptc import iptc_of_resources, iptc_resource
from s2am_engine.image.icc import from_srgb, to_srgb
from s2am_engine.image.io import load_image, save_image
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.image.masks import mask_from_alpha
from s2am_engine.image.paste import place_layer
from tests.engine import icc
from tests.engine.metadata import pack_exif
from tests.engine.raw_files import (
    GRAY_PROFILE,
    IPTC,
    RGB,
    RGB_PROFILE,
    convert,
    jpeg_with,
    orientation_field,
    png_chunk,
    png_with,
    tiff_fields,
)


@pytest.mark.parametrize("dpi", [4294967295.0, 1e9, 7e4, 1e-3, 1e-12, 4294967295 * 2.54])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_save_image_leaves_out_resolution_that_does_not_fit(tmp_path: Path, suffix: str, dpi: float) -> None:
    save_image(tmp_path / f"a{suffix}", ImageData(RGB, metadata=Metadata(dpi=(dpi, dpi))))
    found = load_image(tmp_path / f"a{suffix}").metadata.dpi
    assert found is None or found == pytest.approx((dpi, dpi), rel=0.1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_load_image_with_absurd_exif_resolution(tmp_path: Path, suffix: str) -> None:
    huge = struct.pack("<II", 4294967295, 1)
    blob = tiff_fields("<", (282, 5, 1, huge), (283, 5, 1, huge), (296, 3, 1, b"\3\0"))
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + blob)
    save_image(tmp_path / f"b{suffix}", load_image(tmp_path / "a.jpg"))
    assert load_image(tmp_path / f"b{suffix}").pixels.shape == RGB.shape


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("repeated", [0, 1, 2, 3])
@pytest.mark.parametrize("announced", [2, 3, 6, 60000])
def test_normalize_exif_of_sloppy_writers(order: str, repeated: int, announced: int) -> None:
    blob = tiff_fields(order, (271, 2, 4, b"Mak\0"), orientation_field(order, 6), announced=announced)
    kept, orientation = normalize_exif(b"Exif\0\0" * repeated + blob)
    assert orientation == 6
    assert kept is not None
    with Image.open(io.BytesIO(b"".join(_jpeg_with_exif(kept)))) as image:
        exif = image.getexif()
        assert (exif[271], exif[274]) == ("Mak", 1)


def _jpeg_with_exif(blob: bytes) -> list[bytes]:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG", exif=b"Exif\0\0" + blob)
    return [file.getvalue()]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_load_image_turns_images_with_sloppy_exif(tmp_path: Path, suffix: str) -> None:
    blob = tiff_fields("<", orientation_field("<", 6), (271, 2, 4, b"Mak\0"), announced=6)
    Image.fromarray(RGB).save(tmp_path / f"a{suffix}", exif=b"Exif\0\0Exif\0\0" + blob)
    found = load_image(tmp_path / f"a{suffix}")
    assert found.pixels.shape == (50, 40, 3)
    assert found.metadata.exif is not None
    assert b"Mak\0" in found.metadata.exif


def test_normalize_exif_survives_any_damage() -> None:
    blob = tiff_fields("<", (271, 2, 20, b"M" * 20), orientation_field("<", 6), (282, 5, 1, bytes(8)), announced=9)
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(blob[: rng.integers(1, len(blob) + 1)])
        for place in rng.integers(0, len(damaged), 3):
            damaged[place] = rng.integers(0, 256)
        _, orientation = normalize_exif(bytes(damaged))
        assert 1 <= orientation <= 8


@pytest.mark.parametrize("source", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("target", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("iptc", [IPTC, IPTC + b"\x1c\x02\x74\0\x05Mine!", IPTC * 500], ids=["short", "odd", "long"])
def test_iptc_is_kept_between_formats(tmp_path: Path, source: str, target: str, iptc: bytes) -> None:
    save_image(tmp_path / f"a{source}", ImageData(RGB, metadata=Metadata(iptc=iptc)))
    save_image(tmp_path / f"b{target}", load_image(tmp_path / f"a{source}"))
    assert load_image(tmp_path / f"b{target}").metadata.iptc == iptc
    assert load_image(tmp_path / f"b{target}").metadata.text == ()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["bytes", "integers", "swapped integers", "resources"])
def test_read_tiff_iptc_of_other_programs(tmp_path: Path, order: Any, kind: str) -> None:
    records = IPTC + bytes(-len(IPTC) % 4)
    swapped = np.frombuffer(records, ">u4").astype("<u4").tobytes()
    fields: dict[str, tuple[int, int, int, Any]] = {
        "bytes": (33723, 7, len(records), records),
        "integers": (33723, 4, len(records) // 4, np.frombuffer(records, f"{order}u4")),
        "swapped integers": (33723, 4, len(records) // 4, np.frombuffer(swapped, f"{order}u4")),
        "resources": (34377, 7, len(iptc_resource(records)), iptc_resource(records)),
    }
    tag, code, count, stored = fields[kind]
    tags = [(tag, code, count, stored if isinstance(stored, bytes) else tuple(map(int, stored)), True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", byteorder=order, extratags=tags)
    assert load_image(tmp_path / "a.tif").metadata.iptc == records


@pytest.mark.parametrize("length", [27, 28, 29, 284])
def test_iptc_of_any_length_is_read_by_exiv2(tmp_path: Path, length: int) -> None:
    records = IPTC[:10] + b"\x1c\x02\x19" + struct.pack(">H", length - 15) + b"K" * (length - 15)
    assert len(records) == length
    for suffix in (".png", ".jpg", ".tif"):
        save_image(tmp_path / f"a{suffix}", ImageData(RGB, metadata=Metadata(iptc=records)))
        assert load_image(tmp_path / f"a{suffix}").metadata.iptc == records
        read = exiv2.ImageFactory.open(str(tmp_path / f"a{suffix}"))
        read.readMetadata()
        assert str(read.iptcData()["Iptc.Application2.ObjectName"].value()) == "Title"


def test_iptc_of_resources_finds_records_behind_others() -> None:
    other = b"8BIM\x03\xed\0\0\0\0\0\x03abc\0"
    assert iptc_of_resources(other + iptc_resource(IPTC)) == IPTC
    assert iptc_of_resources(IPTC) == IPTC
    assert iptc_of_resources(other) is None
    assert iptc_of_resources(b"8BIM\x04") is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize(
    ("gray", "profile", "kept"),
    [
        (False, GRAY_PROFILE, False),
        (False, RGB_PROFILE, True),
        (False, RGB_PROFILE[:16] + b"CMYK" + RGB_PROFILE[20:], False),
        (True, GRAY_PROFILE, True),
        (True, RGB_PROFILE, True),
    ],
    ids=["gray on color", "RGB", "CMYK on RGB", "gray", "RGB on gray"],
)
def test_load_image_ignores_profile_of_the_wrong_kind(
    tmp_path: Path, suffix: str, gray: bool, profile: bytes, kept: bool
) -> None:
    if suffix == ".webp" and gray:
        pytest.skip("WebP has no gray")
    Image.fromarray(RGB[..., 0] if gray else RGB).save(tmp_path / f"a{suffix}", icc_profile=profile)
    assert load_image(tmp_path / f"a{suffix}").profile == (profile if kept else None)


def exif_of_color_space(order: str, space: int, index: bytes) -> bytes:
    """EXIF data with a color space and an index of interoperability."""
    child = {40961: (3, 1, struct.pack(order + "HH", space, 0)[:2])}
    blob = pack_exif(order, {271: (2, 7, b"Camera\0")}, {**child, 40965: (4, 1, bytes(4))})
    blob += bytes(len(blob) % 2)
    pointer = struct.pack(order + "HHI", 40965, 4, 1)
    interoperability = struct.pack(order + "HHHI4sI", 1, 1, 2, 4, index, 0)
    return blob.replace(pointer + bytes(4), pointer + struct.pack(order + "I", len(blob))) + interoperability


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("space", "index", "wanted"),
    [
        (0xFFFF, b"R03\0", True),
        (2, b"R98\0", True),
        (0xFFFF, b"R98\0", False),
        (1, b"R98\0", False),
        (1, b"R03\0", False),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".png", ".tif"])
def test_load_image_takes_adobe_rgb_from_exif(
    tmp_path: Path, suffix: str, space: int, index: bytes, wanted: bool, order: str
) -> None:
    exif = exif_of_color_space(order, space, index)
    save_image(tmp_path / f"a{suffix}", ImageData(RGB, metadata=Metadata(exif=exif)))
    found = load_image(tmp_path / f"a{suffix}")
    assert (found.profile is not None) == wanted
    reference = icc.rgb_profile(icc.ADOBE, icc.adobe_curve) if wanted else None
    assert np.abs(convert(found.profile, RGB) - convert(reference, RGB)).max() <= 1
    save_image(tmp_path / f"b{suffix}", ImageData(RGB, profile=RGB_PROFILE, metadata=Metadata(exif=exif)))
    assert load_image(tmp_path / f"b{suffix}").profile == RGB_PROFILE


def test_load_image_of_sloppy_color_space_fields(tmp_path: Path) -> None:
    whole = exif_of_color_space("<", 0xFFFF, b"R03\0")
    for length in range(8, len(whole), 3):
        Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + whole[:length])
        assert load_image(tmp_path / "a.jpg").pixels.shape == RGB.shape


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_place_layer_converts_profiles_at_any_depth(dtype: Any, gray: bool) -> None:
    scale = {np.uint8: 1, np.uint16: 257, np.float32: 1 / 255}[dtype]
    pixels = (np.repeat(RGB[..., :1], 3, axis=2) if gray else RGB) * np.array(scale)
    layer = ImageData(pixels.astype(dtype), np.full((40, 50), 255 * scale).astype(dtype), RGB_PROFILE)
    layer.alpha[0, 0] = 0  # type: ignore[index]
    background = ImageData(np.zeros((40, 50, 3), dtype), profile=GRAY_PROFILE if gray else None, gray=gray)
    placed = place_layer(layer, background)
    wanted = from_srgb(to_srgb(RGB[..., [0, 0, 0]] if gray else RGB, RGB_PROFILE), background.profile)
    assert placed.pixels.dtype == dtype
    assert np.abs(to_uint8(placed.pixels).astype(int) - wanted).mean() < 0.5


GAIN_MAP_XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"
 xmlns:C="http://ns.google.com/photos/1.0/container/"
 xmlns:Item="http://ns.google.com/photos/1.0/container/item/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 hdrgm:Version="1.0" hdrgm:GainMapMax='3.1' dc:format="image/jpeg"><hdrgm:GainMapMin>
<rdf:Seq><rdf:li>0</rdf:li></rdf:Seq>
</hdrgm:GainMapMin><C:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item Item:Semantic="GainMap"
 Item:Length="99"/></rdf:li></rdf:Seq></C:Directory>
<dc:title>Sunrise</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(
    ("mark", "segment"),
    [
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + GAIN_MAP_XMP),
        (0xE2, b"urn:iso:std:iso:ts:21496:-1\0\0\0\0\0"),
    ],
    ids=["Ultra HDR", "ISO 21496-1"],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_read_jpeg_gain_map_has_a_note_and_no_claim(tmp_path: Path, suffix: str, mark: int, segment: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with((mark, segment)))
    found = load_image(tmp_path / "a.jpg")
    (note,) = found.notes
    assert "gain map" in note
    save_image(tmp_path / f"b{suffix}", found)
    again = load_image(tmp_path / f"b{suffix}")
    assert again.notes == ()
    xmp = again.metadata.xmp or b""
    assert not re.search(rb"GainMap|hdrgm:V|Directory|Item:Length", xmp)
    if mark == 0xE1:
        assert b'dc:format="image/jpeg"' in xmp
        assert b"<dc:title>Sunrise</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>" in xmp
        ElementTree.fromstring(xmp)


MOTION_XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1"
 GCamera:MotionPhotoVersion="1" GCamera:MicroVideoOffset="12345" GCamera:BurstID="abc"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize(("xmp", "note"), [(MOTION_XMP, "motion photo"), (GAIN_MAP_XMP, "gain map")])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_load_image_takes_claims_of_attachments_out_of_xmp(tmp_path: Path, suffix: str, xmp: bytes, note: str) -> None:
    save_image(tmp_path / f"a{suffix}", ImageData(RGB, metadata=Metadata(xmp=xmp)))
    found = load_image(tmp_path / f"a{suffix}")
    assert [note in each for each in found.notes] == [True]
    kept = found.metadata.xmp or b""
    assert not re.search(rb"GainMap|hdrgm:V|Directory|MotionPhoto|MicroVideo", kept)
    assert note == "gain map" or b'GCamera:BurstID="abc"' in kept
    ElementTree.fromstring(kept)


def test_read_jpeg_without_gain_map_has_no_note(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>"), (0xFE, b"hi")))
    found = load_image(tmp_path / "a.jpg")
    assert (found.notes, found.metadata.xmp) == ((), b"<x:xmpmeta/>")


XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpNote="http://ns.adobe.com/xmp/note/" xmp:Rating="4"%s>%s'
    b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


EXTENDED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:ps="http://ns.adobe.com/photoshop/1.0/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="">'
    b"<ps:History>" + b"cropped, " * 12000 + b"</ps:History></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def extended_segments(digest: bytes) -> list[tuple[int, bytes]]:
    """Segments of a JPEG file with the extended packet, the last one first."""
    head = b"http://ns.adobe.com/xmp/extension/\0" + digest + struct.pack(">I", len(EXTENDED))
    starts = range(0, len(EXTENDED), 65000)
    return [(0xE1, head + struct.pack(">I", at) + EXTENDED[at : at + 65000]) for at in reversed(starts)]


@pytest.mark.parametrize("attribute", [False, True], ids=["element", "attribute"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_read_jpeg_joins_extended_xmp(tmp_path: Path, suffix: str, attribute: bool) -> None:
    digest = b"0123456789ABCDEF0123456789ABCDEF"
    link = (b' xmpNote:HasExtendedXMP="%s"', b"<xmpNote:HasExtendedXMP>%s</xmpNote:HasExtendedXMP>")[
        not attribute
    ] % digest
    main = XMP % ((link, b"") if attribute else (b"", link))
    other = extended_segments(b"F" * 32)
    segments = [(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main), *other, *extended_segments(digest)]
    (tmp_path / "a.jpg").write_bytes(jpeg_with(*segments))
    found = load_image(tmp_path / "a.jpg")
    assert found.notes == ()
    save_image(tmp_path / f"b{suffix}", found)
    xmp = load_image(tmp_path / f"b{suffix}").metadata.xmp
    assert xmp == found.metadata.xmp
    assert xmp is not None
    first, second = ElementTree.fromstring(xmp)[0]
    assert first.attrib["{http://ns.adobe.com/xap/1.0/}Rating"] == "4"
    history = second.find("{http://ns.adobe.com/photoshop/1.0/}History")
    assert history is not None
    assert history.text == "cropped, " * 12000
    assert b"HasExtendedXMP" not in xmp


@pytest.mark.parametrize("damage", ["missing", "cut", "not XML"])
def test_read_jpeg_says_that_extended_xmp_is_lost(tmp_path: Path, damage: str) -> None:
    digest = b"0123456789abcdef0123456789abcdef"
    segments = {
        "missing": [],
        "cut": extended_segments(digest)[1:],
        "not XML": [
            (mark, body.replace(b"</ps:History>", b"</ps:H>......")) for mark, body in extended_segments(digest)
        ],
    }[damage]
    main = XMP % (b' xmpNote:HasExtendedXMP="%s"' % digest.upper(), b"")
    (tmp_path / "a.jpg").write_bytes(jpeg_with((0xE1, b"http://ns.adobe.com/xap/1.0/\0" + main), *segments))
    found = load_image(tmp_path / "a.jpg")
    (note,) = found.notes
    assert "a part is missing or damaged" in note
    assert found.metadata.xmp == XMP % (b"", b"")


def test_write_jpeg_extended_xmp_for_other_programs(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", ImageData(RGB, metadata=Metadata(xmp=EXTENDED)))
    data = (tmp_path / "a.jpg").read_bytes()
    found = re.search(rb'xmpNote:HasExtendedXMP="([0-9A-F]{32})"', data)
    assert found is not None
    assert found[1] == hashlib.md5(EXTENDED).hexdigest().upper().encode()
    parts = data.split(b"http://ns.adobe.com/xmp/extension/\0" + found[1])[1:]
    assert {part[:4] for part in parts} == {struct.pack(">I", len(EXTENDED))}
    assert [struct.unpack(">I", part[4:8])[0] for part in parts] == [0, 65400]


def test_save_image_of_one_pixel_in_a_larger_array(tmp_path: Path) -> None:
    for rows, columns in ((1, 1), (1, 40), (40, 1)):
        for suffix in (".png", ".tif", ".jpg", ".webp"):
            pixels = np.dstack([RGB, RGB])[:rows, :columns, 2:5]
            save_image(tmp_path / f"a{suffix}", ImageData(pixels))
            assert load_image(tmp_path / f"a{suffix}").pixels.shape == (rows, columns, 3)


def test_read_jpeg_comment_in_latin_1(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_with((0xFE, b"caf\xe9")))
    assert load_image(tmp_path / "a.jpg").metadata.text == (("Comment", "café"),)


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_load_image_without_possible_resolution(tmp_path: Path, suffix: str) -> None:
    data = png_with(RGB, png_chunk(b"pHYs", bytes(8) + b"\1")) if suffix == ".png" else jpeg_with()
    if suffix == ".jpg":
        at = data.index(b"JFIF\0") + 7
        data = data[:at] + b"\1" + bytes(4) + data[at + 5 :]
    (tmp_path / f"a{suffix}").write_bytes(data)
    found = load_image(tmp_path / f"a{suffix}")
    assert found.metadata.dpi is None
    assert save_image(tmp_path / "b.tif", found) == ()


def test_saved_selection_serves_as_mask(tmp_path: Path) -> None:
    selection = np.zeros((40, 50), np.uint8)
    selection[10:20, 10:30] = 255
    save_image(tmp_path / "a.tif", ImageData(RGB, selection=selection))
    found = load_image(tmp_path / "a.tif")
    assert np.array_equal(mask_from_alpha(found), selection)
    assert np.array_equal(read_mask(tmp_path / "a.tif"), selection)
    placed = place_layer(found, ImageData(RGB))
    assert np.array_equal(placed.alpha, selection)


@pytest.mark.parametrize(
    ("suffix", "wanted"),
    [
        (".tif", []),
        (".png", ["saved selections"]),
        (".jpg", ["saved selections"]),
        (".webp", ["captions and keywords (IPTC)", "saved selections"]),
    ],
)
def test_save_image_returns_omitted_contents(tmp_path: Path, suffix: str, wanted: list[str]) -> None:
    image = ImageData(RGB, metadata=Metadata(iptc=IPTC), selection=RGB[..., 0].copy())
    assert list(save_image(tmp_path / f"a{suffix}", image)) == wanted
    found = load_image(tmp_path / f"a{suffix}")
    assert (found.metadata.iptc is None) == ("captions and keywords (IPTC)" in wanted)
    assert (found.selection is None) == ("saved selections" in wanted)


@pytest.mark.parametrize(
    ("mark", "bits", "words"),
    [(0xC1, 12, "JPEG file of 12 bits"), (0xC3, 16, "lossless or hierarchical"), (0xC5, 8, "lossless or hierarchical")],
)
def test_read_jpeg_of_rare_kinds_is_not_called_damaged(tmp_path: Path, mark: int, bits: int, words: str) -> None:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, "JPEG")
    data = bytearray(file.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = mark, bits
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(ImageFormatError, match=words):
        load_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("progressive", [False, True])
def test_read_jpeg_of_usual_kinds(tmp_path: Path, progressive: bool) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", progressive=progressive)
    assert load_image(tmp_path / "a.jpg").pixels.shape == RGB.shape
