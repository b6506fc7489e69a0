# SPDX-License-Identifier: GPL-3.0-or-later
"""Formats that are read and not written: HEIC, AVIF, JPEG XL, camera raw; and CMYK and Lab images."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  # registers the format with Pillow
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage.data import astronaut

from s2am_common.errors import ImageFormatError
from s2am_common.image_formats import AVIF, CAMERA_RAW, HEIC, IMAGE_FORMATS, JPEG_XL, FormatInfo
from s2am_engine.image.formats.exif import normalize_exif
from s2am_engine.image.icc import to_srgb
from s2am_engine.image.io import load_image
from tests.engine import icc
from tests.engine.metadata import ASCII, exif_fields, pack_exif

PHOTO = astronaut()[60:130, 150:240].copy()
P3 = icc.rgb_profile(icc.P3, icc.srgb_curve)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
EXIF = pack_exif("<", {271: (ASCII, 7, b"Camera\0")}, {36867: (ASCII, 20, b"2026:01:02 03:04:05\0")})


def level_difference(found: NDArray[Any], wanted: NDArray[Any]) -> float:
    """Mean difference in levels of 8 bits; arrays of 16 bits are scaled."""
    first, second = (values / (257 if values.dtype == np.uint16 else 1) for values in (found, wanted))
    return float(np.abs(first - second).mean())


def encode(info: FormatInfo, pixels: NDArray[Any], **options: Any) -> bytes:
    """Encode 8-bit pixels with hardly any loss."""
    if info is HEIC:
        image = pillow_heif.from_pillow(Image.fromarray(pixels))
        file = io.BytesIO()
        profile = options.pop("icc_profile", None)
        image.info["icc_profile"] = profile
        image.save(file, quality=-1, chroma=444, **options)
        return file.getvalue()
    subsampling = "4:0:0" if pixels.ndim == 2 else "4:4:4"
    quality: dict[str, Any] = {"lossless": True} if info is JPEG_XL else {"quality": 100, "subsampling": subsampling}
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, info.name.replace("JPEG XL", "JXL"), **quality, **options)
    return file.getvalue()


each_format = pytest.mark.parametrize("info", [HEIC, AVIF, JPEG_XL], ids=lambda info: info.name)


@each_format
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_read_pixels_and_alpha(tmp_path: Path, info: FormatInfo, channels: int) -> None:
    pixels = PHOTO[..., 0] if channels == 1 else PHOTO if channels == 3 else np.dstack([PHOTO, PHOTO[..., 0]])
    (tmp_path / "a").write_bytes(encode(info, pixels))
    found = load_image(tmp_path / "a")
    assert found.pixels.dtype == np.uint8
    assert level_difference(found.pixels, PHOTO[..., :1] if channels == 1 else PHOTO) < 1.5
    assert (found.alpha is not None) == (channels == 4)
    if found.alpha is not None:
        assert level_difference(found.alpha, PHOTO[..., 0]) < 1.5
    assert found.gray == (channels == 1)
    assert found.notes == ()


@each_format
def test_read_metadata_of_formats_that_are_only_read(tmp_path: Path, info: FormatInfo) -> None:
    options = {} if info is JPEG_XL else {"icc_profile": P3}
    (tmp_path / "a").write_bytes(encode(info, PHOTO, exif=b"Exif\0\0" + EXIF, xmp=XMP, **options))
    found = load_image(tmp_path / "a")
    assert exif_fields(found.metadata.exif) == exif_fields(EXIF)
    assert found.metadata.xmp == XMP
    assert info is JPEG_XL or found.profile == P3


@each_format
def test_read_orientation_once(tmp_path: Path, info: FormatInfo) -> None:
    if info is JPEG_XL:
        pytest.skip("the encoder stores no orientation")
    oriented = b"Exif\0\0II*\0\x08\0\0\0\1\0" + struct.pack("<HHIHH", 274, 3, 1, 6, 0) + bytes(4)
    (tmp_path / "a").write_bytes(encode(info, PHOTO, exif=oriented))
    found = load_image(tmp_path / "a")
    assert level_difference(found.pixels, np.rot90(PHOTO, -1)) < 1.5
    assert normalize_exif(found.metadata.exif)[1] == 1


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("info", [HEIC, AVIF, JPEG_XL], ids=lambda info: info.name)
def test_read_more_than_8_bits(tmp_path: Path, info: FormatInfo, bits: int) -> None:
    deep = PHOTO.astype(np.uint16) * 257
    deep[:20, :20] = 65535
    if info is HEIC:
        image = pillow_heif.from_bytes("RGB;16", (PHOTO.shape[1], PHOTO.shape[0]), deep.tobytes())
        image.save(tmp_path / "a", quality=-1, chroma=444, bit_depth=bits)
    elif info is AVIF:
        (tmp_path / "a").write_bytes(imagecodecs.avif_encode(deep >> (16 - bits), bitspersample=bits, level=100))
    else:
        (tmp_path / "a").write_bytes(imagecodecs.jpegxl_encode(deep, lossless=True))
    found = load_image(tmp_path / "a").pixels
    assert found.dtype == np.uint16
    assert level_difference(found, deep) < 1
    assert found[4:16, 4:16].mean() > 65000


@pytest.mark.parametrize(("curve", "note"), [(13, ""), (16, "HDR image (PQ)"), (18, "HDR image (HLG)")])
def test_read_code_points_of_heic(tmp_path: Path, curve: int, note: str) -> None:
    options = {"color_primaries": 12, "transfer_characteristics": curve, "matrix_coefficients": 6, "full_range_flag": 1}
    (tmp_path / "a").write_bytes(encode(HEIC, PHOTO, save_nclx_profile=True, **options))
    found = load_image(tmp_path / "a")
    assert note in " ".join(found.notes)
    assert bool(found.notes) == bool(note)
    if not note:
        wanted = to_srgb(PHOTO, P3).astype(int)
        assert np.abs(to_srgb(PHOTO, found.profile) - wanted).max() <= 2


@each_format
def test_read_only_formats_refuse_truncated_files(tmp_path: Path, info: FormatInfo, capfd: Any) -> None:
    whole = encode(info, PHOTO)
    for length in (24, 100, len(whole) // 2, len(whole) - 9):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(ImageFormatError, match="is damaged or incomplete"):
            load_image(tmp_path / "a")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("width", [(8, 9, 10, 16, 200, 256, 264, 300, 8192, 9000)])
def test_read_jpeg_xl_sizes(width: tuple[int, ...]) -> None:
    from s2am_engine.image.formats.jpeg_xl import _size

    for side in width:
        for height in (8, 13, side):
            data = imagecodecs.jpegxl_encode(np.zeros((height, side, 3), np.uint8), effort=1)
            assert _size(bytes(data)) == (side, height)


def test_read_jpeg_xl_of_a_packed_jpeg(tmp_path: Path) -> None:
    jpeg = io.BytesIO()
    Image.fromarray(PHOTO).save(jpeg, "JPEG", quality=95, exif=b"Exif\0\0" + EXIF)
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue())
    with Image.open(tmp_path / "a.jpg") as image:
        image.save(tmp_path / "a.jxl", lossless_jpeg=True)
    found, wanted = load_image(tmp_path / "a.jxl"), load_image(tmp_path / "a.jpg")
    assert np.array_equal(found.pixels, wanted.pixels)
    assert found.metadata == wanted.metadata


@pytest.mark.parametrize("info", [info for info in IMAGE_FORMATS if info.package], ids=lambda info: info.name)
def test_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: FormatInfo
) -> None:
    assert info.package is not None
    monkeypatch.setitem(sys.modules, info.package.module, None)
    data = bytearray(64)
    for at, mark in info.signatures[0]:
        data[at : at + len(mark)] = mark
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(ImageFormatError) as caught:
        load_image(tmp_path / "a")
    part = {"rawpy": "s2am install raw", "pillow_jxl": "s2am install jxl"}
    command = part.get(info.package.module, f'"{sys.executable}" -m pip install')
    assert f"needs the package {info.package.name}: install it with {command}" in str(caught.value)


def dng(path: Path, mosaic: NDArray[np.uint16]) -> None:
    """Write a small uncompressed DNG file."""
    matrix = [round(value * 10000) for value in (3.24, -1.54, -0.5, -0.97, 1.88, 0.04, 0.06, -0.2, 1.06)]
    tags = [
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50708, 2, 0, "Test camera", True),
        (50714, 3, 1, 0, True),
        (50717, 3, 1, 65535, True),
        (50721, 10, 9, tuple(part for value in matrix for part in (value, 10000)), True),
        (50728, 5, 3, (1, 1, 1, 1, 1, 1), True),
        (50778, 3, 1, 21, True),
        (271, 2, 0, "Camera", True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, metadata=None, software=False, extratags=tags)


def test_read_heic_with_texts_that_are_not_utf_8_is_refused(tmp_path: Path) -> None:
    data = encode(HEIC, np.dstack([PHOTO, PHOTO[..., 0]]), xmp=XMP)
    for text in (b"application/rdf+xml", b"urn:mpeg:hevc:2015:auxid:1"):
        assert text in data
        (tmp_path / "a").write_bytes(data.replace(text, text[:-3] + b"\xeb" + text[-2:]))
        with pytest.raises(ImageFormatError, match="is damaged or incomplete"):
            load_image(tmp_path / "a")


def test_read_camera_raw(tmp_path: Path) -> None:
    mosaic = np.full((64, 80), 12000, np.uint16)
    mosaic[::2, ::2] = 24000  # red
    dng(tmp_path / "a.dng", mosaic)
    found = load_image(tmp_path / "a.dng")
    assert found.pixels.dtype == np.uint16
    assert found.pixels.shape == (64, 80, 3)
    red, green, _ = found.pixels[20:40, 20:60].reshape(-1, 3).mean(axis=0)
    assert red > green * 1.2
    assert ("main", 271) in exif_fields(found.metadata.exif)
    assert "is a camera raw file" in found.notes[0]


def test_read_damaged_camera_raw_is_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    dng(tmp_path / "a.dng", np.full((64, 80), 12000, np.uint16))
    data = (tmp_path / "a.dng").read_bytes()
    (tmp_path / "a.dng").write_bytes(data[: len(data) - 3000])
    with pytest.raises(ImageFormatError, match="is damaged or incomplete"):
        load_image(tmp_path / "a.dng")
    assert capfd.readouterr().err == ""


def test_camera_raw_does_not_count_in_folders() -> None:
    assert not CAMERA_RAW.in_folders


def cmyk_profile() -> bytes | None:
    """A CMYK profile of this system, if there is one."""
    folders = [Path("/usr/share/color/icc"), Path("/usr/share/ghostscript"), Path("/usr/share/texmf")]
    files = (file for folder in folders if folder.is_dir() for file in folder.rglob("*.icc"))
    return next((data for file in files if (data := file.read_bytes())[16:20] == b"CMYK"), None)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_read_cmyk_without_profile_is_approximate(tmp_path: Path, name: str) -> None:
    Image.fromarray(PHOTO).convert("CMYK").save(tmp_path / name, quality=95)
    found = load_image(tmp_path / name)
    assert level_difference(found.pixels, PHOTO) < 3
    assert "CMYK image without a color profile" in found.notes[0]
    assert found.profile is None


@pytest.mark.parametrize("extra", [0, 1])
def test_read_cmyk_tiff_of_16_bits(tmp_path: Path, extra: int) -> None:
    inks = np.zeros((9, 9, 4 + extra), np.uint16)
    inks[..., 0] = 65535
    inks[:4, :, 3] = 32768
    inks[..., 4:] = 700
    kinds = ["unassalpha"] * extra or None
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated", planarconfig="contig", extrasamples=kinds)
    found = load_image(tmp_path / "a.tif")
    assert found.pixels[8, 8].tolist() == [0, 65535, 65535]
    assert found.pixels[0, 0].tolist() == [0, 32767, 32767]
    assert (found.alpha is not None) == bool(extra)


@pytest.mark.skipif(cmyk_profile() is None, reason="no CMYK profile on this system")
def test_read_cmyk_with_profile(tmp_path: Path) -> None:
    profile = cmyk_profile()
    assert profile is not None
    inks = Image.fromarray(PHOTO).convert("CMYK")
    srgb = ImageCms.createProfile("sRGB")
    wanted = ImageCms.profileToProfile(
        inks,
        io.BytesIO(profile),
        srgb,
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    inks.save(tmp_path / "a.tif", icc_profile=profile)
    found = load_image(tmp_path / "a.tif")
    assert level_difference(found.pixels, np.asarray(wanted)) < 1
    assert found.notes[0].endswith("its colors are converted to sRGB.")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", [8, 9], ids=["CIELab", "ICCLab"])
def test_read_lab_tiff(tmp_path: Path, bits: int, kind: int) -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    samples = np.asarray(ImageCms.profileToProfile(Image.fromarray(PHOTO), srgb, lab, outputMode="LAB"))
    stored = samples.copy()
    if kind == 9:
        stored[..., 1:] ^= 128  # Pillow's a and b are those of CIELab
    if bits == 16:
        stored = stored.astype(np.uint16)
        stored[..., 0] *= 257
        stored[..., 1:] <<= 8
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=kind, planarconfig="contig")
    found = load_image(tmp_path / "a.tif")
    assert found.pixels.dtype == stored.dtype
    assert level_difference(found.pixels, PHOTO) < 1.5
    assert "is a Lab image" in found.notes[0]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_read_bmp(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(PHOTO).convert(mode)
    image.save(tmp_path / "a.bmp", dpi=(300, 300))
    found = load_image(tmp_path / "a.bmp")
    np.testing.assert_array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.gray == (mode in ("1", "L"))
    assert found.alpha is None
    assert (found.indexed is not None) == (mode == "P")
    assert found.metadata.dpi == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize("declared", [False, True])
def test_alpha_of_bmp_counts_unless_it_is_0_everywhere(tmp_path: Path, declared: bool) -> None:
    alpha = PHOTO[..., 0] if not declared else np.zeros_like(PHOTO[..., 0])
    height, width = alpha.shape
    body = np.dstack([PHOTO[..., ::-1], alpha])[::-1].tobytes()
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, len(body), 2835, 2835, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    (tmp_path / "a.bmp").write_bytes(struct.pack("<2sIHHI", b"BM", 122 + len(body), 0, 0, 122) + head + body)
    found = load_image(tmp_path / "a.bmp")
    np.testing.assert_array_equal(found.pixels, PHOTO)
    if declared:
        assert found.alpha is None
    else:
        np.testing.assert_array_equal(found.alpha, alpha)


@pytest.mark.parametrize("transparent", [False, True])
def test_read_gif(tmp_path: Path, transparent: bool) -> None:
    image = Image.fromarray(PHOTO).quantize(32)
    image.save(tmp_path / "a.gif", transparency=3 if transparent else None)
    found = load_image(tmp_path / "a.gif")
    np.testing.assert_array_equal(found.pixels, np.asarray(image.convert("RGB")))
    assert found.indexed is not None
    if transparent:
        np.testing.assert_array_equal(found.alpha, np.where(found.indexed.indices == 3, 0, 255))
    else:
        assert found.alpha is None


def test_animated_gif_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(PHOTO, shift, 1)) for shift in (0, 9, 20)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageFormatError, match="is an animation of 3 frames: save one frame as"):
        load_image(tmp_path / "a.gif")


@pytest.mark.parametrize("suffix", [".bmp", ".gif"])
def test_cut_off_bitmap_is_damaged(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    Image.fromarray(PHOTO).save(file)
    file.write_bytes(file.read_bytes()[:-900])
    with pytest.raises(ImageFormatError, match="is damaged or incomplete"):
        load_image(file)
