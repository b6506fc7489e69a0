# SPDX-License-Identifier: GPL-3.0-or-later
"""Report whether the installed plug-in is known to GIMP and works."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import Facts, call, case, finish, paste, picture, read

NAME = "plug-in-harmonize-layer"


@case
def installed() -> Facts:
    if not Gimp.get_pdb().procedure_exists(NAME):
        return {"known": False}
    made = picture()
    layer = paste(made)
    before = read(layer)
    result = call(made, [layer])
    layers = made.get_layers()
    return {"known": True, "layers": len(layers), "changed": read(layers[0]) != before, **result}


finish()
