# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls that wait, made from a dialog that must not: one thread does them, and the dialog is told when they are done.

background = Background(engine, post=GLib.idle_add)
background.do(lambda: engine.adjust(request), done=show, failed=complain, key="adjust")
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from gimp_bridge.client import Engine
from gimp_bridge.protocol import BridgeError, CancelledError

Post = Callable[..., object]
"""Calls a function with arguments in the dialog's thread, as GLib.idle_add does; what it returns must be falsy."""

_PATIENCE = 1.0  # seconds that the engine has to stop


class Background:
    """A thread that does one job after the other."""

    def __init__(self, engine: Engine, post: Post) -> None:
        """Start the thread.

        Args:
            engine: what the jobs use; nobody else may while there are jobs.
            post: how to call a function in the dialog's thread.
        """
        self._engine = engine
        self._post = post
        self._jobs: OrderedDict[object, tuple[Callable[[], Any], Callable[[Any], None], Callable[[str], None]]]
        self._jobs = OrderedDict()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def do(
        self,
        job: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None],
        key: object = None,
    ) -> None:
        """Queue a job; one of the two functions is called in the dialog's thread, unless it is cancelled or closed.

        Args:
            job: calls the engine.
            done: gets what the job returned.
            failed: gets the sentence of a `BridgeError`.
            key: a job that waits under the same key is dropped, so that sliders never queue up; None = never.
        """
        with self._changed:
            if not self._closed:
                key = object() if key is None else key
                self._jobs.pop(key, None)
                self._jobs[key] = (job, done, failed)
                self._changed.notify()

    def tell(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the dialog's thread, for progress; nothing once it is closed."""

        def call() -> None:
            if not self._closed:
                function(*arguments)

        self._post(call)

    def cancel(self) -> None:
        """Drop all jobs, also the one that is being done."""
        with self._changed:
            self._jobs.clear()
        self._engine.cancel()

    def close(self) -> None:
        """Cancel everything and end the thread; then the engine is free for other uses."""
        with self._changed:
            self._closed = True
            self._jobs.clear()
            self._changed.notify()
        self._engine.cancel()
        self._thread.join(_PATIENCE)
        if self._thread.is_alive():  # the engine hangs: without it, the job ends
            self._engine.hang_up()
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
                answer = job()
            except CancelledError:
                continue
            except BridgeError as error:
                self.tell(failed, str(error))
            except Exception as error:  # a mistake in the program must not leave the dialog waiting
                self.tell(failed, f"This should not have happened ({type(error).__name__}: {error}): report it.")
            else:
                self.tell(done, answer)
