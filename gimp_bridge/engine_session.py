# SPDX-License-Identifier: GPL-3.0-or-later
"""One client's connection to the engine process.

A worker thread carries out the requests in their order, while the connection's own thread notices immediately that the
client cancels or disconnects. Nothing is kept between requests except the shared workspace of a layer's pixels.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import mmap
import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gimp_bridge import protocol
from gimp_bridge.color_space import in_color_space, is_identity
from gimp_bridge.connection import Channel, DisconnectedError, SilenceError
from gimp_bridge.effective_mask import Plane, effective_mask
from gimp_bridge.finish_messages import FinishReach, FinishStrip, MeasureFinish, PlaceWindows
from gimp_bridge.finish_requests import find_reach, finish_strip, measure_finish, place_windows
from gimp_bridge.harmony_messages import ScoreHarmony
from gimp_bridge.harmony_requests import score_harmony
from gimp_bridge.mask_messages import RefineMask
from gimp_bridge.mask_requests import refine_layer_mask
from gimp_bridge.model_cache import ModelCache, ReportText
from gimp_bridge.protocol import Depth, Failed, Message, MessageError, Strip
from gimp_bridge.shadow_requests import estimate_layer_shadow, render_layer_shadow
from s2am_common.errors import CancelledError, DiskFullError, EngineError, FileError, MaskError, S2AMError
from s2am_engine.color.adjustments import Sliders, adjust
from s2am_engine.color.apply import PreparedMap, apply_color_map
from s2am_engine.color.fit import fit_linear_matrix
from s2am_engine.color.map import ColorMap, Matrix
from s2am_engine.color.srgb import linear_to_srgb, srgb_to_linear
from s2am_engine.image.arrays import to_uint8
from s2am_engine.types import FractionCallback

logger = logging.getLogger(__name__)

_MAX_PENDING = 64  # requests of one connection
_HEARTBEAT = 1.0  # seconds
_VISIBLE_REFERENCE = 0.25  # share of the foreground's area of which a reference layer must be visible around it
_ALPHA_TOLERANCE = 2  # levels by which two ways of reading the same transparency may differ
_SUFFIX = ".pixels"
_DISK_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_ZEROS = bytes(1 << 20)
_DTYPES: dict[Depth, type[Any]] = {"u8": np.uint8, "u16": np.uint16, "float": np.float32}


class StoppedError(Exception):
    """The request was canceled, and its response has been sent."""


# -- color maps


@dataclass(frozen=True)
class HarmonizeJob:
    """Prediction of one color map."""

    request: protocol.Harmonize
    models: ModelCache
    report: ReportText

    def run(self) -> protocol.HarmonizeResponse:
        """Return the color map and the mask that it was predicted with.

        Raises:
            MaskError: see `protocol.Harmonize`.
            EngineError: see `Harmonizer`.
        """
        rgba = self._planes(self.request.pixels, 4)
        pixels, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        mask, alpha, needs_prediction = self.layer_mask(alpha)
        certain = True
        if needs_prediction and self.request.predicted:
            mask = self._planes(self.request.predicted)
        elif needs_prediction:
            mask, certain = self._predict_mask(pixels, alpha)
        harmonizer = self.models.harmonizer(self.request.model, self.report)
        self.report("Analyzing the image")
        with self.models.computing():
            colors, foreground, opacity = self._beside_reference(pixels, mask, alpha)
            result = harmonizer(colors, foreground, alpha=opacity, references=self._photographs() or None)
        return protocol.HarmonizeResponse(
            color_map=result.color_map.to_json(),
            confidence=result.confidence,
            samples=sample_colors(pixels, np.minimum(mask, alpha)),
            mask=mask.tobytes(),
            alpha=alpha.tobytes(),
            mask_predicted=needs_prediction,
            mask_certain=certain,
            notes=result.notes,
        )

    def layer_mask(self, alpha: Plane) -> tuple[Plane, Plane, bool]:
        """Return the layer's effective mask, the pixels that count (H×W), and whether the mask must be predicted.

        Args:
            alpha: H×W, transparency of the visible composite.
        """
        request = self.request
        layer_alpha = self._planes(request.layer_alpha)
        masks = self._masks(request.layer_masks)
        selection = self._planes(request.selection) if request.selection else None
        if selection is not None and request.selection_is_reference:
            mask = effective_mask(layer_alpha, masks)
            alpha = np.where((selection > 0) | (mask > 0), alpha, 0).astype(np.uint8)
        else:
            mask = effective_mask(layer_alpha, masks, selection)
        if not mask.any():
            message = "No visible part of the layer lies on the canvas and within the selection."
            raise MaskError(message, code="mask.empty")
        if request.mask_source == "predicted":
            return mask, alpha, True
        if (alpha > mask.astype(np.int16) + _ALPHA_TOLERANCE).any():
            return mask, alpha, False
        if request.mask_source == "layer-or-predicted" and mask.min() == 255:
            return mask, alpha, True
        if request.reference and self._planes(request.reference, 4)[..., 3].any():
            return mask, alpha, False
        raise MaskError("Nothing is visible below or around the layer.", code="mask.no-background")

    def _beside_reference(
        self, pixels: NDArray[np.uint8], mask: Plane, alpha: Plane
    ) -> tuple[NDArray[np.uint8], Plane, Plane]:
        """Return what the network sees: the composite, or the foreground beside a reference that it covers."""
        foreground = mask > 0
        visible = np.count_nonzero((alpha > 0) & ~foreground)
        if not self.request.reference or visible >= _VISIBLE_REFERENCE * np.count_nonzero(foreground):
            return pixels, mask, alpha
        reference = self._planes(self.request.reference, 4)
        return (
            np.hstack([pixels, reference[..., :3]]),
            np.hstack([mask, np.zeros_like(mask)]),
            np.hstack([np.where(foreground, alpha, 0).astype(np.uint8), reference[..., 3]]),
        )

    def _photographs(self) -> list[Image.Image]:
        found, start = [], 0
        sizes = self.request.photograph_sizes
        for width, height in zip(sizes[::2], sizes[1::2], strict=True):
            pixels = np.frombuffer(self.request.photographs, np.uint8, 4 * width * height, start)
            found.append(Image.fromarray(pixels.reshape(height, width, 4), "RGBA"))
            start += pixels.size
        return found

    def _predict_mask(self, pixels: NDArray[np.uint8], alpha: Plane) -> tuple[Plane, bool]:
        detector = self.models.detector(self.report)
        self.report("Detecting the pasted region")
        with self.models.computing():
            found = detector.detect(pixels, alpha=alpha, likeliest=self.request.likeliest)
        return found.mask, found.is_certain

    def _planes(self, data: bytes, *channels: int) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(self.request.height, self.request.width, *channels)

    def _masks(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(-1, self.request.height, self.request.width)


def select_layer_subject(
    request: protocol.SelectSubject, models: ModelCache, report: ReportText
) -> protocol.SubjectResponse:
    """Select the subject of a layer or a composite.

    Raises:
        MaskError, EngineError: see `protocol.SelectSubject`.
    """
    rgba = np.frombuffer(request.pixels, np.uint8).reshape(request.height, request.width, 4)
    selector = models.subject_selector(request.model, report)
    report("Selecting the subject")
    with models.computing():
        found = selector.select(
            np.ascontiguousarray(rgba[..., :3]), alpha=np.ascontiguousarray(rgba[..., 3]), likeliest=request.likeliest
        )
    return protocol.SubjectResponse(
        mask=found.mask.tobytes(), confidence=found.confidence, certain=found.is_certain, model=found.model
    )


def sample_colors(pixels: NDArray[np.uint8], weights: Plane) -> bytes:
    """Return up to MAX_SAMPLES colors of a foreground, evenly spaced: K×4, RGB and weight."""
    chosen = np.flatnonzero(weights)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), protocol.MAX_SAMPLES)).astype(np.intp)]
    return np.column_stack([pixels.reshape(-1, 3)[chosen], weights.reshape(-1)[chosen]]).astype(np.uint8).tobytes()


def adjust_color_map(request: protocol.Adjust) -> protocol.AdjustResult:
    """Apply the sliders to a color map, and fit a layer effect if samples are given. Raises ColorMapError."""
    adjusted = adjust(ColorMap.from_json(request.color_map), Sliders.from_values(request.sliders))
    if not request.samples:
        return protocol.AdjustResult(color_map=adjusted.to_json())
    matrix, rmse = fit_effect(adjusted, request.samples)
    numbers = tuple(float(each) for each in matrix.matrix[:, :3].ravel())
    return protocol.AdjustResult(color_map=adjusted.to_json(), effect=matrix.to_json(), matrix=numbers, rmse=rmse)


def fit_effect(color_map: ColorMap, samples: bytes) -> tuple[Matrix, float]:
    """Fit the matrix in linear light that is nearest to a map, by weighted least squares on a foreground's colors.

    Args:
        color_map: the map.
        samples: see `sample_colors`.

    Returns:
        The matrix, and its weighted root mean square error in 8-bit levels.
    """
    table = np.frombuffer(samples, np.uint8).reshape(-1, 4) / np.float32(255)
    colors, weights = np.ascontiguousarray(table[:, :3]), table[:, 3]
    target = color_map(colors).clip(0, 1)
    matrix = fit_linear_matrix(colors, target, weights)
    squares = (matrix(colors).clip(0, 1) - target) ** 2
    return matrix, 255 * float(np.sqrt(np.average(squares.mean(axis=1), weights=weights)))


# -- the workspace


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
        if not strip.linear:
            apply_color_map(color_map, pixels, mask, out=pixels, progress=progress)
            return
        encoded = linear_to_srgb(pixels[..., :3])
        apply_color_map(color_map, encoded, mask, out=encoded, progress=progress)
        np.copyto(pixels[..., :3], srgb_to_linear(encoded), where=(mask > 0)[..., None])

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

    def render_shadow(self, request: protocol.RenderShadow) -> protocol.ShadowRendered:
        """Render the shadow of the silhouette in the workspace."""
        self._check_end(request.end)
        alpha, *masks = self._array(np.uint8, 0, (1 + request.layer_masks, request.height, request.width))
        layer, opacity = render_layer_shadow(request, effective_mask(alpha, masks))
        if opacity.size:
            self._array(opacity.dtype.type, request.result_offset, opacity.shape)[:] = opacity
        height, width = opacity.shape
        return protocol.ShadowRendered(left=layer.left, top=layer.top, width=width, height=height, color=layer.color)

    def refine_mask(self, request: RefineMask, report: ReportText, check: FractionCallback) -> None:
        """Refine the edges of a layer's mask; see `RefineMask`."""
        self._check_end(request.end)
        shape = request.height, request.width
        pixels = self._array(np.uint8, 0, (*shape, 4))
        planes = self._array(np.uint8, 4 * request.plane_bytes, (request.plane_count, *shape))
        found = refine_layer_mask(request, pixels, list(planes), report, check)
        self._array(np.uint8, request.result_offset, (2, *shape))[:] = found

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


