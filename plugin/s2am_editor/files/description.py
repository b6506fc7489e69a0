# SPDX-License-Identifier: GPL-3.0-or-later
"""A document as plain JSON beside its pixels and masks, which go to files of their own: nothing is lost on the way.

Saved projects and the automatic copies differ in where and how they keep the pixels; what they say about them is this.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from s2am_editor.compose.flatten import Progress
from s2am_editor.document.geometry import Transform
from s2am_editor.document.mask import Mask
from s2am_editor.document.model import Document, Harmonization, Layer, Reference, new_layer_id
from s2am_editor.document.raster import Raster
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import ColorMap, Curves
from s2am_engine.errors import EngineError
from s2am_engine.image.data import Metadata

FORMAT, VERSION = "s2am project", 2

_EARLIER_KEYS = {"grey": "gray", "png_colour": "png_color"}
"""Keys of version 1, by the keys that replaced them."""


class Writer(Protocol):
    """Where pixels and masks are put; each returns the name by which a Reader finds it again."""

    def put_raster(self, raster: Raster) -> str:
        """Keep a layer's pixels."""

    def put_mask(self, mask: Mask) -> str:
        """Keep a mask."""


class Reader(Protocol):
    """Where they are found."""

    def raster(self, name: str) -> Raster:
        """A layer's pixels."""

    def mask(self, name: str) -> Mask:
        """A mask."""


def describe(document: Document, writer: Writer) -> dict[str, Any]:
    """Say all of a document in plain values; pixels and masks go to a writer."""
    places = {layer.id: index for index, layer in enumerate(document.layers)}
    return {
        "format": FORMAT,
        "version": VERSION,
        "width": document.width,
        "height": document.height,
        "dtype": document.dtype.name,
        "profile": _text(document.profile),
        "gray": document.gray,
        "metadata": _describe_metadata(document.metadata),
        "active": places.get(document.active) if document.active is not None else None,
        "area": None if document.area is None else writer.put_mask(document.area),
        "layers": [_describe_layer(layer, places, writer) for layer in document.layers],
    }


def rebuild(data: Any, reader: Reader, progress: Progress | None = None) -> Document:
    """The document that was described.

    Args:
        data: what `describe` said.
        reader: where its pixels and masks are.
        progress: called with the share of layers done; what it raises ends the work.

    Raises:
        EngineError: it was written by a newer version of this program.
        KeyError, TypeError, ValueError: it is damaged (and what the reader raises).
    """
    if not isinstance(data, Mapping) or data["format"] != FORMAT:
        raise ValueError("not a project")
    if data["version"] not in (1, VERSION):
        raise EngineError(f"This project has version {data['version']!r}, not {VERSION}: update this program.")
    data = _with_present_keys(data)
    ids = [new_layer_id() for _ in data["layers"]]
    layers = []
    for index, (each, own) in enumerate(zip(data["layers"], ids, strict=True)):
        layers.append(_layer(each, own, ids, reader))
        if progress:
            progress((index + 1) / len(ids))
    document = Document(
        *(int(data["width"]), int(data["height"]), tuple(layers), np.dtype(data["dtype"])),
        profile=_bytes(data["profile"]),
        gray=bool(data["gray"]),
        metadata=_metadata(_with_present_keys(data["metadata"])),
        active=None if data["active"] is None else ids[data["active"]],
        area=None if data["area"] is None else reader.mask(data["area"]),
    )
    _check(document)
    return document


def _with_present_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    return {_EARLIER_KEYS.get(key, key): value for key, value in data.items()}


def _check(document: Document) -> None:
    """Raise ValueError where parts do not belong together."""
    if document.width < 1 or document.height < 1 or document.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError("no such canvas")
    if any(layer.raster.pixels.dtype != document.dtype for layer in document.layers):
        raise ValueError("a layer of another depth")
    areas = [document.area, *(h.reference.area for layer in document.layers if (h := layer.harmonization))]
    if any(area and (area.width, area.height) != (document.width, document.height) for area in areas):
        raise ValueError("an area of another size")


def _describe_layer(layer: Layer, places: Mapping[int, int], writer: Writer) -> dict[str, Any]:
    return {
        "name": layer.name,
        "pixels": writer.put_raster(layer.raster),
        "mask": None if layer.mask is None else writer.put_mask(layer.mask),
        "transform": dataclasses.asdict(layer.transform),
        "opacity": layer.opacity,
        "visible": layer.visible,
        "locked": layer.locked,
        "harmonization": layer.harmonization and _describe_harmonization(layer.harmonization, places, writer),
    }


def _layer(data: Mapping[str, Any], own: int, ids: Sequence[int], reader: Reader) -> Layer:
    return Layer(
        *(str(data["name"]), reader.raster(data["pixels"]), Transform(**data["transform"])),
        mask=None if data["mask"] is None else reader.mask(data["mask"]),
        opacity=float(data["opacity"]),
        visible=bool(data["visible"]),
        locked=bool(data["locked"]),
        harmonization=None if data["harmonization"] is None else _harmonization(data["harmonization"], ids, reader),
        id=own,
    )


def _describe_harmonization(found: Harmonization, places: Mapping[int, int], writer: Writer) -> dict[str, Any]:
    reference = found.reference
    return {
        "found": found.found.to_json(),
        "model": found.model,
        "confidence": found.confidence,
        "adjustments": dataclasses.asdict(found.adjustments),
        "curves": None if found.curves is None else found.curves.to_json(),
        "reference": {
            "kind": reference.kind,
            # A layer that was deleted since is -1: the map that it led to stays.
            "layer": None if reference.layer is None else places.get(reference.layer, -1),
            "area": None if reference.area is None else writer.put_mask(reference.area),
        },
    }


def _harmonization(data: Mapping[str, Any], ids: Sequence[int], reader: Reader) -> Harmonization:
    curves = None if data["curves"] is None else ColorMap.from_json(data["curves"])
    if curves is not None and not isinstance(curves, Curves):
        raise ValueError("curves expected")
    return Harmonization(
        *(ColorMap.from_json(data["found"]), str(data["model"]), float(data["confidence"])),
        reference=_reference(data["reference"], ids, reader),
        adjustments=Sliders(**data["adjustments"]),
        curves=curves,
    )


def _reference(data: Mapping[str, Any], ids: Sequence[int], reader: Reader) -> Reference:
    place, area = data["layer"], data["area"]
    layer = None if place is None else ids[place] if place >= 0 else new_layer_id()
    return Reference(data["kind"], layer, None if area is None else reader.mask(area))


def _describe_metadata(metadata: Metadata) -> dict[str, Any]:
    return {
        **{key: _text(getattr(metadata, key)) for key in ("exif", "xmp", "iptc")},
        "dpi": metadata.dpi,
        "text": metadata.text,
        "png_color": [[_text(kind), _text(body)] for kind, body in metadata.png_color],
    }


def _metadata(data: Mapping[str, Any]) -> Metadata:
    return Metadata(
        exif=_bytes(data["exif"]),
        xmp=_bytes(data["xmp"]),
        iptc=_bytes(data["iptc"]),
        dpi=None if data["dpi"] is None else (float(data["dpi"][0]), float(data["dpi"][1])),
        text=tuple((str(keyword), str(text)) for keyword, text in data["text"]),
        png_color=tuple((_bytes(kind) or b"", _bytes(body) or b"") for kind, body in data["png_color"]),
    )


def _text(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
