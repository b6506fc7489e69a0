# SPDX-License-Identifier: GPL-3.0-or-later
"""Photoshop documents: pixel layers with masks, groups and color profile, read by psd-tools.

Of CMYK and Lab documents, the merged image is read, converted to sRGB.
"""

from __future__ import annotations

import dataclasses
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psd_tools import PSDImage
from psd_tools.api.layers import Layer as PsdLayer
from psd_tools.constants import BlendMode as PsdBlendMode
from psd_tools.constants import ColorMode, Resource, Tag

from s2am_common.errors import FileError, ImageFormatError
from s2am_editor.document.blend_mode import BlendMode
from s2am_editor.document.geometry import Transform
from s2am_editor.document.model import Document, Group, Layer
from s2am_editor.document.raster import Raster, TiledMask
from s2am_editor.files.opened_file import OpenedFile
from s2am_editor.files.project import DAMAGE_ERRORS
from s2am_editor.render.export import flatten
from s2am_engine.image.arrays import full_scale, subsample, to_unit
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.formats.common import UnsupportedFileError, check_image_size
from s2am_engine.image.formats.print_colors import LAB_NOTE, cmyk_to_srgb, lab_to_srgb
from s2am_engine.image.icc import fitting_profile
from s2am_engine.image.rect import Rect
from s2am_engine.types import FractionCallback

_MERGED_TRANSPARENCY = (
    Tag.SAVING_MERGED_TRANSPARENCY,
    Tag.SAVING_MERGED_TRANSPARENCY16,
    Tag.SAVING_MERGED_TRANSPARENCY32,
)
_CONVERTED = (ColorMode.CMYK, ColorMode.LAB)
_COLORS = {ColorMode.GRAYSCALE: 1, ColorMode.CMYK: 4}  # channels by mode, 3 for others
_NOTICEABLE = 1.0  # mean difference, in levels of 8 bits
_COMPARED_SIDE = 1024  # pixels
_MAX_NAMES = 5  # in a note
_BLEND_MODES = {
    PsdBlendMode.NORMAL: BlendMode.NORMAL,
    PsdBlendMode.DARKEN: BlendMode.DARKEN,
    PsdBlendMode.MULTIPLY: BlendMode.MULTIPLY,
    PsdBlendMode.COLOR_BURN: BlendMode.COLOR_BURN,
    PsdBlendMode.LIGHTEN: BlendMode.LIGHTEN,
    PsdBlendMode.SCREEN: BlendMode.SCREEN,
    PsdBlendMode.COLOR_DODGE: BlendMode.COLOR_DODGE,
    PsdBlendMode.LINEAR_DODGE: BlendMode.ADD,
    PsdBlendMode.OVERLAY: BlendMode.OVERLAY,
    PsdBlendMode.SOFT_LIGHT: BlendMode.SOFT_LIGHT,
    PsdBlendMode.HARD_LIGHT: BlendMode.HARD_LIGHT,
    PsdBlendMode.DIFFERENCE: BlendMode.DIFFERENCE,
    PsdBlendMode.HUE: BlendMode.HUE,
    PsdBlendMode.SATURATION: BlendMode.SATURATION,
    PsdBlendMode.COLOR: BlendMode.COLOR,
    PsdBlendMode.LUMINOSITY: BlendMode.LUMINOSITY,
}
# Without a handler, psd-tools' warnings about odd files would be printed to stderr.
logging.getLogger("psd_tools").addHandler(logging.NullHandler())

_DEPTHS: dict[int, np.dtype[Any]] = {8: np.dtype(np.uint8), 16: np.dtype(np.uint16)}


