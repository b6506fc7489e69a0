# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness itself; no GIMP is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.gimp.harness import Gimp3, GimpError


@pytest.mark.parametrize(
    ("program", "message"),
    [("echo the last words; sleep 60", "no answer within 1 seconds"), ("echo the last words >&2; exit 3", "with 3")],
)
def test_errors_have_the_end_of_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, message: str
) -> None:
    monkeypatch.setattr(Gimp3, "command", lambda *_, **__: ["sh", "-c", program])
    gimp = Gimp3(tmp_path, tmp_path)
    with pytest.raises(GimpError, match=f"(?s){message}.*the last words"):
        gimp.run("cases.py", 1)
    with pytest.raises(GimpError, match=r"(?s)no sign of a result.*the last words"):
        gimp.wait_for(lambda: False, 0, "a result")
