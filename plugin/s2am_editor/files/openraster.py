# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenRaster files (.ora), the format of projects, which GIMP, Krita and MyPaint can also read and write.

A project contains everything that OpenRaster requires: the rendered layers with opacity and order, and the merged
image. In addition, the folder `s2am/` contains the original pixels, masks, color maps and sliders, from which this
program opens the project without loss. The description there includes a hash of the layer stack: if another program
has saved the file since, the hash differs, and the layers of that program are used.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast
from xml.etree import ElementTree

import defusedxml
import defusedxml.ElementTree
import numpy as np
from numpy.typing import NDArray

from s2am_common.archives import open_archive
from s2am_common.atomic import atomic_write
from s2am_common.errors import FileError, ImageFormatError, S2AMError
from s2am_common.image_formats import PNG
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.layer_tree import Node, layer_tree
from s2am_editor.document.model import Document, Group, Item, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.files.progress_steps import ProgressSteps
from s2am_editor.files.project import DAMAGE_ERRORS, document_from_json, document_to_json, read_array
from s2am_editor.render.cast_shadow import scaled_shadow
from s2am_editor.render.export import converted, flatten, render_area
from s2am_editor.render.finish_layer import has_finish
from s2am_engine.image.arrays import subsample, to_depth
from s2am_engine.image.contact_sheet import fit_into_square
from s2am_engine.image.data import MAX_PIXELS, ImageData
from s2am_engine.image.formats import png
from s2am_engine.image.formats.common import Decoded, ReportingFile, UnsupportedFileError, check_image_size
from s2am_engine.image.icc import fitting_profile
from s2am_engine.image.rect import Rect
from s2am_engine.types import FractionCallback

OPENRASTER_SUFFIX = ".ora"

_MIMETYPE = b"image/openraster"
_OPENRASTER_VERSION = "0.0.5"
_THUMBNAIL_SIDE = 256  # required by the specification
_SAMPLES = 8  # rows and columns of an image for each of its thumbnail
_NUMPY_PIECE_BYTES = 16 << 20  # that NumPy writes at a time
_BLEND_MODES = {mode.value: mode for mode in BlendMode}
_DESCRIPTION = "s2am/document.json"
_MAX_DIRECTORY_BYTES = 16 << 20
_MAX_TEXT_BYTES = 64 << 20
_MAX_PIXEL_BYTES = 16 * MAX_PIXELS
_MAX_RATIO = 100  # to which a larger entry may unpack: PNG files and floats hardly shrink, only bombs do
_ANY_RATIO_BYTES = 64 << 20  # up to this size, an entry may unpack from any size, such as a PNG file of one color
_MAX_DOCUMENT_PIXELS = 4 * MAX_PIXELS  # of all layers and masks


def write_openraster(path: Path, document: Document, progress: FractionCallback | None = None) -> None:
    """Write a project atomically.

    Raises:
        FileError: the file cannot be written.
    """
    steps = ProgressSteps(4 * len(document.layers) + 3, progress)  # at most four for each layer
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("mimetype", _MIMETYPE)
        image = ElementTree.Element("image", version=_OPENRASTER_VERSION, w=str(document.width), h=str(document.height))
        store = _ArchiveStore(archive, steps)
        written: dict[int, list[ElementTree.Element]] = {}
        for index, layer in enumerate(document.layers):
            written[layer.id] = [_write_layer(store, document, layer, f"data/layer{index}.png")]
            if layer.shadow is not None:
                written[layer.id].append(_write_shadow(store, document, layer, f"data/shadow{index}.png"))
        _append_nodes(ElementTree.SubElement(image, "stack"), layer_tree(document), written, document.active)
        stack_xml = ElementTree.tostring(image, "utf-8", xml_declaration=True)
        archive.writestr("stack.xml", stack_xml)
        merged = flatten(document, progress=steps.begin())
        store.put_image("mergedimage.png", ImageData(merged.pixels, merged.alpha, document.profile))
        store.put_image("Thumbnails/thumbnail.png", _thumbnail(merged))
        data = document_to_json(document, store)
        data["stack"] = hashlib.sha256(stack_xml).hexdigest()
        archive.writestr(_DESCRIPTION, json.dumps(data), zipfile.ZIP_DEFLATED)
    if progress:
        progress(1.0)


