# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonizing layers from beginning to end: look, ask the engine, paint, and only then touch the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from gi.repository import Gimp

from gimp_bridge import protocol
from gimp_bridge.client import Engine
from gimp_bridge.protocol import Progress
from harmonize_layer import effect, painting, results, scene
from harmonize_layer.arguments import Settings
from harmonize_layer.memory import Memory, original_of
from harmonize_layer.results import Finished
from harmonize_layer.scene import Scene

Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class Work:
    """What is to be done.

    image, layers: the picture, and its layers to harmonize.
    engine: with which nobody else talks meanwhile.
    tell: is told what is being done.
    """

    image: Gimp.Image
    layers: Sequence[Gimp.Layer]
    settings: Settings
    engine: Engine
    tell: Tell

    def run(self, shown: Scene | None = None) -> None:
        """Harmonize all layers, and leave the results in the picture.

        Args:
            shown: what the engine was shown last, for the first layer, if that still holds.

        Raises:
            RefusedError: the layers do not allow it.
            BridgeError: the engine can't do it.
        """
        finished = [self._finish(layer, shown if number == 0 else None) for number, layer in enumerate(self.layers)]
        keep_selection = self.settings.reference != "selection"
        results.leave(self.image, finished, keep_selection, self.settings.hide_original)

    def _finish(self, layer: Gimp.Layer, shown: Scene | None) -> Finished:
        settings, as_effect = self.settings, self.settings.result == "effect"
        if shown:
            view = shown
            adjust = protocol.Adjust(sliders=settings.sliders, effect=as_effect)
            answer = self.engine.adjust(adjust, self.tell)
        else:
            self.tell(Progress(words=f"Looking at “{layer.get_name()}”"))
            others = [other for other in self.layers if other.get_id() != layer.get_id()]
            view = scene.look(self.image, layer, others, settings)
            view = view if view.mask else found(self.engine, view, self.tell)
            answer = self.engine.harmonize(request(view, settings, preview=False), self.tell)
        memory = Memory(settings.result, settings.model, asdict(settings.sliders), answer.colour_map)
        area = view if view.found else None
        if as_effect:
            painted = [(layer, painting.restored(self.image, layer))] if original_of(layer) else []
            return Finished(layer, memory, painted, effect.values_for(layer, answer.matrix or ()), area)
        return Finished(layer, memory, painting.paint(self, layer, area))


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


def found(engine: Engine, view: Scene, tell: Tell) -> Scene:
    """The scene with what the engine finds pasted in it. Raises NothingFoundError if it finds nothing."""
    window = view.window
    looked_at = protocol.Detect(width=window.columns, height=window.rows, pixels=view.rgb, alpha=view.alpha)
    return view.with_found(engine.detect(looked_at, tell).mask)
