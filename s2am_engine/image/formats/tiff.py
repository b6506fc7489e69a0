# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFF through tifffile and its codecs, imagecodecs: 8, 16 and 32-bit samples, every descriptive field kept.

tifffile reads almost any file, so this module refuses several pages and truncated files; tifffile also neither converts
samples to colors nor writes EXIF. Source: TIFF 6.0.
"""

from __future__ import annotations

import io
import logging
import math
import struct
from collections.abc import Container
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from tifffile import TIFF, TiffFile, TiffPage, TiffWriter

from s2am_common.image_formats import TIFF as TIFF_INFO
from s2am_engine.image.data import MAX_PIXELS, ImageData, IndexedColors, Metadata
from s2am_engine.image.formats import exif
from s2am_engine.image.formats.camera_raw import read_camera_raw
from s2am_engine.image.formats.common import (
    CONVERT_FIRST,
    Decoded,
    ImageFormat,
    ReportingFile,
    UnsupportedFileError,
    check_image_size,
    ignore_progress,
    omitted_contents,
    storable_resolution,
    straight_alpha,
    widened,
)
from s2am_engine.image.formats.exif import TiffBytes, TiffDirectory, TiffEntry
from s2am_engine.image.formats.iptc import iptc_of_resources
from s2am_engine.image.formats.print_colors import LAB_NOTE, cmyk_to_srgb, lab_to_srgb
from s2am_engine.image.formats.xmp import reset_xmp_orientation
from s2am_engine.types import FractionCallback

_PHOTOMETRIC, _XMP, _IPTC, _RESOURCES, _ICC, _DNG = 262, 700, 33723, 34377, 34675, 50706
_LONG = 4
_NEW_SUBFILE, _SUBFILE, _EXTRA_SAMPLES = 254, 255, 338
_RESOLUTION = {exif.X_RESOLUTION, exif.Y_RESOLUTION, exif.RESOLUTION_UNIT}
_RATIONALS = {5: "I", 10: "i"}
_GRAY, _RGB, _PALETTE, _YCBCR = (0, 1), 2, 3, 6  # PhotometricInterpretation; in the first kind of gray 0 is white
_CMYK, _LAB, _INK_SET = 5, (8, 9), 332
_COLORS = {0: 1, 1: 1, _PALETTE: 1, _CMYK: 4}  # channels by PhotometricInterpretation, 3 for others
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2  # ExtraSamples
_MAX_EXTRA_CHANNELS = 5  # of which two are kept; more are refused before they take memory
_OLD_JPEG = 6
_JPEG = (6, 7)  # compressions of which tifffile converts YCbCr to RGB
_KINDS = {(1, bits) for bits in range(1, 17)} | {(3, 16), (3, 24), (3, 32), (3, 64)}  # SampleFormat, BitsPerSample
_NO_EXIF = b"II*\0\x08\0\0\0" + bytes(6)
_POINTERS = {34665: "ExifTag", 34853: "GPSTag"}
_READ_AHEAD = 2**24  # bytes of the file that tifffile buffers
_WRITE_AHEAD = 2**24  # bytes that are compressed before the first of them is written
_MAX_PAGES = 1000  # to count
_MAX_RESOLUTION = 2.0**32 - 1
_Field: TypeAlias = "tuple[int | str, int, int, bytes | tuple[int, ...], bool]"
"""A field for TiffWriter: tag, type, count, value, and whether only the first page has it."""
_UNREADABLE = f"is stored in a way that is not supported: {CONVERT_FIRST}"

_OLD = f"has the JPEG compression of 1992, which was replaced in 1995 and few programs read: {CONVERT_FIRST}"

# Without a handler, tifffile's warnings about odd files would be printed to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class _CameraRawError(Exception):
    """The file is, or may be, a camera raw file."""


def read_tiff(data: bytes) -> Decoded:
    """Decode a TIFF file. Raises UnsupportedFileError; ValueError, RuntimeError if it is damaged."""
    try:
        return _read(data)
    except _CameraRawError:
        return read_camera_raw(data)


def _read(data: bytes) -> Decoded:
    tiff = TiffBytes(data, strict=True)  # for EXIF, and because tifffile skips truncated fields
    main = tiff.directory(tiff.first)
    icc, xmp = (main.entries[tag].value or None if tag in main.entries else None for tag in (_ICC, _XMP))
    iptc = _iptc(main)
    notes: list[str] = []
    with TiffFile(io.BytesIO(data)) as file, np.errstate(over="ignore"):
        page = _only_page(file, data)
        check_image_size(page.imagewidth, page.imagelength)
        photometric = page.tags.valueof(_PHOTOMETRIC, 1)
        _refuse(page, photometric)
        if page.compression == _OLD_JPEG and not page.dataoffsets:
            raise UnsupportedFileError(_OLD)
        _refuse_truncated(page, len(data))
        try:
            samples = np.moveaxis(page.asarray(squeeze=False, buffersize=_READ_AHEAD), 0, -1)
        except NotImplementedError as error:
            raise UnsupportedFileError(_UNREADABLE) from error
        except Exception as error:
            if page.compression == _OLD_JPEG:
                raise UnsupportedFileError(_OLD) from error
            raise
        samples = samples.reshape(page.imagelength, page.imagewidth, page.samplesperpixel)
        indices = samples[..., 0] if photometric == _PALETTE else None
        samples = _converted(page, samples, photometric)
        indexed = None if indices is None else IndexedColors(indices, _color_table(page))
        kinds = [int(kind) for kind in page.extrasamples] if _EXTRA_SAMPLES in page.tags else [_STRAIGHT]
    colors = 1 if photometric in _GRAY else 4 if photometric == _CMYK else 3
    if samples.shape[2] < colors:
        raise ValueError("TIFF lacks channels")
    samples, selection, dropped = _split_extra_channels(samples, colors, kinds)
    if dropped:
        notes.append(f"has {dropped} more channels than can be kept")
    if photometric in (_CMYK, *_LAB):
        samples, note = _as_srgb(samples, photometric, icc)
        icc = None
        notes.append(note)
    blob, orientation = exif.normalize_exif(exif.exif_of_tiff(tiff, main))
    metadata = Metadata(blob, reset_xmp_orientation(xmp, orientation), iptc, exif.exif_resolution(blob))
    return Decoded(samples, orientation, icc, metadata, selection, tuple(notes), indexed)


def _iptc(main: TiffDirectory) -> bytes | None:
    """Return the IPTC records of a TIFF file: from their own field, or from Photoshop's image resources."""
    entry = main.entries.get(_IPTC)
    if entry is None or not entry.value:
        resources = main.entries.get(_RESOURCES)
        return iptc_of_resources(resources.value) if resources is not None else None
    if entry.kind == _LONG and not entry.value.startswith(b"\x1c"):  # some programs store it as swapped integers
        return np.frombuffer(entry.value, ">u4").astype("<u4").tobytes()
    return entry.value


