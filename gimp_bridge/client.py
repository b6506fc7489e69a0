# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the engine process.

    engine = EngineClient(read_launcher(folder))
    found = engine.harmonize(Harmonize(width=512, height=384, pixels=rgba, layer_alpha=alpha))
    adjusted = engine.adjust(Adjust(color_map=found.color_map, sliders={"strength": 0.8}))
    engine.render(adjusted.color_map, PixelLayout(3000, 2000), PixelSource(read), write)

The engine is started on first use. If it ends during a request, it is started and asked once more.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import mmap
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gimp_bridge import protocol
from gimp_bridge.bridge_folder import LOG
from gimp_bridge.connection import Channel, DisconnectedError, SilenceError
from gimp_bridge.finish_messages import (
    FinishMeasured,
    FinishReach,
    FinishStrip,
    LayerFinish,
    MeasureFinish,
    PlaceWindows,
    ReachFound,
    WindowsPlaced,
)
from gimp_bridge.mask_messages import MaskRefined, RefineMask
from gimp_bridge.protocol import Message, MessageError, ProgressUpdate, Strip
from gimp_bridge.starter import EngineStarter
from s2am_common.errors import BridgeError, CancelledError, S2AMError
from s2am_common.paths import user_paths
from s2am_common.settings import load_settings

ProgressCallback = Callable[[ProgressUpdate], None]
"""Called with each step; an exception of it cancels the request."""

ReadRows = Callable[[int, int], bytes]
"""Returns rows of pixels or of a plane, from (top, count)."""

WriteRows = Callable[[int, int, bytes], None]
"""Takes rows of pixels, from (top, count, bytes)."""

logger = logging.getLogger(__name__)

_STRIP_BYTES = 6 << 20
_STRIPS_IN_FLIGHT = 3  # one is read, one is rendered, one waits to be written
_TILE_ROWS = 64  # of GEGL: strips end at tile borders
_PAGE = 4096
_CLOSE_SECONDS = 1.0  # time for the engine to stop a request before the connection is closed

