# SPDX-License-Identifier: GPL-3.0-or-later
"""Every pair of formats keeps pixels and metadata, or says what it does not keep; other libraries read each file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import cv2
import exiv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from s2am_common.image_formats import WRITABLE_FORMATS, FormatInfo
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.io import load_image, save_image
from tests.engine import icc
from tests.engine.metadata import exif_fields, metadata

PROFILE = icc.rgb_profile(icc.P3, icc.srgb_curve)
DTYPES = {8: np.uint8, 16: np.uint16, 32: np.float32}
WORDS = {
    "exif": "camera data (EXIF)",
    "xmp": "XMP data",
    "iptc": "captions and keywords (IPTC)",
    "dpi": "the resolution",
    "text": "texts (",
}
quickly = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
each_source = pytest.mark.parametrize("source", WRITABLE_FORMATS, ids=lambda info: info.name)
each_target = pytest.mark.parametrize("target", WRITABLE_FORMATS, ids=lambda info: info.name)


@pytest.fixture(autouse=True)
def no_flushing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: on a busy one, flushing a thousand small files takes minutes."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@st.composite
def images(draw: st.DrawFn, formats: tuple[FormatInfo, ...]) -> ImageData:
    """A random image that all of some formats can store."""
    bits = draw(st.sampled_from([bits for bits in DTYPES if bits <= min(info.max_bits for info in formats)]))
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    unit = rng.random((height, width, 4))
    samples = unit.astype(np.float32) if bits == 32 else (unit * (2**bits - 1)).astype(DTYPES[bits])
    gray = draw(st.booleans())
    pixels = np.repeat(samples[..., :1], 3, axis=2) if gray else np.ascontiguousarray(samples[..., :3])
    alpha = (
        np.ascontiguousarray(samples[..., 3]) if draw(st.booleans()) and all(info.alpha for info in formats) else None
    )
    profile = draw(st.sampled_from([None, PROFILE]))
    return ImageData(pixels, alpha, profile, gray, draw(metadata()))


@each_source
@each_target
@quickly
@given(data=st.data())
def test_formats_keep_pixels_and_metadata_or_say_what_they_omit(
    tmp_path: Path, source: FormatInfo, target: FormatInfo, data: st.DataObject
) -> None:
    image = data.draw(images((source, target)))
    first, second = tmp_path / f"a{source.suffix}", tmp_path / f"b{target.suffix}"
    omitted = list(save_image(first, image))
    between = load_image(first)
    omitted += save_image(second, between)
    found = load_image(second)
    if source.lossless and target.lossless:
        assert np.array_equal(found.pixels, image.pixels)
        assert np.array_equal(np.asarray(found.alpha), np.asarray(image.alpha))
    assert found.profile == image.profile
    assert (between.notes, found.notes) == ((), ())
    assert_kept(found.metadata, image.metadata, " ".join(omitted))
    assert_read_by_other_libraries(second, found)


def assert_kept(found: Metadata, wanted: Metadata, omitted: str) -> None:
    """Compare metadata, except for those that the writers have reported."""
    if WORDS["exif"] not in omitted:
        assert exif_fields(found.exif) == exif_fields(wanted.exif)
    for name in ("xmp", "iptc"):
        kept = getattr(found, name)
        assert kept == (None if WORDS[name] in omitted else getattr(wanted, name))
    if wanted.dpi is None or WORDS["dpi"] in omitted:
        assert found.dpi is None
    else:
        assert found.dpi == pytest.approx(wanted.dpi, rel=0.02)
    if WORDS["text"] not in omitted:
        assert dict(found.text) == dict(wanted.text)
    assert set(found.text) <= set(wanted.text)


def assert_read_by_other_libraries(path: Path, image: ImageData) -> None:
    """Compare pixels with those of OpenCV or tifffile, and metadata with those of exiv2."""
    if path.suffix == ".tif":
        other: Any = tifffile.imread(path)
    else:
        other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        assert other is not None
        other = other if other.ndim == 2 else other[..., [2, 1, 0, 3][: other.shape[2]]]
    other = other.reshape(*image.pixels.shape[:2], -1)
    assert close(other[..., 0], image.pixels[..., 0], path)
    if image.alpha is not None:
        assert close(other[..., -1], image.alpha, path)
    read = exiv2.ImageFactory.open(str(path))
    read.readMetadata()
    metadata = image.metadata
    if ("main", 271) in exif_fields(metadata.exif):
        assert str(read.exifData()["Exif.Image.Make"].value()) == "Camera"
        assert str(read.exifData()["Exif.Photo.DateTimeOriginal"].value()) == "2026:01:02 03:04:05"
    if metadata.iptc:
        assert str(read.iptcData()["Iptc.Application2.ObjectName"].value()) == "Title"
    if metadata.xmp and len(metadata.xmp) < 60_000:
        assert "Xmp.dc.title" in [datum.key() for datum in read.xmpData()]


def close(found: NDArray[Any], wanted: NDArray[Any], path: Path) -> bool:
    """Return whether samples are equal; two decoders of a JPEG file may round differently."""
    return bool(np.abs(found.astype(float) - wanted.astype(float)).max() <= (2 if path.suffix == ".jpg" else 0))


def test_metadata_of_the_test_have_words() -> None:
    assert set(WORDS) | {"png_color"} == {field.name for field in dataclasses.fields(Metadata)}
