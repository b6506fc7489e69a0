# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine is shown: the layer on what is visible beneath it, read without touching the picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

from gi.repository import GdkPixbuf, Gimp

from harmonize_layer import effect, masks, memory, messages, pixels, window
from harmonize_layer.arguments import Settings
from harmonize_layer.pixels import NOT_ZERO
from harmonize_layer.targets import ancestors, layer_at, leaves, place_of
from harmonize_layer.window import Window


@dataclass(frozen=True)
class Scene:
    """A small composite, its sides those of `window`; RGB, mask and visibility row by row.

    mask: empty = nothing says what was pasted: it has to be looked for.
    found: whether the engine found the mask.
    sure: whether it would say so, had it not been asked for what is likeliest.
    """

    window: Window
    rgb: bytes
    alpha: bytes
    mask: bytes = b""
    found: bool = False
    sure: bool = True

    def with_found(self, mask: bytes, sure: bool) -> Scene:
        """The scene with the mask that was found."""
        return replace(self, mask=mask, found=True, sure=sure)


@contextmanager
def copied(image: Gimp.Image, layer: Gimp.Layer) -> Iterator[tuple[Gimp.Image, Gimp.Layer]]:
    """A copy of the picture (copy on write: it costs nothing) and the layer in it, as it was before it was harmonized.

    Its own effects are baked in, except the one of an earlier harmonizing; a floating selection is a layer there.
    """
    place, original = place_of(layer), memory.original_of(layer)
    copy = image.duplicate()
    try:
        copy.undo_disable()
        Gimp.Selection.none(copy)  # or else it would limit the effects that are baked in
        twin = layer_at(copy, place)
        if twin.is_floating_sel():
            Gimp.floating_sel_to_layer(twin)
        for old in effect.ours(twin):
            old.delete()
        _bake(twin)
        if original is not None:
            before = layer_at(copy, place_of(original))
            for old in effect.ours(before):
                old.delete()
            _bake(before)
            before.set_visible(False)
            if not before.is_group():
                pixels.copy(before, twin.get_buffer())
                twin.update(0, 0, twin.get_width(), twin.get_height())
        yield copy, twin
    finally:
        copy.delete()


def _bake(layer: Gimp.Layer) -> None:
    if layer.get_filters() and not layer.is_group():
        layer.merge_filters()


def needs_copy(layer: Gimp.Layer) -> bool:
    """Whether the pixels to start from are not simply those of the layer."""
    return bool(layer.get_filters()) or layer.is_floating_sel() or memory.original_of(layer) is not None