def read_openraster(path: Path, progress: FractionCallback | None = None) -> OpenedFile:
    """Read a project or any other OpenRaster file.

    Raises:
        FileError: not an OpenRaster file, damaged, or written by a newer version.
    """
    report = progress or (lambda _: None)
    try:
        with open_archive(path, _MAX_DIRECTORY_BYTES) as archive:
            if _read_entry(archive, "mimetype", _MAX_TEXT_BYTES).strip() != _MIMETYPE:
                raise ImageFormatError(f"{path} is not an OpenRaster file: open an image, an .ora or a .psd file.")
            stack_xml = _read_entry(archive, "stack.xml", _MAX_TEXT_BYTES)
            description = _read_description(archive, stack_xml)
            if description is not None:
                return OpenedFile(document_from_json(description, _ArchiveStore(archive), report))
            document, notes = _read_layers(archive, stack_xml, report)
            if _DESCRIPTION in archive.namelist():
                notes.append(
                    "Another program has saved this project since: its layers are shown, without the masks, sliders "
                    "and original colors that s2am had saved."
                )
            return OpenedFile(document, tuple(notes))
    except S2AMError as error:
        message = str(error) if str(path) in str(error) else f"{path}: {error}"
        raise ImageFormatError(message, path=str(path)) from error
    except UnsupportedFileError as refusal:
        raise ImageFormatError(f"{path} {refusal}.", path=str(path)) from refusal
    except MemoryError as error:
        raise FileError(f"{path} is too large for this computer's memory: close other programs first.") from error
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist: check the name and the folder.") from error
    except (*DAMAGE_ERRORS, defusedxml.DefusedXmlException) as error:
        raise ImageFormatError(f"{path} is damaged or incomplete: open an earlier copy of it.") from error


