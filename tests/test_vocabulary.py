# SPDX-License-Identifier: GPL-3.0-or-later
"""Language: public names are defined once, no name uses a word that the glossary avoids, and docstrings are plain."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
GLOSSARY = CHECKOUT / "docs" / "glossary.md"
PRODUCT = ("gimp_bridge", "installer", "plugin", "s2am_common", "s2am_engine", "s2am_setup")
SHARED_NAMES = {"main", "logger", "add_commands"}
"""Public names that several modules define on purpose: entry points, loggers, and the hook for subcommands."""


def product_modules() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module of the product with its syntax tree."""
    for package in PRODUCT:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            yield path.relative_to(CHECKOUT), ast.parse(path.read_text(encoding="utf-8"))


def top_level_names(tree: ast.Module) -> Iterator[str]:
    """Yield the public names that a module defines (imports are not definitions)."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


def named_things(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of everything that a module names: classes, functions, parameters and variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr


def words_of(name: str) -> set[str]:
    """Split snake_case and CamelCase into lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def avoided_words() -> set[str]:
    """Read the last column of the glossary's table."""
    words = set()
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and cells[2] not in ("avoid", "---"):
            words |= {word.strip() for word in re.sub(r"\(.*?\)", "", cells[2]).split(",") if word.strip()}
    return words


def is_allowed(path: Path, word: str) -> bool:
    """Return whether an avoided word is correct here: the editor and contact sheets have real thumbnails."""
    return word == "thumbnail" and path.is_relative_to("plugin/s2am_editor")


def test_glossary_avoids_words() -> None:
    assert {"look", "trust", "album", "chance"} <= avoided_words()


def test_public_top_level_names_are_defined_in_one_module() -> None:
    places = defaultdict(set)
    for path, tree in product_modules():
        for name in top_level_names(tree):
            places[name].add(str(path))
    doubled = {name: sorted(paths) for name, paths in places.items() if len(paths) > 1 and name not in SHARED_NAMES}
    listing = "\n".join(f"  {name}: {', '.join(paths)}" for name, paths in sorted(doubled.items()))
    assert not doubled, f"{len(doubled)} public names are defined in more than one module:\n{listing}"


def test_names_use_no_word_that_the_glossary_avoids() -> None:
    avoided = avoided_words()
    found = []
    for path, tree in product_modules():
        found += [(f"{path}", word) for word in words_of(path.stem) & avoided if not is_allowed(path, word)]
        for line, name in named_things(tree):
            found += [
                (f"{path}:{line} {name}", word) for word in words_of(name) & avoided if not is_allowed(path, word)
            ]
    listing = "\n".join(f"  {place} ({word})" for place, word in sorted(found))
    assert not found, f"{len(found)} names use a word that docs/glossary.md avoids:\n{listing}"


def test_docstrings_begin_with_a_noun_or_a_verb() -> None:
    found = [
        f"{path}: {docstring.splitlines()[0]}"
        for path, tree in product_modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (docstring := ast.get_docstring(node))
        if re.match(r"(What|Whether|How|Where|Which|Who|Why|Let|Be)\b", docstring)
    ]
    assert found == []
