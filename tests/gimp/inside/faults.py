# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of the plug-in while the tests or the engine cause a fault."""

from __future__ import annotations

import os
from typing import Any

from gi.repository import Gimp

from tests.gimp.inside import support
from tests.gimp.inside.support import call, case, keep, paste, picture, read, state

LARGE = (1600, 1900)
"""A layer of several strips."""


def large() -> tuple[Gimp.Image, Gimp.Layer]:
    """Return an image with a layer that takes a while, and that layer."""
    made = picture(size=(2000, 2000), background="large-background")
    return made, paste(made, at=(200, 50), size=LARGE, pixels="large-pasted")


def call_it() -> dict[str, Any]:
    made, layer = large()
    before = state(made)
    return {"state before": before, **call(made, [layer]), "state": state(made)}


def call_it_twice() -> dict[str, Any]:
    made, layer = large()
    before = {"before": keep("before", read(layer)), "state before": state(made)}
    first = before | call(made, [layer])
    first |= {"after": keep("first", read(made.get_layers()[0])), "state": state(made)}
    made, layer = large()
    second = before | call(made, [layer])
    second |= {"after": keep("second", read(made.get_layers()[0])), "state": state(made)}
    second["images"] = len(Gimp.get_images())
    return {"first": first, "second": second}


def call_it_killed() -> dict[str, Any]:
    """The plug-in is killed while it inserts the result; ending an undo group succeeds only if one was left open."""
    made, layer = large()
    return {**call(made, [layer]), "left open": made.undo_group_end()}


FAULTS = {"once": call_it, "twice": call_it_twice, "killed": call_it_killed}
case(FAULTS[os.environ["S2AM_FAULT"]])
support.finish()
