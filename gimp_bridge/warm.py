# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine kept warm: PyTorch and the models that were asked for are loaded once, for all who are connected."""

from __future__ import annotations

import copy
import os
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

import s2am_engine
from gimp_bridge import protocol
from s2am_engine import model_store
from s2am_engine.errors import EngineError

if TYPE_CHECKING:
    from s2am_engine.harmonizer import Harmonizer

Tell = Callable[[str], None]
"""Says what is being done; may raise to end the waiting."""


class Warm:
    """Loaded models; any thread may ask."""

    def __init__(self, device: str) -> None:
        """Begin to load the default model, in a thread of its own."""
        self._device = device
        self._models: dict[tuple[str, str], Harmonizer] = {}
        self._working = threading.Lock()  # PyTorch uses all processors for one picture already
        self._failure = ""
        self._words = "starting: loading PyTorch"
        self._ready = threading.Event()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def status(self) -> protocol.Status:
        """How the engine is, in words."""
        state: protocol.State = "broken" if self._failure else "ready" if self._ready.is_set() else "starting"
        device = ""
        words = self._failure or self._words
        if state == "ready":
            device = next((str(each.device) for each in self._models.values()), "")
            words = "ready on the " + ("CPU" if device == "cpu" else "GPU")
        return protocol.Status(
            state=state, words=words, device=device, program=s2am_engine.__version__, process=os.getpid()
        )

    def harmonizer(self, model: str, tell: Tell) -> Harmonizer:
        """A model with a picture of its own, once it is loaded.

        Raises:
            EngineError: no such model, or it can't be loaded.
        """
        self.wait(tell)
        tell("Loading the model")
        with self._working:
            # A copy shares what was loaded and replaces only what it knows of a picture.
            return copy.copy(self._loaded(model or model_store.DEFAULT_MODEL))

    def wait(self, tell: Tell) -> None:
        """Wait until PyTorch is loaded. Raises EngineError if it can't be."""
        while not self._ready.wait(0.05):
            tell(f"The engine is {self._words}")
        if self._failure:
            raise EngineError(self._failure)

    def work(self) -> threading.Lock:
        """Held while a network works."""
        return self._working

    def _loaded(self, name: str) -> Harmonizer:
        from s2am_engine.harmonizer import Harmonizer

        # By its weights too: a personal model can be trained again under the same name.
        key = (name, model_store.find_model(name).card.sha256)
        if key not in self._models:
            self._models[key] = Harmonizer(name, self._device)
        return self._models[key]

    def _warm_up(self) -> None:
        try:
            with self._working:
                import torch  # noqa: F401 (what takes longest, so that the words say so)

                self._words = "starting: loading the model"
                model = copy.copy(self._loaded(model_store.DEFAULT_MODEL))
                pixels = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
                mask = np.zeros((64, 64), np.uint8)
                mask[16:48, 16:48] = 255
                model.set_picture(pixels, mask)  # the first look takes ten times as long as the next
                model.harmonize()
        except EngineError as error:
            self._failure = str(error)
        except Exception as error:
            traceback.print_exc()
            what = f"{type(error).__name__}: {error}".splitlines()[0]
            self._failure = f"The engine can't load PyTorch ({what}): run the installer again (python3 -m installer)."
        self._ready.set()