class _ArchiveStore:
    """Pixels and masks of a project as archive entries: PNG, or NumPy's format for floats."""

    def __init__(self, archive: zipfile.ZipFile, steps: ProgressSteps | None = None) -> None:
        """Use an archive; `steps`: of writing."""
        self._archive = archive
        self._steps = steps or ProgressSteps(1, None)
        self._names: dict[int, str] = {}
        self._rasters: dict[str, Raster] = {}
        self._masks: dict[str, TiledMask] = {}
        self._pixels = 0

    def put_image(self, name: str, image: ImageData, original: Raster | None = None) -> None:
        """Write an image for other programs; `original`: a raster that `put_raster` need not write again."""
        report = self._steps.begin()
        alpha = 0 if image.alpha is None else image.alpha.nbytes
        with self._open(name, image.pixels.nbytes + alpha) as entry:
            png.write_png(entry, converted(image, _png_depth(image)), progress=report)
        if original is not None:
            self._names.setdefault(id(original), name)

    def begin_step(self) -> FractionCallback:
        """Return the callback of the rendering of an image."""
        return self._steps.begin()

    def put_raster(self, raster: Raster) -> str:
        """Write a raster, unless the archive contains it."""
        if id(raster) in self._names:
            return self._names[id(raster)]
        name = f"s2am/pixels{len(self._names)}"
        if raster.pixels.dtype == np.float32:
            name += ".npy"
            samples = raster.pixels if raster.alpha is None else np.dstack([raster.pixels, raster.alpha])
            with self._open(name, samples.nbytes) as entry:
                pieces = samples.nbytes // _NUMPY_PIECE_BYTES + 2  # after the header
                output: Any = ReportingFile(entry, pieces, self._steps.begin())
                np.lib.format.write_array(output, samples, allow_pickle=False)
            self._names[id(raster)] = name
        else:
            name += ".png"
            self.put_image(name, ImageData(raster.pixels, raster.alpha), raster)
        return name

    def put_mask(self, mask: TiledMask) -> str:
        """Write a mask, unless the archive contains it."""
        if id(mask) not in self._names:
            name = f"s2am/mask{len(self._names)}.png"
            values = mask.to_array()
            self.put_image(name, ImageData(np.broadcast_to(values[..., None], (*values.shape, 3)), gray=True))
            self._names[id(mask)] = name
        return self._names[id(mask)]

    def _open(self, name: str, size: int) -> BinaryIO:
        """Open an entry for writing that takes about `size` bytes at most; large ones need the ZIP64 format."""
        large = size > zipfile.ZIP64_LIMIT // 2
        return cast(BinaryIO, self._archive.open(zipfile.ZipInfo(name), "w", force_zip64=large))

    def raster(self, name: str) -> Raster:
        """Read a raster. Raises UnsupportedFileError or one of DAMAGE_ERRORS."""
        if name not in self._rasters:
            self._rasters[name] = self._read_raster(name)
            self._count(self._rasters[name].size)
        return self._rasters[name]

    def mask(self, name: str) -> TiledMask:
        """Read a mask. Raises UnsupportedFileError or one of DAMAGE_ERRORS."""
        if name not in self._masks:
            self._masks[name] = self._read_mask(name)
            self._count((self._masks[name].width, self._masks[name].height))
        return self._masks[name]

    def _count(self, size: tuple[int, int]) -> None:
        self._pixels += size[0] * size[1]
        if self._pixels > _MAX_DOCUMENT_PIXELS:
            raise UnsupportedFileError("has too many pixels in all its layers: it can be opened in parts only")

    def _read_raster(self, name: str) -> Raster:
        if not name.endswith(".npy"):
            return _to_raster(_read_png(self._archive, name).samples)
        content = _read_entry(self._archive, name, _MAX_PIXEL_BYTES)
        with io.BytesIO(content) as entry:
            samples = read_array(entry, len(content), dimensions=3)
        check_image_size(samples.shape[1], samples.shape[0])
        if samples.dtype != np.float32 or samples.shape[2] not in (3, 4):
            raise ValueError(f"{name} contains no pixels")
        if not np.isfinite(samples).all():
            raise ValueError(f"{name} contains values that are not finite")
        return _to_raster(samples)

    def _read_mask(self, name: str) -> TiledMask:
        samples = _read_png(self._archive, name).samples
        if samples.dtype != np.uint8 or samples.shape[2] != 1:
            raise ValueError(f"{name} is not a mask")
        return TiledMask.from_array(np.ascontiguousarray(samples[..., 0]))


