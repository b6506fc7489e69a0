# SPDX-License-Identifier: GPL-3.0-or-later
"""load_image and save_image: pixels, color profile and metadata of all formats."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from skimage.data import astronaut

from s2am_common.errors import ImageError
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.io import load_image, save_image
from tests.engine import icc

P3 = icc.rgb_profile(icc.P3, icc.srgb_curve)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:li tiff:Orientation="6">caf\xc3\xa9</rdf:li></x:xmpmeta>'
ORIENTATIONS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
    8: np.rot90,
}


def noise(kind: str, *shape: int) -> NDArray[Any]:
    """Return reproducible samples over the whole range of a dtype."""
    top = 1 if np.dtype(kind).kind == "f" else np.iinfo(kind).max
    return (np.random.default_rng(0).random(shape) * top).astype(kind)


def exif(orientation: int = 1, xmp: bytes | None = None) -> bytes:
    """Return EXIF data with fields in every directory, a maker note and a size; xmp: a packet for TIFF's field."""
    made = Image.Exif()
    made[274], made[271], made[282], made[283], made[296] = orientation, "Camera works", 240.0, 240.0, 2
    made.get_ifd(0x8769).update({37500: b"maker\x00note", 36867: "2026:01:02 03:04:05", 40962: 31, 40963: 22})
    made.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 0.0)})
    if xmp is not None:
        made[700] = xmp
    return made.tobytes()


def assert_same(found: ImageData, wanted: ImageData) -> None:
    """Compare pixels, alpha, profile and `gray` exactly."""
    assert found.pixels.dtype == wanted.pixels.dtype
    assert np.array_equal(found.pixels, wanted.pixels)
    assert found.pixels.flags.c_contiguous
    assert (found.alpha is None) == (wanted.alpha is None)
    if found.alpha is not None and wanted.alpha is not None:
        assert np.array_equal(found.alpha, wanted.alpha)
    assert (found.gray, found.profile) == (wanted.gray, wanted.profile)


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "alpha"])
@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize(
    ("suffix", "kind"),
    [(".png", "u1"), (".png", "u2"), (".tif", "u1"), (".tif", "u2"), (".tif", "f4"), (".webp", "u1")],
)
def test_save_image_is_lossless(tmp_path: Path, suffix: str, kind: str, gray: bool, alpha: bool) -> None:
    pixels = np.repeat(noise(kind, 37, 23, 1), 3, axis=2) if gray else noise(kind, 37, 23, 3)
    mask = noise(kind, 37, 23) if alpha else None
    if mask is not None:
        mask[:9] = 0  # the colors under full transparency must survive too
    if gray and suffix == ".webp":
        wanted = ImageData(pixels, mask, None, gray)
    else:
        wanted = ImageData(pixels, mask, icc.gray_profile(icc.adobe_curve) if gray else P3, gray)
    file = tmp_path / f"picture{suffix}"
    save_image(file, wanted)
    assert_same(load_image(file), wanted if suffix != ".webp" else dataclasses.replace(wanted, gray=False))


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
def test_save_image_writes_jpeg_at_full_color_resolution(tmp_path: Path, gray: bool) -> None:
    pixels = astronaut()[:200, :200]
    pixels = np.repeat(pixels[..., :1], 3, axis=2) if gray else pixels
    save_image(tmp_path / "a.jpg", ImageData(pixels, None, P3, gray))
    found = load_image(tmp_path / "a.jpg")
    assert (found.gray, found.profile) == (gray, P3)
    assert np.abs(found.pixels.astype(int) - pixels).mean() < 2
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == ("L" if gray else "RGB")
        assert {layer[1:3] for layer in getattr(image, "layer", [])} == {(1, 1)}