def _only_page(file: TiffFile, data: bytes) -> TiffPage:
    """Return the page of the image; thumbnails, masks and reduced versions do not count as pages."""
    first = file.pages[0].aspage()
    if first.is_reduced:
        raise _CameraRawError("begins with a thumbnail")
    count = _page_count(TiffBytes(data))
    if count > 1:
        number = count if count <= _MAX_PAGES else f"more than {_MAX_PAGES}"
        raise UnsupportedFileError(f"has {number} pages: save the one you need as a separate file first")
    return first


def _page_count(tiff: TiffBytes) -> int:
    """Count the full-size pages, up to _MAX_PAGES + 1; the list of a damaged file may point back to itself."""
    count, at, seen = 0, tiff.first, set[int]()
    while at and at not in seen and count <= _MAX_PAGES and len(seen) <= 4 * _MAX_PAGES:
        seen.add(at)
        try:
            at, is_page = _next_page(tiff, at)
        except ValueError:  # a pointer beyond the end of the file: the first page is complete, see _refuse_truncated
            break
        count += is_page
    return count


def _next_page(tiff: TiffBytes, at: int) -> tuple[int, bool]:
    """Return the offset of the next directory, and True if this one is a page: not reduced, no mask."""
    directory = tiff.directory(at, only={_NEW_SUBFILE, _SUBFILE})
    kind = (tiff.numbers(directory.entries.get(_NEW_SUBFILE)) or [0])[0]
    older = (tiff.numbers(directory.entries.get(_SUBFILE)) or [0])[0]
    return directory.next, not (kind & 5 or older == 2)


