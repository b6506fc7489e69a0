# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring layer effects that GIMP discarded when it opened a file.

GIMP 3.2 no longer offers the operation that version 0.1 used, and drops it from files without asking; the color map is
still stored with the layer.
"""

from __future__ import annotations

import math

from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import MAX_SAMPLES, Adjust
from gimp_bridge.request_channel import ProgressCallback
from harmonize_layer.core.effect_gains import effect_gains
from harmonize_layer.core.host import HostImage, HostLayer
from harmonize_layer.core.layers import effect_targets, every_layer
from harmonize_layer.core.metadata import load_metadata
from harmonize_layer.core.photographs import reduced_area


def lacks_effect(layer: HostLayer) -> bool:
    """Return whether a layer was harmonized with a layer effect that is not there any more."""
    metadata = load_metadata(layer)
    if metadata is None or metadata.result != "effect":
        return False
    return not any(target.has_own_effects for target in effect_targets(layer))


def restore_effects(image: HostImage, engine: EngineClient, progress: ProgressCallback) -> int:
    """Append the missing effects of all layers, in one undo step; return their number.

    Raises:
        S2AMError: the engine failed.
    """
    missing = []
    for layer in every_layer(image):
        metadata = load_metadata(layer)
        if metadata and lacks_effect(layer):
            request = Adjust(color_map=metadata.color_map, samples=_sample_colors(layer))
            missing.append((layer, effect_gains(layer, engine.request(request, progress).matrix)))
    if missing:
        with image.undo_group(), image.selected(None, None):
            for layer, gains in missing:
                for target in effect_targets(layer):
                    target.append_effects(gains)
    return len(missing)


def _sample_colors(layer: HostLayer) -> bytes:
    """Return colors of a layer for `Adjust`: RGB and, as weight, alpha."""
    return layer.read("R'G'B'A u8", *reduced_area(layer.size, math.isqrt(MAX_SAMPLES)))
