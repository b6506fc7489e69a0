# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for GIMP's images: layers, groups, masks, effects and profiles, with pixels of `fake_gegl`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.plugin.fake_constants import GError, ImageBaseType, LayerMode, Precision, RunMode
from tests.plugin.fake_gegl import Babl, Buffer, Bytes, Rectangle, split_format

_numbers = itertools.count(1)


class Drawable:
    """A drawable of an image."""

    def __init__(self, image: Image, name: str, buffer: Buffer) -> None:
        self.image, self.name, self.buffer = image, name, buffer
        self.offsets = (0, 0)
        self.number = next(_numbers)

    def get_id(self) -> int:
        return self.number

    def get_name(self) -> str:
        return self.name

    def get_width(self) -> int:
        return self.buffer.values.shape[1]

    def get_height(self) -> int:
        return self.buffer.values.shape[0]

    def get_buffer(self) -> Buffer:
        return self.buffer

    def get_format(self) -> str:
        return self.buffer.name

    def is_gray(self) -> bool:
        return self.buffer.name.startswith("Y")

    def get_sub_thumbnail_data(
        self, x: int, y: int, width: int, height: int, *size: int
    ) -> tuple[Bytes, int, int, int]:
        name, scale = "R'G'B'A u8" if Image.srgb_thumbnails else self.buffer.name, size[0] / width
        data = self.buffer.get(Rectangle(round(x * scale), round(y * scale), *size), scale, name, None)
        return Bytes(data), size[0], size[1], len(data) // (size[0] * size[1])

    def update(self, *_area: int) -> None:
        """Do nothing."""

    def delete(self) -> None:
        self.image.log.append(f"delete {self.name}")


class LayerMask(Drawable):
    """A layer mask."""

    layer: Layer


class Channel(Drawable):
    """A channel."""

    def set_visible(self, visible: bool) -> None:
        """Do nothing: the composite shows no channels."""

    @classmethod
    def new(cls, image: Image, name: str, width: int, height: int, *_rest: object) -> Channel:
        return cls(image, name, Buffer("Y u8", width, height))


class DrawableFilter:
    """A layer effect."""

    def __init__(self, layer: Layer, operation: str, name: str) -> None:
        self.layer, self.operation, self.name = layer, operation, name
        self.values: dict[str, float] = {}
        self.area: NDArray[Any] | None = None

    new = classmethod(lambda cls, *values: cls(*values))

    def get_config(self) -> DrawableFilter:
        return self

    def set_property(self, name: str, value: float) -> None:
        assert -2 <= value <= 2
        self.values[name] = value

    def get_operation_name(self) -> str:
        return self.operation

    def get_name(self) -> str:
        return self.name

    def delete(self) -> None:
        self.layer.filters.remove(self)


class Parasite:
    """Metadata."""

    def __init__(self, name: str, flags: int, data: bytes) -> None:
        self.name, self.flags, self.data = name, flags, data

    new = classmethod(lambda cls, *values: cls(*values))

    def get_data(self) -> bytes:
        return self.data


