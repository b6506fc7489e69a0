# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that sends the requests of a dialog."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from gimp_bridge.client import EngineClient
from s2am_common.errors import CancelledError, S2AMError

logger = logging.getLogger(__name__)

_CLOSE_SECONDS = 1.0  # time for the engine to stop a request before the connection is closed

Post = Callable[..., object]
"""Calls a function in the dialog's thread, as GLib.idle_add does; the function returns None."""


class BackgroundQueue:
    """A thread that sends a dialog's requests, one after another, and reports their results to the dialog's thread.

    queue = BackgroundQueue(engine, post=GLib.idle_add)
    queue.submit(lambda: engine.request(request), done=show, failed=show_error, key="adjust")
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
