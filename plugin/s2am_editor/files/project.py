# SPDX-License-Identifier: GPL-3.0-or-later
"""Lossless description of a document as JSON, with pixels and masks in separate files.

Saved projects (`openraster`) and recovery copies (`recovery`) share this description; they differ in where they store
the pixels.
"""

from __future__ import annotations

import base64
import dataclasses
import math
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import ImageFormatError
from s2am_editor.document.basis import Outdated
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.layer_tree import groups_in, layer_tree
from s2am_editor.document.measured_finish import MeasuredFinish
from s2am_editor.document.model import Document, Group, Harmonization, ImageAdjustment, Layer, Reference, new_layer_id
from s2am_editor.document.out_of_date import finish_outdated, harmonization_outdated, restored_basis
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.document.tone_curves import ToneCurves
from s2am_engine.color.adjustments import Sliders
from s2am_engine.color.map import ColorMap, Curves
from s2am_engine.image.data import Metadata
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import FractionCallback

PROJECT_FORMAT, PROJECT_VERSION = "s2am project", 2

_KEYS_OF_VERSION_1 = {
    "grey": "gray",
    "png_colour": "png_color",
    "found": "model_map",
    "adjustments": "sliders",
}
"""Keys of version 1, with the keys that replaced them."""

DAMAGE_ERRORS = (
    *(ValueError, TypeError, KeyError, IndexError, ArithmeticError, SyntaxError, EOFError, OSError, RuntimeError),
    *(NotImplementedError, AttributeError, AssertionError, zipfile.BadZipFile, struct.error, zlib.error),
)
"""Exceptions that reading a damaged file can raise."""


class PixelWriter(Protocol):
    """Stores pixels and masks; returns a name by which a `PixelReader` finds them."""

    def put_raster(self, raster: Raster) -> str:
        """Store a raster."""

    def put_mask(self, mask: TiledMask) -> str:
        """Store a mask."""


class PixelReader(Protocol):
    """Reads pixels that a `PixelWriter` has stored; the same name gives the same object."""

    def raster(self, name: str) -> Raster:
        """Return the raster that was stored under a name. Raises an error of the store if it is missing or damaged."""

    def mask(self, name: str) -> TiledMask:
        """Return the mask that was stored under a name. Raises as `raster` does."""


def read_array(file: BinaryIO, size: int, dimensions: int) -> NDArray[Any]:
    """Read an array in NumPy's format, whose header may claim any size.

    Args:
        file: open at the start of the array.
        size: bytes of the array with its header.
        dimensions: number of dimensions that it must have.

    Raises:
        ValueError: another number of dimensions, a type without a fixed size, or fewer bytes than the header claims.
    """
    version = np.lib.format.read_magic(file)
    reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = reader(file)
    if dtype.hasobject or len(shape) != dimensions:
        raise ValueError(f"an array of {len(shape)} dimensions, not {dimensions}")
    if math.prod(shape) * dtype.itemsize > size:
        raise ValueError("an array ends too early")
    file.seek(0)
    return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


def document_to_json(document: Document, writer: PixelWriter) -> dict[str, Any]:
    """Return a document as JSON values; pixels and masks go to the writer."""
    indices = {item.id: index for index, item in enumerate(document.items)}
    return {
        "format": PROJECT_FORMAT,
        "version": PROJECT_VERSION,
        "width": document.width,
        "height": document.height,
        "dtype": document.dtype.name,
        "profile": _encode(document.profile),
        "gray": document.gray,
        "metadata": _metadata_to_json(document.metadata),
        "active": indices.get(document.active) if document.active is not None else None,
        "area": None if document.area is None else writer.put_mask(document.area),
        "layers": [_layer_to_json(document, layer, indices, writer) for layer in document.layers],
        "groups": [_group_to_json(group, indices) for group in document.groups],
        "adjustment": document.adjustment and _adjustment_to_json(document.adjustment),
    }


def document_from_json(data: Any, reader: PixelReader, progress: FractionCallback | None = None) -> Document:
    """Rebuild a document from its description.

    Args:
        data: a result of `document_to_json`, of this or an earlier version.
        reader: provides the pixels and masks.
        progress: see `FractionCallback`.

    Raises:
        ImageFormatError: a newer version of this program wrote the description.
        KeyError, TypeError, ValueError: the description is damaged. The reader can raise further exceptions.
    """
    if not isinstance(data, Mapping) or data["format"] != PROJECT_FORMAT:
        raise ValueError("not a project")
    if data["version"] not in (1, PROJECT_VERSION):
        raise ImageFormatError(
            f"This project has version {data['version']!r}, but this program reads versions up to {PROJECT_VERSION}: "
            "update this program.",
            code="file.format.version",
        )
    data = _with_current_keys(data)
    groups = data.get("groups", [])  # version 0.1 has none
    adjustment = data.get("adjustment")  # the first projects of version 2 have none
    ids = [new_layer_id() for _ in (*data["layers"], *groups)]  # of the layers, followed by those of the groups
    layers = []
    for index, layer in enumerate(data["layers"]):
        layers.append(_layer_from_json(layer, ids[index], ids, reader))
        if progress:
            progress((index + 1) / len(data["layers"]))
    document = Document(
        *(int(data["width"]), int(data["height"]), tuple(layers), np.dtype(data["dtype"])),
        profile=_decode(data["profile"]),
        gray=bool(data["gray"]),
        metadata=_metadata_from_json(_with_current_keys(data["metadata"])),
        active=_id_from_json(data["active"], ids),
        area=None if data["area"] is None else reader.mask(data["area"]),
        groups=tuple(_group_from_json(group, ids[len(layers) + index], ids) for index, group in enumerate(groups)),
        adjustment=adjustment and ImageAdjustment(**_adjustment_from_json(adjustment)),
    )
    _check_consistency(document)
    layers = [_without_foreign_area(document, layer) for layer in document.layers]
    document = dataclasses.replace(document, layers=tuple(layers))
    restored = (_with_bases(document, *each) for each in zip(document.layers, data["layers"], strict=True))
    return dataclasses.replace(document, layers=tuple(restored))


