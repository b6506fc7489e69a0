# SPDX-License-Identifier: GPL-3.0-or-later
"""The editor's texts in the user's language, from the catalogs of `s2am_common.translation`."""

from __future__ import annotations

from PyQt6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

from s2am_common.translation import current_language, lookup


class CatalogTranslator(QTranslator):
    """Translates the texts of `tr`; a text means the same in every context."""

    def translate(  # type: ignore[override]
        self, context: str | None, source_text: str | None, disambiguation: str | None = None, n: int = -1
    ) -> str | None:
        """Return the translation; None, which lets Qt ask the next translator, if there is none."""
        return lookup(source_text) if source_text else None

    def isEmpty(self) -> bool:
        """Qt ignores empty translators; this one depends on no file of its own."""
        return False


def install_translators(application: QCoreApplication) -> None:
    """Translate the editor's texts and Qt's own into the user's language, both or neither: no dialog mixes languages.

    The format of numbers and dates follows.
    """
    language = current_language()
    qt_texts, texts = QTranslator(application), CatalogTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if language == "en" or not qt_texts.load(f"qtbase_{language}", folder):
        QLocale.setDefault(QLocale(QLocale.Language.English))
        return
    QLocale.setDefault(QLocale(language))
    application.installTranslator(qt_texts)
    application.installTranslator(texts)