def read_photoshop(path: Path, progress: FractionCallback | None = None) -> OpenedFile:
    """Read a Photoshop document.

    Raises:
        FileError: not a Photoshop document, damaged, or neither in RGB, grayscale, CMYK nor Lab with 8 or 16 bits.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the notes report unsupported features
            return _read(path, progress or (lambda _: None))
    except UnsupportedFileError as refusal:
        raise ImageFormatError(f"{path} {refusal}.", path=str(path)) from refusal
    except FileNotFoundError as error:
        raise FileError(f"{path} does not exist: check the name and the folder.") from error
    except MemoryError as error:
        raise FileError(f"{path} is too large for this computer's memory: close other programs first.") from error
    except DAMAGE_ERRORS as error:
        raise ImageFormatError(
            f"{path} is damaged or not a Photoshop document: save it again as PSD or TIFF."
        ) from error


def _read(path: Path, report: FractionCallback) -> OpenedFile:
    psd = PSDImage.open(path, max_alloc_bytes="unlimited")  # check_image_size limits it instead
    check_image_size(psd.width, psd.height)
    dtype = _DEPTHS.get(psd.depth)
    if dtype is not None and psd.color_mode in _CONVERTED and psd.has_preview():
        return _read_converted(psd, dtype, path.stem)
    if psd.color_mode not in (ColorMode.RGB, ColorMode.GRAYSCALE) or dtype is None:
        raise UnsupportedFileError(
            f"has {psd.color_mode.name} colors with {psd.depth} bits: convert it to RGB with 8 or 16 bits first"
        )
    gray = psd.color_mode == ColorMode.GRAYSCALE
    profile = fitting_profile(psd.image_resources.get_data(Resource.ICC_PROFILE), gray)
    reader = _LayerReader(psd, dtype)
    layers, notes = tuple(reader.layers(report)), reader.notes
    if not layers:
        image = _merged_image(psd, dtype, profile, notes)
        document = Document.from_image(dataclasses.replace(image, metadata=_metadata(psd)), path.stem)
        return OpenedFile(document, tuple(sorted(notes)))
    document = Document(psd.width, psd.height, (), dtype, profile, gray, _metadata(psd), active=layers[-1].id)
    document = dataclasses.replace(document, groups=tuple(reader.groups.values())).with_layers(layers)
    notes.update(reader.unsupported.sentences())
    merged = _merged_image(psd, dtype, profile, set()) if psd.has_preview() else None
    difference = 0.0 if merged is None else mean_difference(flatten(document), merged)
    if round(difference, 2) <= _NOTICEABLE:
        return OpenedFile(document, tuple(sorted(notes)))
    notes.add(f"The layers look different here than in Photoshop, by {difference:.0f} of 255 levels on average.")
    return OpenedFile(document, tuple(sorted(notes)), merged)


def mean_difference(first: ImageData, second: ImageData) -> float:
    """Return the mean difference of two images of equal size on white, in levels of 8 bits, from a sample of pixels.

    0 if the second image has only one color: programs that store no merged image fill it.
    """
    sample = _on_white(second)
    if np.ptp(sample, axis=(0, 1)).max() == 0:
        return 0.0
    return float(np.abs(_on_white(first) - sample).mean()) * 255


def _on_white(image: ImageData) -> NDArray[np.float32]:
    color = to_unit(subsample(image.pixels, _COMPARED_SIDE))
    if image.alpha is None:
        return color
    alpha = to_unit(subsample(image.alpha, _COMPARED_SIDE))[..., None]
    return color * alpha + (1 - alpha)


class _UnsupportedFeatures:
    """Collects the layers and groups with features that are not supported."""

    def __init__(self) -> None:
        self._modes: dict[str, None] = {}
        self._effects: dict[str, None] = {}
        self._clipped: dict[str, None] = {}
        self._vector_masks: dict[str, None] = {}

    def add(self, layer: PsdLayer) -> None:
        """Note the features of a layer or group."""
        name = f"“{layer.name}”"
        if layer.blend_mode not in _BLEND_MODES and not _passes_through(layer):
            self._modes[f"{name} ({layer.blend_mode.name.replace('_', ' ').lower()})"] = None
        if layer.has_effects():
            kinds = dict.fromkeys(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(e).__name__).lower() for e in layer.effects)
            self._effects[f"{name} ({', '.join(kinds)})" if kinds else name] = None
        if layer.clipping:
            self._clipped[name] = None
        if layer.has_vector_mask() and (layer.mask is None or not layer.mask.has_real()):
            self._vector_masks[name] = None

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for each feature, with the names of layers and groups."""
        for found, words in (
            (self._modes, "Other blend modes are shown as normal"),
            (self._effects, "Effects are not shown"),
            (self._clipped, "Clipped layers are shown without clipping"),
            (self._vector_masks, "Vector masks are not shown"),
        ):
            if found:
                names = list(found)
                more = ", …" if len(names) > _MAX_NAMES else ""
                yield f"{words}: {', '.join(names[:_MAX_NAMES])}{more}."


