# SPDX-License-Identifier: GPL-3.0-or-later
"""Blend modes of layers."""

from __future__ import annotations

from enum import Enum


class BlendMode(Enum):
    """Blend mode of a layer; the values are the names of OpenRaster (and of SVG)."""

    NORMAL = "svg:src-over"
    DARKEN = "svg:darken"
    MULTIPLY = "svg:multiply"
    COLOR_BURN = "svg:color-burn"
    LIGHTEN = "svg:lighten"
    SCREEN = "svg:screen"
    COLOR_DODGE = "svg:color-dodge"
    ADD = "svg:plus"
    OVERLAY = "svg:overlay"
    SOFT_LIGHT = "svg:soft-light"
    HARD_LIGHT = "svg:hard-light"
    DIFFERENCE = "svg:difference"
    HUE = "svg:hue"
    SATURATION = "svg:saturation"
    COLOR = "svg:color"
    LUMINOSITY = "svg:luminosity"
