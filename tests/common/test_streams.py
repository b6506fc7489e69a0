# SPDX-License-Identifier: GPL-3.0-or-later
"""Printing in any encoding."""

from __future__ import annotations

import io

import pytest

from s2am_common.streams import make_printable


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "“Zoë’s” → 写 \udce9".encode("utf-8", "surrogateescape")),
        ("latin-1", b'"Zo\xeb\'s" -> \\u5199 \\udce9'),
        ("ascii", b'"Zo\\xeb\'s" -> \\u5199 \\udce9'),
    ],
)
def test_make_printable_prints_any_text(encoding: str, printed: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    make_printable(stream, None)
    stream.write("“Zoë’s” → 写 \udce9")
    stream.flush()
    assert raw.getvalue() == printed