def _refuse(page: TiffPage, photometric: int) -> None:
    if photometric in (32803, 34892) or _DNG in page.tags:
        raise _CameraRawError("is a camera raw file")
    if (page.sampleformat, page.bitspersample) not in _KINDS:
        raise UnsupportedFileError(
            "is neither 8-bit, 16-bit nor floating-point: convert it to 16 bits per channel first"
        )
    converted = photometric in (_CMYK, *_LAB) and page.sampleformat == 1 and page.bitspersample in (8, 16)
    colored = photometric in (*_GRAY, _RGB, _PALETTE) or (photometric == _YCBCR and page.compression in _JPEG)
    colored = colored or (converted and page.tags.valueof(_INK_SET, 1) == 1)
    channels, colors = page.samplesperpixel, _COLORS.get(photometric, 3)
    if channels > colors + _MAX_EXTRA_CHANNELS:
        raise UnsupportedFileError(f"has {channels} channels: remove the extra ones, or {CONVERT_FIRST}")
    if page.imagedepth != 1 or page.tilewidth * page.tilelength > MAX_PIXELS:
        raise UnsupportedFileError(_UNREADABLE)
    if not colored or page.compression not in TIFF.DECOMPRESSORS or page.predictor not in TIFF.UNPREDICTORS:
        raise UnsupportedFileError(_UNREADABLE)


def _refuse_truncated(page: TiffPage, size: int) -> None:
    starts, counts, pieces = page.dataoffsets, page.databytecounts, math.prod(page.chunked)
    cut = any(count < 1 or start + count > size for start, count in zip(starts, counts, strict=False))
    if cut or min(len(starts), len(counts)) < pieces:
        raise ValueError("TIFF ends too early")


def _converted(page: TiffPage, samples: NDArray[Any], photometric: int) -> NDArray[Any]:
    """Convert samples to uint8, uint16 or float32 with 0 as black; applies palettes, scales other bit depths."""
    if photometric == _PALETTE:
        return np.concatenate([_color_table(page)[samples[..., 0].astype(np.uint16)], samples[..., 1:]], axis=2)
    bits, real = page.bitspersample, samples.dtype.kind == "f"
    samples = samples.astype(np.float32, copy=False) if real else widened(samples, bits)
    if photometric == 0:
        samples[..., 0] = (1 if real else np.iinfo(samples.dtype).max) - samples[..., 0]
    return samples


def _color_table(page: TiffPage) -> NDArray[np.uint8]:
    """Return the palette, N×3."""
    table = np.asarray(page.colormap).T
    # Some programs store 8-bit values; libtiff recognizes them in the same way.
    return (table >> 8 if table.max() > 255 else table).astype(np.uint8)


def _split_extra_channels(
    samples: NDArray[Any], colors: int, kinds: list[int]
) -> tuple[NDArray[Any], NDArray[Any] | None, int]:
    """Separate the channels behind the colors by their kinds (ExtraSamples).

    Returns:
        Colors and alpha, not premultiplied; the first saved selection; and the number of further channels.
    """
    count = samples.shape[2] - colors
    kinds = (kinds + [_UNSPECIFIED] * count)[:count]
    alphas = [index for index, kind in enumerate(kinds, colors) if kind in (_PREMULTIPLIED, _STRAIGHT)][:1]
    selections = [index for index, kind in enumerate(kinds, colors) if kind not in (_PREMULTIPLIED, _STRAIGHT)][:1]
    selection = samples[..., selections[0]] if selections else None
    kept = [*range(colors), *alphas]
    result = samples if len(kept) == samples.shape[2] else samples[..., kept]
    if alphas and kinds[alphas[0] - colors] == _PREMULTIPLIED:
        result = straight_alpha(result)
    return result, selection, count - len(alphas) - len(selections)


def _as_srgb(samples: NDArray[Any], photometric: int, icc: bytes | None) -> tuple[NDArray[Any], str]:
    """Convert CMYK or Lab samples with the channels behind them; return them and a note."""
    if photometric == _CMYK:
        color, note = cmyk_to_srgb(samples[..., :4], icc)
        return np.concatenate([color, samples[..., 4:]], axis=2), note
    color = lab_to_srgb(samples[..., :3], signed=photometric == _LAB[0])
    return np.concatenate([color, samples[..., 3:]], axis=2), LAB_NOTE