def _with_bases(document: Document, layer: Layer, data: Mapping[str, Any]) -> Layer:
    """Return a layer whose results are out of date for the same reasons as in the file; earlier versions have none."""
    found, finish = layer.harmonization, layer.finish
    if found and found.placement and (names := data.get("harmonization_outdated")) is not None:
        basis = restored_basis(document, layer, found.placement, map(Outdated, names), found.reference)
        found = dataclasses.replace(found, basis=basis)
    if finish and (names := data.get("finish_outdated")) is not None:
        finish = dataclasses.replace(
            finish, basis=restored_basis(document, layer, finish.placement, map(Outdated, names))
        )
    return dataclasses.replace(layer, harmonization=found, finish=finish)


def _with_current_keys(data: Mapping[str, Any]) -> dict[str, Any]:
    return {_KEYS_OF_VERSION_1.get(key, key): value for key, value in data.items()}


def _check_consistency(document: Document) -> None:
    """Raise ValueError if parts of the document do not match."""
    if document.width < 1 or document.height < 1 or document.dtype not in (np.uint8, np.uint16, np.float32):
        raise ValueError("invalid canvas")
    if any(layer.raster.pixels.dtype != document.dtype for layer in document.layers):
        raise ValueError("a layer of another depth")
    if document.area and not _fits(document.area, document):
        raise ValueError("an area of another size")
    if sorted(group.id for group in groups_in(layer_tree(document))) != sorted(group.id for group in document.groups):
        raise ValueError("the layers of a group are not consecutive")


def _fits(area: TiledMask, document: Document) -> bool:
    return (area.width, area.height) == (document.width, document.height)


def _without_foreign_area(document: Document, layer: Layer) -> Layer:
    """Return a layer without a reference area of another canvas, which earlier versions could store; colors stay."""
    found = layer.harmonization
    if found is None or found.reference.area is None or _fits(found.reference.area, document):
        return layer
    reference = Reference(photographs=found.reference.photographs)
    return dataclasses.replace(layer, harmonization=dataclasses.replace(found, reference=reference))


def _layer_to_json(document: Document, layer: Layer, indices: Mapping[int, int], writer: PixelWriter) -> dict[str, Any]:
    return {
        "name": layer.name,
        "pixels": writer.put_raster(layer.raster),
        "mask": None if layer.mask is None else writer.put_mask(layer.mask),
        "transform": dataclasses.asdict(layer.transform),
        "opacity": layer.opacity,
        "blend_mode": layer.blend_mode.value,
        "visible": layer.visible,
        "locked": layer.locked,
        "shadow": None if layer.shadow is None else layer.shadow.to_json(),
        "finish": None if layer.finish is None else layer.finish.to_json(),
        "group": None if layer.group is None else indices[layer.group],
        "harmonization": layer.harmonization and _harmonization_to_json(layer.harmonization, indices, writer),
        "harmonization_outdated": [reason.value for reason in harmonization_outdated(document, layer)],
        "finish_outdated": [reason.value for reason in finish_outdated(document, layer)],
    }


def _layer_from_json(data: Mapping[str, Any], layer_id: int, ids: Sequence[int], reader: PixelReader) -> Layer:
    harmonization = data["harmonization"]
    return Layer(
        *(str(data["name"]), reader.raster(data["pixels"]), Transform(**data["transform"])),
        mask=None if data["mask"] is None else reader.mask(data["mask"]),
        opacity=float(data["opacity"]),
        visible=bool(data["visible"]),
        locked=bool(data["locked"]),
        harmonization=None if harmonization is None else _harmonization_from_json(harmonization, ids, reader),
        blend_mode=BlendMode(data.get("blend_mode", BlendMode.NORMAL.value)),  # version 0.1 has none
        group=_id_from_json(data.get("group"), ids),
        shadow=None if data.get("shadow") is None else Shadow.from_json(data["shadow"]),
        finish=None if data.get("finish") is None else MeasuredFinish.from_json(data["finish"]),
        id=layer_id,
    )