def _read_entry(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    entry = archive.getinfo(name)  # a few kilobytes can claim to unpack to any size
    allowed = min(max_bytes, max(_ANY_RATIO_BYTES, _MAX_RATIO * entry.compress_size))
    if entry.file_size > allowed:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def _read_png(archive: zipfile.ZipFile, name: str) -> Decoded:
    data = _read_entry(archive, name, _MAX_PIXEL_BYTES)
    if not PNG.matches(data):
        raise ValueError(f"{name} is not a PNG file")
    return png.read_png(data)


def _png_depth(image: ImageData) -> np.dtype[Any]:
    """Return the depth in which PNG stores an image: floats become 16 bits."""
    return np.dtype(np.uint16) if image.pixels.dtype == np.float32 else image.pixels.dtype


def _to_raster(samples: NDArray[Any]) -> Raster:
    """Convert H×W×C samples (gray or RGB, with or without alpha) to a raster."""
    channels = samples.shape[2]
    color = samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(samples[..., -1]) if channels in (2, 4) else None
    return Raster(np.ascontiguousarray(color), alpha)


def _read_description(archive: zipfile.ZipFile, stack_xml: bytes) -> Any:
    """Return this program's description of the document; None if there is none that matches the layer stack."""
    if _DESCRIPTION not in archive.namelist():
        return None
    data = json.loads(_read_entry(archive, _DESCRIPTION, _MAX_TEXT_BYTES))
    return data if data["stack"] == hashlib.sha256(stack_xml).hexdigest() else None


def _write_layer(store: _ArchiveStore, document: Document, layer: Layer, name: str) -> ElementTree.Element:
    """Write a rendered layer, for other programs; it can be its original pixels."""
    left, top, _, _ = layer.box
    untransformed = Transform.at(left, top, layer.size)
    is_recolored = layer.harmonization is not None or has_finish(layer)
    is_original = layer.transform == untransformed and layer.mask is None and not is_recolored
    if is_original and document.dtype != np.float32:
        raster = layer.raster
        store.put_image(name, ImageData(raster.pixels, raster.alpha, document.profile), raster)
    else:
        left, top, rendered = _render_layer(document, layer, store.begin_step())
        store.put_image(name, rendered)
    attributes = _attributes(layer) | {"src": name, "x": str(left), "y": str(top)}
    attributes |= {"edit-locked": "true"} if layer.locked else {}
    attributes |= {"selected": "true"} if layer.id == document.active else {}
    return ElementTree.Element("layer", attributes)


def _write_shadow(store: _ArchiveStore, document: Document, layer: Layer, name: str) -> ElementTree.Element:
    """Write the shadow of a layer as a layer of its own, which other programs multiply with the layers below."""
    shadow = scaled_shadow(layer, (document.width, document.height)).layer
    alpha = shadow.alpha if shadow.alpha.size else np.zeros((1, 1), np.uint16)
    color = to_depth(np.array(shadow.color, np.float32), np.dtype(np.uint16))
    store.put_image(name, ImageData(np.broadcast_to(color, (*alpha.shape, 3)), alpha, document.profile))
    attributes = _attributes(dataclasses.replace(layer, blend_mode=BlendMode.MULTIPLY))
    attributes["name"] = f"Shadow of {attributes['name']}"
    return ElementTree.Element("layer", attributes | {"src": name, "x": str(shadow.left), "y": str(shadow.top)})


def _append_nodes(
    stack: ElementTree.Element,
    nodes: Sequence[Node],
    layers: Mapping[int, list[ElementTree.Element]],
    active: int | None,
) -> None:
    """Append layers, by their ids, and groups to a stack: OpenRaster starts with the top one."""
    for node in reversed(nodes):
        if isinstance(node, Layer):
            stack.extend(layers[node.id])
            continue
        group = node.group
        attributes = _attributes(group) | {"isolation": "isolate" if group.isolated else "auto"}
        attributes |= {"selected": "true"} if group.id == active else {}
        _append_nodes(ElementTree.SubElement(stack, "stack", attributes), node.children, layers, active)


def _attributes(item: Item) -> dict[str, str]:
    """Return the attributes that layers and groups have in common."""
    return {
        # XML cannot contain control characters, which a pasted name can include; the JSON description keeps them.
        "name": "".join(c for c in item.name if c.isprintable()),
        "composite-op": item.blend_mode.value,
        "opacity": f"{item.opacity:.6g}",
        "visibility": "visible" if item.visible else "hidden",
    }


def _render_layer(document: Document, layer: Layer, progress: FractionCallback) -> tuple[int, int, ImageData]:
    """Render a layer with everything but its opacity, an attribute, and its shadow; return left, top and pixels."""
    rect = layer.box.intersection(document.rect)
    if rect.is_empty:
        rect = Rect(0, 0, 1, 1)
    effects: dict[str, Any] = {"harmonization": layer.harmonization, "finish": layer.finish}
    solid = Layer(layer.name, layer.raster, layer.transform, layer.mask, **effects)
    image = render_area(dataclasses.replace(document, layers=(solid,), groups=()), rect, progress)
    return rect.left, rect.top, image


def _thumbnail(image: ImageData) -> ImageData:
    """Return a small copy, made of samples: the mean of all pixels of a large image would take long."""
    side = min(_THUMBNAIL_SIDE, max(image.pixels.shape[:2]))
    pixels, alpha = (
        None if array is None else fit_into_square(subsample(array, _SAMPLES * side), side)
        for array in (image.pixels, image.alpha)
    )
    assert pixels is not None
    return ImageData(pixels, None if alpha is None else np.ascontiguousarray(alpha[..., 0]))


def _read_layers(archive: zipfile.ZipFile, stack_xml: bytes, report: FractionCallback) -> tuple[Document, list[str]]:
    """Build a document from the layers of an OpenRaster file."""
    image = defusedxml.ElementTree.fromstring(stack_xml)
    width, height = int(image.attrib["w"]), int(image.attrib["h"])
    check_image_size(width, height)
    found, notes, profile = list[Layer](), set[str](), None
    tree = _StackReader(notes)
    nodes = list(tree.layers(image.find("stack"), 0, 0, None))
    for index, (node, left, top, group) in enumerate(reversed(nodes)):
        decoded = _read_png(archive, node.attrib["src"])
        profile = profile or fitting_profile(decoded.profile, gray=False)
        raster = _to_raster(decoded.samples)
        name = node.attrib.get("name", "") or Path(node.attrib["src"]).stem
        place = Transform.at(left, top, raster.size)
        found.append(Layer(name, raster, place, group=group, **_common_fields(node)))
        report((index + 1) / len(nodes))
    dtype = max((layer.raster.pixels.dtype for layer in found), key=lambda depth: depth.itemsize)
    layers = tuple(dataclasses.replace(layer, raster=_convert_depth(layer.raster, dtype)) for layer in found)
    document = Document(width, height, (), dtype, profile, active=layers[-1].id, groups=tuple(tree.groups))
    return document.with_layers(layers), sorted(notes)


class _StackReader:
    """Reads the tree of layers and groups, and collects the groups and the notes on unsupported features."""

    def __init__(self, notes: set[str]) -> None:
        self.groups: list[Group] = []
        self._notes = notes

    def layers(self, stack: Any, left: int, top: int, parent: int | None) -> Iterator[tuple[Any, int, int, int | None]]:
        """Yield the layers of a stack, from top to bottom: node, left, top, group."""
        for node in stack:
            if node.tag not in ("layer", "stack"):
                self._notes.add(f"A “{node.tag}” was skipped: only pixel layers are supported.")
                continue
            mode = node.attrib.get("composite-op", BlendMode.NORMAL.value)
            if mode not in _BLEND_MODES:
                self._notes.add(f"The blend mode “{mode}” is not supported: its layers are shown as normal ones.")
            x, y = left + int(float(node.attrib.get("x", 0))), top + int(float(node.attrib.get("y", 0)))
            if node.tag == "stack":
                common = _common_fields(node)
                # The specification isolates all groups with an opacity or a blend mode of their own.
                is_plain = common["opacity"] == 1 and common["blend_mode"] is BlendMode.NORMAL
                isolated = node.attrib.get("isolation", "auto") == "isolate" or not is_plain
                self.groups.append(Group(node.attrib.get("name", ""), isolated=isolated, parent=parent, **common))
                yield from self.layers(node, x, y, self.groups[-1].id)
            else:
                yield node, x, y, parent


def _common_fields(node: Any) -> dict[str, Any]:
    """Return the fields that layers and groups have in common."""
    return {
        "opacity": min(1.0, max(0.0, float(node.attrib.get("opacity", 1)))),
        "visible": node.attrib.get("visibility", "visible") == "visible",
        "blend_mode": _BLEND_MODES.get(node.attrib.get("composite-op", ""), BlendMode.NORMAL),
    }


def _convert_depth(raster: Raster, dtype: np.dtype[Any]) -> Raster:
    if raster.pixels.dtype == dtype:
        return raster
    return Raster(to_depth(raster.pixels, dtype), None if raster.alpha is None else to_depth(raster.alpha, dtype))
