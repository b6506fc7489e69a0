# SPDX-License-Identifier: GPL-3.0-or-later
"""The interfaces through which the logic uses GIMP; `gimp.images` and `gimp.dialog` implement them.

Encodings are names of babl's formats, such as "R'G'B'A u8". Coordinates are pixels; (x, y) of a drawable is the
position of its upper left corner in the image.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from gimp_bridge.layer_pixels import NativeFormat, PixelLayout, ReadRows, WriteRows
from gimp_bridge.protocol import ModelInfo
from gimp_bridge.strip_messages import Depth
from harmonize_layer.core.geometry import PixelArea, Window

Matrix3 = Sequence[Sequence[float]]


@dataclass(frozen=True)
class OtherDrawable:
    """A selected drawable that is no layer, such as a channel."""

    name: str


@dataclass(frozen=True)
class Digests:
    """Digests of the pixels of two layers, see `HostLayer.digest`: one that was read, and one that was written."""

    read: str
    written: str


@dataclass(frozen=True)
class PixelAccess:
    """Functions that read a layer and write another one in the format that the engine gets.

    native: see `EngineClient.render`; None = the conversion is exact.
    flush: to call after the last row was written.
    digests: returns those of both layers; None if not all rows were exchanged in the layers' own format.
    """

    layout: PixelLayout
    read: ReadRows
    write: WriteRows
    native: NativeFormat | None
    flush: Callable[[], None]
    digests: Callable[[], Digests | None]


class HostDrawable(Protocol):
    """A layer, a layer mask or the selection."""

    @property
    def name(self) -> str:
        """Name in the Layers dialog."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""

    @property
    def position(self) -> tuple[int, int]:
        """Position in the image."""

    def read(self, encoding: str, area: PixelArea, scale: float = 1.0) -> bytes:
        """Return the pixels of an area, in the drawable's own coordinates times `scale`; outside they are 0."""


class HostLayer(HostDrawable, Protocol):
    """A layer or layer group."""

    @property
    def id(self) -> int:
        """Number that is unique while GIMP runs."""

    @property
    def is_valid(self) -> bool:
        """False once it was deleted, or its image closed."""

    @property
    def image(self) -> HostImage:
        """The image that it belongs to."""

    @property
    def parent(self) -> HostLayer | None:
        """The group."""

    @property
    def index(self) -> int:
        """Position in the list of its siblings, the topmost first."""

    @property
    def children(self) -> Sequence[HostLayer]:
        """The layers of a group, the topmost first."""

    @property
    def is_group(self) -> bool:
        """True for a layer group."""

    @property
    def is_visible(self) -> bool:
        """True if its own visibility is on."""

    @property
    def is_normal(self) -> bool:
        """True for mode Normal."""

    @property
    def opacity(self) -> float:
        """Opacity, from 0 to 100 %."""

    @property
    def is_plain(self) -> bool:
        """True for mode Normal and full opacity."""

    @property
    def passes_through(self) -> bool:
        """True for a group of mode Pass Through, whose layers are blended with the layers below the group."""

    @property
    def is_locked(self) -> bool:
        """True if its pixels are locked."""

    @property
    def is_visibility_locked(self) -> bool:
        """True if its visibility is locked."""

    @property
    def shows_mask(self) -> bool:
        """True if its layer mask is shown instead of its pixels."""

    @property
    def is_floating(self) -> bool:
        """True for a floating selection."""

    @property
    def floats_over_channel(self) -> bool:
        """True for a floating selection over a mask or channel."""

    @property
    def has_own_effects(self) -> bool:
        """True if it has layer effects of the plug-in."""

    @property
    def other_effects(self) -> Sequence[str]:
        """Names of its layer effects that are not the plug-in's."""

    @property
    def mask(self) -> HostDrawable | None:
        """The layer mask, if it is switched on."""

    @property
    def has_mask(self) -> bool:
        """True if it has a layer mask, switched on or off."""

    def parasite(self, name: str) -> bytes | None:
        """Return the content of a parasite; None if there is none."""

    def attach_parasite(self, name: str, data: bytes) -> None:
        """Attach a parasite, undoably; files and copies of the layer keep it."""

    def digest(self) -> str:
        """Return a number that changes with the size and with any pixel."""

    def set_visible(self, visible: bool) -> None:
        """Switch it visible or invisible."""

    def show_plainly(self) -> None:
        """Give it mode Normal and full opacity."""

    def show_pixels(self) -> None:
        """Show its pixels instead of its layer mask."""

    def anchor_as_layer(self) -> None:
        """Turn a floating selection into a layer."""

    def remove_own_effects(self) -> None:
        """Remove the layer effects of earlier runs of the plug-in."""

    def append_effects(self, gains: Sequence[Matrix3]) -> None:
        """Append the plug-in's layer effects, limited to the selection."""

    def add_mask(self, read: ReadRows) -> None:
        """Add a layer mask, undoably, with rows of its plane."""

    def merge_effects(self) -> None:
        """Apply all layer effects to the pixels."""

    def copy_pixels(self, source: HostLayer) -> None:
        """Copy the pixels of a layer of the same size and format, in an image without a window."""

    def replace_pixels(self, source: HostLayer) -> None:
        """Copy the pixels of a layer of the same size and format, undoably."""

    def copy_attributes(self, source: HostLayer) -> None:
        """Copy mode, opacity, locks, visibility and mask."""

    def multiply(self) -> None:
        """Give it mode Multiply, blended and composited in perceptual values."""

    def pixel_access(self, target: HostLayer) -> PixelAccess:
        """Return functions that read this layer and write a blank one."""

    def color_matrices(self) -> tuple[Matrix3, Matrix3] | None:
        """Return the matrices from linear sRGB to the layer's linear color space and back; None for grayscale."""


