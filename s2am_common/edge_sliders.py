# SPDX-License-Identifier: GPL-3.0-or-later
"""The sliders for the edge of a mask; `s2am_engine.image.mask_edges` holds the arithmetic.

Command-line options and the dialogs of the editor and GIMP derive from `EDGE_SLIDERS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from s2am_common.sliders import SliderSpec

_TABLE = (
    SliderSpec(
        "refine_edges",
        0,
        100,
        0,
        "Find Hair",
        "Estimate the opacity of hair and blur from the image, within this many pixels of the edge",
        unit="px",
        automatic=True,
    ),
    SliderSpec("smooth", 0, 50, 0, "Smooth", "Remove bays and spikes, in pixels", unit="px"),
    SliderSpec("grow", -100, 100, 0, "Grow", "Move the edge outward (+) or inward (-), in pixels", unit="px"),
    SliderSpec("feather", 0, 100, 0, "Feather", "Fade on both sides of the edge, in pixels", unit="px"),
    SliderSpec("harden", 0, 1, 0, "Harden", "Contrast of a soft edge; 1 makes it hard"),
)

EDGE_SLIDERS: Mapping[str, SliderSpec] = MappingProxyType({spec.name: spec for spec in _TABLE})
"""The sliders by name, in the order in which the changes are applied and shown; 0 changes nothing."""
