# SPDX-License-Identifier: GPL-3.0-or-later
"""The translations: complete, with the same values, and used for sentences that were composed in English."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from harmonize_layer.core import messages, settings

from s2am_common.errors import DiskFullError, EngineError
from s2am_common.translation import (
    CATALOGS,
    Catalog,
    environment_languages,
    localized,
    read_po,
    use_languages,
)
from tests import translations

LANGUAGES = sorted(CATALOGS.glob("*.po"))


@pytest.fixture
def german() -> Iterator[None]:
    """Use German."""
    use_languages(["de_DE.UTF-8", "en"])
    yield
    use_languages([])


@pytest.mark.parametrize("file", LANGUAGES, ids=lambda file: file.stem)
def test_catalogs_are_complete_and_have_the_values_of_the_source(file: Path) -> None:
    catalog = read_po(file.read_text(encoding="utf-8"))
    wanted = translations.texts() | translations.editor_texts()
    assert (wanted - set(catalog), set(catalog) - wanted) == (set(), set())
    for english, text in catalog.items():
        assert sorted(re.findall(r"\{\w+\}", english)) == sorted(re.findall(r"\{\w+\}", text)), english
        assert text.strip(), english
        assert english.endswith(".") == text.endswith("."), english
        has_mnemonic = ["_" in re.sub(r"\{\w+\}", "", each) for each in (english, text)]
        assert has_mnemonic[0] == has_mnemonic[1], english
        assert english.count("&") == text.count("&"), english
        assert re.findall(r"\{\d+[^}]*\}", english) == sorted(re.findall(r"\{\d+[^}]*\}", text)), english


def test_all_texts_of_the_source_are_found() -> None:
    found = translations.texts()
    assert {
        "_Apply",
        "Loading the model",
        "Reading “{name}”",
        "“{name}” is empty: paste or paint something on it first.",
    } <= found
    assert settings.CHOICES["result"][0] in found


@pytest.mark.usefixtures("german")
def test_composed_sentences_are_translated() -> None:
    assert localized("Before and after") == "Vorher und nachher"
    assert localized("“A: B” is empty: paste or paint something on it first.").startswith("„A: B“ ist leer: ")
    assert localized("2 of 3: Reading “Strength”") == "2 von 3: „Strength“ wird gelesen"
    assert localized("The engine is ready on the CPU") == "Die Engine ist bereit auf dem Prozessor"
    assert localized("A text of another program") == "A text of another program"


@pytest.mark.usefixtures("german")
def test_errors_of_the_engine_are_translated_with_their_advice() -> None:
    error = EngineError("There is no device “cuda” on this machine: use “auto” or “cpu”.", code="device")
    text = messages.error_message(error)
    assert text == (
        "Auf diesem Computer gibt es kein Gerät „cuda“: Verwenden Sie „auto“ oder „cpu“ (Berichtigen Sie das Gerät in "
        "der Datei mit den Einstellungen und starten Sie GIMP neu)."
    )
    full = DiskFullError("The disk is full: free 12 MB where /tmp is, then try again.")
    assert messages.error_message(full).startswith("Das Laufwerk ist voll: Geben Sie 12 MB frei")
    assert messages.error_message(messages.hidden("Hund", "Tiere")).startswith("„Hund“ liegt in „Tiere“")


def test_specific_templates_win_and_repeated_values_are_the_same() -> None:
    catalog = Catalog({"{name}: {error}": "{error} in {name}", "{name} is hidden: {error}": "{name} fehlt: {error}"})
    assert catalog.translate("sky is hidden: no") == "sky fehlt: no"
    assert catalog.translate("sky: no") == "no in sky"
    assert Catalog({"{a} and {a}": "zweimal {a}"}).translate("x and y") == "x and y"


def test_languages_follow_the_environment() -> None:
    assert environment_languages({"LANGUAGE": "de:en", "LANG": "fr_FR"}) == ["de", "en"]
    assert environment_languages({"LC_ALL": "", "LC_MESSAGES": "de_AT.UTF-8"}) == ["de_AT.UTF-8"]
    use_languages(["en_US", "de"])
    first = localized("_Apply")
    use_languages(["fr", "de_AT"])
    second = localized("_Apply")
    use_languages([])
    assert (first, second) == ("_Apply", "_Anwenden")


@pytest.mark.parametrize("content", ['msgid "a"\nmsgstr "b"\nmsgid "a"\nmsgstr "c"', "nonsense"])
def test_damaged_catalogs_are_refused(content: str) -> None:
    with pytest.raises(ValueError, match=r"occurs twice|not a line"):
        read_po(content)