def _read_converted(psd: PSDImage, dtype: np.dtype[Any], name: str) -> OpenedFile:
    """Read the merged image of a CMYK or Lab document, converted to sRGB."""
    planes = _stored_planes(psd, dtype)
    if psd.color_mode == ColorMode.CMYK:
        inks = full_scale(dtype) - np.moveaxis(planes[:4], 0, -1)  # stored with 0 as full ink
        profile = psd.image_resources.get_data(Resource.ICC_PROFILE)
        pixels, note = cmyk_to_srgb(inks.astype(dtype), profile)
    else:
        pixels, note = lab_to_srgb(np.ascontiguousarray(np.moveaxis(planes[:3], 0, -1)), signed=False), LAB_NOTE
    image = ImageData(pixels, metadata=_metadata(psd))
    notes = (f"{name} {note}.", *(["Its layers are merged."] if len(psd) else []))
    return OpenedFile(Document.from_image(image, name), notes)


def _stored_planes(psd: PSDImage, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the merged image as stored, C×H×W with the colors first."""
    # psd_tools would take the first selection for transparency, and change the colors accordingly.
    stored = psd._record.image_data.get_data(psd._record.header, False)
    if not isinstance(stored, bytes):
        raise TypeError("channels are split")
    planes = np.frombuffer(stored, dtype.newbyteorder(">")).reshape(-1, psd.height, psd.width)
    if len(planes) < _COLORS.get(psd.color_mode, 3):
        raise ValueError("channels are missing")
    return planes.astype(dtype)


def _metadata(psd: PSDImage) -> Metadata:
    """Return the resolution of a document: fixed-point dots per inch, regardless of the displayed unit."""
    found = psd.image_resources.get_data(Resource.RESOLUTION_INFO)
    across, down = (getattr(found, name, 0) / 2**16 for name in ("horizontal", "vertical"))
    return Metadata(dpi=(across, down)) if across > 0 and down > 0 else Metadata()


def _merged_image(psd: PSDImage, dtype: np.dtype[Any], profile: bytes | None, notes: set[str]) -> ImageData:
    """Return the image of a document without layers."""
    gray = psd.color_mode == ColorMode.GRAYSCALE
    colors = 1 if gray else 3
    if _has_transparency(psd):
        pixels, alpha = _split_channels(psd.numpy(), colors, dtype)
        return ImageData(pixels, alpha, profile, gray)
    if psd.channels > colors:
        notes.add("Saved selections (additional channels) are not kept.")
    color = np.moveaxis(_stored_planes(psd, dtype)[:colors], 0, -1)
    return ImageData(np.ascontiguousarray(color if colors == 3 else np.repeat(color, 3, axis=2)), None, profile, gray)


def _has_transparency(psd: PSDImage) -> bool:
    """Return whether the first additional channel of the merged image is transparency: a negative count of layers."""
    layers = psd._record.layer_and_mask_information.layer_info
    if layers is not None and layers.layer_count < 0:
        return True
    blocks = psd.tagged_blocks
    return blocks is not None and any(key in blocks for key in _MERGED_TRANSPARENCY)


def _read_groups(psd: PSDImage) -> dict[int, Group]:
    """Return all groups by the id() of their objects; their masks become those of their layers."""
    groups: dict[int, Group] = {}
    for found in psd.descendants():  # a group comes before those in it
        if found.is_group():
            parent = groups.get(id(found.parent))
            groups[id(found)] = Group(
                found.name,
                opacity=found.opacity / 255 * found.fill_opacity / 255,
                visible=found.visible,
                blend_mode=_BLEND_MODES.get(found.blend_mode, BlendMode.NORMAL),
                isolated=not _passes_through(found),
                parent=None if parent is None else parent.id,
            )
    return groups


def _passes_through(layer: PsdLayer) -> bool:
    return bool(layer.is_group() and layer.blend_mode == PsdBlendMode.PASS_THROUGH)


class _LayerReader:
    """Reads the pixel layers of a document, and collects notes and unsupported features."""

    def __init__(self, psd: PSDImage, dtype: np.dtype[Any]) -> None:
        self._psd, self._dtype = psd, dtype
        self.groups = _read_groups(psd)
        self.notes: set[str] = set()
        self.unsupported = _UnsupportedFeatures()

    def layers(self, report: FractionCallback) -> Iterator[Layer]:
        """Yield all pixel layers from bottom to top."""
        canvas = Rect(0, 0, self._psd.width, self._psd.height)
        gray = self._psd.color_mode == ColorMode.GRAYSCALE
        layers = [layer for layer in self._psd.descendants() if not layer.is_group()]
        for index, layer in enumerate(layers):
            report(index / len(layers))
            for part in (layer, *_groups(layer)):
                self.unsupported.add(part)
            box = Rect(*layer.bbox)
            if layer.has_pixels() and not box.is_empty:
                check_image_size(box.width, box.height)
                converted = _convert_layer(layer, box, canvas, self._dtype, gray)
                group = self.groups.get(id(layer.parent))
                yield converted if group is None else dataclasses.replace(converted, group=group.id)
            elif not layer.has_pixels():
                self.notes.add(f"“{layer.name}” was skipped: it contains no pixels ({layer.kind}).")


def _convert_layer(layer: PsdLayer, box: Rect, canvas: Rect, dtype: np.dtype[Any], gray: bool) -> Layer:
    pixels, alpha = _split_channels(layer.numpy(), 1 if gray else 3, dtype)
    if alpha is not None and alpha.min() >= full_scale(dtype):
        alpha = None
    raster = Raster(pixels, alpha)
    mask = _convert_mask(layer, box)
    for group in _groups(layer):
        mask = _intersection(mask, _convert_mask(group, box))
    is_background = box.intersection(canvas) == canvas and alpha is None and mask is None
    return Layer(
        *(layer.name, raster, Transform.at(box.left, box.top, raster.size), mask),
        opacity=layer.opacity / 255 * layer.fill_opacity / 255,
        visible=layer.visible,
        locked=is_background,
        blend_mode=_BLEND_MODES.get(layer.blend_mode, BlendMode.NORMAL),
    )


def _groups(layer: PsdLayer) -> Iterator[PsdLayer]:
    """Yield the groups that contain a layer, the innermost first."""
    parent: Any = layer.parent
    while isinstance(parent, PsdLayer):  # the document itself comes last
        yield parent
        parent = parent.parent


def _intersection(mask: TiledMask | None, other: TiledMask | None) -> TiledMask | None:
    """Return the product of two masks of the same size; None shows everything."""
    if mask is None or other is None:
        return mask if other is None else other
    product = mask.to_array() * other.to_array().astype(np.uint16)
    return TiledMask.from_array(((product + 127) // 255).astype(np.uint8))


def _split_channels(
    samples: NDArray[Any] | None, colors: int, dtype: np.dtype[Any]
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Convert h×w×C floats in [0, 1] to pixels h×w×3 and alpha h×w with the exact integers of the file."""
    if samples is None:
        raise ValueError("no pixels")
    exact = np.rint(samples * np.float32(full_scale(dtype))).astype(dtype)
    color = exact[..., :3] if colors == 3 else np.repeat(exact[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(exact[..., colors]) if exact.shape[2] > colors else None
    return np.ascontiguousarray(color), alpha


def _convert_mask(layer: PsdLayer, box: Rect) -> TiledMask | None:
    """Return a layer's mask at the size of its pixels; None if it has no enabled mask."""
    if not layer.has_mask() or layer.mask is None or layer.mask.disabled:
        return None
    if layer.mask.width > 0 and layer.mask.height > 0:
        check_image_size(layer.mask.width, layer.mask.height)
    values = layer.numpy("mask")
    outside = 255 if layer.mask.background_color else 0
    mask = TiledMask(box.width, box.height, outside)
    if values is None:
        return mask
    left, top = layer.mask.bbox[0] - box.left, layer.mask.bbox[1] - box.top
    return mask.replaced(left, top, np.rint(values[..., 0] * 255).astype(np.uint8))
