# SPDX-License-Identifier: GPL-3.0-or-later
"""Translation of the texts that GIMP itself shows: menu entries, help, and arguments.

They are in a gettext domain that GIMP binds to the folder `locale` beside the plug-in; its catalogs are compiled from
those of `s2am_common` when the plug-in's folder is assembled. When its language has changed, GIMP asks for all texts
again. `s2am_common.translation` translates the dialog and the messages, whose texts have values, into that language.
"""

from __future__ import annotations

import re

from gi.repository import GLib

DOMAIN = "harmonize-layer"
"""Name of the domain, and of its files: `locale/de/LC_MESSAGES/harmonize-layer.mo`."""


def gettext(text: str) -> str:
    """Return a text in GIMP's language."""
    return str(GLib.dgettext(DOMAIN, text))


def gettext_language() -> str:
    """Return the language of GIMP's texts if there is a catalog for it, such as `de`; else `en`.

    It is not always that of the environment: gettext ignores a locale that the computer does not have.
    """
    found = re.search(r"^Language: (\w+)", gettext(""), re.MULTILINE)  # the message id of a catalog's header
    return found[1] if found else "en"
