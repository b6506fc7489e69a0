# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing layers from beginning to end: look, ask the engine, paint, and only then touch the picture."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

from gi.repository import Gimp

from gimp_bridge import protocol
from gimp_bridge.client import Engine
from gimp_bridge.protocol import BridgeError, Progress
from harmonize_layer import effect, painting, results, scene
from harmonize_layer.arguments import Settings
from harmonize_layer.memory import Memory, original_of
from harmonize_layer.results import Finished
from harmonize_layer.scene import Scene
from harmonize_layer.stopwatch import Stopwatch

Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Work:
    """What is to be done.

    image, layers: the picture, and its layers to harmonize.
    engine: with which nobody else talks meanwhile.
    tell: is told what is being done.
    watch: times it.
    """

    image: Gimp.Image
    layers: Sequence[Gimp.Layer]
    settings: Settings
    engine: Engine
    tell: Tell
    watch: Stopwatch = field(default_factory=Stopwatch)

    def run(self, shown: Scene | None = None) -> None:
        """Harmonize all layers, and leave the results in the picture.

        Args:
            shown: what the engine was shown last, for the first layer, if that still holds.

        Raises:
            RefusedError: the layers do not allow it.
            BridgeError: the engine can't do it.
        """
        waking = None if shown else Waking(self.engine)
        views = [shown] if shown else [self._look(self.layers[0])]
        if waking:
            waking.wait(self.tell)
        views += [self._look(layer) for layer in self.layers[1:]]
        finished = [self._finish(layer, view, view is shown) for layer, view in zip(self.layers, views, strict=True)]
        keep_selection = self.settings.reference != "selection"
        results.leave(self.image, finished, keep_selection, self.settings.hide_original)
        self.watch.lap("leaving")

    def _look(self, layer: Gimp.Layer) -> Scene:
        self.tell(Progress(words=f"Looking at “{layer.get_name()}”"))
        others = [other for other in self.layers if other.get_id() != layer.get_id()]
        view = scene.look(self.image, layer, others, self.settings)
        self.watch.lap("looking")
        return view

    def _finish(self, layer: Gimp.Layer, view: Scene, known: bool) -> Finished:
        """Ask the engine about a scene, unless that is what it was shown last, and paint."""
        settings, as_effect = self.settings, self.settings.result == "effect"
        if known:
            adjust = protocol.Adjust(sliders=settings.sliders, effect=as_effect)
            answer = self.engine.adjust(adjust, self.tell)
        else:
            view = view if view.mask else found(self.engine, view, self.tell, likeliest=self.settings.mask == "detect")
            answer = self.engine.harmonize(request(view, settings, preview=False), self.tell)
        self.watch.lap("asking")
        memory = Memory(settings.result, settings.model, asdict(settings.sliders), answer.color_map)
        area = view if view.found else None
        if as_effect:
            painted = [(layer, painting.restored(self.image, layer))] if original_of(layer) else []
            return Finished(layer, memory, painted, effect.values_for(layer, answer.matrix or ()), area)
        painted = painting.paint(self, layer, area)
        self.watch.lap("painting")
        return Finished(layer, memory, painted)


class Waking:
    """Starts the engine while something else is done."""

    def __init__(self, engine: Engine) -> None:
        """Begin; until `wait` has ended, nobody else may talk with the engine."""
        self._engine = engine
        self._thread = threading.Thread(target=self._wake, daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        with contextlib.suppress(BridgeError):  # what is wrong with it, the first real question tells
            self._engine.status()

    def wait(self, tell: Tell) -> None:
        """Wait until it can be asked."""
        while self._thread.is_alive():
            tell(Progress(words="Starting the engine"))
            self._thread.join(0.1)


def request(view: Scene, settings: Settings, *, preview: bool) -> protocol.Harmonize:
    """What to ask the engine about a scene."""
    return protocol.Harmonize(
        width=view.window.columns,
        height=view.window.rows,
        pixels=view.rgb,
        alpha=view.alpha,
        mask=view.mask,
        model=settings.model,
        sliders=settings.sliders,
        preview=preview,
        effect=settings.result == "effect",
    )


def found(engine: Engine, view: Scene, tell: Tell, *, likeliest: bool) -> Scene:
    """The scene with what the engine finds pasted in it, or with the part that is likeliest to be.

    Raises:
        NothingFoundError: it finds nothing.
    """
    columns, rows = view.window.columns, view.window.rows
    asked = protocol.Detect(width=columns, height=rows, pixels=view.rgb, alpha=view.alpha, likeliest=likeliest)
    answer = engine.detect(asked, tell)
    return view.with_found(answer.mask, answer.sure)
