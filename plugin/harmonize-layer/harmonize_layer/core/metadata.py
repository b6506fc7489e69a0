# SPDX-License-Identifier: GPL-3.0-or-later
"""The metadata of a harmonized layer, stored in XCF files as a GIMP parasite."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from harmonize_layer.core.host import HostImage, HostLayer
from harmonize_layer.core.layers import every_layer

PARASITE = "harmonize-layer"
"""Name of the parasite; copies of a layer keep it."""

ORIGINAL_PARASITE = "harmonize-layer-original"
"""Name of the parasite with the identity of a layer that a new one was made from."""

SHADOW_PARASITE = "harmonize-layer-shadow"
"""Name of the parasite with the identity of the shadow's layer and the digest of the pixels that it had."""

_VERSION = 2
_EARLIER_KEYS = {"colour_map": "color_map"}
"""Keys of files of version 0.1."""


@dataclass(frozen=True)
class LayerMetadata:
    """Settings and result of harmonizing a layer.

    result, reference, mask: keys of `settings.RESULTS`, `settings.REFERENCES` and `settings.MASKS`.
    color_map: the map with its sliders, as the engine returned it.
    mask_predicted: the detector predicted the mask.
    original: random identity of the layer that a new layer was made from; "" = none. Layers made by version 0.1 have
        none, because that version identified it by a number that layers of other images have as well.
    original_digest, digest: of the pixels of that layer, and of those that were left in the new one.
    edges: the arguments of the edges; empty = 0, or they are part of its layer mask.
    shadow: the arguments of its shadow; empty = it has none.
    shadow_identity: random identity of the shadow's layer; "" = it has none.
    finish: the arguments of its finish, with measured values instead of automatic ones; empty = it has none.
    """

    result: str
    model: str
    sliders: dict[str, float]
    color_map: dict[str, Any]
    reference: str = "beneath"
    mask: str = "automatic"
    mask_predicted: bool = False
    original: str = ""
    original_digest: str = ""
    digest: str = ""
    edges: dict[str, float] = field(default_factory=dict)
    shadow: dict[str, Any] = field(default_factory=dict)
    shadow_identity: str = ""
    finish: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Return the content of the parasite."""
        return json.dumps({"version": _VERSION, **asdict(self)}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> LayerMetadata | None:
        """Parse the content of a parasite; None if it is damaged or of an unknown version."""
        try:
            values = {_EARLIER_KEYS.get(key, key): value for key, value in json.loads(data).items()}
            version = values.pop("version")
            if version == 1:
                del values["original"]
            elif version != _VERSION:
                return None
            return cls(**values)
        except (ValueError, TypeError, LookupError, AttributeError):
            return None


def load_metadata(layer: HostLayer) -> LayerMetadata | None:
    """Return the metadata of a layer; None if it was not harmonized."""
    data = layer.parasite(PARASITE)
    return None if data is None else LayerMetadata.from_bytes(data)


def save_metadata(layer: HostLayer, metadata: LayerMetadata) -> None:
    """Store metadata with a layer, undoably."""
    layer.attach_parasite(PARASITE, metadata.to_bytes())


def identity_of(layer: HostLayer) -> str:
    """Return the identity of a layer that a new one was made from; "" if none was."""
    return (layer.parasite(ORIGINAL_PARASITE) or b"").decode("ascii", "replace")


def set_identity(layer: HostLayer, identity: str) -> None:
    """Store an identity with a layer, undoably."""
    layer.attach_parasite(ORIGINAL_PARASITE, identity.encode("ascii"))


@dataclass(frozen=True)
class EarlierShadow:
    """The layer of a shadow of an earlier run, and whether it still has the pixels that the run left."""

    layer: HostLayer
    is_unchanged: bool


def earlier_shadows(image: HostImage, layer: HostLayer, metadata: LayerMetadata) -> tuple[EarlierShadow, ...]:
    """Return the layers in an image of the shadow that a harmonized layer got: none, one or several.

    Copies of the layer have the same metadata: a shadow belongs to the next one above it.
    """
    wanted = metadata.shadow_identity
    if not wanted:
        return ()
    owners: list[int] = []
    shadows: list[tuple[int, HostLayer, str]] = []
    for other in every_layer(image):
        identity, _, digest = (other.parasite(SHADOW_PARASITE) or b"").decode("ascii", "replace").partition(" ")
        if identity == wanted:
            shadows.append((len(owners), other, digest))
        elif (found := load_metadata(other)) and found.shadow_identity == wanted:
            owners.append(other.id)
    return tuple(
        EarlierShadow(shadow, shadow.digest() == digest)
        for above, shadow, digest in shadows
        if owners[max(above - 1, 0)] == layer.id
    )


def mark_shadow(layer: HostLayer, identity: str) -> None:
    """Store with the layer of a shadow its identity and the digest of its pixels, undoably."""
    layer.attach_parasite(SHADOW_PARASITE, f"{identity} {layer.digest()}".encode("ascii"))
