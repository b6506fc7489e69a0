# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents, written byte by byte."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray


def psd_layer(
    name: bytes,
    pixels: NDArray[np.uint8] | None,
    mask: tuple[NDArray[np.uint8], int, int, int] | None,
    section: int = 0,
) -> tuple[bytes, bytes]:
    """Record and channel data of a layer (pixels) or the start (1) or end (3) of a group; mask: values, x, y, outside.

    psd-tools itself writes no masks of groups. Source: Adobe Photoshop file formats specification.
    """
    height, width = (0, 0) if pixels is None else pixels.shape[:2]
    channels = [(index, b"") for index in range(-1, 3)] if pixels is None else []
    channels += [] if pixels is None else [(index, pixels[..., index].tobytes()) for index in range(3)]
    channels += [] if mask is None else [(-2, mask[0].tobytes())]
    record = struct.pack(">4iH", 0, 0, height, width, len(channels))
    record += b"".join(struct.pack(">hI", index, len(data) + 2) for index, data in channels)
    record += b"8BIM" + (b"pass" if section == 1 else b"norm") + b"\xff\0\0\0"
    extra = bytes(4)
    if mask is not None:
        values, left, top, outside = mask
        bottom, right = top + values.shape[0], left + values.shape[1]
        extra = struct.pack(">I4iBBxx", 20, top, left, bottom, right, outside, 0)
    extra += bytes(4) + (bytes([len(name)]) + name).ljust(-(-(len(name) + 1) // 4) * 4, b"\0")
    if section:
        extra += b"8BIMlsct" + struct.pack(">II", 4, section)
    return record + struct.pack(">I", len(extra)) + extra, b"".join(b"\0\0" + data for _, data in channels)


def psd_file(layers: list[tuple[bytes, bytes]], merged: NDArray[np.uint8], resources: bytes = b"") -> bytes:
    """A Photoshop document of layers and their merged image."""
    info = struct.pack(">h", len(layers)) + b"".join(record for record, _ in layers)
    info += b"".join(data for _, data in layers)
    info = struct.pack(">I", len(info) + len(info) % 2) + info + bytes(len(info) % 2) + bytes(4)
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, *merged.shape[:2], 8, 3) + bytes(4)
    planes = np.moveaxis(merged, -1, 0).tobytes()
    return (
        head + struct.pack(">I", len(resources)) + resources + struct.pack(">I", len(info)) + info + bytes(2) + planes
    )
