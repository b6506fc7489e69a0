# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG through Pillow: 8 bits, at full color resolution (4:4:4)."""

from __future__ import annotations

import dataclasses
import io
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
    storable_resolution,
)
from s2am_engine.image.formats.gain_map import has_gain_map, jpeg_segments, without_attachments
from s2am_engine.image.formats.iptc import iptc_resource
from s2am_engine.image.formats.pillow import decode_samples, encode, metadata_of, save_options

_MAX_SIDE = 65500
_MAX_DENSITY = 65535
_MAX_SEGMENT = 65533  # bytes of content of a JPEG segment
_IPTC_RESOURCE = 0x0404
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
        if image.mode == "CMYK":
            raise UnsupportedFileError("is a CMYK image: convert it to RGB first (in GIMP, Image > Mode > RGB)")
        info = image.info
        samples = decode_samples(image)
    # Pillow reports 72 dpi for files without a resolution, so only JFIF's own density counts.
    dpi = info.get("dpi") if info.get("jfif_unit") in (1, 2) else None
    resources = info.get("photoshop")
    iptc = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    comment = info.get("comment")
    text = (("Comment", comment.decode("utf-8", "replace")),) if isinstance(comment, bytes) else ()
    metadata, orientation = metadata_of(info, dpi, text, iptc)
    notes = ("has an HDR gain map, which is not kept: its standard colors are used",) if has_gain_map(data) else ()
    metadata = dataclasses.replace(metadata, xmp=without_attachments(metadata.xmp))
    return Decoded(samples, orientation, info.get("icc_profile") or None, metadata, notes=notes)


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


def write_jpeg(file: BinaryIO, image: ImageData, quality: int = 95) -> None:
    """Write a JPEG file. Raises UnsupportedFileError for images that JPEG cannot store."""
    check_storable(JPEG, image, _MAX_SIDE)
    if image.alpha is not None and image.alpha.min() < 255:
        raise UnsupportedFileError("cannot be written: JPEG cannot store transparency; choose PNG, TIFF or WebP")
    metadata = image.metadata
    options = save_options(image)
    if len(options.get("exif", b"")) > _MAX_SEGMENT:
        del options["exif"]
    if len(options.get("xmp", b"")) > _MAX_SEGMENT - 29:
        del options["xmp"]
    # EXIF keeps resolutions that do not fit in the 16 bits of JFIF.
    dpi = storable_resolution(metadata.dpi, 1, _MAX_DENSITY)
    if dpi:
        options["dpi"] = dpi
    comment = dict(metadata.text).get("Comment", "").encode()
    if 0 < len(comment) <= _MAX_SEGMENT:
        options["comment"] = comment
    if metadata.iptc and len(metadata.iptc) < _MAX_SEGMENT - 64:
        options["extra"] = _photoshop_segment(metadata.iptc)
    opaque = ImageData(image.pixels, gray=image.gray)
    encode(file, opaque.samples(), "JPEG", {"quality": quality, "subsampling": 0} | options)


def _photoshop_segment(iptc: bytes) -> bytes:
    body = b"Photoshop 3.0\0" + iptc_resource(iptc)
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


JPEG_FORMAT = ImageFormat(JPEG, read_jpeg, write_jpeg)
