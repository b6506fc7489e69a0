# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception whose text is meant for a person."""

from __future__ import annotations


class EngineError(Exception):
    """Something could not be done.

    The message is one clear sentence that says what happened and what to do next. Front ends show it as it is: the
    command line on one line of stderr with exit code 1, the editor and the GIMP plug-in in a banner or message box.
    """
