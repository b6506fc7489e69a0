# SPDX-License-Identifier: GPL-3.0-or-later
"""The image file formats: properties of those that are read or written, and names of others for error messages.

Suffix lists, format detection, the editor's export dialog and the desktop's “open with” entries derive from this table;
`s2am_engine.image.formats` adds the reader and the writer of each format.
"""

from __future__ import annotations

from dataclasses import dataclass

Signature = tuple[tuple[int, bytes], ...]
"""Bytes that files of a format have at offsets; all of them must match."""


@dataclass(frozen=True)
class Package:
    """An optional package that reads a format.

    name: of the package, for pip. module: its import name.
    """

    name: str
    module: str


@dataclass(frozen=True)
class FormatInfo:
    """Properties of a file format that is read, and perhaps written.

    name: as people write it. suffixes: lower case, with dot; the first one is for new files.
    mime: media type. uniform_type: Apple's uniform type identifier.
    signatures: alternatives, of which one matches each file of the format.
    max_bits: bits per channel that it stores (32: floating point).
    alpha: whether it stores transparency. lossless: whether pixels are read back unchanged.
    summary: one line for a dialog that offers to write the format; "" = the format is only read.
    package: what reads it, if that is optional.
    in_folders: whether files of the format count when a folder is searched for images; camera raw files do not, as most
        folders also contain a developed version of each, nor do GIF files, which are drawings or animations.
    """

    name: str
    suffixes: tuple[str, ...]
    mime: str
    uniform_type: str
    signatures: tuple[Signature, ...]
    max_bits: int
    alpha: bool
    lossless: bool
    summary: str = ""
    package: Package | None = None
    in_folders: bool = True

    @property
    def suffix(self) -> str:
        """The suffix of new files."""
        return self.suffixes[0]

    def matches(self, data: bytes) -> bool:
        """Return whether a file's first bytes are those of this format."""
        return any(_has(data, signature) for signature in self.signatures)


@dataclass(frozen=True)
class ForeignFormat:
    """A file format that people take for a supported one, to be named in an error message.

    name: with its article, "a PDF document". suffixes: those of image files. signatures: as in `FormatInfo`.
    advice: how to convert it; "" = as any other image.
    """

    name: str
    suffixes: tuple[str, ...]
    signatures: tuple[Signature, ...] = ()
    advice: str = ""

    def matches(self, data: bytes) -> bool:
        """Return whether a file's first bytes are those of this format."""
        return any(_has(data, signature) for signature in self.signatures)


def _has(data: bytes, signature: Signature) -> bool:
    return all(data[at : at + len(mark)] == mark for at, mark in signature)


def _starts(*marks: bytes) -> tuple[Signature, ...]:
    return tuple(((0, mark),) for mark in marks)


def _brands(*brands: bytes) -> tuple[Signature, ...]:
    """Return the signatures of ISO base media files (ISO/IEC 14496-12) of major brands."""
    return tuple(((4, b"ftyp"), (8, brand)) for brand in brands)


_EXPORT = "export it from GIMP as PNG or TIFF first (File > Export As)"
_FLATTEN = "open it in the editor, or save a copy of it as PNG or TIFF"

