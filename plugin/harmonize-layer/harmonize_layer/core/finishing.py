# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish of a layer: light, and grain, sharpness and edges, measured in small windows at full resolution."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from gimp_bridge.client import EngineClient
from gimp_bridge.finish_messages import FINISH_WINDOW, FinishMeasured, LayerFinish, MeasureFinish, PlaceWindows
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.composite import (
    LayerComposite,
    PredictedComposite,
    arrange,
    is_shown_alone,
    read_plane,
    twin_before,
)
from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer
from harmonize_layer.core.layers import area_of, layer_masks, temporary
from harmonize_layer.core.masks import WindowMask, enlarged_rows
from harmonize_layer.core.rendering import with_alpha
from harmonize_layer.core.settings import FinishSettings, HarmonizeSettings


@dataclass(frozen=True)
class FinishSample:
    """Windows of the visible image at full resolution, see `gimp_bridge.finish_messages`.

    windows: RGBA, one window after another.
    masks: the layer's share of their pixels, one byte per pixel.
    """

    windows: bytes
    masks: bytes


@dataclass(frozen=True)
class MeasuredLayer:
    """A finish with its values and the measurement that they are based on.

    sliders: the values by slider name.
    response: measurements, automatic values and notes.
    origin: position in the image of the part that was measured.
    """

    sliders: dict[str, float]
    response: FinishMeasured
    origin: tuple[int, int]

    def at(self, position: tuple[int, int]) -> LayerFinish | None:
        """Return the finish of pixels that begin at a position of the image; None if it changes nothing."""
        if not any(self.sliders.values()):
            return None
        left, top = (there - origin for there, origin in zip(position, self.origin, strict=True))
        return LayerFinish(sliders=self.sliders, measured=self.response.measured, left=left, top=top)


@dataclass
class FinishMeter:
    """Measures the finish of one layer; the last measurement is kept while its color map stays the same.

    predicted: the composite of the layer, and its prediction.
    sample: what `read_sample` returned for them.
    """

    predicted: PredictedComposite
    sample: FinishSample
    _last: tuple[tuple[dict[str, Any], float | None, bool], FinishMeasured] | None = field(default=None, repr=False)

    def measure(
        self,
        engine: EngineClient,
        chosen: FinishSettings,
        color_map: dict[str, Any],
        progress: ProgressCallback | None = None,
    ) -> MeasuredLayer:
        """Return the finish for the chosen settings and a color map with its sliders.

        Raises:
            S2AMError: the engine failed.
        """
        composite, result = self.predicted.composite, self.predicted.result
        window = composite.window
        sharpness = None if "sharpness" in chosen.automatic else chosen.sliders.get("sharpness", 0.0)
        light = "light" in chosen.automatic or bool(chosen.sliders.get("light"))
        wanted = color_map, sharpness, light
        if self._last is None or self._last[0] != wanted:
            request = MeasureFinish(
                width=window.columns,
                height=window.rows,
                pixels=with_alpha(composite.rgba, result.alpha),
                mask=result.mask,
                full_width=window.area.width,
                windows=self.sample.windows,
                window_masks=self.sample.masks,
                color_map=color_map,
                sharpness=sharpness,
                light=light,
            )
            self._last = wanted, engine.request(request, progress)
        response = self._last[1]
        return MeasuredLayer(chosen.resolved(response.automatic), response, (window.area.x, window.area.y))


def find_windows(
    engine: EngineClient, predicted: PredictedComposite, progress: ProgressCallback
) -> list[tuple[int, int]]:
    """Return left upper corners in the image of the windows to read. Raises S2AMError if the engine failed."""
    progress(ProgressUpdate(text="Measuring grain, sharpness and edges"))
    window = predicted.composite.window
    request = PlaceWindows(
        width=window.columns,
        height=window.rows,
        mask=predicted.result.mask,
        full_width=window.area.width,
        full_height=window.area.height,
    )
    positions = engine.request(request, progress).positions
    return [(window.area.x + x, window.area.y + y) for x, y in positions]


SampleSteps = Generator[None, None, FinishSample]
"""Reads a sample in steps of a few milliseconds each, except for the first one; returns it at the end."""


def read_sample(steps: SampleSteps) -> FinishSample:
    """Carry out all steps, one after another."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return cast(FinishSample, end.value)


def sample_steps(
    image: HostImage,
    layers: Sequence[HostLayer],
    settings: HarmonizeSettings,
    predicted: PredictedComposite,
    corners: Sequence[tuple[int, int]],
) -> SampleSteps:
    """Read windows of the image in which the first of several layers lies plainly on its reference.

    Args:
        image: the image.
        layers: the layer, and others that are harmonized in the same call.
        settings: the reference.
        predicted: the composite of the layer, and its prediction.
        corners: those of `find_windows`.
    """
    places = [PixelArea(x, y, FINISH_WINDOW, FINISH_WINDOW) for x, y in corners]
    composite, pixels, masks = predicted.composite, [], []
    with _shown_alone(image, layers, settings, composite) as (shown, layer):
        yield
        with closing(shown.visible_parts(places, crops=shown is not image)) as parts:
            for part in parts:
                pixels.append(part)
                yield
        for place in places:
            masks.append(_share_of(image, layer, predicted, place))
            yield
    if composite.selection_is_reference and image.selection:
        selected = [_plane(image.selection, place) for place in places]
        pixels = [
            with_alpha(rgba, bytes(map(min, rgba[3::4], map(max, chosen, mask))))
            for rgba, chosen, mask in zip(pixels, selected, masks, strict=True)
        ]
    return FinishSample(b"".join(pixels), b"".join(masks))


@contextmanager
def _shown_alone(
    image: HostImage, layers: Sequence[HostLayer], settings: HarmonizeSettings, composite: LayerComposite
) -> Iterator[tuple[HostImage, HostLayer]]:
    """Provide an image that shows the first layer plainly on its reference, and that layer in it.

    It is the image itself where that shows the layer so, and a copy otherwise.
    """
    (layer, *others), start = layers, composite.start
    others += [shadow.layer for shadow in start.shadows]
    if is_shown_alone(layer, others, settings, start) and not composite.subject:
        yield image, layer
        return
    with temporary(image.duplicate()) as copy:
        twin = twin_before(copy, layer, start)
        arrange(copy, twin, others, settings, image)
        if composite.subject:
            twin.add_mask(enlarged_rows(image, WindowMask(composite.subject, composite.window), area_of(twin)))
        if not twin.passes_through:
            twin.show_plainly()
        yield copy, twin


def _share_of(image: HostImage, layer: HostLayer, predicted: PredictedComposite, place: PixelArea) -> bytes:
    """Return the share of a layer in the pixels of a window: alpha × masks × selection × predicted mask."""
    composite, window = predicted.composite, Window(place, 1.0)
    planes = [read_plane(layer, "A u8", window), *(_plane(mask, place) for mask in layer_masks(layer))]
    if image.selection and not composite.selection_is_reference:
        planes.append(_plane(image.selection, place))
    if mask := predicted.predicted_mask:
        planes.append(image.enlarge(mask, composite.window, window))
    share, *others = planes
    for plane in others:
        # Rounded up, because only pixels without any of the layer count as background.
        share = bytes((first * second + 254) // 255 for first, second in zip(share, plane, strict=True))
    return share


def _plane(plane: HostDrawable, place: PixelArea) -> bytes:
    return read_plane(plane, "Y u8", Window(place, 1.0))
