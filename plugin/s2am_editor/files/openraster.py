# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenRaster (.ora), which GIMP, Krita and MyPaint read and write; and projects, which are OpenRaster files with more.

Another program finds in a project what every OpenRaster file has: the layers as they look, their opacity and order, and
the whole picture. Beside them lie, in the folder `s2am/`, the original pixels, masks, color maps and sliders, from
which this program opens it without loss. They go by the layers' description: where another program has saved the file
since, that is another one, and what that program wrote counts.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree
import numpy as np
from numpy.typing import NDArray

from s2am_common.atomic import atomic_write
from s2am_editor.compose.flatten import Progress, flatten
from s2am_editor.compose.sampling import sample
from s2am_editor.compose.stacking import lay_over, nothing
from s2am_editor.document.geometry import Rect, Transform
from s2am_editor.document.model import Document, Layer
from s2am_editor.document.raster import Raster
from s2am_editor.files import archive as entries
from s2am_editor.files.description import describe, rebuild
from s2am_engine.errors import EngineError
from s2am_engine.image.compositing import to_depth
from s2am_engine.image.formats.common import UnsupportedFileError, check_image_size
from s2am_engine.image.io import ImageData
from s2am_engine.image.sheets import fit_into
from s2am_engine.inference.network_input import to_bytes

SUFFIX = ".ora"
MIMETYPE = b"image/openraster"
VERSION = "0.0.5"
THUMBNAIL = 256  # pixels of its longer side, as OpenRaster asks for
OVER = "svg:src-over"

_DESCRIPTION = "s2am/document.json"


def write(path: Path, document: Document, progress: Progress | None = None) -> None:
    """Write a project, whole or not at all.

    Raises:
        EngineError: the file can't be written.
    """
    report = progress or (lambda _: None)
    steps = len(document.layers) + 3
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("mimetype", MIMETYPE)
        stack = ElementTree.Element("image", version=VERSION, w=str(document.width), h=str(document.height))
        inner = ElementTree.SubElement(stack, "stack")
        originals: dict[int, str] = {}
        for index, layer in reversed(list(enumerate(document.layers))):  # OpenRaster begins with the uppermost
            inner.append(_write_layer(archive, document, layer, f"data/layer{index}.png", originals))
            report((len(document.layers) - index) / steps)
        described = ElementTree.tostring(stack, "utf-8", xml_declaration=True)
        archive.writestr("stack.xml", described)
        flat = flatten(document)
        entries.write_png(archive, "mergedimage.png", *_integers(flat), document.profile)
        report((steps - 2) / steps)
        entries.write_png(archive, "Thumbnails/thumbnail.png", *_thumbnail(flat))
        data = describe(document, entries.Members(archive, originals))
        data["stack"] = hashlib.sha256(described).hexdigest()
        archive.writestr(_DESCRIPTION, json.dumps(data), zipfile.ZIP_DEFLATED)
    report(1.0)


def read(path: Path, progress: Progress | None = None) -> tuple[Document, list[str]]:
    """Read a project or any OpenRaster file.

    Returns:
        The document, and what of the file could not be taken over: a sentence each.

    Raises:
        EngineError: not such a file, damaged, or of a newer version.
    """
    report = progress or (lambda _: None)
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.read("mimetype").strip() != MIMETYPE:
                raise EngineError(f"{path} is not an OpenRaster file: open a picture, an .ora or a .psd file.")
            described = entries.text(archive, "stack.xml")
            own = _own_description(archive, described)
            if own is not None:
                return rebuild(own, entries.Members(archive), report), []
            return _foreign(archive, described, report)
    except EngineError as error:
        raise EngineError(str(error) if str(path) in str(error) else f"{path}: {error}") from error
    except UnsupportedFileError as refusal:
        raise EngineError(f"{path} {refusal}.") from refusal
    except MemoryError as error:
        raise EngineError(f"{path} is too large for this computer's memory: close other programs first.") from error
    except FileNotFoundError as error:
        raise EngineError(f"{path} does not exist: check the name and the folder.") from error
    except (*entries.DAMAGE, defusedxml.DefusedXmlException) as error:
        raise EngineError(f"{path} is damaged or incomplete: open an earlier copy of it.") from error


def _own_description(archive: zipfile.ZipFile, described: bytes) -> Any:
    """What this program wrote about the layers; None if it did not, or another program saved the file since."""
    if _DESCRIPTION not in archive.namelist():
        return None
    data = json.loads(entries.text(archive, _DESCRIPTION))
    return data if data["stack"] == hashlib.sha256(described).hexdigest() else None


