# SPDX-License-Identifier: GPL-3.0-or-later
"""Standard streams that print any text and any file name, whatever the terminal's encoding."""

from __future__ import annotations

import codecs
from typing import Any

_PLAIN = str.maketrans({"“": '"', "”": '"', "’": "'", "‘": "'", "…": "...", "–": "-", "×": "x", "→": "->"})
_HANDLER = "s2am-plain"


def make_printable(*streams: Any) -> None:
    """Set up streams to print every text: in UTF-8 as it is; else with plain quotes, and the rest escaped.

    Args:
        *streams: text streams; None (a program without a terminal on Windows) is skipped.
    """
    codecs.register_error(_HANDLER, _replace)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            utf8 = codecs.lookup(stream.encoding).name == "utf-8"
            stream.reconfigure(errors="surrogateescape" if utf8 else _HANDLER)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return text.encode("ascii", "backslashreplace").decode("ascii"), error.end
