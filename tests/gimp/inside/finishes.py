# SPDX-License-Identifier: GPL-3.0-or-later
"""Cases of the finish of a harmonized layer: grain, sharpness and edges."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import Facts, case, keep, keep_composite, outcome, paste, picture, visible

EVERYTHING: Facts = {"grain": 3.0, "sharpness_automatic": True, "decontaminate": 1.0, "light_wrap": 0.75}


@case
def finished() -> Facts:
    """All stages, on a new layer in 8 bits and in place in 16 bits, then none on the new layer."""
    made = picture()
    layer = paste(made)
    eight: Facts = {"composite": keep_composite("finished-u8", made)}
    eight |= outcome("finished-u8", made, [layer], **EVERYTHING)
    eight["visible"] = keep("finished-visible", visible(made))
    again = outcome("finished-again", made, [made.get_layers()[0]])
    made = picture(Gimp.Precision.U16_NON_LINEAR)
    layer = paste(made, pixels="pasted16", encoding="R'G'B'A u16")
    sixteen: Facts = {"composite": keep_composite("finished-u16", made)}
    sixteen |= outcome("finished-u16", made, [layer], "R'G'B'A u16", result="in-place", **EVERYTHING)
    return {"u8": eight, "u16": sixteen, "again": again}