class PreviewStack(Protocol):
    """The layer on the pixels below it, reduced to a window, and blended by GIMP as on the canvas.

    All pixels are RGBA, 8-bit sRGB, with the size of the window.
    """

    @property
    def layer(self) -> bytes:
        """The layer's own pixels."""

    @property
    def before(self) -> bytes:
        """The blended pixels."""

    def limit(self, mask: bytes) -> None:
        """Show the layer through a further mask, a plane of the window's size."""

    def after(self, layer: bytes, limit: bytes = b"", shadow: bytes = b"") -> bytes:
        """Return the blended pixels after a change.

        Args:
            layer: the layer's new pixels.
            limit: a plane, instead of the mask of `limit`; empty = that mask.
            shadow: RGBA, in mode Multiply between the layer and what is below it; empty = no shadow.
        """

    def delete(self) -> None:
        """Free the memory."""


class HostImage(Protocol):
    """An image that is open in GIMP, or a copy that has no window."""

    @property
    def id(self) -> int:
        """Number that is unique while GIMP runs."""

    @property
    def is_valid(self) -> bool:
        """False once it was closed."""

    @property
    def name(self) -> str:
        """Name in the title of its window."""

    @property
    def drawables(self) -> Sequence[HostLayer | OtherDrawable]:
        """The selected layers, masks and channels."""

    @property
    def others(self) -> Sequence[HostImage]:
        """All other images that are open."""

    def read_file(self, path: str, side: int) -> tuple[int, int, bytes]:
        """Return an image file reduced to a largest side: columns, rows, and RGBA, 8-bit sRGB.

        Raises:
            OSError: GIMP cannot open it.
        """

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the canvas."""

    @property
    def offers_effects(self) -> bool:
        """True if this GIMP offers the operation of the plug-in's layer effects."""

    @property
    def is_indexed(self) -> bool:
        """True for an image with a palette."""

    @property
    def layers(self) -> Sequence[HostLayer]:
        """The layers of the top level, the topmost first."""

    @property
    def selection(self) -> HostDrawable | None:
        """The selection, if there is one."""

    def glimpse(self) -> str:
        """Return a number that changes with the visible pixels, roughly, and with the selection."""

    def duplicate(self) -> HostImage:
        """Return a copy without selection and undo history; GIMP copies pixels only when they change."""

    def new_like(self) -> HostImage:
        """Return an image of the same kind without layers, for layers that are not in the image yet."""

    def delete(self) -> None:
        """Delete a copy."""

    def raise_to_top(self, layer: HostLayer, index: int) -> None:
        """Move a layer to a position of the top level."""

    def crop(self, area: PixelArea) -> None:
        """Crop the canvas."""

    def read_visible(self, window: Window) -> bytes:
        """Return RGBA, 8-bit sRGB, of everything that is visible in a window."""

    def visible_parts(self, areas: Sequence[PixelArea], *, crops: bool) -> Generator[bytes, None, None]:
        """Yield RGBA, 8-bit sRGB, of everything that is visible in areas at full resolution; outside it is 0.

        Args:
            areas: the areas.
            crops: crop the canvas to each area meanwhile, so that GIMP renders nothing else; only for a copy. In an
                image that has a window, GIMP has rendered the whole canvas already, and gives it in a few milliseconds.
        """

    def preview_stack(self, layer: HostLayer, masks: Sequence[bytes], window: Window) -> PreviewStack:
        """Return a layer and the visible pixels below it, for the preview.

        Args:
            layer: a layer of this image, with nothing visible above it.
            masks: planes of the window: the masks that hide parts of the layer.
            window: of this image.
        """

    def enlarge(self, mask: bytes, window: Window, wanted: Window) -> bytes:
        """Enlarge a mask of a window to the scale of another, and return that part of it; outside it is 0."""

    def add_blank(self, layer: HostLayer) -> HostLayer:
        """Add a transparent layer of the same kind, size and position as a layer of any image, and return it."""

    @property
    def has_8_bits(self) -> bool:
        """True if its layers have 8 bits per channel."""

    def add_filled(self, area: PixelArea, color: Sequence[float], opacity: bytes, depth: Depth) -> HostLayer:
        """Add a layer of one color (red, green and blue, sRGB from 0 to 1) with an opacity, one value per pixel."""

    def insert_copy(self, layer: HostLayer, at: HostLayer, name: str, *, below: bool = False) -> HostLayer:
        """Insert a copy of a layer of any image, with the layers of a group, above or below another; return the copy.

        It becomes the selected layer.
        """

    def add_channel(self, name: str, read: ReadRows) -> None:
        """Add a channel with rows of its plane, undoably; the same layers stay selected."""

    def remove(self, layer: HostLayer) -> None:
        """Remove a layer, undoably."""

    def select_layers(self, layers: Sequence[HostLayer]) -> None:
        """Select layers in the Layers dialog."""

    def undo_group(self) -> AbstractContextManager[None]:
        """Combine all changes to one undo step."""

    def selected(self, mask: bytes | None, window: Window | None) -> AbstractContextManager[None]:
        """Replace the selection for a moment, by an enlarged mask or by none."""


