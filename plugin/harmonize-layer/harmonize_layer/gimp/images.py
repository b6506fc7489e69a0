# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP's images, layers and masks behind the interfaces of `core.host`."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from gi.repository import Gegl, Gimp

from gimp_bridge.layer_pixels import ReadRows
from gimp_bridge.strip_messages import Depth
from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.core.host import HostLayer, Matrix3, OtherDrawable, PixelAccess
from harmonize_layer.gimp import effects, pixels, visible_pixels
from harmonize_layer.gimp.copies import is_copy, mark_copy, wait_for_groups
from harmonize_layer.gimp.preview_stack import BLENDING, GimpPreviewStack, multiply
from harmonize_layer.gimp.selection import selected

_CHANNEL_OPACITY = 50  # that of GIMP's new channels, when they are shown

COPIED_ATTRIBUTES = (
    *BLENDING,
    "lock_alpha",
    "lock_position",
    "lock_visibility",
    "color_tag",
    "visible",
)
"""The attributes that a new layer gets from its original, in addition to mask, position and group."""


def wrap_drawable(drawable: Gimp.Drawable) -> GimpLayer | OtherDrawable:
    """Return a selected drawable for the logic; a layer mask that is being edited stands for its layer."""
    if isinstance(drawable, Gimp.LayerMask):
        return GimpLayer(Gimp.Layer.from_mask(drawable))
    return GimpLayer(drawable) if isinstance(drawable, Gimp.Layer) else OtherDrawable(drawable.get_name())


def _unwrap(layer: HostLayer) -> Gimp.Layer:
    assert isinstance(layer, GimpLayer)
    return layer.wrapped


class GimpDrawable:
    """A layer mask or the selection."""

    def __init__(self, wrapped: Gimp.Drawable, position: tuple[int, int] = (0, 0)) -> None:
        """Wrap a drawable that lies at a position of the image."""
        self.wrapped = wrapped
        self._position = position

    @property
    def id(self) -> int:
        """See `HostLayer`."""
        return int(self.wrapped.get_id())

    @property
    def name(self) -> str:
        """See `HostDrawable`."""
        return str(self.wrapped.get_name())

    @property
    def size(self) -> tuple[int, int]:
        """See `HostDrawable`."""
        return self.wrapped.get_width(), self.wrapped.get_height()

    @property
    def position(self) -> tuple[int, int]:
        """See `HostDrawable`."""
        return self._position

    def read(self, encoding: str, area: PixelArea, scale: float = 1.0) -> bytes:
        """See `HostDrawable`."""
        return pixels.read_area(self.wrapped, encoding, area, scale)

    def _fill(self, read: ReadRows) -> None:
        """Write all rows of a mask or channel."""
        buffer, (width, height) = self.wrapped.get_buffer(), self.size
        write = pixels.rows_writer(buffer, width, "Y u8")
        for top, rows in pixels.copy_strips(height):
            write(top, rows, read(top, rows))
        buffer.flush()
        self._update()

    def _update(self) -> None:
        self.wrapped.update(0, 0, self.wrapped.get_width(), self.wrapped.get_height())