class Layer(Drawable):
    """A layer."""

    def __init__(self, image: Image, name: str, buffer: Buffer) -> None:
        super().__init__(image, name, buffer)
        self.opacity, self.mode, self.visible, self.lock_content = 100.0, LayerMode.NORMAL, True, False
        self.blend_space, self.composite_space, self.composite_mode = "b", "c", "m"
        self.lock_alpha = self.lock_position = self.lock_visibility = False
        self.color_tag = "none"
        self.parent: GroupLayer | None = None
        self.mask: LayerMask | None = None
        self.apply_mask, self.show_mask, self.edit_mask = True, False, False
        self.filters: list[DrawableFilter] = []
        self.parasites: dict[str, Parasite] = {}
        self.floating = False
        self.shadow: Buffer | None = None

    def __getattr__(self, name: str) -> Any:
        """Provide get_ and set_ methods of all attributes."""
        kind, _, attribute = name.partition("_")
        if kind == "get" and attribute in self.__dict__:
            return lambda: self.__dict__[attribute]
        if kind == "set" and attribute in self.__dict__:
            return lambda value: self.__dict__.update({attribute: value})
        raise AttributeError(name)

    @classmethod
    def new(cls, image: Image, name: str, width: int, height: int, kind: str, *_rest: object) -> Layer:
        space = "" if kind.endswith(image.space) else image.space
        return cls(image, name, Buffer(kind + space, width, height))

    @classmethod
    def new_from_visible(cls, image: Image, _target: Image, name: str) -> Layer:
        layer = cls(image, name, Buffer("R'G'B'A float" + image.space, image.width, image.height))
        layer.buffer.values = image.composite()
        return layer

    @classmethod
    def new_from_drawable(cls, source: Layer, image: Image) -> Layer:
        return source.image._copy(source, image, None)

    def copy(self) -> Layer:
        return self.image._copy(self, self.image, None)

    def set_name(self, name: str) -> None:
        self.name = name

    def is_valid(self) -> bool:
        return self.image in Image.all and self in self.image.all_layers()

    @staticmethod
    def from_mask(mask: LayerMask) -> Layer:
        return mask.layer

    @staticmethod
    def get_by_id(number: int) -> Layer:
        return next(layer for image in Image.all for layer in image.all_layers() if layer.number == number)

    def type(self) -> str:
        return self.buffer.name

    def get_image(self) -> Image:
        return self.image

    def get_offsets(self) -> tuple[bool, int, int]:
        return (True, *self.offsets)

    def set_offsets(self, x: int, y: int) -> None:
        self.offsets = (x, y)

    def is_group(self) -> bool:
        return isinstance(self, GroupLayer)

    def is_floating_sel(self) -> bool:
        return self.floating

    def create_mask(self, _kind: str) -> LayerMask:
        mask = LayerMask(self.image, f"{self.name} mask", Buffer("Y u8", self.get_width(), self.get_height()))
        mask.buffer.values[:] = 1
        return mask

    def add_mask(self, mask: LayerMask) -> None:
        self.mask, mask.layer = mask, self

    def get_filters(self) -> list[DrawableFilter]:
        return list(self.filters)

    def append_filter(self, effect: DrawableFilter) -> None:
        effect.area = None if self.image.selection is None else self.image.selection.buffer.values[..., 0].copy()
        self.filters.append(effect)

    def merge_filters(self) -> None:
        """Apply all effects: each inverts the colors."""
        for _ in self.filters:
            self.buffer.values[..., :3] = 1 - self.buffer.values[..., :3]
        self.filters = []

    def get_shadow_buffer(self) -> Buffer:
        self.shadow = Buffer(self.buffer.name, self.get_width(), self.get_height())
        return self.shadow

    def merge_shadow(self, _undo: bool) -> None:
        assert self.shadow is not None
        assert self.image.selection is None
        self.buffer.values = self.shadow.values

    def get_parasite(self, name: str) -> Parasite | None:
        return self.parasites.get(name)

    def attach_parasite(self, parasite: Parasite) -> None:
        self.parasites[parasite.name] = parasite

    def flattened(self) -> tuple[NDArray[Any], tuple[int, int]]:
        return self.buffer.values, self.offsets


class GroupLayer(Layer):
    """A layer group."""

    def __init__(self, image: Image, name: str) -> None:
        super().__init__(image, name, Buffer("R'G'B'A u8", image.width, image.height))
        self.children: list[Layer] = []

    def get_buffer(self) -> Buffer:
        self.buffer.values = self.flattened()[0]
        return self.buffer

    def flattened(self) -> tuple[NDArray[Any], tuple[int, int]]:
        return self.image.composite(self.children, np.zeros((self.image.height, self.image.width, 4))), (0, 0)