def _write_layer(
    archive: zipfile.ZipFile, document: Document, layer: Layer, name: str, originals: dict[int, str]
) -> ElementTree.Element:
    """Write a layer as it looks; where that is its original pixels, note so."""
    left, top, _, _ = layer.box
    whole = Transform.at(left, top, layer.size)
    plain = layer.transform == whole and layer.mask is None and layer.harmonization is None
    if plain and document.dtype != np.float32:
        entries.write_png(archive, name, layer.raster.pixels, layer.raster.alpha, document.profile)
        originals.setdefault(id(layer.raster), name)
    else:
        left, top, seen = _as_it_looks(document, layer)
        entries.write_png(archive, name, *_integers(seen), document.profile)
    attributes = {"name": layer.name, "src": name, "x": str(left), "y": str(top), "composite-op": OVER}
    attributes |= {"opacity": f"{layer.opacity:.6g}", "visibility": "visible" if layer.visible else "hidden"}
    attributes |= {"edit-locked": "true"} if layer.locked else {}
    attributes |= {"selected": "true"} if layer.id == document.active else {}
    # What XML cannot hold (control characters of a pasted name) is left out; the project's own description keeps it.
    attributes["name"] = "".join(c for c in layer.name if c.isprintable())
    return ElementTree.Element("layer", attributes)


def _as_it_looks(document: Document, layer: Layer) -> tuple[int, int, ImageData]:
    """The part of a layer on the canvas, transformed, cut out and harmonized; opacity is left to the reader."""
    rect = layer.box.within(document.rect)
    if rect.is_empty:
        rect = Rect(0, 0, 1, 1)
    solid = Layer(layer.name, layer.raster, layer.transform, layer.mask, harmonization=layer.harmonization)
    seen = lay_over(nothing(rect, document.dtype), solid, sample(solid, 1.0, rect), rect)
    return rect.left, rect.top, seen


def _integers(picture: ImageData) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Pixels and alpha that PNG can hold: floats become 16 bits."""
    if picture.pixels.dtype != np.float32:
        return picture.pixels, picture.alpha
    sixteen = np.dtype(np.uint16)
    return to_depth(picture.pixels, sixteen), None if picture.alpha is None else to_depth(picture.alpha, sixteen)


def _thumbnail(picture: ImageData) -> tuple[NDArray[Any], NDArray[Any] | None]:
    side = min(THUMBNAIL, max(picture.pixels.shape[:2]))
    alpha = None if picture.alpha is None else np.ascontiguousarray(fit_into(to_bytes(picture.alpha), side)[..., 0])
    return fit_into(to_bytes(picture.pixels), side), alpha


def _foreign(archive: zipfile.ZipFile, described: bytes, report: Progress) -> tuple[Document, list[str]]:
    """A document of the layers that another program wrote."""
    image = defusedxml.ElementTree.fromstring(described)
    width, height = int(image.attrib["w"]), int(image.attrib["h"])
    check_image_size(width, height)
    found, notes, profile = [], set[str](), None
    nodes = list(_flat(image.find("stack"), 0, 0, 1.0, True, notes))
    for index, (node, left, top, opacity, visible) in enumerate(reversed(nodes)):
        decoded = entries.read_png(archive, node.attrib["src"])
        profile = profile or decoded.profile
        raster = entries.raster_of(decoded.samples)
        name = node.attrib.get("name", "") or Path(node.attrib["src"]).stem
        found.append((name, raster, Transform.at(left, top, raster.size), opacity, visible))
        report((index + 1) / len(nodes))
    dtype = max((raster.pixels.dtype for _, raster, *_ in found), key=lambda depth: depth.itemsize)
    layers = tuple(
        Layer(name, _in_depth(raster, dtype), transform, opacity=opacity, visible=visible)
        for name, raster, transform, opacity, visible in found
    )
    return Document(width, height, layers, dtype, profile, active=layers[-1].id), sorted(notes)


def _flat(
    stack: Any, left: int, top: int, opacity: float, visible: bool, notes: set[str]
) -> Iterator[tuple[Any, int, int, float, bool]]:
    """The layers of a stack, the uppermost first, with those of stacks within; and where each lies."""
    for node in stack:
        if node.tag not in ("layer", "stack"):
            notes.add(f"A “{node.tag}” was left out: only layers of pixels can be opened.")
            continue
        if node.attrib.get("composite-op", OVER) != OVER:
            notes.add("Layers with other blend modes are shown as normal layers.")
        x, y = left + int(float(node.attrib.get("x", 0))), top + int(float(node.attrib.get("y", 0)))
        opaque = opacity * min(1.0, max(0.0, float(node.attrib.get("opacity", 1))))
        shown = visible and node.attrib.get("visibility", "visible") == "visible"
        if node.tag == "stack":
            yield from _flat(node, x, y, opaque, shown, notes)
        else:
            yield node, x, y, opaque, shown


def _in_depth(raster: Raster, dtype: np.dtype[Any]) -> Raster:
    if raster.pixels.dtype == dtype:
        return raster
    return Raster(to_depth(raster.pixels, dtype), None if raster.alpha is None else to_depth(raster.alpha, dtype))
