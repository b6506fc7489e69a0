# SPDX-License-Identifier: GPL-3.0-or-later
"""Capabilities of an installed GIMP, found out by running it."""

from __future__ import annotations

from s2am_setup.gimp_profiles import Gimp
from s2am_setup.platform import Platform

_MARK = "s2am: layer effects"
_SCRIPT = f"""
from gi.repository import Gimp
image = Gimp.Image.new(1, 1, Gimp.ImageBaseType.RGB)
layer = Gimp.Layer.new(image, "layer", 1, 1, Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL)
image.insert_layer(layer, None, 0)
try:
    layer.append_filter(Gimp.DrawableFilter.new(layer, "gegl:channel-mixer", "Harmonize"))
except TypeError:
    pass
print("{_MARK}", len(layer.get_filters()), flush=True)
image.delete()
"""
_OPTIONS = ("--no-interface", "--no-data", "--no-fonts", "--no-splash", "--batch-interpreter=python-fu-eval")


def offers_effects(gimp: Gimp, platform: Platform) -> bool | None:
    """Return whether a GIMP offers the layer effects of the plug-in; None if it cannot be run from here."""
    if not gimp.console:
        return None
    output = platform.run([*gimp.console, *_OPTIONS, "-b", _SCRIPT, "--quit"]) or ""
    return f"{_MARK} 1" in output if _MARK in output else None
