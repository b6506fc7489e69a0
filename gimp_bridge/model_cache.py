# SPDX-License-Identifier: GPL-3.0-or-later
"""The models, loaded once for all clients of the engine process."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

import s2am_engine
from gimp_bridge import protocol
from s2am_common.errors import EngineError, ModelError, S2AMError
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.subject import SubjectSelector
from s2am_engine.models import model_store
from s2am_engine.models.downloads import default_subject_model
from s2am_engine.models.purposes import DETECTION, HARMONIZATION, Purpose

_Loaded = TypeVar("_Loaded")

ReportText = Callable[[str], None]
"""Called with the current step; an exception of it ends the waiting."""

logger = logging.getLogger(__name__)

STARTING = "starting: loading the model"


class ModelCache:
    """Loaded models. All methods may be called from any thread."""

    def __init__(self, device: str) -> None:
        """Load the default model in a background thread."""
        self._device = device
        self._models: dict[tuple[str, str, object], Any] = {}
        self._selectors: dict[str, SubjectSelector] = {}
        self._computing = threading.Lock()
        self._loaded_device = ""
        self._failure: S2AMError | None = None
        self._ready = threading.Event()
        threading.Thread(target=self._load_default, name="load-default", daemon=True).start()

    def status(self) -> protocol.EngineStatus:
        """Return the engine's status."""
        state: protocol.EngineState = "broken" if self._failure else "ready" if self._ready.is_set() else "starting"
        text = str(self._failure or STARTING)
        if state == "ready":
            text = "ready on the " + ("CPU" if self._loaded_device == "cpu" else "GPU")
        return protocol.EngineStatus(
            state=state, text=text, device=self._loaded_device, version=s2am_engine.__version__, process=os.getpid()
        )

    def is_starting(self) -> bool:
        """Return whether the default model is still being loaded."""
        return not self._ready.is_set()

    def wait(self, report: ReportText) -> None:
        """Wait until the default model is loaded. Raises S2AMError if that failed."""
        while not self._ready.wait(0.05):
            report(f"The engine is {STARTING}")
        if self._failure:
            raise S2AMError.from_dict(self._failure.to_dict())

    def harmonizer(self, model: str, report: ReportText) -> Harmonizer:
        """Return the harmonizer of a model; "" = the default. Call `wait` before.

        Raises:
            EngineError: the model does not exist, or cannot be loaded.
        """
        report("Loading the model")
        with self._computing:
            return self._harmonizer(model or model_store.default_model())

    def detector(self, report: ReportText) -> Detector:
        """Return the detector, which predicts masks. Call `wait` before.

        Raises:
            EngineError: it cannot be loaded.
        """
        report("Loading the model")
        with self._computing:
            return self._loaded(model_store.DETECTOR, Detector, DETECTION)

    def subject_selector(self, model: str, report: ReportText) -> SubjectSelector:
        """Return the selector of subjects with a model; "" = the default. Call `wait` before.

        Raises:
            EngineError: the model does not exist, or cannot be loaded.
        """
        report("Loading the model")
        name = model or default_subject_model()
        with self._computing:
            if name not in self._selectors:
                self._selectors[name] = SubjectSelector(name, self._device)
            return self._selectors[name]

    def computing(self) -> threading.Lock:
        """Return the lock to hold while a network runs: several at once would share the processors and their memory."""
        return self._computing

    def _harmonizer(self, name: str) -> Harmonizer:
        return self._loaded(name, Harmonizer, HARMONIZATION)

    def _loaded(self, name: str, kind: Callable[[str, str], _Loaded], purpose: Purpose) -> _Loaded:
        # The weights are part of the key: a personal model can be trained again under the same name.
        key = (name, model_store.find_model(name, purpose).card.sha256, kind)
        if key not in self._models:
            started = time.monotonic()
            self._models[key] = kind(name, self._device)
            logger.info("Loaded the model %s in %.1f s", name, time.monotonic() - started)
        loaded: _Loaded = self._models[key]
        return loaded

    def _load_default(self) -> None:
        try:
            with self._computing:
                try:
                    model = self._harmonizer(model_store.default_model())
                except ModelError as error:  # the settings name a model that was removed; requests report it
                    logger.warning("The default model cannot be loaded: %s", error)
                    model = self._harmonizer(model_store.DEFAULT_MODEL)
                self._loaded_device = model.device
                pixels = np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)
                mask = np.zeros((64, 64), np.uint8)
                mask[16:48, 16:48] = 255
                model(pixels, mask).render()  # the first prediction takes ten times as long as later ones
        except S2AMError as error:
            self._failure = error
        except Exception as error:
            logger.exception("the default model cannot be loaded")
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            self._failure = EngineError(f"The engine cannot load the default model ({reason}).", code="engine.start")
        logger.info("The engine is %s", self._failure or f"ready on {self._loaded_device}")
        self._ready.set()
