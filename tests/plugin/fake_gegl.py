# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for babl, GEGL, GdkPixbuf and GLib: pixels in NumPy arrays, and a main loop.

Pixels are float64 RGBA in nonlinear values of the buffer's own color space, rounded to its precision. The color space
"@wide" stands for any profile other than sRGB: its values are those of sRGB to the power of 0.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear

WIDE = 0.9
LEVELS = {"u8": 255, "u16": 65535}
DTYPES: dict[str, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float": np.float32, "half": np.float16}
CHANNELS = {"A": [3], "Y": [0], "Y'": [0], "Y'A": [0, 3]}


def _channels(colors: str) -> list[int]:
    return CHANNELS.get(colors) or ([0, 1, 2, 3] if colors.endswith("A") else [0, 1, 2])


def split_format(name: str) -> tuple[str, str, bool]:
    """Return color channels, type and whether the color space is the wide one."""
    encoding, _, space = name.partition(" @")
    colors, _, kind = encoding.rpartition(" ")
    return colors, kind, space == "wide"


class Babl:
    """Formats are their names."""

    Object = str
    get_name = staticmethod(str)
    format = staticmethod(str)

    @staticmethod
    def format_get_encoding(name: str) -> str:
        return name.partition(" @")[0]

    @staticmethod
    def format_get_bytes_per_pixel(name: str) -> int:
        colors, kind, _ = split_format(name)
        return len(_channels(colors)) * np.dtype(DTYPES[kind]).itemsize

    @staticmethod
    def format_with_space(name: str, own: str) -> str:
        return name + (" @wide" if split_format(own)[2] else "")


class Rectangle:
    """A rectangle of GEGL."""

    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height

    @classmethod
    def new(cls, *values: int) -> Rectangle:
        return cls(*values)


class Buffer:
    """A buffer of GEGL."""

    def __init__(self, name: str, width: int, height: int) -> None:
        self.name = name
        self.values = np.zeros((height, width, 4))
        if _channels(split_format(name)[0])[-1] != 3:
            self.values[..., 3] = 1

    @classmethod
    def new(cls, name: str, _x: int, _y: int, width: int, height: int) -> Buffer:
        return cls(name, width, height)

    def get(self, area: Rectangle, scale: float, name: str, _abyss: object) -> bytes:
        _check_conversion(self.name, name)
        height, width = self.values.shape[:2]
        columns = np.floor((np.arange(area.x, area.x + area.width) + 0.5) / scale).astype(int)
        rows = np.floor((np.arange(area.y, area.y + area.height) + 0.5) / scale).astype(int)
        inside = ((rows >= 0) & (rows < height))[:, None] & ((columns >= 0) & (columns < width))
        found = self.values[rows.clip(0, height - 1)][:, columns.clip(0, width - 1)].copy()
        found[~inside] = 0
        return encode(found, name, split_format(self.name)[2]).tobytes()

    def set(self, area: Rectangle, name: str, data: bytes) -> None:
        _check_conversion(name, self.name)
        colors, kind, _ = split_format(name)
        channels = _channels(colors)
        decoded = decode(np.frombuffer(data, DTYPES[kind]).reshape(area.height, area.width, len(channels)), name)
        values = np.ones((area.height, area.width, 4))
        values[..., channels] = decoded
        if channels == [0]:
            values[..., 1] = values[..., 2] = values[..., 0]
        values[..., :3] = change_space(values[..., :3], split_format(name)[2], split_format(self.name)[2])
        own = encode(values, self.name, split_format(self.name)[2])
        top, left = max(0, area.y), max(0, area.x)
        part = decode(own, self.name)[top - area.y :, left - area.x :]
        target = self.values[top : area.y + area.height, left : area.x + area.width]
        target[..., _channels(split_format(self.name)[0])] = part[: target.shape[0], : target.shape[1]]
        if self.name.startswith("Y"):
            target[..., 1] = target[..., 2] = target[..., 0]

    def flush(self) -> None:
        """Do nothing."""


def _check_conversion(source: str, target: str) -> None:
    """Refuse what babl does with a table of all colors: 350 MB, and half a second."""
    (_, kind, is_wide), (_, to_kind, to_wide) = split_format(source), split_format(target)
    is_slow = kind == to_kind == "u8" and is_wide != to_wide
    assert not is_slow, f"babl builds a table from {source} to {target}"


def change_space(colors: NDArray[Any], is_wide: bool, to_wide: bool) -> NDArray[Any]:
    """Convert nonlinear values from one color space to the other."""
    if is_wide == to_wide:
        return colors
    return np.sign(colors) * np.abs(colors) ** (WIDE if to_wide else 1 / WIDE)


def encode(values: NDArray[Any], name: str, is_wide: bool) -> NDArray[Any]:
    """Return nonlinear RGBA in a format."""
    colors, kind, to_wide = split_format(name)
    values = values.copy()
    values[..., :3] = change_space(values[..., :3], is_wide, to_wide)
    if colors.startswith("RGB"):
        values[..., :3] = srgb_to_linear(values[..., :3])
    chosen = values[..., _channels(colors)]
    if kind in LEVELS:
        chosen = np.rint(chosen.clip(0, 1) * LEVELS[kind])
    return np.ascontiguousarray(chosen.astype(DTYPES[kind]))


def decode(data: NDArray[Any], name: str) -> NDArray[Any]:
    """Return nonlinear values from a format, in its own color space."""
    colors, kind, _ = split_format(name)
    values = data.astype(np.float64) / LEVELS.get(kind, 1)
    if colors.startswith("RGB"):
        values[..., :3] = linear_to_srgb(values[..., :3])
    return values


class Bytes(bytes):
    """Bytes of GLib."""

    def get_data(self) -> bytes:
        return self


class Pixbuf:
    """An image of GdkPixbuf, with rows padded to multiples of 4 bytes."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels

    @classmethod
    def new(cls, _space: object, alpha: bool, _bits: int, width: int, height: int) -> Pixbuf:
        return cls(np.full((height, width, 4 if alpha else 3), 77, np.uint8))

    @classmethod
    def new_from_bytes(
        cls, data: bytes, _space: object, alpha: bool, _bits: int, width: int, height: int, _stride: int
    ) -> Pixbuf:
        return cls(np.frombuffer(data, np.uint8).reshape(height, width, 4 if alpha else 3).copy())

    def fill(self, value: int) -> None:
        self.pixels[:] = value >> 24

    def get_width(self) -> int:
        return self.pixels.shape[1]

    def get_height(self) -> int:
        return self.pixels.shape[0]

    def get_has_alpha(self) -> bool:
        return self.pixels.shape[2] == 4

    def get_rowstride(self) -> int:
        return -(-self.pixels.shape[1] * self.pixels.shape[2] // 4) * 4

    def get_pixels(self) -> bytes:
        padding = self.get_rowstride() - self.pixels.shape[1] * self.pixels.shape[2]
        return b"".join(row.tobytes() + bytes(padding) for row in self.pixels)

    def new_subpixbuf(self, x: int, y: int, width: int, height: int) -> Pixbuf:
        return Pixbuf(self.pixels[y : y + height, x : x + width])

    def scale(
        self, target: Pixbuf, x: int, y: int, width: int, height: int, shift_x: float, shift_y: float, *rest: Any
    ) -> None:
        assert target.get_has_alpha() or not self.get_has_alpha()  # as GdkPixbuf
        scale_x, scale_y, kind = rest
        mode = cv2.INTER_NEAREST if kind == "nearest" else cv2.INTER_LINEAR
        size = (round(self.get_width() * scale_x), round(self.get_height() * scale_y))
        large = cv2.resize(self.pixels, size, interpolation=mode)
        rows, columns = np.arange(y, y + height) - round(shift_y), np.arange(x, x + width) - round(shift_x)
        found = large[rows.clip(0, size[1] - 1)][:, columns.clip(0, size[0] - 1)]
        target.pixels[y : y + height, x : x + width, : found.shape[2]] = found

    def copy_area(self, x: int, y: int, width: int, height: int, target: Pixbuf, to_x: int, to_y: int) -> None:
        assert target.get_has_alpha() == self.get_has_alpha()
        area = self.pixels[y : y + height, x : x + width]
        target.pixels[to_y : to_y + height, to_x : to_x + width] = area

    def composite_color_simple(self, width: int, height: int, *_rest: object) -> Pixbuf:
        return Pixbuf(np.asarray(cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8))

    def composite(self, target: Pixbuf, _x: int, _y: int, width: int, height: int, *_rest: object) -> None:
        tint = cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_NEAREST)
        covered = tint[..., 3] > 0
        target.pixels[covered, :3] = tint[covered, :3]


class MainLoop:
    """The queue of GLib.idle_add."""

    def __init__(self) -> None:
        self.posted: list[Callable[[], Any]] = []

    def idle_add(self, function: Callable[[], Any]) -> None:
        self.posted.append(function)

    def run_pending(self) -> None:
        while self.posted:
            assert not self.posted.pop(0)()