class Image:
    """An image."""

    all: list[Image] = []  # noqa: RUF012 (the images of one fake GIMP)
    srgb_thumbnails = False
    """As in GIMP 3.2."""

    def __init__(self, width: int, height: int, base: ImageBaseType = ImageBaseType.RGB, space: str = "") -> None:
        self.width, self.height, self.base, self.space = width, height, base, space
        self.precision = Precision.U8_NON_LINEAR
        self.layers: list[Layer] = []
        self.selected: list[Layer] = []
        self.selection: Channel | None = None
        self.channels: list[Channel] = []
        self.attached_to: Drawable | None = None
        self.number = next(_numbers)
        self.log: list[str] = []
        self.parasites: dict[str, Parasite] = {}
        Image.all.append(self)

    @classmethod
    def new_with_precision(cls, width: int, height: int, base: ImageBaseType, precision: Precision) -> Image:
        image = cls(width, height, base)
        image.precision = precision
        return image

    def get_color_profile(self) -> ColorProfile | None:
        return ColorProfile(self.space) if self.space else None

    def set_color_profile(self, profile: ColorProfile) -> None:
        self.space = profile.space

    def is_valid(self) -> bool:
        return self in Image.all

    def get_parasite(self, name: str) -> Parasite | None:
        return self.parasites.get(name)

    def attach_parasite(self, parasite: Parasite) -> None:
        self.parasites[parasite.name] = parasite

    def all_layers(self, layers: list[Layer] | None = None) -> Iterator[Layer]:
        for layer in self.layers if layers is None else layers:
            yield layer
            if isinstance(layer, GroupLayer):
                yield from self.all_layers(layer.children)

    def composite(self, layers: list[Layer] | None = None, canvas: NDArray[Any] | None = None) -> NDArray[Any]:
        """Return all visible layers, one over the other."""
        canvas = np.zeros((self.height, self.width, 4)) if canvas is None else canvas
        for layer in reversed(self.layers if layers is None else layers):
            if not layer.visible:
                continue
            pixels, (x, y) = layer.flattened()
            pixels = pixels.copy()
            pixels[..., 3] *= layer.opacity / 100
            if layer.mask and layer.apply_mask:
                pixels[..., 3] *= layer.mask.buffer.values[..., 0]
            top, left = max(0, y), max(0, x)
            part = canvas[top : max(0, y + pixels.shape[0]), left : max(0, x + pixels.shape[1])]
            pixels = pixels[top - y : top - y + part.shape[0], left - x : left - x + part.shape[1]]
            alpha = pixels[..., 3:] + part[..., 3:] * (1 - pixels[..., 3:])
            mixed = pixels[..., :3] * pixels[..., 3:] + part[..., :3] * part[..., 3:] * (1 - pixels[..., 3:])
            part[..., :3] = np.divide(mixed, alpha, out=np.zeros_like(mixed), where=alpha > 0)
            part[..., 3:] = alpha
        return canvas

    def get_id(self) -> int:
        return self.number

    def get_width(self) -> int:
        return self.width

    def get_height(self) -> int:
        return self.height

    def get_base_type(self) -> ImageBaseType:
        return self.base

    def get_precision(self) -> Precision:
        return self.precision

    def get_effective_color_profile(self) -> ColorProfile:
        return ColorProfile(self.space)

    def get_layers(self) -> list[Layer]:
        return list(self.layers)

    def get_selection(self) -> Channel | None:
        return self.selection

    def get_selected_layers(self) -> list[Layer]:
        return self.selected

    def get_selected_drawables(self) -> list[Layer]:
        return self.selected

    def get_name(self) -> str:
        return f"image {self.number}"

    def set_selected_layers(self, layers: list[Layer]) -> None:
        self.selected = layers

    def get_item_position(self, layer: Layer) -> int:
        return (layer.parent.children if layer.parent else self.layers).index(layer)

    def floating_sel_attached_to(self) -> Drawable | None:
        return self.attached_to

    def insert_layer(self, layer: Layer, parent: GroupLayer | None, index: int) -> None:
        layer.parent, layer.image = parent, self
        (parent.children if parent else self.layers).insert(index, layer)
        self.log.append(f"insert {layer.name}")

    def remove_layer(self, layer: Layer) -> None:
        (layer.parent.children if layer.parent else self.layers).remove(layer)
        self.log.append(f"remove {layer.name}")

    def reorder_item(self, layer: Layer, parent: GroupLayer | None, index: int) -> None:
        (layer.parent.children if layer.parent else self.layers).remove(layer)
        self.insert_layer(layer, parent, index)

    def duplicate(self) -> Image:
        copy = Image(self.width, self.height, self.base, self.space)
        copy.precision, copy.attached_to = self.precision, self.attached_to
        copy.layers = [self._copy(layer, copy, None) for layer in self.layers]
        return copy

    def _copy(self, layer: Layer, image: Image, parent: GroupLayer | None) -> Layer:
        twin = type(layer).__new__(type(layer))
        twin.__dict__.update(layer.__dict__)
        twin.image, twin.parent, twin.number = image, parent, next(_numbers)
        twin.buffer = Buffer(layer.buffer.name, layer.get_width(), layer.get_height())
        twin.buffer.values = layer.buffer.values.copy()
        twin.parasites = dict(layer.parasites)
        twin.filters = [DrawableFilter(twin, each.operation, each.name) for each in layer.filters]
        if isinstance(twin, GroupLayer):
            twin.children = [self._copy(child, image, twin) for child in twin.children]
        return twin

    def delete(self) -> None:
        Image.all.remove(self)

    def undo_disable(self) -> None:
        self.log.append("undo disabled")

    def undo_group_start(self) -> None:
        self.log.append("undo start")

    def undo_group_end(self) -> None:
        self.log.append("undo end")

    def crop(self, width: int, height: int, x: int, y: int) -> None:
        self.resize(width, height, -x, -y)

    def resize(self, width: int, height: int, x: int, y: int) -> None:
        self.width, self.height = width, height
        for layer in self.layers:
            layer.offsets = (layer.offsets[0] + x, layer.offsets[1] + y)

    def get_thumbnail_data(self, width: int, height: int) -> tuple[Bytes, int, int, int]:
        whole = Layer.new_from_visible(self, self, "visible").buffer
        name = "R'G'B'A u8"
        if not Image.srgb_thumbnails:
            own = self.layers[0].get_format()
            colors, kind, _ = split_format(own)
            kind = "u16" if self.precision is Precision.U16_NON_LINEAR else kind
            name = Babl.format_with_space(f"{colors.removesuffix('A')}A {kind}", own)
        data = whole.get(Rectangle(0, 0, width, height), width / self.width, name, None)
        return Bytes(data), width, height, len(data) // (width * height)

    def insert_channel(self, channel: Channel, _parent: None, _index: int) -> None:
        self.log.append(f"insert channel {channel.name}")
        self.channels.append(channel)
        self.selected = []  # the new channel is selected instead

    def remove_channel(self, channel: Channel) -> None:
        self.log.append(f"remove channel {channel.name}")
        self.channels = [each for each in self.channels if each is not channel]

    def select_item(self, _operation: object, channel: Channel) -> None:
        self.selection = channel


class Selection:
    """The functions of the selection."""

    is_empty = staticmethod(lambda image: image.selection is None)
    bounds = staticmethod(lambda image: (image.selection is not None, 0, 0, image.width, image.height))
    save = staticmethod(lambda image: image.selection)

    @staticmethod
    def none(image: Image) -> None:
        image.selection = None


def load_image(_mode: RunMode, file: str) -> Image:
    """Return an image with the colors of a file; a text file cannot be opened."""
    pixels = cv2.imread(file)
    if pixels is None:
        raise GError(f"{file} is no image")
    height, width = pixels.shape[:2]
    image = Image(width, height)
    layer = Layer.new(image, "file", width, height, "R'G'B'A u8")
    layer.buffer.values[..., :3], layer.buffer.values[..., 3] = pixels[..., ::-1] / 255, 1
    image.insert_layer(layer, None, 0)
    return image


class ColorProfile:
    """A profile, by its color space."""

    def __init__(self, space: str) -> None:
        self.space = space

    @classmethod
    def new_rgb_srgb(cls) -> ColorProfile:
        return cls("")

    def is_equal(self, other: ColorProfile) -> bool:
        return self.space == other.space