def test_save_image_is_read_by_other_programs(tmp_path: Path) -> None:
    deep, real = noise("u2", 30, 40, 3), noise("f4", 30, 40, 3)
    save_image(tmp_path / "a.png", ImageData(deep))
    save_image(tmp_path / "a.tif", ImageData(deep, deep[..., 0]))
    save_image(tmp_path / "b.tif", ImageData(real))
    save_image(tmp_path / "c.tif", ImageData((deep >> 8).astype(np.uint8)))
    found = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert found is not None
    assert np.array_equal(found[..., ::-1], deep)
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), np.dstack([deep, deep[..., 0]]))
    assert np.array_equal(tifffile.imread(tmp_path / "b.tif"), real)
    with Image.open(tmp_path / "c.tif") as image:
        assert np.array_equal(np.asarray(image), deep >> 8)


def test_save_image_writes_tinted_gray_as_bt709_luma(tmp_path: Path) -> None:
    pixels = np.full((2, 2, 3), 90, np.uint8)
    pixels[0, 0] = (0, 255, 0)
    save_image(tmp_path / "a.png", ImageData(pixels, gray=True))
    assert load_image(tmp_path / "a.png").pixels[..., 0].tolist() == [[182, 90], [90, 90]]


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (40, 30000)])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_save_and_load_extreme_shapes(tmp_path: Path, suffix: str, shape: tuple[int, int]) -> None:
    wanted = ImageData(np.full((*shape, 3), 77, np.uint8))
    save_image(tmp_path / f"a{suffix}", wanted)
    assert_same(load_image(tmp_path / f"a{suffix}"), wanted)


def test_load_image_above_pillows_pixel_limit(tmp_path: Path) -> None:
    height, width = 6200, 30000
    assert height * width > 2 * (Image.MAX_IMAGE_PIXELS or 0)
    Image.new("1", (width, height), 1).save(tmp_path / "wide.png")
    found = load_image(tmp_path / "wide.png")
    assert found.pixels.shape == (height, width, 3)
    assert found.pixels[-1, -1].tolist() == [255] * 3


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_load_image_applies_exif_orientation_once(tmp_path: Path, suffix: str, orientation: int) -> None:
    stored = np.kron(noise("u1", 3, 4, 3), np.ones((8, 8, 1), np.uint8))
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"quality": 100, "subsampling": 0}
    Image.fromarray(stored).save(tmp_path / f"a{suffix}", exif=exif(orientation), xmp=XMP, **options)
    found = load_image(tmp_path / f"a{suffix}")
    wanted = ORIENTATIONS[orientation](stored)
    assert found.pixels.shape == wanted.shape
    assert np.abs(found.pixels.astype(int) - wanted).mean() < (2 if suffix == ".jpg" else 1e-9)
    assert found.pixels.flags.c_contiguous
    save_image(tmp_path / f"b{suffix}", found)
    assert load_image(tmp_path / f"b{suffix}").pixels.shape == wanted.shape
    with Image.open(tmp_path / f"b{suffix}") as image:
        kept = image.getexif()
        assert kept[274] == 1
        # The sides stored in EXIF are swapped as well.
        assert kept.get_ifd(0x8769)[40962] == (22 if orientation > 4 else 31)
    if suffix == ".jpg":
        assert found.metadata.xmp == XMP.replace(b'"6"', b'"1"')


@pytest.mark.parametrize("orientation", [3, 6])
def test_load_image_applies_orientation_of_16_bit_tiff(tmp_path: Path, orientation: int) -> None:
    stored = noise("u2", 20, 30, 3)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    found = load_image(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, ORIENTATIONS[orientation](stored))
    save_image(tmp_path / "b.tif", found)
    assert np.array_equal(load_image(tmp_path / "b.tif").pixels, found.pixels)


