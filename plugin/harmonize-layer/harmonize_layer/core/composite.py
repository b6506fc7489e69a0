# SPDX-License-Identifier: GPL-3.0-or-later
"""The reduced composite that the engine gets: the layer on the visible background, read without changing the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Harmonize, HarmonizeResponse, MaskSource
from gimp_bridge.mask_messages import SelectSubject
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core import messages
from harmonize_layer.core.geometry import PixelArea, Window, choose_window, reduced_scale
from harmonize_layer.core.host import HostDrawable, HostImage, HostLayer, PreviewStack
from harmonize_layer.core.layers import (
    area_of,
    every_layer,
    expose,
    is_exposed,
    layer_at,
    layer_masks,
    path_of,
    prepare_twin,
    show_on_reference,
    temporary,
)
from harmonize_layer.core.metadata import load_metadata
from harmonize_layer.core.photographs import ReferenceImage, read_reference_images
from harmonize_layer.core.settings import HarmonizeSettings
from harmonize_layer.core.starting_point import StartingPoint, find_starting_point
from s2am_common.errors import MaskError

_OPAQUE = 255


@dataclass(frozen=True)
class LayerComposite:
    """The reduced composite of one layer; the planes have the size of the window.

    name: of the layer, for messages.
    start: what the layer is harmonized from.
    window: the part of the image.
    rgba: the visible pixels.
    layer_alpha, layer_masks, selection, reference: see `Harmonize`.
    mask_source: which mask the engine should use.
    photographs: further references.
    stack: for the preview of a layer with a mode or opacity of its own, with a subject, or with a shadow.
    selects_subject: the layer's subject is to be selected, see `with_subject`.
    subject: plane of the selected subject, which is one of the `layer_masks` as well; else empty.
    is_empty: the layer has no visible pixel, on the canvas or outside of it.
    """

    name: str
    start: StartingPoint
    window: Window
    rgba: bytes
    layer_alpha: bytes
    layer_masks: bytes = b""
    selection: bytes = b""
    selection_is_reference: bool = False
    reference: bytes = b""
    mask_source: MaskSource = "layer"
    photographs: tuple[ReferenceImage, ...] = ()
    is_empty: bool = False
    stack: PreviewStack | None = None
    selects_subject: bool = False
    subject: bytes = b""

    def with_subject(self, mask: bytes) -> LayerComposite:
        """Return the composite with the subject of the layer cut out by a mask, a plane."""
        assert self.stack is not None
        self.stack.limit(mask)
        masks = self.layer_masks + mask
        return replace(self, rgba=self.stack.before, layer_masks=masks, selects_subject=False, subject=mask)

    @property
    def mask_planes(self) -> list[bytes]:
        """The layer masks, one by one."""
        size = self.window.columns * self.window.rows
        return [self.layer_masks[start : start + size] for start in range(0, len(self.layer_masks), size)]

    def request(self, model: str, *, likeliest: bool, predicted: bytes = b"") -> Harmonize:
        """Return the request to predict its color map, see `Harmonize`."""
        return Harmonize(
            width=self.window.columns,
            height=self.window.rows,
            pixels=self.rgba,
            layer_alpha=self.layer_alpha,
            layer_masks=self.layer_masks,
            selection=self.selection,
            selection_is_reference=self.selection_is_reference,
            reference=self.reference,
            predicted=predicted,
            mask_source=self.mask_source,
            photographs=b"".join(photograph.rgba for photograph in self.photographs),
            photograph_sizes=tuple(
                side for photograph in self.photographs for side in (photograph.columns, photograph.rows)
            ),
            likeliest=likeliest,
            model=model,
        )


@dataclass(frozen=True)
class PredictedComposite:
    """The composite of a layer, with its subject if that was to be selected, and the engine's prediction for it."""

    composite: LayerComposite
    result: HarmonizeResponse

    @property
    def predicted_mask(self) -> bytes:
        """Plane of the mask that the detector predicted; empty = the mask is that of the layer."""
        return self.result.mask if self.result.mask_predicted else b""