class GimpLayer(GimpDrawable):
    """A layer or layer group; see `HostLayer`."""

    def __init__(self, wrapped: Gimp.Layer) -> None:
        """Wrap a layer."""
        super().__init__(wrapped)

    @property
    def position(self) -> tuple[int, int]:
        """See `HostDrawable`."""
        _, x, y = self.wrapped.get_offsets()
        return x, y

    def read(self, encoding: str, area: PixelArea, scale: float = 1.0) -> bytes:
        """See `HostDrawable`."""
        reduced = pixels.read_reduced_alpha(self.wrapped, area, scale) if encoding == "A u8" and scale < 1 else None
        return super().read(encoding, area, scale) if reduced is None else reduced

    @property
    def is_valid(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.is_valid())

    @property
    def image(self) -> GimpImage:
        """See `HostLayer`."""
        return GimpImage(self.wrapped.get_image())

    @property
    def parent(self) -> GimpLayer | None:
        """See `HostLayer`."""
        group = self.wrapped.get_parent()
        return None if group is None else GimpLayer(group)

    @property
    def index(self) -> int:
        """See `HostLayer`."""
        return int(self.wrapped.get_image().get_item_position(self.wrapped))

    @property
    def children(self) -> list[GimpLayer]:
        """See `HostLayer`."""
        return [GimpLayer(child) for child in self.wrapped.get_children()] if self.is_group else []

    @property
    def is_group(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.is_group())

    @property
    def is_visible(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.get_visible())

    @property
    def is_normal(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.get_mode() == Gimp.LayerMode.NORMAL)

    @property
    def opacity(self) -> float:
        """See `HostLayer`."""
        return float(self.wrapped.get_opacity())

    @property
    def is_plain(self) -> bool:
        """See `HostLayer`."""
        return self.is_normal and self.opacity == 100

    @property
    def passes_through(self) -> bool:
        """See `HostLayer`."""
        return self.is_group and bool(self.wrapped.get_mode() == Gimp.LayerMode.PASS_THROUGH)

    @property
    def is_locked(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.get_lock_content())

    @property
    def is_visibility_locked(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.get_lock_visibility())

    @property
    def shows_mask(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.get_mask() and self.wrapped.get_show_mask())

    @property
    def is_floating(self) -> bool:
        """See `HostLayer`."""
        return bool(self.wrapped.is_floating_sel())

    @property
    def floats_over_channel(self) -> bool:
        """See `HostLayer`."""
        if not self.is_floating:
            return False
        return not isinstance(self.wrapped.get_image().floating_sel_attached_to(), Gimp.Layer)

    @property
    def has_own_effects(self) -> bool:
        """See `HostLayer`."""
        return any(effects.is_own(effect) for effect in self.wrapped.get_filters())

    @property
    def other_effects(self) -> list[str]:
        """See `HostLayer`."""
        return [effect.get_name() for effect in self.wrapped.get_filters() if not effects.is_own(effect)]

    @property
    def mask(self) -> GimpDrawable | None:
        """See `HostLayer`."""
        mask = self.wrapped.get_mask()
        return GimpDrawable(mask, self.position) if mask and self.wrapped.get_apply_mask() else None

    @property
    def has_mask(self) -> bool:
        """See `HostLayer`."""
        return self.wrapped.get_mask() is not None

    def parasite(self, name: str) -> bytes | None:
        """See `HostLayer`."""
        parasite = self.wrapped.get_parasite(name)
        return None if parasite is None else bytes(parasite.get_data())

    def attach_parasite(self, name: str, data: bytes) -> None:
        """See `HostLayer`."""
        flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
        self.wrapped.attach_parasite(Gimp.Parasite.new(name, flags, data))

    def digest(self) -> str:
        """See `HostLayer`."""
        return pixels.digest(self.wrapped)

    def set_visible(self, visible: bool) -> None:
        """See `HostLayer`."""
        self.wrapped.set_visible(visible)

    def show_plainly(self) -> None:
        """See `HostLayer`."""
        self.wrapped.set_opacity(100)
        self.wrapped.set_mode(Gimp.LayerMode.NORMAL)

    def show_pixels(self) -> None:
        """See `HostLayer`."""
        self.wrapped.set_show_mask(False)

    def anchor_as_layer(self) -> None:
        """See `HostLayer`."""
        Gimp.floating_sel_to_layer(self.wrapped)

    def remove_own_effects(self) -> None:
        """See `HostLayer`."""
        effects.remove_own(self.wrapped)

    def append_effects(self, gains: Sequence[Matrix3]) -> None:
        """See `HostLayer`."""
        effects.append(self.wrapped, gains)

    def add_mask(self, read: ReadRows) -> None:
        """See `HostLayer`."""
        mask = self.wrapped.create_mask(Gimp.AddMaskType.WHITE)
        self.wrapped.add_mask(mask)
        GimpDrawable(mask)._fill(read)
        self.wrapped.set_edit_mask(False)

    def merge_effects(self) -> None:
        """See `HostLayer`."""
        self.wrapped.merge_filters()

    def copy_pixels(self, source: HostLayer) -> None:
        """See `HostLayer`."""
        pixels.copy_buffer(_unwrap(source), self.wrapped.get_buffer())
        self._update()

    def replace_pixels(self, source: HostLayer) -> None:
        """See `HostLayer`."""
        pixels.copy_buffer(_unwrap(source), self.wrapped.get_shadow_buffer())
        self.wrapped.merge_shadow(True)
        self._update()

    def copy_attributes(self, source: HostLayer) -> None:
        """See `HostLayer`."""
        original, new = _unwrap(source), self.wrapped
        mask = original.get_mask()
        if mask:
            hiding = new.create_mask(Gimp.AddMaskType.WHITE)
            new.add_mask(hiding)
            (x, y), (left, top) = source.position, self.position
            pixels.copy_buffer(mask, hiding.get_buffer(), (x - left, y - top))
            GimpDrawable(hiding)._update()
            new.set_apply_mask(original.get_apply_mask())
            new.set_show_mask(original.get_show_mask())
            new.set_edit_mask(False)
        for name in COPIED_ATTRIBUTES:
            getattr(new, f"set_{name}")(getattr(original, f"get_{name}")())
        if original.get_mode() == Gimp.LayerMode.PASS_THROUGH:  # only groups can have it
            new.set_mode(Gimp.LayerMode.NORMAL)

    def multiply(self) -> None:
        """See `HostLayer`."""
        multiply(self.wrapped)

    def pixel_access(self, target: HostLayer) -> PixelAccess:
        """See `HostLayer`."""
        return pixels.access_pixels(self.wrapped, _unwrap(target))

    def color_matrices(self) -> tuple[Matrix3, Matrix3] | None:
        """See `HostLayer`."""
        return None if self.wrapped.is_gray() else pixels.color_matrices(self.wrapped)