@pytest.mark.parametrize("target", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("source", [".png", ".jpg", ".tif", ".webp"])
def test_metadata_are_kept_between_formats(tmp_path: Path, source: str, target: str) -> None:
    options: dict[str, Any] = {"exif": exif(), "icc_profile": P3, "xmp": XMP}
    if source == ".png":
        options |= {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    if source == ".tif":
        options["exif"] = exif(xmp=XMP)
    Image.new("RGB", (31, 22)).save(tmp_path / f"a{source}", dpi=(240, 240), **options)
    save_image(tmp_path / f"b{target}", load_image(tmp_path / f"a{source}"))
    again = load_image(tmp_path / f"b{target}")
    assert again.profile == P3
    assert again.metadata.xmp == XMP
    assert again.metadata.dpi == pytest.approx((240, 240), abs=0.01)
    with Image.open(tmp_path / f"b{target}") as image:
        assert image.info["icc_profile"] == P3
        kept = image.getexif()
        assert kept[271] == "Camera works"
        assert kept.get_ifd(0x8769)[37500] == b"maker\x00note"
        assert kept.get_ifd(0x8769)[36867] == "2026:01:02 03:04:05"
        assert kept.get_ifd(0x8825)[2] == (48.0, 8.0, 0.0)


def test_write_tiff_takes_byte_order_of_exif(tmp_path: Path) -> None:
    blob = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">HHHIII", 1, 271, 2, 5, 26, 0) + b"Made\0"
    pixels = noise("u2", 12, 9, 3)
    save_image(tmp_path / "a.tif", ImageData(pixels, metadata=Metadata(exif=blob)))
    assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)
    with Image.open(tmp_path / "a.tif") as image:
        assert image.getexif()[271] == "Made"
    assert np.array_equal(load_image(tmp_path / "a.tif").pixels, pixels)


def test_write_tiff_keeps_maker_note_offsets(tmp_path: Path) -> None:
    blob = exif().removeprefix(b"Exif\0\0")
    save_image(tmp_path / "a.tif", ImageData(noise("u1", 12, 9, 3), metadata=Metadata(exif=blob)))
    assert (tmp_path / "a.tif").read_bytes()[8 : len(blob)] == blob[8:]


def test_text_metadata_are_kept(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Author", "A. Nonymous")
    info.add_text("Comment", "long " * 500, zip=True)
    info.add_itxt("Title", "日の出")
    Image.new("RGB", (5, 5)).save(tmp_path / "a.png", pnginfo=info, gamma=0.5)
    save_image(tmp_path / "b.png", load_image(tmp_path / "a.png"))
    with Image.open(tmp_path / "b.png") as image:
        image.load()
        texts = getattr(image, "text", {})
    assert texts == {"Author": "A. Nonymous", "Comment": "long " * 500, "Title": "日の出"}
    save_image(tmp_path / "b.jpg", dataclasses.replace(load_image(tmp_path / "b.png")))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"long " * 500
    caption = b"\x1c\x02\x78\x00\x05Caption"
    save_image(tmp_path / "c.jpg", ImageData(np.zeros((4, 4, 3), np.uint8), metadata=Metadata(iptc=caption)))
    save_image(tmp_path / "c.tif", load_image(tmp_path / "c.jpg"))
    assert load_image(tmp_path / "c.tif").metadata.iptc == caption


def test_normalize_exif_drops_thumbnail(tmp_path: Path) -> None:
    blob = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, 1, 26) + struct.pack("<HHHIII", 1, 513, 4, 1, 44, 0)
    Image.new("RGB", (5, 5)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + blob + b"\xff\xd8thumbnail")
    kept = load_image(tmp_path / "a.jpg").metadata.exif
    assert kept is not None
    assert kept[22:26] == bytes(4)
    assert kept[:22] == blob[:22]


@pytest.mark.parametrize(
    ("mode", "wanted", "gray"),
    [("1", "L", True), ("L", "L", True), ("LA", "LA", True), ("P", "RGB", False), ("RGBA", "RGBA", False)],
)
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_load_image_of_8_bit_modes(tmp_path: Path, suffix: str, mode: str, wanted: str, gray: bool) -> None:
    image = Image.fromarray(noise("u1", 20, 30, 4 if wanted.endswith("A") else 3)).convert(mode)
    image.save(tmp_path / f"a{suffix}")
    found = load_image(tmp_path / f"a{suffix}")
    reference = np.asarray(image.convert(wanted)).reshape(20, 30, -1)
    assert found.gray == gray
    assert np.array_equal(found.pixels, np.broadcast_to(reference[..., : 1 if gray else 3], (20, 30, 3)))
    assert (found.alpha is not None) == wanted.endswith("A")
    if found.alpha is not None:
        assert np.array_equal(found.alpha, reference[..., -1])


