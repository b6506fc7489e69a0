# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendering a layer in strips: the engine renders one while the next is read."""

from __future__ import annotations

import mmap
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gimp_bridge.finish_messages import FinishReach, FinishStrip, LayerFinish
from gimp_bridge.layer_pixels import NativeFormat, PixelLayout, PixelSource, WriteRows
from gimp_bridge.protocol import Done, ProgressUpdate, Request
from gimp_bridge.request_channel import ProgressCallback, RequestChannel, SentRequest, open_workspace, put_bytes
from gimp_bridge.strip_messages import Render, RestoreUnchanged, Strip

_STRIPS_IN_FLIGHT = 3  # one is read, one is rendered, one waits to be written
_PAGE = 4096


@dataclass(frozen=True)
class _Rows:
    """Rows of a layer in a strip, and the number of rows of context above and below them."""

    top: int
    count: int
    above: int
    below: int

    @classmethod
    def around(cls, top: int, count: int, reach: int, height: int) -> _Rows:
        """Return rows with as much context as the layer has."""
        return cls(top, count, min(reach, top), min(reach, height - top - count))

    def within(self, offset: int, bytes_per_row: int) -> tuple[int, int]:
        """Return where the rows themselves begin and end in an array of all rows of the strip at an offset."""
        start = offset + self.above * bytes_per_row
        return start, start + self.count * bytes_per_row


@dataclass(frozen=True)
class RenderJob:
    """One call of `EngineClient.render`."""

    requests: RequestChannel
    folder: Path
    color_map: dict[str, Any]
    layout: PixelLayout
    source: PixelSource
    write: WriteRows
    native: NativeFormat | None
    finish: LayerFinish | None

    def run(self, progress: ProgressCallback) -> None:
        """Read, render and write all strips."""
        rows, height = self.layout.rows_per_strip(), self.layout.height
        tops = range(0, height, rows)
        slots = min(_STRIPS_IN_FLIGHT, len(tops))
        pending: deque[tuple[list[SentRequest[Done]], Strip, _Rows]] = deque()
        self.requests.abandon()
        reach = self._reach(progress)
        slot = -(-self._strip(0, rows + 2 * reach).end // _PAGE) * _PAGE
        with open_workspace(self.requests, self.folder, slots * slot, progress) as shared:
            for index, top in enumerate(tops):
                if len(pending) == slots:
                    self._finish(shared, *pending.popleft(), progress)
                part = _Rows.around(top, min(rows, height - top), reach, height)
                strip = self._strip(index % slots * slot, part.above + part.count + part.below)
                self._fill(shared, strip, top - part.above)
                pending.append(
                    ([self.requests.send(request) for request in self._strip_requests(strip, part)], strip, part)
                )
            while pending:
                self._finish(shared, *pending.popleft(), progress)

    def _reach(self, progress: ProgressCallback) -> int:
        if self.finish is None:
            return 0
        return self.requests.call(FinishReach(finish=self.finish), progress).rows

    def _strip_requests(self, strip: Strip, part: _Rows) -> list[Request[Done]]:
        requests: list[Request[Done]] = [self._request(strip)]
        if self.finish is not None:
            row, above, below = part.top - part.above, part.above, part.below
            requests.append(FinishStrip(strip=strip, finish=self.finish, row=row, above=above, below=below))
        return requests

    def _request(self, strip: Strip) -> Render:
        space = self.layout.space
        if space is None:
            return Render(color_map=self.color_map, strip=strip)
        return Render(color_map=self.color_map, strip=strip, transfer=space.transfer, primaries=space.primaries)

    def _strip(self, offset: int, rows: int) -> Strip:
        return Strip(
            offset=offset,
            width=self.layout.width,
            rows=rows,
            depth=self.layout.depth,
            linear=self.layout.linear,
            layer_masks=len(self.source.layer_masks),
            selection=self.source.selection is not None,
            predicted=self.source.predicted is not None,
            original_bytes=self.native.size if self.native else 0,
        )

    def _fill(self, shared: mmap.mmap, strip: Strip, top: int) -> None:
        put_bytes(shared, strip.offset, strip.pixels_end, self.source.pixels(top, strip.rows))
        start = strip.pixels_end
        for plane in self.source.planes:
            put_bytes(shared, start, start + strip.pixel_count, plane(top, strip.rows))
            start += strip.pixel_count

    def _finish(
        self,
        shared: mmap.mmap,
        sent: list[SentRequest[Done]],
        strip: Strip,
        part: _Rows,
        progress: ProgressCallback,
    ) -> None:
        for request in sent:
            self.requests.wait_for(request, progress)
        top, rows = part.top, part.count
        start, end = part.within(strip.offset, (strip.pixels_end - strip.offset) // strip.rows)
        self.write(top, rows, shared[start:end])
        if self.native:
            bytes_per_row = strip.original_bytes * strip.width
            start, end = part.within(strip.planes_end, bytes_per_row)
            put_bytes(shared, start, end, self.native.original(top, rows))
            start, end = part.within(strip.planes_end + strip.rows * bytes_per_row, bytes_per_row)
            put_bytes(shared, start, end, self.native.written(top, rows))
            self.requests.call(RestoreUnchanged(strip=strip), progress)
            self.native.write(top, rows, shared[start:end])
        fraction = min(1.0, (top + rows) / self.layout.height)
        progress(ProgressUpdate(text="Recoloring the layer", fraction=fraction))