def read_composite(
    image: HostImage,
    layer: HostLayer,
    others: Sequence[HostLayer],
    settings: HarmonizeSettings,
    *,
    for_preview: bool = False,
) -> LayerComposite:
    """Read the composite for a layer.

    Args:
        image: the image.
        layer: the layer to harmonize.
        others: layers that are harmonized in the same call, and therefore no reference.
        settings: reference and mask.
        for_preview: also provide the `PreviewStack` if the layer has a mode or opacity of its own, or a shadow.

    Raises:
        LayerError: the reference is missing, or a further one cannot be read.
    """
    if settings.reference == "selection" and image.selection is None:
        raise messages.no_reference_area()
    start = find_starting_point(image, layer, settings)
    others = [*others, *(shadow.layer for shadow in start.shadows)]
    return _CompositeReader(image, layer, others, settings, start, for_preview).read()


@dataclass(frozen=True)
class _VisiblePixels:
    """Pixels of a layer on its reference; the fields are those of `LayerComposite`."""

    window: Window
    rgba: bytes
    layer_alpha: bytes
    reference: bytes = b""
    stack: PreviewStack | None = None


@dataclass(frozen=True)
class _CompositeReader:
    """Reads the composite of a layer; for the fields see `read_composite`. `others` include the layer's own shadows."""

    image: HostImage
    layer: HostLayer
    others: Sequence[HostLayer]
    settings: HarmonizeSettings
    start: StartingPoint
    for_preview: bool

    def read(self) -> LayerComposite:
        """Return the composite."""
        selection = self.image.selection
        seen = self._read_image() if self._is_shown_alone else self._read_copy()
        return LayerComposite(
            name=self.layer.name,
            start=self.start,
            window=seen.window,
            rgba=seen.rgba,
            layer_alpha=seen.layer_alpha,
            layer_masks=b"".join(self._mask_planes(seen.window)),
            selection=read_plane(selection, "Y u8", seen.window) if selection else b"",
            selection_is_reference=self.settings.reference == "selection",
            reference=seen.reference,
            mask_source="predicted" if self.settings.mask == "detect" else _automatic_mask(self.image, self.start),
            photographs=read_reference_images(self.image, self.settings),
            is_empty=not any(seen.layer_alpha) and _is_empty(self.layer),
            stack=seen.stack,
            selects_subject=self._selects_subject,
        )

    @property
    def _selects_subject(self) -> bool:
        layer, wanted = self.layer, self.settings.mask == "subject"
        return wanted and layer.mask is None and self.start.metadata is None and not layer.passes_through

    @property
    def _shows_shadow(self) -> bool:
        return self.for_preview and self.settings.shadow is not None

    @property
    def _is_shown_alone(self) -> bool:
        """True if the image shows all that is needed, so that no copy of it must be arranged."""
        if self._selects_subject or self._shows_shadow:
            return False
        return is_shown_alone(self.layer, self.others, self.settings, self.start)

    def _mask_planes(self, window: Window) -> list[bytes]:
        return [read_plane(mask, "Y u8", window) for mask in layer_masks(self.layer)]

    def _read_image(self) -> _VisiblePixels:
        window = choose_window(self.image.size, area_of(self.layer))
        alpha = read_plane(self.layer, "A u8", window)
        return _VisiblePixels(window, self.image.read_visible(window), alpha)

    def _read_copy(self) -> _VisiblePixels:
        """Read a copy of the image in which the layer is shown plainly on its reference."""
        on_layer = self.settings.reference == "layer"
        with temporary(self.image.duplicate()) as copy:
            twin = twin_before(copy, self.layer, self.start)
            window = choose_window(self.image.size, area_of(twin))
            alpha = read_plane(twin, "A u8", window)
            arrange(copy, twin, self.others, self.settings, self.image)
            planes, shown, stack = self._mask_planes(window), crop_to(copy, window), None
            is_blended = self.for_preview and not on_layer and (self._shows_shadow or not twin.is_plain)
            if self._selects_subject or (is_blended and not twin.passes_through):
                stack = copy.preview_stack(twin, planes, shown)
            if not twin.passes_through:
                twin.show_plainly()
            rgba, reference = copy.read_visible(shown), b""
            if on_layer:
                twin.set_visible(False)
                reference = copy.read_visible(shown)
        return _VisiblePixels(window, rgba, alpha, reference, stack)


