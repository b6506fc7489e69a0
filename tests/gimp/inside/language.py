# SPDX-License-Identifier: GPL-3.0-or-later
"""Report the texts of the plug-in and of a procedure of GIMP's own as GIMP has them."""

from __future__ import annotations

from gi.repository import Gimp

from tests.gimp.inside.support import Facts, case, finish

OF_EVERY_IMAGE_PROCEDURE = ("run-mode", "image", "drawables")


def described(name: str) -> Facts:
    procedure = Gimp.get_pdb().lookup_procedure(name)
    arguments = [each for each in procedure.get_arguments() if each.get_name() not in OF_EVERY_IMAGE_PROCEDURE]
    return {
        "label": procedure.get_menu_label(),
        "blurb": procedure.get_blurb(),
        "help": procedure.get_help(),
        "arguments": [text for each in arguments for text in (each.get_nick(), each.get_blurb())],
    }


@case
def harmonize() -> Facts:
    return described("plug-in-harmonize-layer")


@case
def restore() -> Facts:
    return described("plug-in-harmonize-layer-restore")


@case
def of_gimp() -> Facts:
    return described("python-fu-foggify")


finish()
