# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine kept warm: PyTorch and the models that were asked for are loaded once, for all who are connected."""

from __future__ import annotations

import copy
import os
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import s2am_engine
from gimp_bridge import protocol
from s2am_engine.errors import EngineError
from s2am_engine.models import model_store

if TYPE_CHECKING:
    from s2am_engine.inference.detector import Detector
    from s2am_engine.inference.harmonizer import Harmonizer

_Loaded = TypeVar("_Loaded")

Tell = Callable[[str], None]
"""Says what is being done; may raise to end the waiting."""


class Warm:
    """Loaded models; any thread may ask."""

    def __init__(self, device: str) -> None:
        """Begin to load the default model, in a thread of its own."""
        self._device = device
        self._models: dict[tuple[str, str, object], Any] = {}
        self._working = threading.Lock()
        self._on = ""
        self._failure = ""
        self._words = "starting: loading PyTorch"
        self._ready = threading.Event()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def status(self) -> protocol.Status:
        """How the engine is, in words."""
        state: protocol.State = "broken" if self._failure else "ready" if self._ready.is_set() else "starting"
        words = self._failure or self._words
        if state == "ready":
            words = "ready on the " + ("CPU" if self._on == "cpu" else "GPU")
        return protocol.Status(
            state=state, words=words, device=self._on, program=s2am_engine.__version__, process=os.getpid()
        )

    def is_starting(self) -> bool:
        """Whether PyTorch and the default model are still being loaded."""
        return not self._ready.is_set()

    def wait(self, tell: Tell) -> None:
        """Wait until PyTorch is loaded. Raises EngineError if it can't be."""
        while not self._ready.wait(0.05):
            tell(f"The engine is {self._words}")
        if self._failure:
            raise EngineError(self._failure)

    def harmonizer(self, model: str, tell: Tell) -> Harmonizer:
        """A model with a picture of its own; "" = the default model. Call `wait` before.

        Raises:
            EngineError: no such model, or it can't be loaded.
        """
        tell("Loading the model")
        with self._working:
            return self._harmonizer(model or model_store.DEFAULT_MODEL)

    def detector(self, tell: Tell) -> Detector:
        """The model that finds what was pasted. Call `wait` before.

        Raises:
            EngineError: it can't be loaded.
        """
        from s2am_engine.inference.detector import Detector

        tell("Loading the model")
        with self._working:
            return self._loaded(model_store.DETECTOR, Detector)

    def work(self) -> threading.Lock:
        """Held while a network works: PyTorch uses all processors for one picture already."""
        return self._working

    def _harmonizer(self, name: str) -> Harmonizer:
        from s2am_engine.inference.harmonizer import Harmonizer

        # A copy shares what was loaded, and replaces only what it knows of a picture.
        return copy.copy(self._loaded(name, Harmonizer))

    def _loaded(self, name: str, kind: Callable[[str, str], _Loaded]) -> _Loaded:
        # By its weights too: a personal model can be trained again under the same name.
        key = (name, model_store.find_model(name).card.sha256, kind)
        if key not in self._models:
            self._models[key] = kind(name, self._device)
        found: _Loaded = self._models[key]
        return found

    def _warm_up(self) -> None:
        try:
            with self._working:
                import torch  # noqa: F401 (what takes longest, so that the words say so)

                self._words = "starting: loading the model"
                model = self._harmonizer(model_store.DEFAULT_MODEL)
                self._on = model.device.type
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
