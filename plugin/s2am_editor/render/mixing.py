# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic of blend modes, after “Compositing and Blending Level 1” of the W3C.

Colors are mixed in the document's own encoding, as other editors do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from s2am_editor.document.blend_mode import BlendMode
from s2am_engine.types import Floats

_LUMINANCE = np.array([0.3, 0.59, 0.11], np.float32)
_TINY = np.float32(1e-6)


def mix_colors(mode: BlendMode, backdrop: Floats, source: Floats) -> Floats:
    """Mix a layer's colors with those of its backdrop as if both were opaque; the same shapes …×3, in [0, 1]."""
    function = _FUNCTIONS.get(mode)
    return source if function is None else np.clip(function(backdrop, source), 0, 1).astype(np.float32)


def _multiply(backdrop: Floats, source: Floats) -> Floats:
    return backdrop * source


def _screen(backdrop: Floats, source: Floats) -> Floats:
    return backdrop + source - backdrop * source


def _hard_light(backdrop: Floats, source: Floats) -> Floats:
    return np.where(source <= 0.5, _multiply(backdrop, 2 * source), _screen(backdrop, 2 * source - 1))


def _color_dodge(backdrop: Floats, source: Floats) -> Floats:
    quotient = np.minimum(1, backdrop / np.maximum(1 - source, _TINY))
    return np.where(backdrop <= 0, np.float32(0), np.where(source >= 1, np.float32(1), quotient))


def _color_burn(backdrop: Floats, source: Floats) -> Floats:
    quotient = 1 - np.minimum(1, (1 - backdrop) / np.maximum(source, _TINY))
    return np.where(backdrop >= 1, np.float32(1), np.where(source <= 0, np.float32(0), quotient))


def _soft_light(backdrop: Floats, source: Floats) -> Floats:
    curve = np.where(backdrop <= 0.25, ((16 * backdrop - 12) * backdrop + 4) * backdrop, np.sqrt(backdrop))
    darker = backdrop - (1 - 2 * source) * backdrop * (1 - backdrop)
    return np.where(source <= 0.5, darker, backdrop + (2 * source - 1) * (curve - backdrop))


def _luminosity(colors: Floats) -> Floats:
    return np.asarray(colors @ _LUMINANCE, np.float32)[..., None]


def _set_luminosity(colors: Floats, luminosity: Floats) -> Floats:
    """Shift colors to another luminosity, and pull those outside of [0, 1] towards it."""
    shifted = colors + (luminosity - _luminosity(colors))
    low, high = shifted.min(axis=-1, keepdims=True), shifted.max(axis=-1, keepdims=True)
    raised = luminosity + (shifted - luminosity) * luminosity / np.maximum(luminosity - low, _TINY)
    shifted = np.where(low < 0, raised, shifted)
    lowered = luminosity + (shifted - luminosity) * (1 - luminosity) / np.maximum(high - luminosity, _TINY)
    return np.where(high > 1, lowered, shifted)


def _saturation(colors: Floats) -> Floats:
    return colors.max(axis=-1, keepdims=True) - colors.min(axis=-1, keepdims=True)


def _set_saturation(colors: Floats, saturation: Floats) -> Floats:
    """Stretch colors to another saturation; gray stays gray."""
    low = colors.min(axis=-1, keepdims=True)
    return (colors - low) * saturation / np.maximum(_saturation(colors), _TINY)


_FUNCTIONS: dict[BlendMode, Callable[[Floats, Floats], Floats]] = {
    BlendMode.DARKEN: np.minimum,
    BlendMode.MULTIPLY: _multiply,
    BlendMode.COLOR_BURN: _color_burn,
    BlendMode.LIGHTEN: np.maximum,
    BlendMode.SCREEN: _screen,
    BlendMode.COLOR_DODGE: _color_dodge,
    BlendMode.ADD: np.add,
    BlendMode.OVERLAY: lambda backdrop, source: _hard_light(source, backdrop),
    BlendMode.SOFT_LIGHT: _soft_light,
    BlendMode.HARD_LIGHT: _hard_light,
    BlendMode.DIFFERENCE: lambda backdrop, source: np.abs(backdrop - source),
    BlendMode.HUE: lambda backdrop, source: _set_luminosity(
        _set_saturation(source, _saturation(backdrop)), _luminosity(backdrop)
    ),
    BlendMode.SATURATION: lambda backdrop, source: _set_luminosity(
        _set_saturation(backdrop, _saturation(source)), _luminosity(backdrop)
    ),
    BlendMode.COLOR: lambda backdrop, source: _set_luminosity(source, _luminosity(backdrop)),
    BlendMode.LUMINOSITY: lambda backdrop, source: _set_luminosity(backdrop, _luminosity(source)),
}
