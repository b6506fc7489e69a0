# SPDX-License-Identifier: GPL-3.0-or-later
"""A small image that GIMP blends for the preview: the layer, with its mode and opacity, on the layers below it."""

from __future__ import annotations

from collections.abc import Sequence

from gi.repository import Gimp

from harmonize_layer.core.geometry import PixelArea, Window
from harmonize_layer.gimp import pixels
from harmonize_layer.gimp.copies import mark_copy

BLENDING = ("opacity", "mode", "blend_space", "composite_space", "composite_mode")
"""The attributes of a layer that determine how it is blended."""


def multiply(layer: Gimp.Layer) -> None:
    """Give a layer mode Multiply, blended and composited in perceptual values."""
    layer.set_mode(Gimp.LayerMode.MULTIPLY)
    layer.set_blend_space(Gimp.LayerColorSpace.RGB_PERCEPTUAL)
    layer.set_composite_space(Gimp.LayerColorSpace.RGB_PERCEPTUAL)


class GimpPreviewStack:
    """See `PreviewStack`."""

    def __init__(
        self, source: Gimp.Layer, backdrop: bytes, layer: bytes, masks: Sequence[bytes], window: Window
    ) -> None:
        """Build the image.

        Args:
            source: the layer whose mode and opacity are used.
            backdrop: RGBA, 8-bit sRGB: what is below the layer in the window.
            layer: the layer's own pixels in the same format.
            masks: planes of the masks that hide parts of the layer.
            window: the window.
        """
        self.layer = layer
        self._size = window.columns, window.rows
        own = source.get_image()
        self._image = Gimp.Image.new_with_precision(*self._size, own.get_base_type(), own.get_precision())
        mark_copy(self._image)
        self._image.undo_disable()
        profile = own.get_color_profile()
        if profile:
            self._image.set_color_profile(profile)
        self._shadow: Gimp.Layer | None = None
        self._add(backdrop)
        self._top = self._add(layer)
        for name in BLENDING:
            getattr(self._top, f"set_{name}")(getattr(source, f"get_{name}")())
        self._masks = list(masks)
        self._mask: Gimp.LayerMask | None = None
        if masks:
            self._show_masks(self._masks)
        self.before = self._read()

    def limit(self, mask: bytes) -> None:
        """See `PreviewStack`."""
        self._show_masks([*self._masks, mask])
        self.before = self._read()

    def after(self, layer: bytes, limit: bytes = b"", shadow: bytes = b"") -> bytes:
        """See `PreviewStack`."""
        self._show_shadow(shadow)
        if limit:
            self._show_masks([*self._masks, limit])
        self._write(self._top, "R'G'B'A u8", layer)
        return self._read()

    def delete(self) -> None:
        """See `PreviewStack`."""
        self._image.delete()

    def _show_shadow(self, rgba: bytes) -> None:
        if rgba and self._shadow is None:
            self._shadow = self._add(rgba, index=1)
            multiply(self._shadow)
        elif rgba:
            self._write(self._shadow, "R'G'B'A u8", rgba)
        if self._shadow is not None:
            self._shadow.set_visible(bool(rgba))

    def _add(self, rgba: bytes, index: int = 0) -> Gimp.Layer:
        gray = self._image.get_base_type() == Gimp.ImageBaseType.GRAY
        kind = Gimp.ImageType.GRAYA_IMAGE if gray else Gimp.ImageType.RGBA_IMAGE
        layer = Gimp.Layer.new(self._image, "preview", *self._size, kind, 100, Gimp.LayerMode.NORMAL)
        self._image.insert_layer(layer, None, index)
        self._write(layer, "R'G'B'A u8", rgba)
        return layer

    def _show_masks(self, masks: Sequence[bytes]) -> None:
        product, *others = masks
        for plane in others:
            product = bytes(first * second // 255 for first, second in zip(product, plane, strict=True))
        if self._mask is None:
            self._mask = self._top.create_mask(Gimp.AddMaskType.WHITE)
            self._top.add_mask(self._mask)
        self._write(self._mask, "Y u8", product)

    def _write(self, drawable: Gimp.Drawable, encoding: str, data: bytes) -> None:
        buffer = drawable.get_buffer()
        pixels.write_area(drawable, buffer, encoding, PixelArea(0, 0, *self._size), data)
        buffer.flush()
        drawable.update(0, 0, *self._size)

    def _read(self) -> bytes:
        visible = Gimp.Layer.new_from_visible(self._image, self._image, "visible")
        try:
            return pixels.read_area(visible, "R'G'B'A u8", PixelArea(0, 0, *self._size))
        finally:
            visible.delete()
