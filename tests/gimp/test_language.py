# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's menu entries, help and arguments in GIMP's language, also after it has changed."""

from __future__ import annotations

from typing import Any

from s2am_common.translation import CATALOGS, read_po
from tests.gimp.harness import Gimp3

Report = dict[str, dict[str, Any]]
GERMAN = read_po((CATALOGS / "de.po").read_text(encoding="utf-8"))


def test_texts_are_in_gimps_language_when_it_changes(gimp: Gimp3) -> None:
    # gettext ignores LANGUAGE in the locale C, as on a computer without the German locale: GIMP is English.
    english: Report = gimp.run("language.py", LANGUAGE="de")
    german: Report = gimp.run("language.py", 300, **gimp.german())
    again: Report = gimp.run("language.py")
    assert [report["of_gimp"]["label"] == "_Fog..." for report in (english, german, again)] == [True, False, True]
    for report in (english, again):
        assert report["harmonize"]["label"] == "_Harmonize Layer..."
        assert report["restore"]["label"] == "Restore Harmonize _Effects"
    assert german["harmonize"]["label"] == "Ebene _harmonisieren..."
    for name in ("harmonize", "restore"):
        before, after = english[name], german[name]
        for field in ("label", "blurb"):
            assert after[field] == GERMAN[before[field]]
        assert after["arguments"] == [GERMAN[text] for text in before["arguments"]]
    assert len(english["harmonize"]["arguments"]) > 40
    assert german["restore"]["help"] == GERMAN[english["restore"]["help"]]
    paragraphs = german["harmonize"]["help"].split("\n\n")
    assert paragraphs[:-1] == [GERMAN[each] for each in english["harmonize"]["help"].split("\n\n")[:-1]]
    assert paragraphs[-1].startswith("Argumente für Skripte: model, result (new-layer, ")