def look(image: Gimp.Image, layer: Gimp.Layer, others: Sequence[Gimp.Layer], settings: Settings) -> Scene:
    """Read what the engine is shown.

    Args:
        image: the picture.
        layer: the layer to harmonize.
        others: further layers that are harmonized with it: pasted as well, so no reference.
        settings: what to compare with, and what counts as pasted.

    Raises:
        RefusedError: the layer is empty, or nothing is there to compare with.
    """
    as_it_is = settings.reference != "layer" and not others and _lies_open(layer)
    with nullcontext((image, layer)) if as_it_is else copied(image, layer) as (shown, twin):
        at = masks.offsets(twin)
        view = window.choose((image.get_width(), image.get_height()), (*at, twin.get_width(), twin.get_height()))
        transparency = masks.seen(twin, "A u8", at, view)
        for other in others:
            layer_at(shown, place_of(other)).set_visible(False)
        if settings.reference == "layer":
            _show_on(shown, twin, settings.reference_layer, image)
        elif not as_it_is:
            _show_above(shown, twin)
        rgba = _visible(shown, view if as_it_is else _cropped(shown, view))
    rgb = bytearray(len(rgba) // 4 * 3)
    for channel in range(3):
        rgb[channel::3] = rgba[channel::4]
    scene = Scene(view, bytes(rgb), rgba[3::4])
    return _with_mask(image, layer, settings, scene, transparency)


def _show_above(copy: Gimp.Image, layer: Gimp.Layer) -> None:
    """Hide all that lies above a layer, on each level, and show the layer itself plainly."""
    layer.set_opacity(100)
    layer.set_mode(Gimp.LayerMode.NORMAL)
    item = layer
    while item is not None:
        parent = item.get_parent()
        for above in (parent.get_children() if parent else copy.get_layers())[: copy.get_item_position(item)]:
            above.set_visible(False)
        item.set_visible(True)
        item = parent


def _show_on(copy: Gimp.Image, layer: Gimp.Layer, chosen: Gimp.Layer | None, image: Gimp.Image) -> None:
    """Show a layer on the reference layer alone."""
    if chosen is None or chosen.get_image().get_id() != image.get_id():
        raise messages.no_reference_layer()
    reference = layer_at(copy, place_of(chosen))
    if any(leaf.get_id() == reference.get_id() for leaf in (layer, *leaves(layer))):
        raise messages.no_reference_layer()
    copy.reorder_item(layer, None, 0)
    copy.reorder_item(reference, None, 1)
    for item in copy.get_layers():
        item.set_visible(item.get_id() in (layer.get_id(), reference.get_id()))
    for item in (layer, reference):
        item.set_opacity(100)
        item.set_mode(Gimp.LayerMode.NORMAL)


def _lies_open(layer: Gimp.Layer) -> bool:
    """Whether the picture as it stands shows what is to be read, so that no copy is needed (GIMP has drawn it already).

    The layer is shown plainly, nothing visible lies above it, and its pixels are those to start from.
    """
    plain = layer.get_opacity() == 100 and layer.get_mode() == Gimp.LayerMode.NORMAL
    return plain and not needs_copy(layer) and all(_is_topmost(item) for item in (layer, *ancestors(layer)))


def _is_topmost(item: Gimp.Item) -> bool:
    """Whether an item is visible, and nothing above it in its list is."""
    parent, image = item.get_parent(), item.get_image()
    siblings = parent.get_children() if parent else image.get_layers()
    above = siblings[: image.get_item_position(item)]
    return bool(item.get_visible()) and not any(other.get_visible() for other in above)


def _cropped(copy: Gimp.Image, view: Window) -> Window:
    """Cut a copy down to what is looked at, so that no more than that is drawn; the window in it."""
    if (view.width, view.height) == (copy.get_width(), copy.get_height()):
        return view
    copy.crop(view.width, view.height, view.x, view.y)
    return replace(view, x=0, y=0)


def _visible(image: Gimp.Image, view: Window) -> bytes:
    """RGBA of all that is visible, in sRGB.

    GIMP shrinks a whole picture on its own side, which spares the way of all its pixels to here, and gives the same
    values; but only of plain 8-bit pictures.
    """
    if (view.width, view.height) == (image.get_width(), image.get_height()) and _is_plain(image):
        drawn = image.get_thumbnail(view.columns, view.rows, Gimp.PixbufTransparency.KEEP_ALPHA)
        if (drawn.get_width(), drawn.get_height()) == (view.columns, view.rows):
            return _rgba(drawn)
    everything = Gimp.Layer.new_from_visible(image, image, "visible")
    try:
        return masks.seen(everything, "R'G'B'A u8", (0, 0), view)
    finally:
        everything.delete()


def _is_plain(image: Gimp.Image) -> bool:
    """Whether a picture has 8-bit sRGB colors."""
    bits = image.get_precision() in (Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)
    rgb = image.get_base_type() == Gimp.ImageBaseType.RGB
    return bits and rgb and image.get_effective_color_profile().is_equal(Gimp.ColorProfile.new_rgb_srgb())


def _rgba(drawn: GdkPixbuf.Pixbuf) -> bytes:
    """A pixbuf's pixels without the bytes at the ends of its rows."""
    if not drawn.get_has_alpha():
        drawn = drawn.add_alpha(False, 0, 0, 0)
    stride, width = drawn.get_rowstride(), 4 * drawn.get_width()
    data = drawn.get_pixels()
    return b"".join(data[stride * row : stride * row + width] for row in range(drawn.get_height()))


def _with_mask(image: Gimp.Image, layer: Gimp.Layer, settings: Settings, scene: Scene, transparency: bytes) -> Scene:
    """Add what counts as pasted: the layer's transparency, its masks and the selection, or nothing if it is unknown."""
    name, view, selection = layer.get_name(), scene.window, masks.selection_of(image)
    planes = [transparency] + [masks.seen(mask, "Y u8", at, view) for mask, at in masks.layer_masks(layer)]
    if not any(transparency):
        raise messages.empty(name) if _is_empty(layer) else messages.outside(name)
    alpha = scene.alpha
    if settings.reference == "selection":
        if selection is None:
            raise messages.no_reference_area()
        area = either_or(masks.seen(selection, "Y u8", (0, 0), view), masks.multiplied(planes))
        alpha = masks.both(alpha, area)
    elif selection is not None:
        planes.append(masks.seen(selection, "Y u8", (0, 0), view))
    mask = masks.multiplied(planes)
    if not any(mask):
        raise messages.outside(name)
    scene = replace(scene, alpha=alpha)
    if settings.mask == "detect":
        return scene
    if masks.outside_of(mask, alpha):
        return replace(scene, mask=mask)
    if all_of(mask) and len(list(_all_leaves(image))) == 1:
        return scene
    raise messages.no_reference(name)


def either_or(area: bytes, mask: bytes) -> bytes:
    """255 where one of two planes is not 0."""
    return masks.either(area.translate(NOT_ZERO), mask.translate(NOT_ZERO))


def all_of(mask: bytes) -> bool:
    """Whether a mask covers everything."""
    return mask.count(255) == len(mask)


def _all_leaves(image: Gimp.Image) -> Iterator[Gimp.Layer]:
    for layer in image.get_layers():
        yield from leaves(layer)


def _is_empty(layer: Gimp.Layer) -> bool:
    """Whether a layer has no visible pixel at all, on the canvas or beside it."""
    width, height = layer.get_width(), layer.get_height()
    scale = min(1.0, window.LOOK_SIDE / max(width, height))
    area = pixels.rectangle(0, 0, max(1, int(width * scale)), max(1, int(height * scale)))
    return not any(pixels.plane(layer, "A u8", area, scale))
