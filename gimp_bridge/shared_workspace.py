# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory that client and engine share, and the engine's operations on the pixels in it."""

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

from gimp_bridge.effective_mask import Plane, effective_mask
from gimp_bridge.finish_messages import FinishStrip
from gimp_bridge.finish_requests import finish_strip
from gimp_bridge.mask_messages import RefineMask
from gimp_bridge.mask_requests import refine_layer_mask
from gimp_bridge.model_cache import ReportText
from gimp_bridge.shadow_messages import RenderShadow, ShadowRendered
from gimp_bridge.shadow_requests import render_layer_shadow
from gimp_bridge.strip_messages import Depth, Strip
from s2am_common.errors import DiskFullError, EngineError, FileError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.linear_light import apply_in_linear_light
from s2am_engine.color.map_plans import PreparedMap
from s2am_engine.image.arrays import to_uint8
from s2am_engine.types import FractionCallback

_SUFFIX = ".pixels"
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_ZEROS = bytes(1 << 20)
_DTYPES: dict[Depth, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float": np.float32}


class SharedWorkspace:
    """A file in the private bridge folder that client and engine map into memory."""

    def __init__(self, folder: Path, size: int) -> None:
        """Create the file and allocate its space on the disk, because a full disk would crash writes to mapped memory.

        Raises:
            DiskFullError: there is not enough space.
            FileError: the folder is not writable.
        """
        self.file = folder / f"{secrets.token_hex(8)}{_SUFFIX}"
        try:
            handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
            try:
                _allocate(handle, size)
                self._shared = mmap.mmap(handle, size)
            finally:
                os.close(handle)
        except OSError as error:
            self._unlink()
            if error.errno in _DISK_FULL:
                message = f"The disk is full: free {size / 1e6:.0f} MB where {folder} is, then try again."
                raise DiskFullError(message) from error
            message = f"{folder} cannot be written to ({error.strerror}): allow it, then try again."
            raise FileError(message, code="file.write") from error

    def render(self, strip: Strip, color_map: PreparedMap | None, progress: FractionCallback) -> None:
        """Apply a color map (None = the identity) to a strip in place; pixels with mask 0 keep their bits."""
        pixels = self._pixels(strip)
        if color_map is None:  # all pixels keep their bits
            return
        mask = self._mask(strip, pixels)
        if strip.linear:
            apply_in_linear_light(color_map, pixels, mask, progress)
        else:
            apply_color_map(color_map, pixels, mask, out=pixels, progress=progress)

    def finish(self, request: FinishStrip, progress: FractionCallback) -> None:
        """Finish a rendered strip in place; pixels with mask 0 and rows of context keep their bits."""
        strip = request.strip
        pixels = self._pixels(strip)
        alpha = to_uint8(np.ascontiguousarray(pixels[..., 3]))
        planes = self._array(np.uint8, strip.pixels_end, (strip.layer_masks, strip.rows, strip.width))
        shown = effective_mask(alpha, planes)
        finish_strip(request, pixels, self._mask(strip, pixels), shown, progress)

    def restore_unchanged(self, strip: Strip) -> None:
        """Replace written pixels by the original ones where the strip's mask is 0."""
        mask = self._mask(strip, self._pixels(strip))
        shape = (2, strip.pixel_count, strip.original_bytes)
        original, written = self._array(np.uint8, strip.planes_end, shape)
        np.copyto(written, original, where=(mask.reshape(-1, 1) == 0))

    def render_shadow(self, request: RenderShadow) -> ShadowRendered:
        """Render the shadow of the silhouette in the workspace."""
        self._check_end(request.end)
        alpha, *masks = self._array(np.uint8, 0, (1 + request.layer_masks, request.height, request.width))
        layer, opacity = render_layer_shadow(request, effective_mask(alpha, masks), _DTYPES[request.depth])
        if opacity.size:
            self._array(opacity.dtype.type, request.result_offset, opacity.shape)[:] = opacity
        height, width = opacity.shape
        return ShadowRendered(left=layer.left, top=layer.top, width=width, height=height, color=layer.color)

    def refine_mask(self, request: RefineMask, report: ReportText, check: FractionCallback) -> None:
        """Refine the edges of a layer's mask; see `RefineMask`."""
        self._check_end(request.end)
        shape = request.height, request.width
        pixels = self._array(np.uint8, 0, (*shape, 4))
        planes = self._array(np.uint8, 4 * request.plane_bytes, (request.plane_count, *shape))
        refined = refine_layer_mask(request, pixels, list(planes), report, check)
        self._array(np.uint8, request.result_offset, (2, *shape))[:] = refined

    def close(self) -> None:
        """Unmap and remove the file."""
        with contextlib.suppress(BufferError):  # an array still uses the memory: it is freed with the array
            self._shared.close()
        self._unlink()

    def _pixels(self, strip: Strip) -> NDArray[Any]:
        self._check_end(strip.end)
        return self._array(_DTYPES[strip.depth], strip.offset, (strip.rows, strip.width, 4))

    def _check_end(self, end: int) -> None:
        if end > len(self._shared):
            raise EngineError("The request does not lie within the workspace.", code="engine.request")
        self._unlink()  # both sides have mapped it by now; without a name it cannot be left behind

    def _mask(self, strip: Strip, pixels: NDArray[Any]) -> Plane:
        count = strip.layer_masks + strip.selection + strip.predicted
        planes = list(self._array(np.uint8, strip.pixels_end, (count, strip.rows, strip.width)))
        predicted = planes.pop() if strip.predicted else None
        selection = planes.pop() if strip.selection else None
        return effective_mask(pixels[..., 3], planes, selection, predicted, binary_layer=True)

    def _array(self, dtype: type[Any], offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.frombuffer(self._shared, dtype, int(np.prod(shape)), offset).reshape(shape)

    def _unlink(self) -> None:
        with contextlib.suppress(OSError):  # Windows does not remove a mapped file; `close` does it there
            self.file.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove the workspaces of a killed engine."""
    for file in folder.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            file.unlink()


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    remaining = size
    while remaining:
        remaining -= os.write(handle, _ZEROS[:remaining])
