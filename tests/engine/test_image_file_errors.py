# SPDX-License-Identifier: GPL-3.0-or-later
"""load_image and save_image with bad input or a full disk: one sentence, no partial file, nothing overwritten."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from s2am_common import atomic
from s2am_common.atomic import atomic_write
from s2am_common.errors import EngineError
from s2am_common.image_formats import WRITABLE_SUFFIXES
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image, save_image
from tests.engine.permissions import ordinary_user

IMAGE = ImageData(np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8))


def sentence(path: Path, *, write: ImageData | None = None) -> str:
    """Return the error message; checks that it is one line that names the file."""
    with pytest.raises(EngineError) as caught:
        load_image(path) if write is None else save_image(path, write)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_load_image_refuses_other_files(tmp_path: Path) -> None:
    assert "does not exist" in sentence(tmp_path / "none.png")
    assert "is a folder" in sentence(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "is empty" in sentence(tmp_path / "empty.png")
    (tmp_path / "text.jpg").write_text("To whom it may concern")
    assert "is not an image" in sentence(tmp_path / "text.jpg")
    (tmp_path / "work.png").write_bytes(b"gimp xcf v011\0")
    assert "GIMP document: export it from GIMP as PNG or TIFF first (File > Export As)" in sentence(
        tmp_path / "work.png"
    )
    (tmp_path / "a.psd").write_bytes(b"8BPS\0\1")
    assert "Photoshop document: open it in the editor" in sentence(tmp_path / "a.psd")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypqt  \0\0\0\0")
    assert "video file: save one frame" in sentence(tmp_path / "a.heic")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jp2")
    assert "JPEG 2000 file" in sentence(tmp_path / "a.jp2")


@pytest.mark.parametrize(
    "suffix", [".png", ".jpg", ".tif", ".webp", "16.png", "16.tif", "lzw.tif", "palette.tif", "zstd.tif", "plain.tif"]
)
def test_load_image_refuses_truncated_files(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"a{suffix}"
    if suffix == "lzw.tif":
        assert cv2.imwrite(str(file), IMAGE.pixels.astype(np.uint16) * 9, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    elif suffix == "palette.tif":
        Image.fromarray(IMAGE.pixels).quantize(16).save(file, compression="packbits")
    elif suffix in ("zstd.tif", "plain.tif"):
        compression = "zstd" if suffix == "zstd.tif" else None
        tifffile.imwrite(file, IMAGE.pixels, photometric="rgb", tile=(16, 16), compression=compression)
    else:
        deep = suffix.startswith("16")
        save_image(file, ImageData(IMAGE.pixels.astype(np.uint16) * 257) if deep else IMAGE)
    whole = file.read_bytes()
    for length in [1, 3, 7, 11, 20, 40, *range(60, len(whole), len(whole) // 25), len(whole) - 1]:
        file.write_bytes(whole[:length])
        assert "damaged or incomplete" in sentence(file) or length < 12


def test_load_image_of_odd_tiff_prints_nothing(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, IMAGE.pixels, photometric="rgb", extratags=[(65000, 1, 4, b"odds", True)])
    data = file.read_bytes()
    field = struct.pack("<HH", 65000, 1)
    file.write_bytes(data.replace(field, struct.pack("<HH", 65000, 99)))
    command = "import sys; from s2am_engine.image.io import load_image; print(load_image(sys.argv[1]).pixels.shape)"
    done = subprocess.run([sys.executable, "-c", command, str(file)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(60, 50, 3)\n", "")


def test_load_image_verifies_png_checksums(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", IMAGE)
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 4
    (tmp_path / "a.png").write_bytes(data)
    assert "damaged" in sentence(tmp_path / "a.png")


def test_load_image_refuses_other_kinds_of_tiff(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "i.tif", np.zeros((8, 8, 3), np.int32), photometric="rgb")
    assert "convert it to 16 bits" in sentence(tmp_path / "i.tif")
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((8, 8, 9), np.uint8), photometric="rgb", planarconfig="contig")
    assert "has 9 channels" in sentence(tmp_path / "x.tif")
    tifffile.imwrite(tmp_path / "r.tif", np.zeros((8, 8), np.uint16), photometric=32803)
    assert "is a camera raw file of a kind that is not supported" in sentence(tmp_path / "r.tif")
    separations = [(332, "H", 1, 2, True)]  # inks that are not CMYK
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((8, 8, 4), np.uint8), photometric="separated", extratags=separations)
    assert "stored in a way that is not supported" in sentence(tmp_path / "s.tif")


def test_load_image_of_old_style_jpeg_tiff_is_not_called_damaged(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE.pixels, photometric="rgb")
    data = (tmp_path / "a.tif").read_bytes()
    field = struct.pack("<HHI", 259, 3, 1)
    (tmp_path / "a.tif").write_bytes(data.replace(field + struct.pack("<H", 1), field + struct.pack("<H", 6)))
    assert "JPEG compression of 1992" in sentence(tmp_path / "a.tif")


def test_load_image_refuses_several_pages_or_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]
    for name in ("a.tif", "a.png", "a.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        message = sentence(tmp_path / name)
        assert "3 pages" in message or "animation of 3 frames" in message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(7, 3, 1), (2, 2, 3)], ids=["color", "alpha"])
def test_load_image_refuses_nan_and_infinity(tmp_path: Path, value: float, place: tuple[int, int, int]) -> None:
    samples = np.zeros((9, 9, 4), np.float32)
    samples[place] = value
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unassalpha"])
    assert "NaN or infinity" in sentence(tmp_path / "a.tif")


def test_load_image_refuses_decompression_bombs(tmp_path: Path) -> None:
    save_image(tmp_path / "a.png", ImageData(IMAGE.pixels[:1, :1]))
    data = (tmp_path / "a.png").read_bytes()
    head = b"IHDR" + struct.pack(">II", 60000, 60000) + data[24:29]
    (tmp_path / "a.png").write_bytes(data[:12] + head + struct.pack(">I", zlib.crc32(head)) + data[33:])
    assert "thousand megapixels" in sentence(tmp_path / "a.png")


def test_save_image_refuses_images_that_a_format_cannot_store(tmp_path: Path) -> None:
    deep, real = ImageData(IMAGE.pixels.astype(np.uint16)), ImageData(IMAGE.pixels.astype(np.float32))
    clear = ImageData(IMAGE.pixels, np.zeros((60, 50), np.uint8))
    cases = [
        ("a.jpg", deep, "16-bit images; choose PNG or TIFF"),
        ("a.webp", deep, "16-bit images; choose PNG or TIFF"),
        ("a.jpg", real, "floating-point images; choose TIFF"),
        ("a.png", real, "floating-point images; choose TIFF"),
        ("a.jpg", clear, "transparency; choose PNG, TIFF or WebP"),
        ("a.webp", ImageData(np.zeros((1, 16384, 3), np.uint8)), "at most 16383 pixels"),
        ("a.heic", IMAGE, ", ".join(WRITABLE_SUFFIXES)),
        ("a.bmp", IMAGE, ", ".join(WRITABLE_SUFFIXES)),
    ]
    for name, image, words in cases:
        assert words in sentence(tmp_path / name, write=image)
    assert list(tmp_path.iterdir()) == []


def test_save_image_drops_opaque_alpha_for_jpeg(tmp_path: Path) -> None:
    save_image(tmp_path / "a.jpg", ImageData(IMAGE.pixels, np.full((60, 50), 255, np.uint8)))
    assert load_image(tmp_path / "a.jpg").alpha is None


class FullDisk(io.FileIO):
    """A file on a disk with a thousand free bytes."""

    def write(self, data: object, /) -> int:
        """Write a thousand bytes, then fail as the system does."""
        if self.tell() + len(bytes(data)) > 1000:  # type: ignore[call-overload]
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_save_image_on_full_disk_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, existing: bool
) -> None:
    file = tmp_path / f"a{suffix}"
    if existing:
        file.write_bytes(b"precious")
    monkeypatch.setattr(atomic, "_open_new", lambda temporary, mode: FullDisk(temporary, "xb"))
    assert "disk is full" in sentence(file, write=IMAGE)
    assert [f.read_bytes() for f in tmp_path.iterdir()] == ([b"precious"] if existing else [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file size limits")
def test_save_image_beyond_file_size_limit_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    (tmp_path / "a.png").write_bytes(b"precious")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # else modules imported now leave truncated bytecode behind
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        message = sentence(tmp_path / "a.png", write=IMAGE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "larger than this disk or account allows" in message
    assert [f.read_bytes() for f in tmp_path.iterdir()] == [b"precious"]


class CtrlC(io.FileIO):
    """A file whose writer is stopped after a thousand bytes."""

    def write(self, data: object, /) -> int:
        """Write a thousand bytes, then stop as Ctrl-C does."""
        if self.tell() + len(bytes(data)) > 1000:  # type: ignore[call-overload]
            raise KeyboardInterrupt
        return super().write(data)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_save_image_interrupted_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"precious")
    monkeypatch.setattr(atomic, "_open_new", lambda temporary, mode: CtrlC(temporary, "xb"))
    with pytest.raises(KeyboardInterrupt):
        save_image(tmp_path / f"a{suffix}", IMAGE)
    assert [f.read_bytes() for f in tmp_path.iterdir()] == [b"precious"]


class Far(io.FileIO):
    """A file whose positions are offset by four gigabytes."""

    def tell(self) -> int:
        """Return the offset position."""
        return super().tell() + 2**32


def test_write_tiff_refuses_more_than_4_gb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(atomic, "_open_new", lambda temporary, mode: Far(temporary, "xb"))
    assert "at most 4 GB; choose PNG" in sentence(tmp_path / "a.tif", write=IMAGE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows folders have no write bit")
def test_load_and_save_image_without_permission() -> None:
    with ordinary_user() as folder:
        assert f"the folder {folder} is read-only" in sentence(folder / "new.png", write=IMAGE)
        sentence(folder / "old.png", write=IMAGE)
        assert "may not be read" in sentence(folder / "secret.png")
        assert (folder / "old.png").read_bytes() == b"precious"
        assert sorted(f.name for f in folder.iterdir()) == ["old.png", "secret.png"]


def test_save_image_refuses_unwritable_paths(tmp_path: Path) -> None:
    assert f"there is no folder {tmp_path / 'none'}" in sentence(tmp_path / "none" / "a.png", write=IMAGE)
    (tmp_path / "folder.png").mkdir()
    assert "is a folder" in sentence(tmp_path / "folder.png", write=IMAGE)
    assert "too long" in sentence(tmp_path / ("a" * 300 + ".png"), write=IMAGE)
    with pytest.raises(EngineError, match="not a file name"):
        save_image("a\0b.png", IMAGE)


def test_atomic_write_keeps_file_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "new") as file:
        file.write(b"whole")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    with atomic_write(tmp_path / "new") as file:
        file.write(b"again")
    assert (tmp_path / "new").read_bytes() == b"again"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege there")
def test_save_image_follows_symbolic_links(tmp_path: Path) -> None:
    (tmp_path / "real.png").touch()
    (tmp_path / "link.png").symlink_to("real.png")
    save_image(tmp_path / "link.png", IMAGE)
    assert (tmp_path / "link.png").is_symlink()
    assert np.array_equal(load_image(tmp_path / "real.png").pixels, IMAGE.pixels)


def test_save_image_refuses_arrays_of_wrong_type_or_shape(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8, uint16 or float32"):
        save_image(tmp_path / "a.png", ImageData(np.zeros((4, 4, 3))))
    with pytest.raises(ValueError, match="alpha must be"):
        save_image(tmp_path / "a.png", ImageData(IMAGE.pixels, np.zeros((4, 4), np.uint8)))
    assert list(tmp_path.iterdir()) == []
