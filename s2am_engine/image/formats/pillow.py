# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversions between Pillow and the engine, for the formats that Pillow reads and writes."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
import warnings
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.common import ReportingFile, ignore_progress
from s2am_engine.image.formats.exif import exif_resolution, normalize_exif
from s2am_engine.image.formats.xmp import reset_xmp_orientation
from s2am_engine.types import Bytes, FractionCallback

_STRIP = 2**22  # pixels
_POLL_SECONDS = 0.1

# Pillow's warnings about odd EXIF data would be printed to stderr.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def decode_samples(image: Image.Image) -> Bytes:
    """Return samples H×W×C of an 8-bit Pillow image (L, LA, RGB, RGBA), copied strip by strip.

    np.asarray(image) would allocate two more copies of the whole image.
    """
    width, height = image.size
    samples = np.empty((height, width, len(image.getbands())), np.uint8)
    image.load()
    step = max(1, _STRIP // width)
    for top in range(0, height, step):
        strip = np.asarray(image.crop((0, top, width, min(top + step, height))))
        samples[top : top + step] = strip.reshape(-1, width, samples.shape[2])
    return samples


def metadata_of(
    info: Mapping[str | tuple[int, int], Any],
    dpi: tuple[float, float] | None = None,
    text: tuple[tuple[str, str], ...] = (),
    iptc: bytes | None = None,
) -> tuple[Metadata, int]:
    """Return metadata and EXIF orientation of a Pillow image's `info`."""
    blob, orientation = normalize_exif(info.get("exif"))
    xmp = reset_xmp_orientation(info.get("xmp"), orientation)
    return Metadata(blob, xmp, iptc, dpi or exif_resolution(blob), text), orientation


def save_options(image: ImageData) -> dict[str, Any]:
    """Return the options of `Image.save` that store profile, EXIF and XMP."""
    options: dict[str, Any] = {"icc_profile": image.profile} if image.profile else {}
    if image.metadata.exif:
        options["exif"] = b"Exif\0\0" + image.metadata.exif
    if image.metadata.xmp:
        options["xmp"] = image.metadata.xmp
    return options


def encode(
    file: BinaryIO, samples: Bytes, name: str, options: dict[str, Any], progress: FractionCallback = ignore_progress
) -> None:
    """Write samples with Pillow, through memory: writing to the file directly, Pillow hides errors ("disk full").

    The callback can cancel after each piece that Pillow writes.
    """
    buffer = io.BytesIO()
    output: Any = ReportingFile(buffer, 0, progress)
    Image.fromarray(samples).save(output, name, **options)
    file.write(buffer.getbuffer())


def encode_at_once(
    file: BinaryIO, samples: Bytes, name: str, options: dict[str, Any], progress: FractionCallback = ignore_progress
) -> None:
    """Write samples as `encode` does, in a format that Pillow writes in one piece.

    The callback can cancel at any time; the encoder, which cannot be interrupted, then ends in a thread of its own, and
    its result is dropped.
    """
    buffer = io.BytesIO()
    done: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        try:
            encode(buffer, samples, name, options)
        except BaseException as error:
            done.put(error)
        else:
            done.put(None)

    threading.Thread(target=work, name=f"write {name}", daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            error = done.get(timeout=_POLL_SECONDS)
            break
        progress(0.0)
    if error is not None:
        raise error
    file.write(buffer.getbuffer())
