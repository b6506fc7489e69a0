# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the plug-in there that the installer put in GIMP's own profile, and does it work?"""

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
