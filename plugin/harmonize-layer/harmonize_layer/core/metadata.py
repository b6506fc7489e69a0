# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a harmonized layer, stored in XCF files as a GIMP parasite."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from harmonize_layer.core.host import HostLayer

PARASITE = "harmonize-layer"
"""Name of the parasite; copies of a layer keep it."""

_VERSION = 1
_EARLIER_KEYS = {"colour_map": "color_map"}
"""Keys of files of version 0.1."""


@dataclass(frozen=True)
class LayerMetadata:
    """Settings and result of harmonizing a layer.

    result: a key of `settings.RESULTS`.
    color_map: the map with its sliders, as the engine returned it.
    original: the tattoo of the layer that a new layer was made from; 0 = none.
    """

    result: str
    model: str
    sliders: dict[str, float]
    color_map: dict[str, Any]
    original: int = 0

    def to_bytes(self) -> bytes:
        """Return the content of the parasite."""
        return json.dumps({"version": _VERSION, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LayerMetadata | None:
        """Parse the content of a parasite; None if it is damaged or of an unknown version."""
        try:
            values = {_EARLIER_KEYS.get(key, key): value for key, value in json.loads(data).items()}
            if values.pop("version") != _VERSION:
                return None
            return cls(**values)
        except (ValueError, TypeError, LookupError, AttributeError):
            return None


def load_metadata(layer: HostLayer) -> LayerMetadata | None:
    """Return the metadata of a layer; None if it was not harmonized."""
    data = layer.metadata
    return None if data is None else LayerMetadata.from_bytes(data)


def save_metadata(layer: HostLayer, metadata: LayerMetadata) -> None:
    """Store metadata with a layer, undoably."""
    layer.set_metadata(metadata.to_bytes())


def original_of(layer: HostLayer) -> HostLayer | None:
    """Return the layer that a harmonized one was made from, if it still exists and has the same size."""
    metadata = load_metadata(layer)
    if metadata is None or not metadata.original:
        return None
    found = layer.image.layer_by_tattoo(metadata.original)
    if found is None or found.id == layer.id or found.size != layer.size:
        return None
    return found
