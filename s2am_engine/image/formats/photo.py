# SPDX-License-Identifier: GPL-3.0-or-later
"""JPEG and WebP through Pillow."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from s2am_engine.image.formats import exif
from s2am_engine.image.formats.raster import ELSEWHERE, Decoded, Metadata, RefusedError, Samples, check_size

_JPEG_SIDE, _WEBP_SIDE = 65500, 16383
_SEGMENT = 65533  # bytes of content in a JPEG segment
_IPTC_RESOURCE = 0x0404
_STRIP = 2**22  # pixels


def read_jpeg(data: bytes) -> Decoded:
    """Decode a JPEG file; of several pictures in one (MPO), the first.

    Raises RefusedError; OSError, SyntaxError where it is damaged.
    """
    # The plug-in's own class: Image.open would turn down pictures that MAX_PIXELS allows.
    with JpegImageFile(io.BytesIO(data)) as image:
        check_size(*image.size)
        if image.mode == "CMYK":
            raise RefusedError("is a CMYK picture: convert it to RGB first (in GIMP, Image > Mode > RGB)")
        info = image.info
        samples = _samples_of(image)
    # Pillow makes up 72 dpi where a file says nothing, so of its word only JFIF's own density counts.
    dpi = info.get("dpi") if info.get("jfif_unit") in (1, 2) else None
    resources = info.get("photoshop")
    iptc = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    comment = info.get("comment")
    text = (("Comment", comment.decode("utf-8", "replace")),) if isinstance(comment, bytes) else ()
    return _decoded(samples, info, dpi, text, iptc)


def read_webp(data: bytes) -> Decoded:
    """Decode a WebP file. Raises RefusedError for animations; OSError, SyntaxError where it is damaged."""
    with WebPImageFile(io.BytesIO(data)) as image:
        check_size(*image.size)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            raise RefusedError(f"is an animation of {frames} frames: {ELSEWHERE.replace('it', 'one frame')}")
        return _decoded(_samples_of(image), image.info)


def _decoded(
    samples: NDArray[Any],
    info: dict[str | tuple[int, int], Any],
    dpi: tuple[float, float] | None = None,
    text: tuple[tuple[str, str], ...] = (),
    iptc: bytes | None = None,
) -> Decoded:
    blob, orientation = exif.normalize(info.get("exif"))
    metadata = Metadata(blob, exif.upright_xmp(info.get("xmp"), orientation), iptc, dpi or exif.resolution(blob), text)
    return Decoded(samples, orientation, info.get("icc_profile") or None, metadata)


def _samples_of(image: Image.Image) -> NDArray[np.uint8]:
    """Samples H×W×C of an 8-bit Pillow picture (L, LA, RGB, RGBA), copied strip by strip.

    np.asarray(image) would hold two more copies of the whole picture on the way.
    """
    width, height = image.size
    samples = np.empty((height, width, len(image.getbands())), np.uint8)
    image.load()
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        strip = np.asarray(image.crop((0, top, width, min(top + step, height))))
        samples[top : top + step] = strip.reshape(-1, width, samples.shape[2])
    return samples


def write_jpeg(file: BinaryIO, given: Samples, profile: bytes | None, metadata: Metadata, quality: int) -> None:
    """Write a JPEG file at full color resolution (4:4:4). Raises RefusedError for what JPEG cannot hold."""
    _check(given, "JPEG", _JPEG_SIDE)
    if given.alpha is not None:
        if given.alpha.min() < 255:
            raise RefusedError("cannot be written: JPEG cannot hold transparency; choose PNG, TIFF or WebP")
        given = Samples(given.pixels, None, given.gray)
    options = _options(profile, metadata)
    if len(options.get("exif", b"")) > _SEGMENT:
        del options["exif"]
    if len(options.get("xmp", b"")) > _SEGMENT - 29:
        del options["xmp"]
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    comment = dict(metadata.text).get("Comment", "").encode()
    if 0 < len(comment) <= _SEGMENT:
        options["comment"] = comment
    if metadata.iptc and len(metadata.iptc) < _SEGMENT - 64:
        options["extra"] = _photoshop_segment(metadata.iptc)
    _save(file, given, "JPEG", {"quality": quality, "subsampling": 0} | options)


def write_webp(file: BinaryIO, given: Samples, profile: bytes | None, metadata: Metadata) -> None:
    """Write a lossless WebP file; gray becomes RGB, for WebP has no gray. Raises RefusedError for the rest."""
    _check(given, "WebP", _WEBP_SIDE)
    if given.gray and profile and profile[16:20] == b"GRAY":
        raise RefusedError(
            "cannot be written: WebP cannot hold a gray picture with its profile; choose PNG, JPEG or TIFF"
        )
    colored = Samples(given.pixels, given.alpha, gray=False)
    # Method 0 is several times faster than the usual one, for files a fifth larger.
    effort = {"lossless": True, "exact": True, "method": 0, "quality": 50}
    _save(file, colored, "WEBP", effort | _options(profile, metadata))


def _check(given: Samples, name: str, side: int) -> None:
    if given.pixels.dtype == np.float32:
        raise RefusedError(f"cannot be written: {name} cannot hold floating-point pictures; choose TIFF")
    if given.pixels.dtype == np.uint16:
        raise RefusedError(f"cannot be written: {name} cannot hold 16-bit pictures; choose PNG or TIFF")
    if max(given.pixels.shape[:2]) > side:
        raise RefusedError(f"cannot be written: {name} holds at most {side} pixels a side; choose PNG or TIFF")


def _options(profile: bytes | None, metadata: Metadata) -> dict[str, Any]:
    options: dict[str, Any] = {"icc_profile": profile} if profile else {}
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    if metadata.xmp:
        options["xmp"] = metadata.xmp
    return options


def _photoshop_segment(iptc: bytes) -> bytes:
    body = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(iptc).to_bytes(4, "big") + iptc + b"\0" * (len(iptc) % 2)
    return b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body


def _save(file: BinaryIO, given: Samples, name: str, options: dict[str, Any]) -> None:
    # Through memory: writing to the file itself, Pillow loses the reason of a failure ("disk full").
    buffer = io.BytesIO()
    Image.fromarray(given.whole()).save(buffer, name, **options)
    file.write(buffer.getbuffer())
