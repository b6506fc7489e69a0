# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of image formats agrees with the readers and writers, and with itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2am_common.errors import ImageFormatError
from s2am_common.image_formats import (
    FOREIGN_FORMATS,
    FOREIGN_SUFFIXES,
    IMAGE_FORMATS,
    IMAGE_SUFFIXES,
    READABLE_SUFFIXES,
    WRITABLE_FORMATS,
    WRITABLE_SUFFIXES,
    FormatInfo,
    format_of_suffix,
)
from s2am_engine.image.data import ImageData
from s2am_engine.image.formats import FORMATS
from s2am_engine.image.io import load_image, save_image

each_format = pytest.mark.parametrize("info", WRITABLE_FORMATS, ids=lambda info: info.name)


def test_every_format_has_one_codec() -> None:
    assert tuple(each.info for each in FORMATS) == IMAGE_FORMATS
    assert tuple(each.info for each in FORMATS if each.write) == WRITABLE_FORMATS


def test_suffixes_are_unique_lower_case_and_not_foreign() -> None:
    assert len(set(READABLE_SUFFIXES)) == len(READABLE_SUFFIXES)
    assert set(READABLE_SUFFIXES) > set(IMAGE_SUFFIXES) > set(WRITABLE_SUFFIXES)
    assert all(s == s.lower() and s.startswith(".") for s in (*READABLE_SUFFIXES, *FOREIGN_SUFFIXES))
    assert not set(IMAGE_SUFFIXES) & set(FOREIGN_SUFFIXES)
    assert format_of_suffix(".JPEG") is format_of_suffix(".jfif")
    assert format_of_suffix(".exr") is None


@each_format
def test_written_files_match_their_signature_alone(info: FormatInfo, tmp_path: Path) -> None:
    save_image(tmp_path / f"a{info.suffix}", ImageData(np.full((4, 5, 3), 99, np.uint8)))
    data = (tmp_path / f"a{info.suffix}").read_bytes()
    assert [each.name for each in IMAGE_FORMATS if each.matches(data)] == [info.name]
    assert not any(foreign.matches(data) for foreign in FOREIGN_FORMATS)


def test_packages_of_formats_are_dependencies_or_extras() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    for info in IMAGE_FORMATS:
        assert info.package is None or f'"{info.package.name}>=' in project


@each_format
@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (16, np.uint16), (32, np.float32)])
def test_max_bits_alpha_and_lossless_are_true(
    info: FormatInfo, bits: int, dtype: type[np.generic], tmp_path: Path
) -> None:
    file = tmp_path / f"a{info.suffix}"
    noise = np.random.default_rng(0).random((16, 16, 4))
    values = (noise * (1 if bits == 32 else 2**bits - 1)).astype(dtype)
    opaque = ImageData(np.ascontiguousarray(values[..., :3]))
    if bits > info.max_bits:
        with pytest.raises(ImageFormatError, match=f"{info.name} cannot store"):
            save_image(file, opaque)
        return
    save_image(file, opaque)
    same = np.array_equal(load_image(file).pixels, opaque.pixels)
    assert same == info.lossless
    translucent = ImageData(opaque.pixels, np.ascontiguousarray(values[..., 3]))
    if info.alpha:
        save_image(file, translucent)
        assert load_image(file).alpha is not None
    else:
        with pytest.raises(ImageFormatError, match="transparency"):
            save_image(file, translucent)
