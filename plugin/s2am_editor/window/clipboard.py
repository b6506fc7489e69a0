# SPDX-License-Identifier: GPL-3.0-or-later
"""Image exchange with other programs: clipboard, and drops on the window."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QMimeData
from PyQt6.QtGui import QGuiApplication, QImage

from s2am_engine.image import icc
from s2am_engine.image.arrays import to_uint8
from s2am_engine.image.data import ImageData

PLACE_FORMAT = "application/x-s2am-place"


def files_of(data: QMimeData | None) -> list[Path]:
    """Return the files that were dropped or copied."""
    if data is None or not data.hasUrls():
        return []
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()]


def image_of(data: QMimeData | None) -> ImageData | None:
    """Return the image that was dropped or copied, with its transparency; None if there is none."""
    if data is None or not data.hasImage():
        return None
    image = QImage()
    for kind in ("image/png", "image/tiff", "image/webp"):  # the data as copied, before Qt's conversion
        if data.hasFormat(kind) and image.loadFromData(data.data(kind)):
            break
    else:
        image = QImage(data.imageData())
    return None if image.isNull() else from_image(image)


def from_image(image: QImage) -> ImageData:
    """Convert a Qt image: to 16 bits if it has more than 8, with alpha if it has any."""
    deep = image.depth() > 32 or image.format() in (QImage.Format.Format_Grayscale16,)
    form = QImage.Format.Format_RGBA64 if deep else QImage.Format.Format_RGBA8888
    converted = image.convertToFormat(form)
    samples = _samples(converted, np.uint16 if deep else np.uint8)
    alpha = np.ascontiguousarray(samples[..., 3]) if image.hasAlphaChannel() else None
    return ImageData(np.ascontiguousarray(samples[..., :3]), alpha)


def to_image(image: ImageData) -> QImage:
    """Convert an image to an 8-bit Qt image with its own memory."""
    pixels = to_uint8(image.pixels)
    height, width = pixels.shape[:2]
    if image.alpha is None:
        pixels = np.ascontiguousarray(pixels)
        return QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    samples = np.dstack([pixels, to_uint8(image.alpha)])
    return QImage(samples.tobytes(), width, height, 4 * width, QImage.Format.Format_RGBA8888).copy()


def copy_image(image: ImageData, center: tuple[float, float] | None = None) -> None:
    """Copy an image to the clipboard, converted to sRGB; `center`: its place on the canvas, for `place_of`."""
    clipboard = QGuiApplication.clipboard()
    if clipboard:
        data = QMimeData()
        data.setImageData(to_image(dataclasses.replace(image, pixels=icc.convert(image.pixels, image.profile, None))))
        if center is not None:
            data.setData(PLACE_FORMAT, json.dumps(center).encode())
        clipboard.setMimeData(data)


def place_of(data: QMimeData | None) -> tuple[float, float] | None:
    """Return the place from which an image was copied; None if it was not copied from a layer."""
    if data is None or not data.hasFormat(PLACE_FORMAT):
        return None
    try:
        x, y = json.loads(bytes(data.data(PLACE_FORMAT).data()))
        return float(x), float(y)
    except (ValueError, TypeError):
        return None


def copy_text(text: str) -> None:
    """Copy a text to the clipboard."""
    clipboard = QGuiApplication.clipboard()
    if clipboard:
        clipboard.setText(text)


def clipboard_data() -> QMimeData | None:
    """Return the clipboard's content."""
    clipboard = QGuiApplication.clipboard()
    return clipboard.mimeData() if clipboard else None


def _samples(image: QImage, dtype: type[np.uint8] | type[np.uint16]) -> NDArray[Any]:
    bits = image.constBits()
    if bits is None:
        raise ValueError("the image holds no pixels")
    bits.setsize(image.sizeInBytes())
    row = image.bytesPerLine() // np.dtype(dtype).itemsize
    samples = np.frombuffer(bits.asstring(), dtype).reshape(image.height(), row)
    return samples[:, : 4 * image.width()].reshape(image.height(), image.width(), 4)
