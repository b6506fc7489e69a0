# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG through Pillow: 8 bits, at full color resolution (4:4:4)."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from typing import BinaryIO

from PIL.JpegImagePlugin import JpegImageFile

from s2am_common.image_formats import JPEG
from s2am_engine.image.data import ImageData
from s2am_engine.image.formats.common import (
    Decoded,
    ImageFormat,
    UnsupportedFileError,
    check_image_size,
    check_storable,
    ignore_progress,
    omitted_contents,
    storable_resolution,
)
from s2am_engine.image.formats.exif import exif_resolution, exif_with_resolution
from s2am_engine.image.formats.gain_map import GAIN_MAP_NOTE, has_gain_map, jpeg_segments
from s2am_engine.image.formats.iptc import iptc_of_resources, iptc_resource
from s2am_engine.image.formats.pillow import decode_samples, encode, metadata_of, save_options
from s2am_engine.image.formats.print_colors import cmyk_to_srgb
from s2am_engine.image.formats.xmp import EXTENDED_SIGNATURE, join_xmp, reset_xmp_orientation, split_xmp
from s2am_engine.types import FractionCallback

_MAX_SIDE = 65500
_MAX_DENSITY = 65535
_MAX_SEGMENT = 65533  # bytes of content of a JPEG segment
_RESOURCES = b"Photoshop 3.0\0"  # signature of a segment with image resources, which may go on in the next one
_XMP_MARK, _RESOURCES_MARK = 0xE1, 0xED
_LOST_XMP = "has XMP data of which a part is missing or damaged; only the rest is kept"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start of frame
_USUAL_FRAMES = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}  # baseline, extended, progressive; with Huffman or arithmetic coding
_SAVE_USUAL = "save it as PNG, TIFF or an ordinary JPEG first"


def read_jpeg(data: bytes) -> Decoded:
    """Decode a JPEG file; of several images in one (MPO), the first.

    Raises UnsupportedFileError; OSError, SyntaxError if it is damaged.
    """
    _refuse_rare_kinds(data)
    # The plug-in's own class: Image.open would refuse images that MAX_PIXELS allows.
    with JpegImageFile(io.BytesIO(data)) as image:
        check_image_size(*image.size)
        info, is_cmyk = image.info, image.mode == "CMYK"
        samples = decode_samples(image)
    # Pillow reports 72 dpi for files without a resolution, so only JFIF's own density counts.
    dpi = info.get("dpi") if info.get("jfif_unit") in (1, 2) else None
    segments = [each for each in jpeg_segments(data) if each[0] in (_XMP_MARK, _RESOURCES_MARK)]
    iptc = iptc_of_resources(b"".join(_bodies(segments, _RESOURCES_MARK, _RESOURCES)))
    comment = info.get("comment")
    text = (("Comment", _decoded(comment)),) if isinstance(comment, bytes) else ()
    metadata, orientation = metadata_of(info, dpi, text, iptc)
    notes = [GAIN_MAP_NOTE] if has_gain_map(data) else []
    extended = [EXTENDED_SIGNATURE + body for body in _bodies(segments, _XMP_MARK, EXTENDED_SIGNATURE)]
    xmp, complete = join_xmp(metadata.xmp, extended)
    if not complete:
        notes.append(_LOST_XMP)
    profile = info.get("icc_profile") or None
    if is_cmyk:
        samples, note = cmyk_to_srgb(samples, profile)
        profile = None
        notes.append(note)
    metadata = dataclasses.replace(metadata, xmp=reset_xmp_orientation(xmp, orientation))
    return Decoded(samples, orientation, profile, metadata, notes=tuple(notes))


def _bodies(segments: list[tuple[int, bytes]], mark: int, signature: bytes) -> Iterator[bytes]:
    """Yield the contents of the segments of a kind, without their signature."""
    for number, body in segments:
        if number == mark and body.startswith(signature):
            yield body[len(signature) :]


def _decoded(comment: bytes) -> str:
    try:
        return comment.decode()
    except UnicodeDecodeError:
        return comment.decode("latin-1")


def _refuse_rare_kinds(data: bytes) -> None:
    """Raise UnsupportedFileError for kinds of JPEG that no browser shows: they are not damaged."""
    frame = next(((mark, body) for mark, body in jpeg_segments(data) if mark in _FRAMES), None)
    if frame is None or len(frame[1]) < 6:
        return
    mark, body = frame
    if mark not in _USUAL_FRAMES:
        raise UnsupportedFileError(f"is a lossless or hierarchical JPEG file: {_SAVE_USUAL}")
    if body[0] != 8:
        raise UnsupportedFileError(f"is a JPEG file of {body[0]} bits: {_SAVE_USUAL}")


def write_jpeg(
    file: BinaryIO, image: ImageData, quality: int = 95, progress: FractionCallback = ignore_progress
) -> tuple[str, ...]:
    """Write a JPEG file; see `ImageFormat`. Raises UnsupportedFileError for images that JPEG cannot store."""
    check_storable(JPEG, image, _MAX_SIDE)
    if image.alpha is not None and image.alpha.min() < 255:
        raise UnsupportedFileError("cannot be written: JPEG cannot store transparency; choose PNG, TIFF or WebP")
    metadata = image.metadata
    stored = {"xmp", "iptc"}
    # EXIF keeps resolutions that do not fit in the 16 bits of JFIF.
    dpi = storable_resolution(metadata.dpi, 1, _MAX_DENSITY)
    exif = metadata.exif if dpi else exif_with_resolution(metadata.exif, metadata.dpi)
    options = save_options(dataclasses.replace(image, metadata=dataclasses.replace(metadata, exif=exif)))
    if len(options.get("exif", b"")) <= _MAX_SEGMENT:
        stored |= {"exif"} | ({"dpi"} if exif_resolution(exif) else set())
    else:
        del options["exif"]
    if dpi:
        stored.add("dpi")
        options["dpi"] = dpi
    comment = dict(metadata.text).get("Comment", "").encode()
    if len(comment) <= _MAX_SEGMENT:
        stored.add("text Comment")
        options |= {"comment": comment} if comment else {}
    extra = [(_RESOURCES_MARK, body) for body in _resource_segments(metadata.iptc)]
    if metadata.xmp:
        options["xmp"], extended = split_xmp(metadata.xmp)
        extra += [(_XMP_MARK, body) for body in extended]
    options["extra"] = b"".join(_segment(mark, body) for mark, body in extra)
    opaque = ImageData(image.pixels, gray=image.gray)
    encode(file, opaque.samples(), "JPEG", {"quality": quality, "subsampling": 0} | options, progress)
    return omitted_contents(image, stored)


def _resource_segments(iptc: bytes | None) -> Iterator[bytes]:
    """Yield the contents of the segments for IPTC records."""
    resources = iptc_resource(iptc) if iptc else b""
    step = _MAX_SEGMENT - len(_RESOURCES)
    for start in range(0, len(resources), step):
        yield _RESOURCES + resources[start : start + step]


def _segment(mark: int, body: bytes) -> bytes:
    return bytes([0xFF, mark]) + (len(body) + 2).to_bytes(2, "big") + body


JPEG_FORMAT = ImageFormat(JPEG, read_jpeg, write_jpeg)
