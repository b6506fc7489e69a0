# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for GIMP's enumerations, and its error."""

from __future__ import annotations

from enum import Enum


class LayerMode(Enum):
    """Some modes."""

    NORMAL, MULTIPLY, PASS_THROUGH = range(3)


class ImageBaseType(Enum):
    """All types."""

    RGB, GRAY, INDEXED = range(3)


class Precision(Enum):
    """Some precisions."""

    U8_LINEAR, U8_NON_LINEAR, U8_PERCEPTUAL, U16_NON_LINEAR = range(4)


class LayerColorSpace(Enum):
    """Some color spaces of blending."""

    AUTO, RGB_PERCEPTUAL = range(2)


class RunMode(Enum):
    """Some modes."""

    INTERACTIVE, NONINTERACTIVE = range(2)


class GError(Exception):
    """An error of GLib."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message