def _group_to_json(group: Group, indices: Mapping[int, int]) -> dict[str, Any]:
    return {
        "name": group.name,
        "opacity": group.opacity,
        "visible": group.visible,
        "blend_mode": group.blend_mode.value,
        "isolated": group.isolated,
        "parent": None if group.parent is None else indices[group.parent],
    }


def _group_from_json(data: Mapping[str, Any], group_id: int, ids: Sequence[int]) -> Group:
    return Group(
        *(str(data["name"]), float(data["opacity"]), bool(data["visible"]), BlendMode(data["blend_mode"])),
        isolated=bool(data["isolated"]),
        parent=_id_from_json(data["parent"], ids),
        id=group_id,
    )


def _id_from_json(index: Any, ids: Sequence[int]) -> int | None:
    return None if index is None else ids[int(index)]


def _harmonization_to_json(
    harmonization: Harmonization, indices: Mapping[int, int], writer: PixelWriter
) -> dict[str, Any]:
    reference = harmonization.reference
    return {
        "model_map": harmonization.model_map.to_json(),
        "model": harmonization.model,
        "confidence": harmonization.confidence,
        **_adjustment_to_json(harmonization),
        "placement": None if harmonization.placement is None else dataclasses.asdict(harmonization.placement),
        "likeness": harmonization.likeness,
        "reference": {
            "kind": reference.kind,
            # -1 stands for a deleted reference layer; the color map remains valid.
            "layer": None if reference.layer is None else indices.get(reference.layer, -1),
            "area": None if reference.area is None else writer.put_mask(reference.area),
            "photographs": [str(path) for path in reference.photographs],
        },
    }


def _harmonization_from_json(data: Mapping[str, Any], ids: Sequence[int], reader: PixelReader) -> Harmonization:
    data = _with_current_keys(data)
    return Harmonization(
        *(ColorMap.from_json(data["model_map"]), str(data["model"]), float(data["confidence"])),
        reference=_reference_from_json(data["reference"], ids, reader),
        **_adjustment_from_json(data),
        placement=Transform(**data["placement"]) if data.get("placement") else None,
        likeness=None if data.get("likeness") is None else float(data["likeness"]),
    )


def _adjustment_to_json(adjusted: Harmonization | ImageAdjustment) -> dict[str, Any]:
    """Return sliders and curves."""
    curves = adjusted.curves
    return {
        "sliders": dataclasses.asdict(adjusted.sliders),
        "curves": None if curves is None else curves.curves.to_json(),
        "curve_points": _points_to_json(curves),
    }


def _adjustment_from_json(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return sliders and curves as arguments of `Harmonization` and `ImageAdjustment`."""
    curves = None if data["curves"] is None else _curves_from_json(data["curves"], data.get("curve_points"))
    return {"sliders": Sliders.from_values(data["sliders"]), "curves": curves}


def _points_to_json(curves: ToneCurves | None) -> Any:
    """Return the points of curves; None if only samples of them were drawn."""
    return None if curves is None or curves.samples is not None else curves.lines


def _curves_from_json(data: Any, lines: Any) -> ToneCurves:
    """Rebuild curves; version 0.1 stored only samples of them."""
    samples = ColorMap.from_json(data)
    if not isinstance(samples, Curves):
        raise ValueError("curves expected")
    if lines is None:
        return ToneCurves.from_samples(samples)
    master, red, green, blue = (tuple((float(x), float(y)) for x, y in line) for line in lines)
    for line in (master, red, green, blue):
        xs = [x for x, _ in line]
        if len(line) < 2 or xs != sorted(set(xs)) or not all(0 <= value <= 1 for point in line for value in point):
            raise ValueError("damaged curve")
    return ToneCurves((master, red, green, blue))


def _reference_from_json(data: Mapping[str, Any], ids: Sequence[int], reader: PixelReader) -> Reference:
    index, area = data["layer"], data["area"]
    layer = None if index is None else ids[index] if index >= 0 else new_layer_id()
    photographs = tuple(Path(str(path)) for path in data.get("photographs", ()))  # version 0.1 has none
    return Reference(data["kind"], layer, None if area is None else reader.mask(area), photographs)


def _metadata_to_json(metadata: Metadata) -> dict[str, Any]:
    return {
        **{key: _encode(getattr(metadata, key)) for key in ("exif", "xmp", "iptc")},
        "dpi": metadata.dpi,
        "text": metadata.text,
        "png_color": [[_encode(kind), _encode(body)] for kind, body in metadata.png_color],
    }


def _metadata_from_json(data: Mapping[str, Any]) -> Metadata:
    return Metadata(
        exif=_decode(data["exif"]),
        xmp=_decode(data["xmp"]),
        iptc=_decode(data["iptc"]),
        dpi=None if data["dpi"] is None else (float(data["dpi"][0]), float(data["dpi"][1])),
        text=tuple((str(keyword), str(text)) for keyword, text in data["text"]),
        png_color=tuple((_decode(kind) or b"", _decode(body) or b"") for kind, body in data["png_color"]),
    )


def _encode(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _decode(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)
