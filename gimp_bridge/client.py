# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the engine process.

    engine = EngineClient(read_launcher(folder))
    response = engine.request(Harmonize(width=512, height=384, pixels=rgba, layer_alpha=alpha))
    adjusted = engine.request(Adjust(color_map=response.color_map, sliders={"strength": 0.8}))
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gimp_bridge import protocol
from gimp_bridge.bridge_folder import LOG
from gimp_bridge.connection import DisconnectedError, SilenceError
from gimp_bridge.finish_messages import LayerFinish
from gimp_bridge.layer_pixels import STRIP_BYTES, NativeFormat, PixelLayout, PixelSource, ReadRows, WriteRows
from gimp_bridge.mask_messages import RefineMask
from gimp_bridge.protocol import MessageError, ProgressUpdate, Request, ResponseT
from gimp_bridge.request_channel import ProgressCallback, RequestChannel, open_workspace, put_bytes
from gimp_bridge.shadow_messages import RenderShadow, ShadowRendered
from gimp_bridge.starter import EngineStarter
from gimp_bridge.strip_messages import BYTES_OF
from gimp_bridge.strip_rendering import RenderJob
from s2am_common.errors import BridgeError, CancelledError, S2AMError
from s2am_common.paths import user_paths
from s2am_common.settings import load_settings

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


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
        self._requests: RequestChannel | None = None
        self._numbers = itertools.count(1)
        self._canceled = threading.Event()

    def request(self, request: Request[ResponseT], progress: ProgressCallback | None = None) -> ResponseT:
        """Send a request and return its response. Raises the errors of the engine that the request documents."""
        started = time.monotonic()
        response = self._retry(lambda requests: requests.call(request, self._checked(progress)), progress)
        logger.debug("%s: %.3f s", request.kind, time.monotonic() - started)
        return response

    def status(self, progress: ProgressCallback | None = None) -> protocol.EngineStatus:
        """Return the engine's status, also while it is still loading."""
        return self.request(protocol.StatusRequest(), progress)

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
            finish: what is done to the recolored pixels, see `finish_messages`; None = nothing.
            progress: called after each strip.
        """

        def do(requests: RequestChannel) -> None:
            job = RenderJob(requests, self._folder, color_map, layout, source, write, native, finish)
            job.run(self._checked(progress))

        self._retry(do, progress)

    def render_shadow(
        self,
        request: RenderShadow,
        silhouette: ReadRows,
        progress: ProgressCallback | None = None,
        layer_masks: Sequence[ReadRows] = (),
    ) -> tuple[ShadowRendered, bytes]:
        """Render the shadow of a layer.

        Args:
            request: the values, and the sizes of silhouette and canvas.
            silhouette: reads rows of the layer's alpha, one byte per pixel.
            progress: called while the engine starts.
            layer_masks: read rows of the masks that the silhouette is multiplied by, `layer_masks` of the request.

        Returns:
            Position, size and color of the shadow's layer, and its opacity: rows of its width in the request's depth.
        """

        def do(requests: RequestChannel) -> tuple[ShadowRendered, bytes]:
            report = self._checked(progress)
            requests.abandon()
            with open_workspace(requests, self._folder, request.end, report) as shared:
                for number, plane in enumerate((silhouette, *layer_masks)):
                    offset = number * request.height * request.width
                    _put_rows(shared, offset, plane, request.width, request.height)
                rendered = requests.call(request, report)
                size = rendered.width * rendered.height * BYTES_OF[request.depth]
                return rendered, shared[request.result_offset : request.result_offset + size]

        return self._retry(do, progress)

    def refine_mask(
        self, request: RefineMask, source: PixelSource, progress: ProgressCallback | None = None
    ) -> tuple[bytes, bytes]:
        """Refine the edges of a layer's mask.

        Args:
            request: sizes and values.
            source: reads the layer's pixels and the planes that the request announces. If the engine ends, all are
                read again.
            progress: called with each step.

        Returns:
            The mask and its share of the layer's opacity, a plane each; see `RefineMask`.
        """

        def do(requests: RequestChannel) -> tuple[bytes, bytes]:
            report = self._checked(progress)
            requests.abandon()
            size = request.plane_bytes
            with open_workspace(requests, self._folder, request.end, report) as shared:
                _put_rows(shared, 0, source.pixels, 4 * request.width, request.height)
                for number, plane in enumerate(source.planes):
                    _put_rows(shared, (4 + number) * size, plane, request.width, request.height)
                requests.call(request, report)
                start = request.result_offset
                return shared[start : start + size], shared[start + size : request.end]

        return self._retry(do, progress)

    def shutdown(self) -> None:
        """End the engine process."""
        self.request(protocol.Shutdown())
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

    def _retry(self, do: Callable[[RequestChannel], _Result], progress: ProgressCallback | None) -> _Result:
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

    def _connected(self, report: ProgressCallback) -> RequestChannel:
        if not self._requests:
            channel = self._starter.connect(lambda text: report(ProgressUpdate(text=text)))
            self._requests = RequestChannel(channel, self._starter.silence, self._numbers)
        return self._requests

    def _checked(self, progress: ProgressCallback | None) -> ProgressCallback:
        """Return a callback that raises CancelledError once the call was canceled, and else forwards to another."""

        def report(update: ProgressUpdate) -> None:
            if self._canceled.is_set():
                raise CancelledError("Canceled.")
            if progress:
                progress(update)

        return report


def _put_rows(shared: mmap.mmap, offset: int, read: ReadRows, row_bytes: int, height: int) -> None:
    """Copy all rows to the workspace, from an offset on, in strips."""
    rows = max(1, STRIP_BYTES // row_bytes)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        put_bytes(shared, offset + top * row_bytes, offset + end * row_bytes, read(top, end - top))
