# SPDX-License-Identifier: GPL-3.0-or-later
"""PNG files that other programs write and read, against the letter of the format; and files made to do harm."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import ImageFormatError
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.iptc import iptc_resource
from s2am_engine.image.icc import to_srgb
from s2am_engine.image.io import load_image, save_image
from tests.engine import icc
from tests.engine.raw_files import (
    CHRM,
    IPTC,
    RGB,
    convert,
    png_chunk,
    png_file,
    png_with,
)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 9), (16, 16), (37, 21), (1, 40), (40, 1)])
@pytest.mark.parametrize(
    ("bits", "color"),
    [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (1, 3), (4, 3), (8, 4), (8, 6), (16, 6)],
)
def test_read_interlaced_png_is_silent_and_equal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], bits: int, color: int, shape: tuple[int, int]
) -> None:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    samples = np.random.default_rng(1).integers(0, 2**bits, (*shape, channels))
    chunks = [png_chunk(b"PLTE", bytes(range(3 * 2**bits))), png_chunk(b"tRNS", b"\x80")] if color == 3 else []
    (tmp_path / "plain.png").write_bytes(png_file(samples, bits, color, *chunks, interlaced=False))
    (tmp_path / "interlaced.png").write_bytes(png_file(samples, bits, color, *chunks, interlaced=True))
    plain, found = load_image(tmp_path / "plain.png"), load_image(tmp_path / "interlaced.png")
    assert np.array_equal(found.pixels, plain.pixels)
    assert np.array_equal(np.asarray(found.alpha), np.asarray(plain.alpha))
    assert capfd.readouterr().err == ""


def test_read_interlaced_png_refuses_truncated_pixels(tmp_path: Path) -> None:
    whole = png_file(RGB, 8, 2, interlaced=True)
    head, _, body = whole.partition(b"IDAT")
    length = int.from_bytes(head[-4:], "big")
    short = zlib.compress(zlib.decompress(body[:length])[:-100])
    (tmp_path / "a.png").write_bytes(head[:-4] + png_chunk(b"IDAT", short) + png_chunk(b"IEND", b""))
    with pytest.raises(ImageFormatError, match="damaged or incomplete"):
        load_image(tmp_path / "a.png")


@pytest.mark.parametrize("kind", [b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP", b"gAMA", b"pHYs", b"prVt"])
def test_read_png_ignores_damaged_ancillary_chunks(tmp_path: Path, kind: bytes) -> None:
    (tmp_path / "a.png").write_bytes(png_with(RGB, png_chunk(kind, b"Software\0some editor", damaged=True)))
    found = load_image(tmp_path / "a.png")
    assert np.array_equal(found.pixels, RGB)
    assert found.metadata == Metadata()
    assert found.profile is None


@pytest.mark.parametrize("kind", ["rows", "stream", "checksum", "end"])
@pytest.mark.parametrize("interlaced", [False, True])
def test_read_png_with_surplus_data_or_wrong_checksum_is_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str, interlaced: bool
) -> None:
    whole = png_file(RGB, 8, 2, interlaced=interlaced)
    head, _, body = whole.partition(b"IDAT")
    stream = body[: int.from_bytes(head[-4:], "big")]
    if kind == "rows":
        stream = zlib.compress(zlib.decompress(stream) + bytes(99))
    elif kind == "stream":
        stream += b"made by a camera"
    elif kind == "checksum":
        stream = stream[:-1] + bytes([stream[-1] ^ 1])
    end = png_chunk(b"IEND", b"", damaged=kind == "end")
    (tmp_path / "a.png").write_bytes(head[:-4] + png_chunk(b"IDAT", stream) + end)
    assert np.array_equal(load_image(tmp_path / "a.png").pixels, RGB)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("interlaced", [False, True])
def test_read_png_of_a_damaged_stream_is_refused(tmp_path: Path, interlaced: bool) -> None:
    head = png_file(RGB, 8, 2, interlaced=interlaced).partition(b"IDAT")[0][:-4]
    for stream in (b"", b"no stream", zlib.compress(bytes(40 * 151 + 99))[:-30]):
        (tmp_path / "a.png").write_bytes(head + png_chunk(b"IDAT", stream) + png_chunk(b"IEND", b""))
        with pytest.raises(ImageFormatError, match="damaged or incomplete"):
            load_image(tmp_path / "a.png")


def test_read_png_of_many_chunks_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s2am_engine.image.formats.png._MAX_CHUNKS", 1000)
    (tmp_path / "a.png").write_bytes(png_with(RGB, png_chunk(b"teSt", b"") * 2000))
    with pytest.raises(ImageFormatError, match="damaged or incomplete"):
        load_image(tmp_path / "a.png")


def test_read_png_refuses_damaged_critical_chunks(tmp_path: Path) -> None:
    for kind in (b"IDAT", b"PLTE", b"\xff\xff\xff\xff"):
        (tmp_path / "a.png").write_bytes(png_with(RGB, png_chunk(kind, bytes(6), damaged=True)))
        with pytest.raises(ImageFormatError, match="damaged or incomplete"):
            load_image(tmp_path / "a.png")


def test_read_png_palette_and_transparency_chunks_out_of_place_are_silent(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    palette, clear = png_chunk(b"PLTE", bytes(range(30))), png_chunk(b"tRNS", bytes(40))
    for chunks in ([palette, palette], [clear], [palette, clear, clear]):
        (tmp_path / "a.png").write_bytes(png_with(np.dstack([RGB, RGB[..., 0]]), *chunks))
        assert np.array_equal(load_image(tmp_path / "a.png").pixels, RGB)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_read_png_texts_unpack_to_bounded_memory(tmp_path: Path, kind: bytes) -> None:
    packed = zlib.compress(bytes(20 * 2**20))
    body = b"\0\0" + packed if kind == b"zTXt" else b"\0\1\0\0\0" + packed
    chunks = [png_chunk(kind, b"Text%d" % number + body) for number in range(12)]
    (tmp_path / "a.png").write_bytes(png_with(RGB, *chunks))
    found = load_image(tmp_path / "a.png")
    assert 0 < sum(len(text) for _, text in found.metadata.text) <= 64 * 2**20
    assert np.array_equal(found.pixels, RGB)


def test_write_png_stores_iptc_as_other_programs_do(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", ImageData(RGB, metadata=Metadata(iptc=IPTC)))
    with Image.open(tmp_path / "a.png") as image:
        image.load()
        text = image.info["Raw profile type iptc"]
    name, size, digits = text.split(None, 2)
    assert name == "iptc"
    assert bytes.fromhex(re.sub(r"\s", "", digits)) == iptc_resource(IPTC)
    assert int(size) == len(iptc_resource(IPTC))


@pytest.mark.parametrize(
    ("chunks", "wanted"),
    [
        ([(b"cICP", bytes([12, 13, 0, 1]))], icc.rgb_profile(icc.P3, icc.srgb_curve)),
        (
            [(b"cICP", bytes([12, 13, 0, 1])), (b"gAMA", struct.pack(">I", 20000))],
            icc.rgb_profile(icc.P3, icc.srgb_curve),
        ),
        ([(b"gAMA", struct.pack(">I", 45455)), (b"cHRM", CHRM)], icc.rgb_profile(icc.P3, icc.srgb_curve)),
        ([(b"gAMA", struct.pack(">I", 55556))], icc.rgb_profile(icc.SRGB, lambda value: value**1.8)),
        ([(b"gAMA", struct.pack(">I", 45455))], None),
        ([(b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 55556))], None),
        ([(b"cICP", bytes([1, 13, 0, 1]))], None),
        ([(b"cICP", bytes([12, 13, 1, 1]))], None),
        ([(b"cICP", bytes([77, 77, 0, 1]))], None),
        ([(b"cICP", b"\1")], None),
        ([(b"gAMA", bytes(4)), (b"cHRM", bytes(32))], None),
        ([(b"cHRM", bytes(32))], None),
        ([(b"cHRM", b"\xff" * 32)], None),
    ],
)
@pytest.mark.parametrize("alpha", [False, True])
def test_read_png_color_chunks_as_profile(
    tmp_path: Path, chunks: list[tuple[bytes, bytes]], wanted: bytes | None, alpha: bool
) -> None:
    pixels = np.dstack([RGB, RGB[..., 0]]) if alpha else RGB
    (tmp_path / "a.png").write_bytes(png_with(pixels, *(png_chunk(*chunk) for chunk in chunks)))
    found = load_image(tmp_path / "a.png")
    assert (found.profile is None) == (wanted is None)
    assert np.abs(convert(found.profile, RGB) - convert(wanted, RGB)).max() <= 2
    assert found.metadata.png_color == tuple(chunks)
    for suffix in (".png", ".tif", ".webp"):
        save_image(tmp_path / f"b{suffix}", found)
        again = load_image(tmp_path / f"b{suffix}").profile
        assert np.abs(convert(again, RGB) - convert(wanted, RGB)).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_read_png_gamma_of_gray_images(tmp_path: Path, bits: int) -> None:
    values = np.arange(256).reshape(16, 16, 1) * (257 if bits == 16 else 1)
    chunk = png_chunk(b"gAMA", struct.pack(">I", 100000))
    (tmp_path / "a.png").write_bytes(png_file(values, bits, 0, chunk, interlaced=False))
    found = load_image(tmp_path / "a.png")
    assert found.gray
    light = to_srgb(np.full((1, 1, 3), 55, np.uint8), found.profile)
    assert np.abs(light.astype(int) - 128).max() <= 2


@pytest.mark.parametrize(("curve", "name"), [(16, "PQ"), (18, "HLG")])
def test_read_png_of_hdr_colors_has_a_note(tmp_path: Path, curve: int, name: str) -> None:
    (tmp_path / "a.png").write_bytes(png_with(RGB, png_chunk(b"cICP", bytes([9, curve, 0, 1]))))
    found = load_image(tmp_path / "a.png")
    assert found.profile is None
    (note,) = found.notes
    assert note.startswith(f"{tmp_path / 'a.png'} is an HDR image ({name})")


def test_read_png_of_xcode_is_not_called_damaged(tmp_path: Path) -> None:
    data = png_with(RGB)
    (tmp_path / "a.png").write_bytes(data[:8] + png_chunk(b"CgBI", bytes(4)) + data[8:])
    with pytest.raises(ImageFormatError, match="Xcode"):
        load_image(tmp_path / "a.png")
