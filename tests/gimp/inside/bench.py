# SPDX-License-Identifier: GPL-3.0-or-later
"""Time calls on a 24-megapixel image with a 9-megapixel layer; the first one starts the engine."""

from __future__ import annotations

import gc
import json
import time

from gi.repository import Gimp

from tests.gimp.inside.support import FOLDER, call, paste, picture

REPEATS = 5
KINDS = ("new-layer", "in-place", "effect")
PLAN = [("cold", "new-layer")] + [("warm", kind) for _ in range(REPEATS) for kind in KINDS]

timings = []
for state, kind in PLAN:
    made = picture(size=(6000, 4000), background="vast")
    layer = paste(made, at=(1400, 600), size=(3000, 3000), pixels="big")
    made.get_thumbnail(64, 64, Gimp.PixbufTransparency.KEEP_ALPHA)  # GIMP composites it, as for a window
    begun = time.time()
    answer = call(made, [layer], result=kind)
    seconds = time.time() - begun
    timings.append({"state": state, "result": kind, "begun": begun, "seconds": seconds, **answer})
    made.delete()
    gc.collect()

(FOLDER / "results.json").write_text(json.dumps(timings))
