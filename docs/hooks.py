# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated parts of the documentation site, for mkdocs: documents of the repository, the commands, the model cards."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Documents in the repository's root that are pages of the site."""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the generated parts of a page (called by mkdocs)."""
    markdown = re.sub(r"<!-- include (.+?) -->", lambda found: included(found[1]), markdown)
    markdown = markdown.replace("<!-- commands -->", commands())
    return markdown.replace("<!-- cards -->", cards())


def included(name: str) -> str:
    """Return a document of the repository, with its links as seen from the folder of the site."""
    text = (ROOT / name).read_text(encoding="utf-8")
    text = text.replace("](docs/", "](").replace("](../../releases", "](../releases")
    text = re.sub(r"\[(\S+)\]\((CITATION\.cff|LICENSE)\)", r"\1", text)  # no pages
    for document, page in PAGES.items():
        text = text.replace(f"]({document})", f"]({page})")
    return text


def commands() -> str:
    """Return the help of every command."""
    from s2am_engine.cli.main import build_parser

    os.environ["COLUMNS"] = "100"  # argparse wraps lines at this width
    blocks = [f"### {parser.prog}\n\n```text\n{parser.format_help()}```\n" for parser in walk(build_parser())]
    return "\n".join(blocks)


def walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands below one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield child
                yield from walk(child)


def cards() -> str:
    """Return the model cards of all bundled models."""
    blocks = []
    for file in sorted((ROOT / "s2am_engine/models/weights").glob("*.json")):
        card = json.loads(file.read_text(encoding="utf-8"))
        blocks.append(f"### {card['name']}\n\n{card['description']}\n")
        for key in ("data", "license", "recipe", "weaknesses"):
            if card.get(key):
                value = card[key] if isinstance(card[key], str) else json.dumps(card[key], ensure_ascii=False)
                blocks.append(f"- **{key}**: {value}")
        blocks.append("")
    return "\n".join(blocks)
