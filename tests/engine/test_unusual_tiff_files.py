# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF files that other programs write and read, against the letter of the format; and files made to do harm."""

from __future__ import annotations

import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from s2am_common.errors import ImageFormatError
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.exif import TiffBytes
from s2am_engine.image.io import load_image, save_image
from tests.engine.raw_files import (
    RGB,
    tiff_fields,
)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("loop", ["itself", "second page", "nowhere"])
@pytest.mark.parametrize("big", [False, True], ids=["classic", "BigTIFF"])
def test_read_tiff_page_list_loops(tmp_path: Path, order: Any, loop: str, big: bool) -> None:
    file = tmp_path / "loop.tif"
    with tifffile.TiffWriter(file, byteorder=order, bigtiff=big) as writer:
        writer.write(RGB, photometric="rgb", metadata=None)
        writer.write(RGB[::2, ::2], photometric="rgb", metadata=None, subfiletype=1)
    data = bytearray(file.read_bytes())
    tiff = TiffBytes(bytes(data))
    first = tiff.directory(tiff.first)
    at = first.next_at if loop == "itself" else tiff.directory(first.next).next_at
    target = {"itself": tiff.first, "second page": first.next, "nowhere": len(data) + 1000}[loop]
    data[at : at + (8 if big else 4)] = struct.pack(order + ("Q" if big else "I"), target)
    file.write_bytes(data)
    started = time.perf_counter()
    assert np.array_equal(load_image(file).pixels, RGB)
    assert time.perf_counter() - started < 10


def test_read_tiff_of_many_pages_is_refused_at_once(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for _ in range(3):
            writer.write(RGB, photometric="rgb", metadata=None)
    with pytest.raises(ImageFormatError, match="has 3 pages"):
        load_image(tmp_path / "a.tif")


def test_read_tiff_fields_that_share_bytes_take_bounded_memory(tmp_path: Path) -> None:
    count, shared = 4000, bytes(2**20)
    at = 8 + 2 + 12 * count + 4
    table = b"".join(struct.pack("<HHII", 40000 + n, 1, len(shared), at) for n in range(count))
    bomb = b"II*\0\x08\0\0\0" + struct.pack("<H", count) + table + bytes(4) + shared
    kept = TiffBytes(bomb).directory(8).entries
    assert sum(len(entry.value) for entry in kept.values()) <= len(bomb)
    (tmp_path / "a.tif").write_bytes(bomb)
    with pytest.raises(ImageFormatError, match="damaged"):
        load_image(tmp_path / "a.tif")


def test_read_tiff_of_many_channels_is_refused_before_decoding(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8, 9), np.uint8), photometric="rgb", planarconfig="contig")
    with pytest.raises(ImageFormatError, match="has 9 channels"):
        load_image(tmp_path / "a.tif")


@pytest.mark.parametrize("kind", [5, 10])
@pytest.mark.parametrize("order", ["<", ">"])
def test_write_tiff_keeps_rational_fields(tmp_path: Path, order: str, kind: int) -> None:
    code = "I" if kind == 5 else "i"
    wanted = [*range(-9, 11)] if kind == 10 else [1, 60, 28, 10]
    value = struct.pack(f"{order}{len(wanted)}{code}", *wanted)
    one = struct.pack(f"{order}2{code}", 28, 10)
    blob = tiff_fields(order, (271, 2, 5, b"Make\0"), (33437, kind, 1, one), (50715, kind, len(wanted) // 2, value))
    save_image(tmp_path / "a.tif", ImageData(RGB[:8, :8].copy(), metadata=Metadata(exif=blob)))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].aspage().tags
        assert tags[33437].count == 1
        assert tags[33437].value == (28, 10)
        assert tags[50715].count == len(wanted) // 2
        assert list(tags[50715].value) == wanted
    again = load_image(tmp_path / "a.tif")
    save_image(tmp_path / "b.tif", again)
    assert load_image(tmp_path / "b.tif").metadata.exif == again.metadata.exif


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_read_tiff_saved_selection_is_not_transparency(
    tmp_path: Path, dtype: str, gray: bool, orientation: int
) -> None:
    samples = (np.random.default_rng(2).random((20, 30, 2 if gray else 4)) * 250).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif",
        samples,
        photometric="minisblack" if gray else "rgb",
        planarconfig="contig",
        extrasamples=["unspecified"],
        extratags=[(274, 3, 1, orientation, True)],
    )
    found = load_image(tmp_path / "a.tif")
    assert found.alpha is None
    assert found.gray == gray
    turned = samples if orientation == 1 else np.rot90(samples, -1)
    assert found.selection is not None
    assert np.array_equal(found.selection, turned[..., -1])
    assert np.array_equal(found.pixels[..., 0], turned[..., 0])
    save_image(tmp_path / "b.tif", found)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert [int(kind) for kind in file.pages[0].aspage().extrasamples] == [0]
    again = load_image(tmp_path / "b.tif").selection
    assert again is not None
    assert np.array_equal(again, found.selection)


@pytest.mark.parametrize(
    ("kinds", "alpha", "selection", "notes"),
    [
        (["unassalpha", "unspecified"], 3, 4, 0),
        (["unspecified", "unassalpha"], 4, 3, 0),
        (["unspecified", "unspecified"], None, 3, 1),
        (["unspecified", "unassalpha", "unspecified", "unspecified"], 4, 3, 1),
    ],
)
def test_read_tiff_of_alpha_and_saved_selections(
    tmp_path: Path, kinds: list[str], alpha: int | None, selection: int, notes: int
) -> None:
    samples = np.random.default_rng(2).integers(0, 256, (20, 30, 3 + len(kinds)), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", planarconfig="contig", extrasamples=kinds)
    found = load_image(tmp_path / "a.tif")
    assert np.array_equal(found.pixels, samples[..., :3])
    assert (found.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(np.asarray(found.alpha), samples[..., alpha])
    assert np.array_equal(np.asarray(found.selection), samples[..., selection])
    assert len(found.notes) == notes
    save_image(tmp_path / "b.tif", found)
    again = load_image(tmp_path / "b.tif")
    assert np.array_equal(np.asarray(again.alpha), np.asarray(found.alpha))
    assert np.array_equal(np.asarray(again.selection), np.asarray(found.selection))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_save_image_omits_saved_selection_elsewhere(tmp_path: Path, suffix: str) -> None:
    save_image(tmp_path / f"a{suffix}", ImageData(RGB, selection=RGB[..., 0]))
    assert load_image(tmp_path / f"a{suffix}").alpha is None


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("bits", [8, 16])
def test_read_tiff_palette_of_8_and_16_bits(tmp_path: Path, scale: int, bits: int) -> None:
    table = np.zeros((3, 2**bits), np.uint16)
    table[:, :256] = np.stack([np.arange(256), np.arange(256)[::-1], np.full(256, 128)]) * scale
    indices = np.arange(256, dtype=f"u{bits // 8}").reshape(16, 16)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=table)
    found = load_image(tmp_path / "a.tif").pixels.reshape(-1, 3)
    assert np.array_equal(found, (table[:, :256] // scale).T)


def test_write_tiff_without_resolution_has_no_such_fields(tmp_path: Path) -> None:
    save_image(tmp_path / "a.tif", ImageData(RGB))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert not {282, 283, 296} & {tag.code for tag in file.pages[0].aspage().tags}
    assert load_image(tmp_path / "a.tif").metadata.dpi is None
    save_image(tmp_path / "b.tif", ImageData(RGB, metadata=Metadata(dpi=(300, 150))))
    assert load_image(tmp_path / "b.tif").metadata.dpi == (300, 150)
