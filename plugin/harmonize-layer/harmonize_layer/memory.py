# SPDX-License-Identifier: GPL-3.0-or-later
"""What a harmonized layer remembers, as a parasite: the map, and where its original colors are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from gi.repository import Gimp

NAME = "harmonize-layer"
"""Of the parasite. It is saved in XCF files, and goes along when the layer is copied."""

_VERSION = 1


@dataclass(frozen=True)
class Memory:
    """How a layer was harmonized.

    result: a key of `arguments.RESULTS`.
    color_map: the map with its sliders, as the engine writes it.
    original: the tattoo of the layer that a new layer was made from; 0 = none.
    """

    result: str
    model: str
    sliders: dict[str, float]
    color_map: dict[str, Any]
    original: int = 0


def remember(layer: Gimp.Layer, memory: Memory) -> None:
    """Keep a memory on a layer, undoably."""
    told = json.dumps({"version": _VERSION, **asdict(memory)}, separators=(",", ":")).encode()
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    layer.attach_parasite(Gimp.Parasite.new(NAME, flags, told))


def recall(layer: Gimp.Layer) -> Memory | None:
    """What a layer remembers; None if it was never harmonized, or by another version."""
    parasite = layer.get_parasite(NAME)
    if parasite is None:
        return None
    try:
        told = json.loads(bytes(parasite.get_data()))
        if told.pop("version") != _VERSION:
            return None
        return Memory(**told)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None


def original_of(layer: Gimp.Layer) -> Gimp.Layer | None:
    """The layer that a harmonized one was made from, if it is still there and has the same size."""
    memory = recall(layer)
    if memory is None or not memory.original:
        return None
    found = layer.get_image().get_layer_by_tattoo(memory.original)
    if found is None or found.get_id() == layer.get_id():
        return None
    same_size = (found.get_width(), found.get_height()) == (layer.get_width(), layer.get_height())
    return found if same_size else None