PNG = FormatInfo(
    name="PNG",
    suffixes=(".png",),
    mime="image/png",
    uniform_type="public.png",
    signatures=_starts(b"\x89PNG\r\n\x1a\n"),
    max_bits=16,
    alpha=True,
    lossless=True,
    summary="Lossless; keeps 16 bits and transparency.",
)
JPEG = FormatInfo(
    name="JPEG",
    suffixes=(".jpg", ".jpeg", ".jpe", ".jfif", ".pjpeg", ".pjp"),
    mime="image/jpeg",
    uniform_type="public.jpeg",
    signatures=_starts(b"\xff\xd8\xff"),
    max_bits=8,
    alpha=False,
    lossless=False,
    summary="Small files, for web and print. 8 bits, no transparency.",
)
TIFF = FormatInfo(
    name="TIFF",
    suffixes=(".tif", ".tiff"),
    mime="image/tiff",
    uniform_type="public.tiff",
    signatures=_starts(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    max_bits=32,
    alpha=True,
    lossless=True,
    summary="Lossless; keeps 16 and 32 bits; for other editors.",
)
WEBP = FormatInfo(
    name="WebP",
    suffixes=(".webp",),
    mime="image/webp",
    uniform_type="org.webmproject.webp",
    signatures=(((0, b"RIFF"), (8, b"WEBP")),),
    max_bits=8,
    alpha=True,
    lossless=True,
    summary="Lossless and smaller than PNG; 8 bits.",
)

AVIF = FormatInfo(
    name="AVIF",
    suffixes=(".avif",),
    mime="image/avif",
    uniform_type="public.avif",
    signatures=_brands(b"avif", b"avis"),
    max_bits=12,
    alpha=True,
    lossless=False,
)
HEIC = FormatInfo(
    name="HEIC",
    suffixes=(".heic", ".heif", ".hif"),
    mime="image/heic",
    uniform_type="public.heic",
    signatures=_brands(b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"msf1"),
    max_bits=12,
    alpha=True,
    lossless=False,
    package=Package("pi-heif", "pi_heif"),
)
JPEG_XL = FormatInfo(
    name="JPEG XL",
    suffixes=(".jxl",),
    mime="image/jxl",
    uniform_type="public.jpeg-xl",
    signatures=_starts(b"\0\0\0\x0cJXL ", b"\xff\x0a"),
    max_bits=32,
    alpha=True,
    lossless=False,
    package=Package("pillow-jxl-plugin", "pillow_jxl"),
)
CAMERA_RAW = FormatInfo(
    name="camera raw",
    suffixes=(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"),
    mime="image/x-dcraw",
    uniform_type="public.camera-raw-image",
    signatures=(
        *_starts(b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0"),
        ((0, b"II*\0"), (8, b"CR\x02")),
        *_brands(b"crx "),
    ),
    max_bits=16,
    alpha=False,
    lossless=False,
    package=Package("rawpy", "rawpy"),
    in_folders=False,
)

BMP = FormatInfo(
    name="BMP",
    suffixes=(".bmp", ".dib"),
    mime="image/bmp",
    uniform_type="com.microsoft.bmp",
    signatures=_starts(b"BM"),
    max_bits=8,
    alpha=True,
    lossless=False,
)
GIF = FormatInfo(
    name="GIF",
    suffixes=(".gif",),
    mime="image/gif",
    uniform_type="com.compuserve.gif",
    signatures=_starts(b"GIF87a", b"GIF89a"),
    max_bits=8,
    alpha=True,
    lossless=False,
    in_folders=False,
)

IMAGE_FORMATS = (PNG, JPEG, CAMERA_RAW, TIFF, WEBP, AVIF, HEIC, JPEG_XL, BMP, GIF)
"""All formats that are read; camera raw files precede TIFF, which most of them are as well."""

WRITABLE_FORMATS = tuple(info for info in IMAGE_FORMATS if info.summary)
"""All formats that are written."""

READABLE_SUFFIXES = tuple(suffix for info in IMAGE_FORMATS for suffix in info.suffixes)
"""The suffixes (lower case, with dot) of files that are read."""

IMAGE_SUFFIXES = tuple(suffix for info in IMAGE_FORMATS if info.in_folders for suffix in info.suffixes)
"""The suffixes (lower case, with dot) of files that count as images of a folder."""

WRITABLE_SUFFIXES = tuple(suffix for info in WRITABLE_FORMATS for suffix in info.suffixes)
"""The suffixes (lower case, with dot) of files that are written."""

FOREIGN_FORMATS = (
    ForeignFormat("a Photoshop document", (".psd", ".psb"), _starts(b"8BPS"), _FLATTEN),
    ForeignFormat("a GIMP document", (".xcf",), _starts(b"gimp xcf"), _EXPORT),
    ForeignFormat("a PDF document", (), _starts(b"%PDF")),
    ForeignFormat("a JPEG 2000 file", (".jp2",), _starts(b"\0\0\0\x0cjP  ")),
    ForeignFormat("an OpenEXR file", (".exr",), _starts(b"v/1\x01")),
    ForeignFormat("an SVG drawing or another XML file", (), _starts(b"<svg", b"<?xml")),
    ForeignFormat("a video file", (), (((4, b"ftyp"),),), "save one frame as PNG first"),
)
"""Formats that are not read."""

FOREIGN_SUFFIXES = {
    **{suffix: foreign.name for foreign in FOREIGN_FORMATS for suffix in foreign.suffixes},
    **{suffix: f"a {info.name} file" for info in IMAGE_FORMATS if not info.in_folders for suffix in info.suffixes},
}
"""By suffix: names of formats that people expect in a folder of photographs, and that do not count there."""


def format_of_suffix(suffix: str) -> FormatInfo | None:
    """Return the format of a file name suffix (with dot, any case); None if it is not read."""
    return next((info for info in IMAGE_FORMATS if suffix.lower() in info.suffixes), None)