class GimpImage:
    """An image; see `HostImage`."""

    def __init__(self, wrapped: Gimp.Image) -> None:
        """Wrap an image."""
        self.wrapped = wrapped

    @property
    def id(self) -> int:
        """See `HostImage`."""
        return int(self.wrapped.get_id())

    @property
    def is_valid(self) -> bool:
        """See `HostImage`."""
        return bool(self.wrapped.is_valid())

    @property
    def name(self) -> str:
        """See `HostImage`."""
        return str(self.wrapped.get_name())

    @property
    def drawables(self) -> Sequence[GimpLayer | OtherDrawable]:
        """See `HostImage`."""
        return [wrap_drawable(drawable) for drawable in self.wrapped.get_selected_drawables()]

    @property
    def others(self) -> Sequence[GimpImage]:
        """See `HostImage`."""
        images = [image for image in Gimp.get_images() if not is_copy(image)]
        return [GimpImage(image) for image in images if image.get_id() != self.id]

    def read_file(self, path: str, side: int) -> tuple[int, int, bytes]:
        """See `HostImage`."""
        return visible_pixels.read_file(path, Path(path).stat().st_mtime_ns, side)

    @property
    def size(self) -> tuple[int, int]:
        """See `HostImage`."""
        return self.wrapped.get_width(), self.wrapped.get_height()

    @property
    def offers_effects(self) -> bool:
        """See `HostImage`."""
        return effects.are_available()

    @property
    def is_indexed(self) -> bool:
        """See `HostImage`."""
        return bool(self.wrapped.get_base_type() == Gimp.ImageBaseType.INDEXED)

    @property
    def layers(self) -> Sequence[GimpLayer]:
        """See `HostImage`."""
        return [GimpLayer(layer) for layer in self.wrapped.get_layers()]

    @property
    def selection(self) -> GimpDrawable | None:
        """See `HostImage`."""
        return None if Gimp.Selection.is_empty(self.wrapped) else GimpDrawable(self.wrapped.get_selection())

    def glimpse(self) -> str:
        """See `HostImage`."""
        return visible_pixels.glimpse(self.wrapped)

    def duplicate(self) -> GimpImage:
        """See `HostImage`."""
        copy = self.wrapped.duplicate()
        mark_copy(copy)
        copy.undo_disable()
        wait_for_groups(self.wrapped, copy)
        Gimp.Selection.none(copy)  # it would limit the effects that are merged
        return GimpImage(copy)

    def delete(self) -> None:
        """See `HostImage`."""
        self.wrapped.delete()

    def new_like(self) -> GimpImage:
        """See `HostImage`."""
        own = self.wrapped
        new = Gimp.Image.new_with_precision(*self.size, own.get_base_type(), own.get_precision())
        mark_copy(new)
        new.undo_disable()
        profile = own.get_color_profile()
        if profile:
            new.set_color_profile(profile)
        return GimpImage(new)

    def raise_to_top(self, layer: HostLayer, index: int) -> None:
        """See `HostImage`."""
        self.wrapped.reorder_item(_unwrap(layer), None, index)

    def crop(self, area: PixelArea) -> None:
        """See `HostImage`."""
        self.wrapped.crop(area.width, area.height, area.x, area.y)

    def read_visible(self, window: Window) -> bytes:
        """See `HostImage`."""
        return visible_pixels.read_visible(self.wrapped, window)

    def visible_parts(self, areas: Sequence[PixelArea], *, crops: bool) -> Generator[bytes, None, None]:
        """See `HostImage`."""
        return visible_pixels.visible_parts(self.wrapped, areas, crops=crops)

    def preview_stack(self, layer: HostLayer, masks: Sequence[bytes], window: Window) -> GimpPreviewStack:
        """See `HostImage`."""
        layer.set_visible(False)
        backdrop = self.read_visible(window)
        layer.set_visible(True)
        own = layer.read("R'G'B'A u8", window.relative_to(layer.position), window.scale)
        return GimpPreviewStack(_unwrap(layer), backdrop, own, masks, window)

    def enlarge(self, mask: bytes, window: Window, wanted: Window) -> bytes:
        """See `HostImage`."""
        return pixels.enlarge_window_mask(mask, window, wanted)

    def add_blank(self, layer: HostLayer) -> GimpLayer:
        """See `HostImage`."""
        source, mode = _unwrap(layer), Gimp.LayerMode.NORMAL
        new = Gimp.Layer.new(self.wrapped, source.get_name(), *layer.size, source.type(), 100, mode)
        self.wrapped.insert_layer(new, None, 0)
        new.set_offsets(*layer.position)
        return GimpLayer(new)

    @property
    def has_8_bits(self) -> bool:
        """See `HostImage`."""
        kinds = Gimp.Precision
        return self.wrapped.get_precision() in (kinds.U8_LINEAR, kinds.U8_NON_LINEAR, kinds.U8_PERCEPTUAL)

    def add_filled(self, area: PixelArea, color: Sequence[float], opacity: bytes, depth: Depth) -> GimpLayer:
        """See `HostImage`."""
        is_gray = self.wrapped.get_base_type() == Gimp.ImageBaseType.GRAY
        kind = Gimp.ImageType.GRAYA_IMAGE if is_gray else Gimp.ImageType.RGBA_IMAGE
        new = Gimp.Layer.new(self.wrapped, "filled", area.width, area.height, kind, 100, Gimp.LayerMode.NORMAL)
        self.wrapped.insert_layer(new, None, 0)
        new.set_offsets(area.x, area.y)
        pixels.fill_drawable(new, (area.width, area.height), color, opacity, depth)
        return GimpLayer(new)

    def insert_copy(self, layer: HostLayer, at: HostLayer, name: str, *, below: bool = False) -> GimpLayer:
        """See `HostImage`."""
        source = _unwrap(layer)
        is_own = source.get_image().get_id() == self.id
        new = source.copy() if is_own else Gimp.Layer.new_from_drawable(source, self.wrapped)
        new.set_name(name)
        self.wrapped.insert_layer(new, _unwrap(at).get_parent(), at.index + below)
        if not is_own:
            new.set_offsets(*layer.position)
        return GimpLayer(new)

    def add_channel(self, name: str, read: ReadRows) -> None:
        """See `HostImage`."""
        layers = self.wrapped.get_selected_layers()
        new = Gimp.Channel.new(self.wrapped, name, *self.size, _CHANNEL_OPACITY, Gegl.Color.new("black"))
        self.wrapped.insert_channel(new, None, 0)
        new.set_visible(False)
        GimpDrawable(new)._fill(read)
        self.wrapped.set_selected_layers(layers)

    def remove(self, layer: HostLayer) -> None:
        """See `HostImage`."""
        self.wrapped.remove_layer(_unwrap(layer))

    def select_layers(self, layers: Sequence[HostLayer]) -> None:
        """See `HostImage`."""
        self.wrapped.set_selected_layers([_unwrap(layer) for layer in layers])

    @contextmanager
    def undo_group(self) -> Iterator[None]:
        """See `HostImage`."""
        self.wrapped.undo_group_start()
        try:
            yield
        finally:
            self.wrapped.undo_group_end()

    def selected(self, mask: bytes | None, window: Window | None) -> AbstractContextManager[None]:
        """See `HostImage`."""
        return selected(self.wrapped, mask, window)