def png_of(bits: int, kind: int, line: bytes, width: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of one line."""
    head = struct.pack(">IIBBBBB", width, 1, bits, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"\0" + line)), (b"IEND", b"")]
    packed = (struct.pack(">I", len(b)) + n + b + struct.pack(">I", zlib.crc32(n + b)) for n, b in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def test_read_png_transparency_and_palettes(tmp_path: Path) -> None:
    palette = [(b"PLTE", bytes([1, 2, 3, 4, 5, 6])), (b"tRNS", bytes([90]))]
    files = {
        png_of(8, 3, bytes([1, 0]), 2, *palette): ([[4, 5, 6], [1, 2, 3]], [255, 90]),
        png_of(2, 0, bytes([0b01100000]), 2, (b"tRNS", b"\0\1")): ([[85] * 3, [170] * 3], [0, 255]),
        png_of(16, 0, struct.pack(">2H", 900, 8), 2, (b"tRNS", b"\0\x08")): ([[900] * 3, [8] * 3], [65535, 0]),
        png_of(16, 2, struct.pack(">3H", 5, 6, 7), 1, (b"tRNS", struct.pack(">3H", 5, 6, 7))): ([[5, 6, 7]], [0]),
        png_of(16, 4, struct.pack(">2H", 700, 30000), 1): ([[700] * 3], [30000]),
    }
    for data, (pixels, alpha) in files.items():
        (tmp_path / "a.png").write_bytes(data)
        found = load_image(tmp_path / "a.png")
        assert found.pixels[0].tolist() == pixels
        assert found.alpha is not None
        assert found.alpha[0].tolist() == alpha


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("kind", "predictor"), [("u1", 2), ("u2", 2), ("u2", 1), ("f4", 3), ("f4", 1)])
@pytest.mark.parametrize("compression", [5, 32773, 8])
def test_read_tiff_of_libtiff(tmp_path: Path, compression: int, kind: str, predictor: int, channels: int) -> None:
    stored = noise(kind, 50, 41, channels)
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression, cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    bgr = stored if channels == 1 else stored[..., [2, 1, 0, 3][:channels]]
    assert cv2.imwrite(str(tmp_path / "a.tif"), bgr, [*options, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 7])
    found = load_image(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, np.broadcast_to(stored[..., :3], (50, 41, 3)))
    assert (found.alpha is not None) == (channels == 4)
    assert found.gray == (channels == 1)


@pytest.mark.parametrize(
    "layout",
    [
        {"tile": (16, 32)},
        {"byteorder": ">", "compression": "zlib", "predictor": 2},
        {"planarconfig": "separate", "rowsperstrip": 9},
        {"bigtiff": True, "tile": (32, 16), "compression": "zlib", "predictor": 2},
        {"compression": "zstd", "predictor": 2, "rowsperstrip": 9},
        {"compression": "lzma", "byteorder": ">", "tile": (16, 16)},
        {"compression": "lzw", "predictor": 2, "planarconfig": "separate"},
        {"compression": "packbits", "tile": (16, 16)},
    ],
    ids=["tiles", "big-endian", "planes", "BigTIFF", "Zstandard", "LZMA", "LZW", "PackBits"],
)
def test_read_tiff_layouts(tmp_path: Path, layout: dict[str, Any]) -> None:
    stored = noise("u2", 43, 57, 3)
    planes = np.moveaxis(stored, 2, 0) if "planarconfig" in layout else stored
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", iccprofile=P3, **layout)
    assert_same(load_image(tmp_path / "a.tif"), ImageData(stored, None, P3))


def test_read_tiff_sample_formats_and_photometrics(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    for kind in ("f2", "f8"):
        tifffile.imwrite(file, noise(kind, 9, 8, 3), photometric="rgb")
        assert_same(load_image(file), ImageData(noise(kind, 9, 8, 3).astype(np.float32)))
    tifffile.imwrite(file, noise("u2", 9, 8), photometric="miniswhite")
    assert np.array_equal(load_image(file).pixels[..., 1], 65535 - noise("u2", 9, 8))
    premultiplied = np.array([[[50, 100, 0, 128], [9, 8, 7, 255], [0, 0, 0, 0]]], np.uint8)
    tifffile.imwrite(file, premultiplied, photometric="rgb", extrasamples=["assocalpha"])
    found = load_image(file)
    assert found.pixels[0].tolist() == [[100, 199, 0], [9, 8, 7], [0, 0, 0]]


@pytest.mark.parametrize("layout", [{"tile": (32, 32)}, {"rowsperstrip": 32}], ids=["tiles", "strips"])
def test_read_tiff_with_jpeg_compression(tmp_path: Path, layout: dict[str, Any]) -> None:
    photo = astronaut()[:80, :72]
    turned = [(274, "H", 1, 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", photo, photometric="rgb", compression="jpeg", extratags=turned, **layout)
    assert np.abs(load_image(tmp_path / "a.tif").pixels.astype(int) - np.rot90(photo, -1)).mean() < 4


@pytest.mark.parametrize("bits", [2, 4, 10, 12])
def test_read_tiff_scales_unusual_bit_depths(tmp_path: Path, bits: int) -> None:
    levels = np.linspace(0, 2**bits - 1, 24).astype(np.uint8 if bits < 8 else np.uint16).reshape(2, 12)
    digits = np.unpackbits(levels.astype(">u2").view(np.uint8).reshape(2, 12, 2), axis=2)[..., -bits:]
    packed = np.packbits(digits.reshape(2, -1), axis=1).tobytes()
    kind: dict[str, Any] = {"shape": levels.shape, "dtype": levels.dtype, "bitspersample": bits}
    tifffile.imwrite(tmp_path / "a.tif", iter([packed]), photometric="minisblack", **kind)
    found = load_image(tmp_path / "a.tif").pixels[..., 0]
    top = 255 if bits < 8 else 65535
    assert found.dtype == levels.dtype
    assert np.array_equal(found, levels.astype(int) * top // (2**bits - 1))


@pytest.mark.skipif(not hasattr(imagecodecs, "ccittfax4_decode"), reason="the last imagecodecs for Python 3.10")
def test_read_tiff_of_fax(tmp_path: Path) -> None:
    black = noise("u1", 9, 8) > 99
    Image.fromarray(black).save(tmp_path / "a.tif", compression="group4")
    assert np.array_equal(load_image(tmp_path / "a.tif").pixels[..., 0], np.where(black, 255, 0))


def test_read_tiff_ignores_thumbnail_page(tmp_path: Path) -> None:
    stored = noise("u2", 40, 40, 3)
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(stored, photometric="rgb")
        writer.write(stored[::4, ::4], photometric="rgb", subfiletype=1)
    assert np.array_equal(load_image(tmp_path / "a.tif").pixels, stored)
    both = io.BytesIO()
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(both, "MPO", save_all=True, append_images=[second])
    (tmp_path / "phone.jpg").write_bytes(both.getvalue())
    assert load_image(tmp_path / "phone.jpg").pixels[4, 4, 0] > 250


def test_save_image_takes_an_array(tmp_path: Path) -> None:
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    save_image(tmp_path / "array.png", pixels)
    np.testing.assert_array_equal(load_image(tmp_path / "array.png").pixels, pixels)


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_save_image_takes_the_floats_that_harmonize_returns(tmp_path: Path, kind: type[np.floating[Any]]) -> None:
    pixels = np.linspace(0, 1, 4 * 5 * 3).reshape(4, 5, 3).astype(kind)
    save_image(tmp_path / "array.tif", pixels)
    np.testing.assert_array_equal(load_image(tmp_path / "array.tif").pixels, pixels.astype(np.float32))


@pytest.mark.parametrize("image", [Image.new("RGB", (5, 4)), np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), int)])
def test_save_image_refuses_other_types_and_shapes(tmp_path: Path, image: Any) -> None:
    with pytest.raises(ImageError):
        save_image(tmp_path / "other.png", image)
    assert not list(tmp_path.iterdir())
