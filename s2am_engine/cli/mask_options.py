# SPDX-License-Identifier: GPL-3.0-or-later
"""The options about masks: the meaning of their files, and the refinement of their edges."""

from __future__ import annotations

import argparse

from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.sliders import SliderSpec
from s2am_engine.cli.terminal import UsageError, add_slider, slider_value
from s2am_engine.image.mask_edges import AUTOMATIC, EdgeSettings
from s2am_engine.image.mask_reading import MaskOptions


def add_mask_meaning(parser: argparse.ArgumentParser) -> None:
    """Add the options about the meaning of a mask's file."""
    about = "entries of a mask with a palette, or labels, that are foreground"
    parser.add_argument("--mask-index", type=int, nargs="+", action="extend", metavar="NUMBER", help=about)
    add_invert_mask(parser)


def add_invert_mask(parser: argparse.ArgumentParser) -> None:
    """Add the option `--invert-mask`."""
    about = "exchange foreground and background of the mask"
    parser.add_argument("--invert-mask", action="store_true", help=about)


def mask_meaning(options: argparse.Namespace) -> MaskOptions:
    """Return the options of `s2am harmonize` about the meaning of a mask."""
    if options.mask_index and not (options.mask or options.masks):
        raise UsageError("--mask-index needs --mask or --masks")
    if options.invert_mask and not (options.mask or options.masks or options.auto_mask):
        raise UsageError("--invert-mask needs --mask, --masks or --auto-mask")
    return MaskOptions(tuple(options.mask_index or ()), options.invert_mask)


def add_edge_sliders(parser: argparse.ArgumentParser) -> None:
    """Add an option for each slider of the edge of a mask."""
    group = parser.add_argument_group("edges of the mask", "in pixels of the image or, with a background, of the layer")
    for spec in EDGE_SLIDERS.values():
        if spec.automatic:
            _add_automatic(group, spec)
        else:
            add_slider(group, spec, _option(spec), f"{spec.default:g}")


def _add_automatic(group: argparse._ArgumentGroup, spec: SliderSpec) -> None:
    """Add the option of a slider whose value may be left out, and then follows the size of the image."""
    about = f"{spec.help[0].lower()}{spec.help[1:]}; without a number, by the size of the image (default: not at all)"
    limits = f"{spec.low:g}..{spec.high:g}"
    group.add_argument(_option(spec), type=slider_value(spec), nargs="?", const=AUTOMATIC, metavar=limits, help=about)


def _option(spec: SliderSpec) -> str:
    return f"--{spec.name.replace('_', '-')}"


def given_edges(options: argparse.Namespace) -> EdgeSettings:
    """Return the refinement of edges that the options ask for."""
    values = {name: getattr(options, name) for name in EDGE_SLIDERS}
    return EdgeSettings.from_values({name: value for name, value in values.items() if value is not None})