def is_shown_alone(
    layer: HostLayer, others: Sequence[HostLayer], settings: HarmonizeSettings, start: StartingPoint
) -> bool:
    """Return whether the image itself shows the layer plainly on its reference; else a copy is arranged so.

    Args:
        layer: the layer to harmonize.
        others: visible layers that are no reference.
        settings: the reference.
        start: what the layer is harmonized from.
    """
    return settings.reference != "layer" and not others and start.original is None and is_exposed(layer)


def twin_before(copy: HostImage, layer: HostLayer, start: StartingPoint) -> HostLayer:
    """Return the layer of a copy, as it was before it was harmonized."""
    if start.original:
        before = prepare_twin(copy, start.original, keeps_own_effects=False)
        layer_at(copy, path_of(layer)).copy_pixels(before)
        before.set_visible(False)
    return prepare_twin(copy, layer, keeps_own_effects=start.keeps_own_effects)


def arrange(
    copy: HostImage, twin: HostLayer, others: Sequence[HostLayer], settings: HarmonizeSettings, image: HostImage
) -> None:
    """Show only the layer and its reference in a copy."""
    for layer in every_layer(copy):
        if layer.shows_mask:
            layer.show_pixels()
    for other in others:
        layer_at(copy, path_of(other)).set_visible(False)
    if settings.reference == "layer":
        show_on_reference(copy, twin, settings.reference_layer, image)
    else:
        expose(twin)


def _automatic_mask(image: HostImage, start: StartingPoint) -> MaskSource:
    """Return where the mask comes from: the detector may be needed if there is one layer, or also its original."""
    layers = [layer for layer in every_layer(image) if not layer.is_group]
    only_original = start.original is not None and start.metadata is not None and start.metadata.mask_predicted
    return "layer-or-predicted" if len(layers) == (2 if only_original else 1) else "layer"


def request_subject(engine: EngineClient, composite: LayerComposite, progress: ProgressCallback) -> bytes:
    """Ask the engine for the subject of a composite's layer; return a plane.

    Raises:
        MaskError: there is no clear subject.
        S2AMError: other errors of the engine.
    """
    assert composite.stack is not None
    window, pixels = composite.window, composite.stack.layer
    request = SelectSubject(width=window.columns, height=window.rows, pixels=pixels)
    return engine.request(request, progress).mask


def lacks_mask(image: HostImage, layer: HostLayer) -> bool:
    """Return whether a layer has no mask of its own: it is opaque, and another layer is visible."""
    if layer.mask or layer.is_group or load_metadata(layer) or image.selection:
        return False
    visible = [other for other in every_layer(image) if other.is_visible and not other.is_group]
    return len(visible) > 1 and min(_reduced_alpha(layer)) == _OPAQUE


def request_color_map(
    engine: EngineClient, composite: LayerComposite, request: Harmonize, progress: ProgressCallback
) -> HarmonizeResponse:
    """Ask the engine for the color map of a composite.

    Args:
        engine: the engine.
        composite: the composite.
        request: made by `LayerComposite.request`.
        progress: called with each step.

    Raises:
        LayerError: the layer is empty, or nothing else is visible.
        S2AMError: other errors of the engine.
    """
    try:
        return engine.request(request, progress)
    except MaskError as error:
        if error.code == "mask.empty":
            failed = messages.empty if composite.is_empty else messages.outside
            raise failed(composite.name) from error
        if error.code == "mask.no-background":
            raise messages.no_reference(composite.name) from error
        raise


def read_plane(drawable: HostDrawable, encoding: str, window: Window) -> bytes:
    """Return the part of a drawable that a window of the image covers, at its scale."""
    return drawable.read(encoding, window.relative_to(drawable.position), window.scale)


def crop_to(copy: HostImage, window: Window) -> Window:
    """Crop a copy to the window, so GIMP composites only that part, and return the window in it."""
    if (window.area.width, window.area.height) == copy.size:
        return window
    copy.crop(window.area)
    return replace(window, area=replace(window.area, x=0, y=0))


def _is_empty(layer: HostLayer) -> bool:
    """Return whether a layer has no visible pixel, on the canvas or outside of it."""
    return not any(_reduced_alpha(layer))


def _reduced_alpha(layer: HostLayer) -> bytes:
    window = Window(PixelArea(0, 0, *layer.size), reduced_scale(layer.size))
    return layer.read("A u8", window.relative_to((0, 0)), window.scale)
