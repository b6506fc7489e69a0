# SPDX-License-Identifier: GPL-3.0-or-later
"""Translation of texts for people. The message ids are the English texts; `locale/` has a PO file for each language.

    from s2am_common.translation import localized as _

    _("Before and after")                                       # a text of the program itself
    _("“Tree” is empty: paste or paint something on it first.")  # an English sentence that was composed before

Sentences with values are composed in English where they arise, often in another process. Their message ids are the
templates, such as `“{name}” is empty: …`; a sentence that fits one is taken apart and put together in the language.
The PO files are read as they are, so that nothing must be compiled.
"""

from __future__ import annotations

import ast
import functools
import locale
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CATALOGS = Path(__file__).resolve().parent / "locale"
"""The folder with the PO files."""

_FIELD = re.compile(r"\{([A-Za-z_]\w*)\}")  # Qt's texts have numbered fields, which are filled after the translation
_NESTED = "text"
"""Name of the value that is a text of the program itself, and is translated as well."""

_chosen: list[str] = []


@dataclass(frozen=True)
class Template:
    """A message id with values, as a pattern of the sentences that it gives; `translation` has the same values."""

    pattern: re.Pattern[str]
    translation: str


class Catalog:
    """The translations into one language."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Store translations by message id; an empty one counts as missing."""
        self._texts = {english: text for english, text in texts.items() if english and text}

    @functools.cached_property
    def _templates(self) -> list[Template]:
        # Those with the most text of their own come first: they fit the fewest sentences.
        templates = sorted(filter(_FIELD.search, self._texts), key=lambda each: -len(_FIELD.sub("", each)))
        return [Template(_pattern_of(each), self._texts[each]) for each in templates]

    def lookup(self, text: str) -> str | None:
        """Return the translation of a message id; None if there is none."""
        return self._texts.get(text)

    def translate(self, text: str) -> str:
        """Return a text or a sentence in the language; one that has no translation is returned as it is."""
        if text in self._texts:
            return self._texts[text]
        for template in self._templates:
            found = template.pattern.fullmatch(text)
            if found:
                return self._compose(template.translation, found.groupdict())
        return text

    def _compose(self, translation: str, values: dict[str, str]) -> str:
        if _NESTED in values:
            values[_NESTED] = self.translate(values[_NESTED])
        return _FIELD.sub(lambda field: values[field[1]], translation)


def use_languages(languages: Sequence[str]) -> None:
    """Choose the languages, such as `de_DE.UTF-8`, in order of preference; none = those of the environment."""
    _chosen[:] = languages
    _catalog.cache_clear()


def localized(text: str) -> str:
    """Return a text or an English sentence in the chosen language."""
    return _catalog().translate(text)


def lookup(text: str) -> str | None:
    """Return the translation of a text of the program itself; None if there is none, as for all texts in English."""
    return _catalog().lookup(text)


def current_language() -> str:
    """Return the language of the texts, such as `de`; `en` if there is no catalog of the chosen languages."""
    for language in _chosen or environment_languages(os.environ):
        short = re.split(r"[._@]", language)[0]
        if short in ("en", "C", "POSIX"):
            break
        if (CATALOGS / f"{short}.po").is_file():
            return short
    return "en"


@functools.cache
def _catalog() -> Catalog:
    file = CATALOGS / f"{current_language()}.po"
    return Catalog(read_po(file.read_text(encoding="utf-8")) if file.is_file() else {})


def environment_languages(environ: Mapping[str, str]) -> list[str]:
    """Return the languages of environment variables, as gettext reads them, else that of the system."""
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return environ[name].split(":")
    return [locale.getlocale()[0] or "en"]


def read_po(content: str) -> dict[str, str]:
    """Return the translations in a PO file by message id, without its header.

    Raises:
        ValueError: a line is not of a PO file, or an entry occurs twice.
    """
    found: dict[str, str] = {}
    english, field = "", ""
    texts = {"msgid": "", "msgstr": ""}
    for line in [*content.splitlines(), 'msgid ""']:
        if not line.strip() or line.startswith("#"):
            continue
        keyword, _, quoted = line.partition(" ") if not line.startswith('"') else (field, "", line)
        if keyword not in texts:
            raise ValueError(f"{line!r} is not a line of a PO file")
        if keyword == "msgid" and not line.startswith('"'):
            english = texts["msgid"]
            if english in found:
                raise ValueError(f"{english!r} occurs twice")
            if english:
                found[english] = texts["msgstr"]
            texts = {"msgid": "", "msgstr": ""}
        field = keyword
        texts[field] += ast.literal_eval(quoted)
    return found


def _pattern_of(template: str) -> re.Pattern[str]:
    """Return the pattern of a template; a value that occurs again is the same."""
    parts, seen = [], set()
    for index, part in enumerate(_FIELD.split(template)):
        if index % 2 == 0:
            parts.append(re.escape(part))
        else:
            parts.append(f"(?P={part})" if part in seen else f"(?P<{part}>.+?)")
            seen.add(part)
    return re.compile("".join(parts), re.DOTALL)
