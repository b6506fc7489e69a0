# SPDX-License-Identifier: GPL-3.0-or-later
"""Reference photographs: further layers and image files that the foreground is matched to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harmonize_layer.core import messages
from harmonize_layer.core.geometry import PixelArea
from harmonize_layer.core.host import HostImage
from harmonize_layer.core.layers import every_layer
from harmonize_layer.core.settings import HarmonizeSettings
from s2am_common.references import MAX_REFERENCES

SIDE = 512
"""Largest side of a reduced photograph; the network input is smaller still."""


@dataclass(frozen=True)
class ReferenceImage:
    """A reduced image: RGBA, 8-bit sRGB, rows × columns × 4 bytes."""

    columns: int
    rows: int
    rgba: bytes


def read_reference_images(image: HostImage, settings: HarmonizeSettings) -> tuple[ReferenceImage, ...]:
    """Read the further references of the settings.

    Args:
        image: the image; files are opened beside it.
        settings: layers and files.

    Raises:
        LayerError: there are too many, or one cannot be read.
    """
    if len(settings.also_match_layers) + len(settings.also_match_files) > MAX_REFERENCES:
        raise messages.too_many_references(MAX_REFERENCES)
    images = [_read_layer(image, name) for name in settings.also_match_layers]
    return (*images, *(_read_file(image, file) for file in settings.also_match_files))


def reduced_area(size: tuple[int, int], side: int) -> tuple[PixelArea, float]:
    """Return the area of a width and height that is reduced to a largest side, and the scale."""
    scale = min(1.0, side / max(size))
    return PixelArea(0, 0, max(1, int(size[0] * scale)), max(1, int(size[1] * scale))), scale


def _read_file(image: HostImage, file: str) -> ReferenceImage:
    try:
        return ReferenceImage(*image.read_file(file, SIDE))
    except OSError as error:
        raise messages.unreadable_reference(Path(file).name) from error


def _read_layer(image: HostImage, name: str) -> ReferenceImage:
    layer = next((layer for layer in every_layer(image) if layer.name == name), None)  # GIMP keeps names apart
    if layer is None:
        raise messages.reference_gone(name)
    area, scale = reduced_area(layer.size, SIDE)
    return ReferenceImage(area.width, area.height, layer.read("R'G'B'A u8", area, scale))