# -- the connection


class PendingRequest:
    """A request that waits or is being carried out."""

    def __init__(self, number: int, request: Message, channel: Channel) -> None:
        """Store a request and the channel for its response."""
        self.number = number
        self.request = request
        self._channel = channel
        self._open = True
        self._responding = threading.Lock()
        self._update = protocol.ProgressUpdate(text="Waiting for the engine")

    def report(self, text: str, fraction: float | None = None) -> None:
        """Send a progress update, if it differs from the last. Raises StoppedError if the request was canceled."""
        self.check(0)
        update = protocol.ProgressUpdate(text=text, fraction=fraction)
        if update != self._update:
            self._update = update
            self.beat()

    def check(self, fraction: float) -> None:  # noqa: ARG002 (a progress callback of the engine)
        """Raise StoppedError if the request was canceled."""
        if not self._open:
            raise StoppedError

    def beat(self) -> None:
        """Send the last progress update again."""
        with self._responding:
            if self._open:
                self._channel.send(self.number, self._update)

    def respond(self, message: Message) -> None:
        """Send the response, unless one was sent."""
        with self._responding:
            if self._open:
                self._open = False
                self._channel.send(self.number, message)

    def drop(self) -> None:
        """Send no response."""
        self._open = False


class EngineSession:
    """A connected client."""

    def __init__(self, channel: Channel, models: ModelCache, folder: Path, shut_down: Callable[[], None]) -> None:
        """Take ownership of a channel.

        Args:
            channel: to the client.
            models: the loaded models.
            folder: for the workspace.
            shut_down: called when the client ends the engine process.
        """
        self._channel = channel
        self._models = models
        self._folder = folder
        self._shut_down = shut_down
        self._pending: list[PendingRequest] = []
        self._queue: queue.SimpleQueue[PendingRequest | None] = queue.SimpleQueue()
        self._workspace: SharedWorkspace | None = None
        self._last_map: tuple[tuple[dict[str, Any], protocol.ColorSpace | None], PreparedMap | None] | None = None
        self._worker = threading.Thread(target=self._work, name="worker", daemon=True)
        self._last_use = time.monotonic()

    def idle_since(self) -> float:
        """Return the time of the last activity on the monotonic clock."""
        if self._pending:
            self._last_use = time.monotonic()
        return self._last_use

    def run(self) -> None:
        """Receive requests until the client disconnects."""
        self._worker.start()
        try:
            while True:
                if self._channel.has_message(_HEARTBEAT):
                    self._receive(*self._channel.receive())
                else:
                    for pending in self._pending[:]:
                        pending.beat()
        except (DisconnectedError, SilenceError):
            pass  # peer disconnected or stopped reading; nothing to answer
        except MessageError as error:
            logger.warning("A client sent an invalid message: %s", error)
        finally:
            for pending in self._pending[:]:
                pending.drop()
            self._queue.put(None)
            self._channel.close()

    def end(self, seconds: float) -> None:
        """Disconnect, and wait up to `seconds` for the current request to stop."""
        self._channel.close()
        self._worker.join(seconds)

    def _receive(self, number: int, request: Message) -> None:
        self._last_use = time.monotonic()
        if isinstance(request, protocol.Cancel):
            canceled = Failed.from_error(CancelledError("Canceled."))
            for pending in self._pending[:]:
                pending.respond(canceled)
        elif isinstance(request, protocol.StatusRequest):
            self._channel.send(number, self._models.status())
        elif isinstance(request, protocol.Shutdown):
            self._channel.send(number, protocol.Done())
            self._shut_down()
        elif len(self._pending) >= _MAX_PENDING:
            raise MessageError("too many requests at once")
        else:
            pending = PendingRequest(number, request, self._channel)
            self._pending.append(pending)
            self._queue.put(pending)

    def _work(self) -> None:
        while pending := self._queue.get():
            started = time.monotonic()
            with contextlib.suppress(StoppedError, DisconnectedError, SilenceError):  # also stops the other thread
                pending.respond(self._response(pending))
                logger.info("%s: %.3f s", pending.request.kind, time.monotonic() - started)
            self._last_use = time.monotonic()
            self._pending.remove(pending)
        if self._workspace:
            self._workspace.close()

    def _prepared_map(self, request: protocol.Render) -> PreparedMap | None:
        """Return the map of a request, prepared once for all strips of a layer; None = the identity."""
        wanted = request.color_map, request.space
        if self._last_map is None or self._last_map[0] != wanted:
            color_map = ColorMap.from_json(request.color_map)
            prepared = None
            if not is_identity(color_map):
                prepared = PreparedMap(in_color_space(color_map, request.space) if request.space else color_map)
            self._last_map = wanted, prepared
        return self._last_map[1]

    def _response(self, pending: PendingRequest) -> Message:
        try:
            pending.check(0)
            return self._carry_out(pending)
        except S2AMError as error:
            logger.info("%s failed: %s (%s)", pending.request.kind, error, error.code)
            return Failed.from_error(error)
        except MemoryError:
            logger.exception("Out of memory")
            message = "There is not enough memory: close other programs, then try again."
            return Failed(message=message, code="engine.memory")
        except (StoppedError, DisconnectedError, SilenceError):
            raise
        except Exception as error:
            logger.exception("%s failed", pending.request.kind)
            return Failed(message=f"The engine failed ({type(error).__name__}: {error}).", code="engine.internal")

    def _carry_out(self, pending: PendingRequest) -> Message:
        request = pending.request
        if isinstance(request, protocol.ModelsRequest):
            return list_model_infos()
        if isinstance(request, protocol.Adjust):
            return adjust_color_map(request)
        if isinstance(request, protocol.ExportCube):
            text = ColorMap.from_json(request.color_map).to_cube(request.title)
            return protocol.CubeFile(content=text.encode("utf-8"))
        if isinstance(request, protocol.Harmonize):
            self._models.wait(pending.report)
            return HarmonizeJob(request, self._models, pending.report).run()
        if isinstance(request, protocol.SelectSubject):
            self._models.wait(pending.report)
            return select_layer_subject(request, self._models, pending.report)
        if isinstance(request, protocol.EstimateShadow):
            return estimate_layer_shadow(request)
        if isinstance(request, ScoreHarmony):
            self._models.wait(pending.report)
            return score_harmony(request, self._models, pending.report)
        if isinstance(request, PlaceWindows):
            return place_windows(request)
        if isinstance(request, MeasureFinish):
            return measure_finish(request)
        if isinstance(request, FinishReach):
            return find_reach(request)
        if isinstance(request, protocol.OpenWorkspace):
            if self._workspace:
                self._workspace.close()
            self._workspace = SharedWorkspace(self._folder, request.size)
            return protocol.WorkspaceOpened(file=self._workspace.file.name)
        if self._workspace and isinstance(request, protocol.Render):
            self._workspace.render(request.strip, self._prepared_map(request), pending.check)
            return protocol.Done()
        if self._workspace and isinstance(request, protocol.RenderShadow):
            return self._workspace.render_shadow(request)
        if self._workspace and isinstance(request, RefineMask):
            self._workspace.refine_mask(request, pending.report, pending.check)
            return protocol.Done()
        if self._workspace and isinstance(request, FinishStrip):
            self._workspace.finish(request, pending.check)
            return protocol.Done()
        if self._workspace and isinstance(request, protocol.RestoreUnchanged):
            self._workspace.restore_unchanged(request.strip)
            return protocol.Done()
        message = f"Unexpected request “{request.kind}” (is a workspace open?)."
        raise EngineError(message, code="engine.request")


def list_model_infos() -> protocol.ModelList:
    """Return all models that recolor, the default first."""
    from s2am_engine.models.model_store import default_model, list_models

    infos = [
        protocol.ModelInfo(name=each.card.name, description=each.card.description, bundled=each.bundled)
        for each in list_models()
        if each.card.recolors
    ]
    default = default_model()
    return protocol.ModelList(models=tuple(sorted(infos, key=lambda info: info.name != default)))
