# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the edges of the mask, and of saving it in the image."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import HEIGHT, WIDTH, Facts, add_mask, call, case, keep, paste, picture, read, visible

EDGES = {"mask_grow": -20.0, "mask_feather": 4.0}


@case
def edges() -> Facts:
    """The layer and the canvas before and after a run with refined edges, for each result."""
    found: Facts = {}
    for result in ("in-place", "effect"):
        made = picture()
        layer = paste(made)
        facts: Facts = {"before": keep(f"edges-before-{result}", visible(made))}
        facts |= call(made, [layer], result=result, **EDGES)
        found[result] = facts | {"after": keep(f"edges-after-{result}", visible(made))}
    return found


@case
def saved_masks() -> Facts:
    """A plane saved as a channel and as a layer mask."""
    from harmonize_layer.core.geometry import PixelArea, Window
    from harmonize_layer.core.masks import WindowMask, check_layer_mask, save_as_channel, save_as_layer_mask
    from harmonize_layer.core.messages import LayerError
    from harmonize_layer.gimp.images import GimpImage, GimpLayer

    made = picture()
    layer, masked = paste(made, "plain"), paste(made, "masked")
    add_mask(masked)
    masked.set_apply_mask(False)
    made.set_selected_layers([layer])
    plane = bytes((3 * x + 5 * y) % 256 for y in range(HEIGHT) for x in range(WIDTH))
    mask = WindowMask(plane, Window(PixelArea(0, 0, WIDTH, HEIGHT), 1.0))
    save_as_channel(GimpImage(made), GimpLayer(layer), mask)
    selected = [each.get_name() for each in made.get_selected_layers()]
    save_as_layer_mask(GimpImage(made), GimpLayer(layer), mask)
    refused = ""
    try:
        check_layer_mask(GimpLayer(masked), predicted=False)
    except LayerError as error:
        refused = str(error)
    (channel,) = made.get_channels()
    return {
        "plane": keep("saved-plane", plane),
        "channel": keep("saved-channel", read(channel, "Y u8")),
        "layer mask": keep("saved-layer-mask", read(layer.get_mask(), "Y u8")),
        "names": [channel.get_name(), channel.get_visible(), Gimp.Selection.is_empty(made)],
        "selected": selected,
        "refused": refused,
    }
