# SPDX-License-Identifier: GPL-3.0-or-later
"""The dialog's logic with a view that records its contents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harmonize_layer.core.geometry import Window
from harmonize_layer.core.presenter import DialogPresenter
from harmonize_layer.core.settings import FinishSettings, HarmonizeSettings

from gimp_bridge.protocol import ModelInfo
from tests.plugin.fake_gimp import Config
from tests.plugin.fake_images import Image, Layer
from tests.plugin.local_engine import ImmediateQueue, LocalEngine


class RecordingView:
    """A view that records its contents."""

    def __init__(self) -> None:
        self.status = ""
        self.busy = False
        self.notes: list[str] = []
        self.models: list[str] = []
        self.before: tuple[bytes, bytes, bool] | None = None
        self.after: bytes | None = None
        self.detail: tuple[Window, bytes, bytes, bytes] | None = None
        self.ready = False
        self.edges_reset = False
        self.tint: bytes | None = None
        self.shadow_values: dict[str, float] = {}
        self.finish_values: dict[str, float] = {}
        self.variants: list[tuple[str, float, bytes]] = []

    def withdraw_subject(self) -> bool:
        return False

    def reset_edges(self) -> None:
        self.edges_reset = True

    def show_shadow_values(self, values: Mapping[str, float]) -> None:
        self.shadow_values = dict(values)

    def show_finish_values(self, values: Mapping[str, float]) -> None:
        self.finish_values = dict(values)

    def set_ready(self, ready: bool) -> None:
        self.ready = ready

    def show_status(self, text: str, busy: bool = False) -> None:
        self.status, self.busy = text, busy

    def show_notes(self, notes: Sequence[str]) -> None:
        self.notes = list(notes)

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        self.models = [model.name for model in models]

    def show_before(self, window: Window, rgba: bytes, mask: bytes, tinted: bool) -> None:
        assert len(rgba) == 4 * window.columns * window.rows
        self.before, self.after = (rgba, mask, tinted), None

    def show_mask(self, mask: bytes) -> None:
        self.tint = mask

    def show_after(self, _window: Window, rgba: bytes) -> None:
        self.after = rgba

    def show_detail(self, window: Window, before: bytes, after: bytes, mask: bytes) -> None:
        self.detail = (window, before, after, mask)

    def show_variant(self, model: str, strength: float, _window: Window, rgba: bytes) -> None:
        self.variants.append((model, strength, rgba))

    def clear_after(self) -> None:
        self.after = None


class Presented:
    """A presenter with its view, queue and settings."""

    def __init__(self, image: Image, engine: LocalEngine, *layers: Layer) -> None:
        from harmonize_layer.gimp.images import GimpImage, GimpLayer

        self.values: dict[str, Any] = {}
        self.view, self.queue = RecordingView(), ImmediateQueue()
        wrapped = [GimpLayer(layer) for layer in layers]
        self.presenter = DialogPresenter(
            self.view,
            GimpImage(image),
            wrapped,
            engine,
            read_settings=lambda: HarmonizeSettings(**self.values),
            new_queue=lambda: self.queue,  # type: ignore[arg-type, return-value]
        )

    def change(self, name: str, value: Any) -> None:
        """Change an argument of the procedure."""
        if name in Config().values and name not in ("strength", "warmth"):
            self.values[name.replace("-", "_")] = value
        else:
            self.values["sliders"] = {**self.values.get("sliders", {}), name: value}
        self.presenter.settings_changed(name)

    def change_finish(self, argument: str, finish: FinishSettings) -> None:
        """Change an argument of the finish."""
        self.values["finish"] = finish
        self.presenter.settings_changed(argument)