_Response = TypeVar("_Response", bound=Message)
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class PixelLayout:
    """Size and format of a layer's RGBA pixels.

    linear: they are linear light rather than sRGB values (only with float).
    space: they are values of another color space (only with integers).
    """

    width: int
    height: int
    depth: protocol.Depth = "u8"
    linear: bool = False
    space: protocol.ColorSpace | None = None

    def rows_per_strip(self) -> int:
        """Return the number of rows of a strip."""
        wanted = _STRIP_BYTES // (self.width * 4 * protocol.BYTES_OF[self.depth])
        return max(1, min(self.height, wanted // _TILE_ROWS * _TILE_ROWS or wanted))


@dataclass(frozen=True)
class PixelSource:
    """Functions that read a layer.

    pixels: RGBA in the format of the `PixelLayout`.
    layer_masks, selection, predicted: the planes that limit the change; none = everything that is not transparent.
    """

    pixels: ReadRows
    layer_masks: tuple[ReadRows, ...] = ()
    selection: ReadRows | None = None
    predicted: ReadRows | None = None

    @property
    def planes(self) -> list[ReadRows]:
        """All planes, in the order of a `Strip`."""
        return [*self.layer_masks, *(plane for plane in (self.selection, self.predicted) if plane)]


@dataclass(frozen=True)
class NativeFormat:
    """Access to a layer's own pixel format, where converting to it and back is not exact.

    size: bytes per pixel.
    original: returns rows before the change.
    written: returns rows as they are after they were written.
    write: overwrites rows.
    """

    size: int
    original: ReadRows
    written: ReadRows
    write: WriteRows


class EngineClient:
    """A connection to the engine process. One thread sends requests at a time; any thread may call `cancel`."""

    def __init__(self, serve: Sequence[str] | None, folder: Path | None = None, silence: float | None = None) -> None:
        """Store how to reach the engine, without starting it.

        Args:
            serve: the command that runs its server, see `read_launcher`; None = never start it.
            folder: the bridge folder; None = this user's.
            silence: seconds without a message after which the engine counts as hung; None = see the settings. (It
                sends one each second, but loading a model from a slow disk may delay it.)
        """
        self._folder = folder or user_paths().bridge
        self._starter = EngineStarter(serve, self._folder, silence or load_settings().silence_seconds)
        self._requests: _Requests | None = None
        self._numbers = itertools.count(1)
        self._canceled = threading.Event()

    def status(self, progress: ProgressCallback | None = None) -> protocol.EngineStatus:
        """Return the engine's status, also while it is still loading."""
        return self._call(protocol.StatusRequest(), protocol.EngineStatus, progress)

    def models(self, progress: ProgressCallback | None = None) -> tuple[protocol.ModelInfo, ...]:
        """Return all models, the default first."""
        return self._call(protocol.ModelsRequest(), protocol.ModelList, progress).models

    def harmonize(
        self, request: protocol.Harmonize, progress: ProgressCallback | None = None
    ) -> protocol.HarmonizeResponse:
        """Predict a color map. Raises MaskError and other errors of the engine, see `protocol.Harmonize`."""
        return self._call(request, protocol.HarmonizeResponse, progress)

    def select_subject(
        self, request: protocol.SelectSubject, progress: ProgressCallback | None = None
    ) -> protocol.SubjectResponse:
        """Select the subject of a layer or a composite; see `protocol.SelectSubject`."""
        return self._call(request, protocol.SubjectResponse, progress)

    def refine_mask(self, request: RefineMask, progress: ProgressCallback | None = None) -> MaskRefined:
        """Refine the edges of a mask; see `mask_messages`."""
        return self._call(request, MaskRefined, progress)

    def adjust(self, request: protocol.Adjust, progress: ProgressCallback | None = None) -> protocol.AdjustResult:
        """Apply the sliders to a color map, which takes a few milliseconds."""
        return self._call(request, protocol.AdjustResult, progress)

    def export_cube(self, color_map: dict[str, Any], title: str, progress: ProgressCallback | None = None) -> bytes:
        """Return a color map as the content of a .cube file."""
        request = protocol.ExportCube(color_map=color_map, title=title)
        return self._call(request, protocol.CubeFile, progress).content

    def render(
        self,
        color_map: dict[str, Any],
        layout: PixelLayout,
        source: PixelSource,
        write: WriteRows,
        *,
        native: NativeFormat | None = None,
        finish: LayerFinish | None = None,
        progress: ProgressCallback | None = None,
    ) -> None:
        """Apply a color map to a layer in strips; the engine renders one while the next is read.

        Args:
            color_map: that of an `AdjustResult`, or its effect.
            layout: size and format of the pixels.
            source: reads the pixels and the planes that limit the change. If the engine ends, all are read again.
            write: takes the changed rows, never before they were read.
            native: restores the bits of unchanged pixels where writing rounds them; None = writing is exact.
            finish: what is done to the recolored pixels, see `measure_finish`; None = nothing.
            progress: called after each strip.
        """

        def do(requests: _Requests) -> None:
            job = _RenderJob(requests, self._folder, color_map, layout, source, write, native, finish)
            job.run(self._checked(progress))

        self._retry(do, progress)

    def estimate_shadow(
        self, request: protocol.EstimateShadow, progress: ProgressCallback | None = None
    ) -> protocol.ShadowValues:
        """Estimate the shadow of a layer; see `protocol.EstimateShadow`."""
        return self._call(request, protocol.ShadowValues, progress)

    def render_shadow(
        self,
        request: protocol.RenderShadow,
        silhouette: ReadRows,
        progress: ProgressCallback | None = None,
        layer_masks: Sequence[ReadRows] = (),
    ) -> tuple[protocol.ShadowRendered, bytes]:
        """Render the shadow of a layer.

        Args:
            request: the values, and the sizes of silhouette and canvas.
            silhouette: reads rows of the layer's alpha, one byte per pixel.
            progress: called while the engine starts.
            layer_masks: read rows of the masks that the silhouette is multiplied by, as many as the request says.

        Returns:
            Position, size and color of the shadow's layer, and its opacity: rows of its width in the request's depth.
        """

        def do(requests: _Requests) -> tuple[protocol.ShadowRendered, bytes]:
            report = self._checked(progress)
            requests.abandon()
            with _open_workspace(requests, self._folder, request.end, report) as shared:
                rows = max(1, _STRIP_BYTES // request.width)
                for number, plane in enumerate((silhouette, *layer_masks)):
                    offset = number * request.height
                    for top in range(0, request.height, rows):
                        end = min(top + rows, request.height)
                        start = (offset + top) * request.width
                        _put(shared, start, (offset + end) * request.width, plane(top, end - top))
                found = requests.wait_for(requests.send(request), protocol.ShadowRendered, report)
                size = found.width * found.height * protocol.BYTES_OF[request.depth]
                return found, shared[request.result_offset : request.result_offset + size]

        return self._retry(do, progress)

    def place_windows(self, request: PlaceWindows, progress: ProgressCallback | None = None) -> list[tuple[int, int]]:
        """Return left upper corners (x, y) of windows to read for `measure_finish`."""
        corners = self._call(request, WindowsPlaced, progress).corners
        return list(zip(corners[::2], corners[1::2], strict=True))

    def measure_finish(self, request: MeasureFinish, progress: ProgressCallback | None = None) -> FinishMeasured:
        """Measure grain and sharpness; see `finish_messages`."""
        return self._call(request, FinishMeasured, progress)

    def shutdown(self) -> None:
        """End the engine process."""
        self._call(protocol.Shutdown(), protocol.Done, None)
        self.close()

    def cancel(self) -> None:
        """Make the running call raise `CancelledError` soon; may be called from any thread."""
        self._canceled.set()
        requests = self._requests
        if requests:
            with contextlib.suppress(DisconnectedError, SilenceError):
                requests.channel.send(0, protocol.Cancel())

    def disconnect(self) -> None:
        """Make the running call raise `CancelledError` at once, even if the engine hangs; from any thread."""
        self._canceled.set()
        requests = self._requests
        if requests:
            requests.channel.close()

    def close(self) -> None:
        """Disconnect from the engine, which keeps running for other clients."""
        if self._requests:
            self._requests.channel.close()
            self._requests = None

    def _call(self, request: Message, kind: type[_Response], progress: ProgressCallback | None) -> _Response:
        started = time.monotonic()
        response = self._retry(
            lambda requests: requests.wait_for(requests.send(request), kind, self._checked(progress)), progress
        )
        logger.debug("%s: %.3f s", request.kind, time.monotonic() - started)
        return response

    def _retry(self, do: Callable[[_Requests], _Result], progress: ProgressCallback | None) -> _Result:
        """Send requests to the engine; if it ends meanwhile, send them once more to a new one."""
        self._canceled.clear()
        report = self._checked(progress)
        try:
            with contextlib.suppress(DisconnectedError):
                return do(self._connected(report))
            self.close()
            logger.warning("The engine has stopped; starting it again")
            report(ProgressUpdate(text="The engine has stopped; starting it again"))
            return do(self._connected(report))
        except DisconnectedError as error:
            self.close()
            message = (
                "The engine stopped twice during a request: close other programs in case memory is short, then try "
                f"again (its output is in {self._folder / LOG})."
            )
            raise BridgeError(message, code="bridge.stopped") from error
        except SilenceError as error:
            self.close()
            raise self._starter.silence_error() from error
        except MessageError as error:
            self.close()
            raise BridgeError(f"The engine's response is invalid ({error}).", code="bridge.installation") from error
        except S2AMError:  # a response: the connection is fine
            raise
        except BaseException:  # raised by a callback: the engine stops when it is disconnected
            self.close()
            raise

    def _connected(self, report: ProgressCallback) -> _Requests:
        if not self._requests:
            channel = self._starter.connect(lambda text: report(ProgressUpdate(text=text)))
            self._requests = _Requests(channel, self._starter.silence, self._numbers)
        return self._requests

    def _checked(self, progress: ProgressCallback | None) -> ProgressCallback:
        """Return a callback that raises CancelledError once the call was canceled, and else forwards to another."""

        def report(update: ProgressUpdate) -> None:
            if self._canceled.is_set():
                raise CancelledError("Canceled.")
            if progress:
                progress(update)

        return report


class _Requests:
    """Requests and responses over one channel."""

    def __init__(self, channel: Channel, silence: float, numbers: Iterator[int]) -> None:
        self.channel = channel
        self._silence = silence
        self._numbers = numbers
        self._pending: set[int] = set()
        self._early: dict[int, Message] = {}

    def send(self, request: Message) -> int:
        """Send a request and return its number."""
        number = next(self._numbers)
        self._pending.add(number)
        self.channel.send(number, request)
        return number

    def wait_for(self, number: int, kind: type[_Response], progress: ProgressCallback) -> _Response:
        """Return the response to a request, while those to other pending requests are kept for later."""
        while number not in self._early:
            owner, message = self.channel.receive(self._silence)
            if isinstance(message, ProgressUpdate):
                if owner in self._pending:
                    progress(message)
            elif owner in self._pending:
                self._early[owner] = message
        self._pending.discard(number)
        message = self._early.pop(number)
        if isinstance(message, protocol.Failed):
            self.abandon()
            raise message.error()
        if not isinstance(message, kind):
            raise MessageError(f"{message.kind} instead of {kind.kind}")
        return message

    def abandon(self) -> None:
        """Ignore the responses to all pending requests."""
        self._pending.clear()
        self._early.clear()


@contextlib.contextmanager
def _open_workspace(requests: _Requests, folder: Path, size: int, progress: ProgressCallback) -> Iterator[mmap.mmap]:
    """Provide a new shared workspace, a file in the bridge folder, in memory."""
    request = requests.send(protocol.OpenWorkspace(size=size))
    opened = requests.wait_for(request, protocol.WorkspaceOpened, progress)
    if Path(opened.file).name != opened.file:
        raise MessageError(f"{opened.file!r} is not in the bridge folder")
    with (folder / opened.file).open("r+b") as file, mmap.mmap(file.fileno(), size) as shared:
        yield shared


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
class _RenderJob:
    """One call of `EngineClient.render`."""

    requests: _Requests
    folder: Path
    color_map: dict[str, Any]
    layout: PixelLayout
    source: PixelSource
    write: WriteRows
    native: NativeFormat | None
    finish: LayerFinish | None

    def run(self, progress: ProgressCallback) -> None:
        rows, height = self.layout.rows_per_strip(), self.layout.height
        tops = range(0, height, rows)
        slots = min(_STRIPS_IN_FLIGHT, len(tops))
        pending: deque[tuple[list[int], Strip, _Rows]] = deque()
        self.requests.abandon()
        reach = self._reach(progress)
        slot = -(-self._strip(0, rows + 2 * reach).end // _PAGE) * _PAGE
        with _open_workspace(self.requests, self.folder, slots * slot, progress) as shared:
            for index, top in enumerate(tops):
                if len(pending) == slots:
                    self._finish(shared, *pending.popleft(), progress)
                part = _Rows.around(top, min(rows, height - top), reach, height)
                strip = self._strip(index % slots * slot, part.above + part.count + part.below)
                self._fill(shared, strip, top - part.above)
                pending.append(([self.requests.send(each) for each in self._strip_requests(strip, part)], strip, part))
            while pending:
                self._finish(shared, *pending.popleft(), progress)

    def _reach(self, progress: ProgressCallback) -> int:
        if self.finish is None:
            return 0
        number = self.requests.send(FinishReach(finish=self.finish))
        return self.requests.wait_for(number, ReachFound, progress).rows

    def _strip_requests(self, strip: Strip, part: _Rows) -> list[Message]:
        requests: list[Message] = [self._request(strip)]
        if self.finish is not None:
            row, above, below = part.top - part.above, part.above, part.below
            requests.append(FinishStrip(strip=strip, finish=self.finish, row=row, above=above, below=below))
        return requests

    def _request(self, strip: Strip) -> protocol.Render:
        space = self.layout.space
        if space is None:
            return protocol.Render(color_map=self.color_map, strip=strip)
        return protocol.Render(
            color_map=self.color_map, strip=strip, transfer=space.transfer, primaries=space.primaries
        )

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
        _put(shared, strip.offset, strip.pixels_end, self.source.pixels(top, strip.rows))
        start = strip.pixels_end
        for plane in self.source.planes:
            _put(shared, start, start + strip.pixel_count, plane(top, strip.rows))
            start += strip.pixel_count

    def _finish(
        self, shared: mmap.mmap, numbers: list[int], strip: Strip, part: _Rows, progress: ProgressCallback
    ) -> None:
        for number in numbers:
            self.requests.wait_for(number, protocol.Done, progress)
        top, rows = part.top, part.count
        start, end = part.within(strip.offset, (strip.pixels_end - strip.offset) // strip.rows)
        self.write(top, rows, shared[start:end])
        if self.native:
            bytes_per_row = strip.original_bytes * strip.width
            start, end = part.within(strip.planes_end, bytes_per_row)
            _put(shared, start, end, self.native.original(top, rows))
            start, end = part.within(strip.planes_end + strip.rows * bytes_per_row, bytes_per_row)
            _put(shared, start, end, self.native.written(top, rows))
            restored = self.requests.send(protocol.RestoreUnchanged(strip=strip))
            self.requests.wait_for(restored, protocol.Done, progress)
            self.native.write(top, rows, shared[start:end])
        fraction = min(1.0, (top + rows) / self.layout.height)
        progress(ProgressUpdate(text="Recoloring the layer", fraction=fraction))


def _put(shared: mmap.mmap, start: int, end: int, data: bytes) -> None:
    """Copy bytes into the workspace. Raises ValueError if their number is wrong."""
    if len(data) != end - start:
        raise ValueError(f"{len(data)} bytes instead of {end - start}")
    shared[start:end] = data


Post = Callable[..., object]
"""Calls a function in the dialog's thread, as GLib.idle_add does; the function returns None."""


class BackgroundQueue:
    """A thread that sends a dialog's requests, one after another, and reports their results to the dialog's thread.

    queue = BackgroundQueue(engine, post=GLib.idle_add)
    queue.submit(lambda: engine.adjust(request), done=show, failed=show_error, key="adjust")
    """

    def __init__(self, engine: EngineClient, post: Post) -> None:
        """Start the thread.

        Args:
            engine: used by the jobs; other threads must not use it until `close`.
            post: calls a function in the dialog's thread.
        """
        self._engine = engine
        self._post = post
        self._jobs: OrderedDict[object, tuple[Callable[[], Any], Callable[[Any], None], Callable[[Exception], None]]]
        self._jobs = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None],
        key: object = None,
    ) -> None:
        """Queue a job. Unless it is canceled, one of the two functions is called in the dialog's thread.

        Args:
            job: uses the engine.
            done: gets the result of the job.
            failed: gets the exception of the job.
            key: replaces a waiting job with the same key, so that sliders never queue up; None = replaces none.
        """
        with self._changed:
            if not self._closed:
                key = object() if key is None else key
                self._jobs.pop(key, None)
                self._jobs[key] = (job, done, failed)
                self._changed.notify()

    def post(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the dialog's thread, unless the queue is closed before."""

        def call() -> None:
            if not self._closed:
                function(*arguments)

        self._post(call)

    def cancel(self) -> None:
        """Drop all jobs, including the running one."""
        with self._changed:
            self._jobs.clear()
        self._engine.cancel()

    def close(self) -> None:
        """Cancel all jobs and end the thread; afterwards the engine may be used by other threads."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify()
        self._engine.cancel()
        self._thread.join(_CLOSE_SECONDS)
        if self._thread.is_alive():  # the engine hangs
            self._engine.disconnect()
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                _, (job, done, failed) = self._jobs.popitem(last=False)
            try:
                result = job()
            except CancelledError:
                continue
            except Exception as error:
                if not isinstance(error, S2AMError):
                    logger.exception("A job of the dialog failed")
                self.post(failed, error)
            else:
                self.post(done, result)
