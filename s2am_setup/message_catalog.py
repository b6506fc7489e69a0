# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled message catalogs, as gettext reads them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

_MAGIC = 0x950412DE
_FORMAT = 0
_HEAD = 7
"""Number of 32-bit integers before the tables."""


def compile_catalog(texts: Mapping[str, str], language: str) -> bytes:
    """Return the content of an MO file, little-endian and without a hash table.

    Source: https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html

    Args:
        texts: the translations by message id, without a header; an empty one counts as missing.
        language: what its header names, such as `de`.
    """
    header = f"Language: {language}\nContent-Type: text/plain; charset=UTF-8\n"
    entries = {english: text for english, text in texts.items() if english and text} | {"": header}
    pairs = sorted((english.encode(), text.encode()) for english, text in entries.items())
    strings = [english for english, _text in pairs] + [text for _english, text in pairs]
    tables_at = 4 * _HEAD
    strings_at = tables_at + 8 * len(strings)
    head = (_MAGIC, _FORMAT, len(pairs), tables_at, tables_at + 8 * len(pairs), 0, strings_at)
    tables: list[int] = []
    position = strings_at
    for string in strings:
        tables += (len(string), position)
        position += len(string) + 1
    return struct.pack(f"<{_HEAD + len(tables)}I", *head, *tables) + b"".join(string + b"\0" for string in strings)
