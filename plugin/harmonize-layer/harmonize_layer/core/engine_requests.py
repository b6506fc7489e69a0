# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's requests to the engine, and the engine's status line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from gimp_bridge.background_queue import BackgroundQueue
from gimp_bridge.client import EngineClient
from gimp_bridge.protocol import EngineStatus, ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.host import DialogView
from harmonize_layer.core.messages import error_message

_Result = TypeVar("_Result")


class EngineRequests:
    """Sends requests in another thread, one after another; results, progress and errors arrive in the dialog's thread.

    engine: must be used outside the jobs only while the requests are suspended.
    is_suspended: True within `suspended`.
    """

    def __init__(self, view: DialogView, engine: EngineClient, new_queue: Callable[[], BackgroundQueue]) -> None:
        """Start the first queue.

        Args:
            view: shows progress, errors and the engine's status.
            engine: the client.
            new_queue: returns a queue that carries out requests in another thread.
        """
        self.engine, self.is_suspended = engine, False
        self._view, self._new_queue = view, new_queue
        self._queue = new_queue()
        self._status = ""

    def submit(
        self,
        job: Callable[[EngineClient, ProgressCallback], _Result],
        done: Callable[[_Result], None],
        failed: Callable[[Exception], None] | None = None,
        *,
        key: object,
    ) -> None:
        """Queue a job; one of the two functions is called afterwards, unless it is replaced or the queue is closed.

        Args:
            job: called in the other thread with the engine and a callback that shows progress.
            done: gets the result of the job.
            failed: gets its exception; None = `show_error`.
            key: replaces a waiting job with the same key.
        """
        self._queue.submit(lambda: job(self.engine, self._report), done, failed or self.show_error, key=key)

    def post(self, function: Callable[[], None]) -> None:
        """Call a function in a later turn of the dialog's main loop, unless the queue is closed before."""
        self._queue.post(function)

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Drop all requests, and leave the engine to the caller until the end of the block."""
        self._queue.close()
        self.is_suspended = True
        try:
            yield
        finally:
            self.is_suspended = False
            self._queue = self._new_queue()

    def close(self) -> None:
        """Drop all requests, for good."""
        self._queue.close()

    def update_status(self) -> None:
        """Ask the engine for its status, and show it."""

        def done(status: EngineStatus) -> None:
            self._status = f"The engine is {status.text}" if status.state == "ready" else status.text
            self.show_status()

        self.submit(lambda engine, report: engine.status(report), done, key="status")

    def show_status(self) -> None:
        """Show the engine's status as of the last `update_status`."""
        self._view.show_status(self._status)

    def show_error(self, error: Exception) -> None:
        """Show an error instead of the result."""
        self._view.clear_after()
        self._view.show_notes([])
        self._view.show_status(error_message(error))

    def _report(self, update: ProgressUpdate) -> None:
        """Show progress; called in the thread of the queue."""
        self._queue.post(self._view.show_status, update.text, True)
