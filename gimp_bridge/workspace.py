# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of the file through which a layer's pixels go."""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gimp_bridge.protocol import Depth, Render
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.map import ColorMap
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.errors import EngineError
from s2am_engine.types import FractionCallback

_SUFFIX = ".pixels"
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_ZEROS = bytes(1 << 20)
_DTYPES: dict[Depth, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float": np.float32}


def sweep(folder: Path) -> None:
    """Remove what an engine that was killed has left."""
    for file in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            file.unlink()


class Workspace:
    """A file of a private folder, mapped here and by the plug-in."""

    def __init__(self, folder: Path, size: int) -> None:
        """Make the file, with all its space on the disk: a full disk must not come out while it is written to.

        Raises:
            EngineError: there is no room for it.
        """
        self.file = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        try:
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            try:
                _allocate(handle, size)
                self._memory = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as error:
            self._unlink()
            if error.errno in _FULL:
                raise EngineError(
                    f"The disk is full: free {size / 1e6:.0f} MB where {folder} is, then try again."
                ) from error
            raise EngineError(f"{folder} can't be written to ({error.strerror}): allow it, then try again.") from error

    def recolor(self, request: Render, color_map: ColorMap, progress: FractionCallback) -> None:
        """Recolor a strip in place. What is transparent, or not in the mask, keeps its bits."""
        if request.end > len(self._memory):
            raise EngineError("The strip does not lie within the file: update the plug-in.")
        self._unlink()  # both sides have mapped it by now: whatever happens, nothing stays behind
        pixels = self._array(_DTYPES[request.depth], request.offset, (request.rows, request.width, 4))
        mask = (pixels[..., 3] > 0).view(np.uint8) * np.uint8(255)
        if request.masked:
            end = request.offset + request.pixel_bytes
            mask &= self._array(np.uint8, end, (request.rows, request.width))
        if not request.linear:
            apply_color_map(color_map, pixels, mask, out=pixels, progress=progress)
            return
        encoded = linear_to_srgb(pixels[..., :3])
        apply_color_map(color_map, encoded, mask, out=encoded, progress=progress)
        np.copyto(pixels[..., :3], srgb_to_linear(encoded), where=(mask > 0)[..., None])

    def close(self) -> None:
        """Let go of it, and remove it."""
        with contextlib.suppress(BufferError):  # an array still looks at it: it goes with the array
            self._memory.close()
        self._unlink()

    def _array(self, dtype: type[Any], offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.frombuffer(self._memory, dtype, int(np.prod(shape)), offset).reshape(shape)

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):  # Windows removes no file that is mapped; `close` does it there
            self.file.unlink()


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    left = size
    while left:
        left -= os.write(handle, _ZEROS[:left])