def write_tiff(
    file: BinaryIO, image: ImageData, _quality: int = 100, progress: FractionCallback = ignore_progress
) -> tuple[str, ...]:
    """Write a TIFF file, deflate-compressed; see `ImageFormat`. Raises UnsupportedFileError above TIFF's limit of 4 GB.

    The unchanged EXIF data follow the file's header: they are a TIFF structure themselves, so every pointer in them
    (also in the maker note) stays valid. The image's own directory repeats the fields of their first one.
    """
    metadata = image.metadata
    tiff = TiffBytes(exif.normalize_exif(metadata.exif)[0] or _NO_EXIF)
    samples, extra = _samples_with_selection(image)
    resolution = storable_resolution(metadata.dpi, 1 / _MAX_RESOLUTION, _MAX_RESOLUTION)
    rows = max(1, 2**18 // (samples.nbytes // len(samples)))
    output: Any = ReportingFile(file, -(-len(samples) // rows), progress)  # one piece for each strip
    with TiffWriter(output, byteorder="<" if tiff.order == "<" else ">") as writer:
        file.write(tiff.data[8:])
        try:
            writer.write(
                samples,
                photometric="minisblack" if image.gray else "rgb",
                planarconfig="contig" if samples.ndim == 3 else None,
                extrasamples=extra or None,
                rowsperstrip=rows,
                compression="deflate",
                compressionargs={"level": 1},
                predictor=True,
                iccprofile=image.profile,
                resolution=resolution,
                resolutionunit="inch" if resolution else None,
                metadata=None,
                software=False,
                buffersize=_WRITE_AHEAD,
                extratags=_extra_fields(tiff, metadata),
            )
        except struct.error as error:
            message = "cannot be written: TIFF stores at most 4 GB; choose PNG or scale the image down"
            raise UnsupportedFileError(message) from error
    if not resolution:  # TiffWriter stores one pixel per unit, which other programs take for 1 dpi
        _remove_fields(file, tiff.order, _RESOLUTION)
    return omitted_contents(image, {"exif", "xmp", "iptc", "selection"} | ({"dpi"} if resolution else set()))


def _samples_with_selection(image: ImageData) -> tuple[NDArray[Any], list[str]]:
    """Return H×W×C samples (H×W for gray alone), and the kinds of the channels behind the colors for TiffWriter."""
    samples = image.samples()
    kinds = [] if image.alpha is None else ["unassalpha"]
    if image.selection is None:
        return samples, kinds
    return np.dstack([samples, image.selection]), [*kinds, "unspecified"]


def _extra_fields(tiff: TiffBytes, metadata: Metadata) -> list[_Field]:
    """Return the fields of the EXIF data's first directory that are not the image's own, XMP and IPTC."""
    own = exif.STRUCTURE | _RESOLUTION
    fields: list[_Field] = [
        (_POINTERS.get(tag, tag), entry.kind, entry.count, _field_value(tiff, entry), True)
        for tag, entry in tiff.directory(tiff.first).entries.items()
        if tag not in own
    ]
    for tag, kind, value in ((_XMP, 1, metadata.xmp), (_IPTC, 7, metadata.iptc)):
        if value:
            fields.append((tag, kind, len(value), value, True))
    return fields


def _field_value(tiff: TiffBytes, entry: TiffEntry) -> bytes | tuple[int, ...]:
    """Return a field's value as TiffWriter takes it; of the bytes of a rational, it would count every half."""
    if entry.kind not in _RATIONALS:
        return entry.value
    return struct.unpack(f"{tiff.order}{2 * entry.count}{_RATIONALS[entry.kind]}", entry.value)


def _remove_fields(file: BinaryIO, order: str, tags: Container[int]) -> None:
    """Remove fields from the first directory of a classic TIFF file, in place."""
    file.seek(4)
    (at,) = struct.unpack(order + "I", file.read(4))
    file.seek(at)
    (count,) = struct.unpack(order + "H", file.read(2))
    fields = [file.read(12) for _ in range(count)]
    kept = [field for field in fields if struct.unpack(order + "H", field[:2])[0] not in tags]
    following = file.read(4)
    file.seek(at)
    file.write(struct.pack(order + "H", len(kept)) + b"".join(kept) + following)


TIFF_FORMAT = ImageFormat(TIFF_INFO, read_tiff, write_tiff)
