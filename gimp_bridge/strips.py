# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer's pixels on their way through the engine: strip by strip, in a file that both sides map."""

from __future__ import annotations

import mmap
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from gimp_bridge import protocol
from gimp_bridge.protocol import Message, Progress
from gimp_bridge.wire import MessageError

Read = Callable[[int, int], bytes]
Write = Callable[[int, int, bytes], None]
Tell = Callable[[Progress], None]

_STRIP_BYTES = 6 << 20  # of a strip: large enough to cost no time, small beside GIMP's own memory
_STRIPS = 3  # in the file: one is read, one is recolored, one waits to be written
_TILE = 64  # rows of GEGL's tiles: strips end where they do
_PAGE = 4096

_Answer = TypeVar("_Answer", bound=Message)


@dataclass(frozen=True)
class Layer:
    """Pixels to recolor: RGBA of a depth, in sRGB values or (float alone) in linear light.

    effect: recolor by the matrix that stands for the map.
    """

    width: int
    height: int
    depth: protocol.Depth = "u8"
    linear: bool = False
    effect: bool = False

    def rows(self) -> int:
        """How many rows make a strip."""
        wanted = _STRIP_BYTES // (self.width * 4 * protocol.BYTES_OF[self.depth])
        return max(1, min(self.height, wanted // _TILE * _TILE or wanted))

    def strip(self, offset: int, rows: int, masked: bool) -> protocol.Render:
        """The request to recolor some rows that lie in the file."""
        return protocol.Render(
            offset=offset,
            width=self.width,
            rows=rows,
            depth=self.depth,
            linear=self.linear,
            masked=masked,
            effect=self.effect,
        )


class Line(Protocol):
    """What the strips need of the connection: asking, and waiting for the answer later."""

    def ask(self, request: Message) -> int:
        """Send a request; its number."""

    def wait_for(self, number: int, kind: type[_Answer], progress: Tell | None) -> _Answer:
        """The answer to a request."""


def render(
    line: Line, folder: Path, layer: Layer, read: Read, write: Write, read_mask: Read | None, tell: Tell
) -> None:
    """Send a layer through the engine, which works on one strip while the next is read; see `client.Engine.render`."""
    rows = layer.rows()
    tops = range(0, layer.height, rows)
    slots = min(_STRIPS, len(tops))
    slot = -(-layer.strip(0, rows, read_mask is not None).end // _PAGE) * _PAGE
    opened = line.wait_for(line.ask(protocol.OpenWorkspace(size=slots * slot)), protocol.Workspace, tell)
    if Path(opened.file).name != opened.file:
        raise MessageError(f"{opened.file!r} is not in the bridge's folder")
    waiting: deque[tuple[int, protocol.Render, int]] = deque()
    with (folder / opened.file).open("r+b") as file, mmap.mmap(file.fileno(), slots * slot) as memory:

        def finish() -> None:
            number, strip, top = waiting.popleft()
            line.wait_for(number, protocol.Done, tell)
            write(top, strip.rows, memory[strip.offset : strip.offset + strip.pixel_bytes])
            words = "Recoloring the layer"
            tell(Progress(words=words, fraction=min(1.0, (top + strip.rows) / layer.height)))

        for index, top in enumerate(tops):
            if len(waiting) == slots:
                finish()
            count = min(rows, layer.height - top)
            strip = layer.strip(index % slots * slot, count, read_mask is not None)
            _fill(memory, strip, read(top, count), read_mask(top, count) if read_mask else b"")
            waiting.append((line.ask(strip), strip, top))
        while waiting:
            finish()


def _fill(memory: Any, strip: protocol.Render, pixels: bytes, mask: bytes) -> None:
    """Put a strip into the mapped file; raises ValueError for pixels that are not as many as it has."""
    middle = strip.offset + strip.pixel_bytes
    if len(pixels) != strip.pixel_bytes or len(mask) != strip.end - middle:
        raise ValueError(f"{len(pixels)} and {len(mask)} bytes for {strip}")
    memory[strip.offset : middle] = pixels
    memory[middle : strip.end] = mask
