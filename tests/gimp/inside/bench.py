# SPDX-License-Identifier: GPL-3.0-or-later
"""Time calls on a 24-megapixel image with a 9-megapixel layer; the first one starts the engine."""

from __future__ import annotations

import gc
import json
import time
from typing import Any

from gi.repository import Gimp

from tests.gimp.inside.support import FOLDER, call, paste, picture

REPEATS = 3
EDGES = {"mask_smooth": 2.0, "mask_grow": -2.0, "mask_feather": 2.0}
FINISH = {
    "light_automatic": True,
    "grain_automatic": True,
    "sharpness_automatic": True,
    "decontaminate": 1.0,
    "light_wrap": 0.5,
}
KINDS: dict[str, dict[str, Any]] = {
    "new-layer": {},
    "in-place": {"result": "in-place"},
    "effect": {"result": "effect"},
    "edges": EDGES,
    "finish": FINISH,
    "edges and finish": EDGES | FINISH,
}
FORMATS = {
    "8-bit sRGB": (Gimp.Precision.U8_NON_LINEAR, None),
    "16-bit sRGB": (Gimp.Precision.U16_NON_LINEAR, None),
    "8-bit AdobeRGB": (Gimp.Precision.U8_NON_LINEAR, Gimp.ColorProfile.new_rgb_adobe),
    "16-bit AdobeRGB": (Gimp.Precision.U16_NON_LINEAR, Gimp.ColorProfile.new_rgb_adobe),
    "float linear": (Gimp.Precision.FLOAT_LINEAR, None),
}
STANDARD, *OTHERS = FORMATS
PLAN = [("cold", "new-layer", STANDARD)]
PLAN += [("warm", kind, STANDARD) for _ in range(REPEATS) for kind in KINDS]
PLAN += [("warm", "new-layer", name) for _ in range(REPEATS) for name in OTHERS]

timings = []
for state, kind, name in PLAN:
    precision, profile = FORMATS[name]
    made = picture(precision, profile() if profile else None, size=(6000, 4000), background="vast")
    layer = paste(made, at=(1400, 600), size=(3000, 3000), pixels="big")
    made.get_thumbnail_data(64, 64)  # GIMP composites it, as for a window
    begun = time.time()
    answer = call(made, [layer], **KINDS[kind])
    seconds = time.time() - begun
    timings.append({"state": state, "result": kind, "format": name, "begun": begun, "seconds": seconds, **answer})
    made.delete()
    gc.collect()

(FOLDER / "results.json").write_text(json.dumps(timings))