class DialogView(Protocol):
    """The widgets of the dialog."""

    def show_status(self, text: str, busy: bool = False) -> None:
        """Show the state of the engine, or an error."""

    def show_notes(self, notes: Sequence[str]) -> None:
        """Show hints on the result."""

    def show_models(self, models: Sequence[ModelInfo]) -> None:
        """Fill the list of models."""

    def show_before(self, window: Window, rgba: bytes, mask: bytes, tinted: bool) -> None:
        """Show the composite and clear the result."""

    def show_mask(self, mask: bytes) -> None:
        """Tint a mask of the composite's size in the composite; empty = nothing is tinted."""

    def show_after(self, window: Window, rgba: bytes) -> None:
        """Show the result."""

    def show_detail(self, window: Window, before: bytes, after: bytes, mask: bytes) -> None:
        """Show a part of the composite and of the result at its own resolution; the mask is tinted."""

    def show_variant(self, model: str, strength: float, window: Window, rgba: bytes) -> None:
        """Show one of several variants, RGBA; choosing it sets model and strength."""

    def clear_after(self) -> None:
        """Clear the result."""

    def withdraw_subject(self) -> bool:
        """Choose another mask if the dialog itself had chosen the subject; return whether it did."""

    def reset_edges(self) -> None:
        """Set all edge values to 0, because the edges are part of the layer's mask now."""

    def show_shadow_values(self, values: Mapping[str, float]) -> None:
        """Show automatic values of the shadow, by slider name."""

    def show_finish_values(self, values: Mapping[str, float]) -> None:
        """Show measured values of the finish, by slider name: those that match the layer to its background."""

    def set_ready(self, ready: bool) -> None:
        """Allow or forbid harmonizing."""


class ProcedureValues(Protocol):
    """The arguments of the procedure."""

    def get_property(self, name: str) -> Any:
        """Return a value."""
