# SPDX-License-Identifier: GPL-3.0-or-later
"""All texts that reach a person in GIMP: `python -m tests.translations` prints those that a language lacks.

A text is an argument of `_`, of a view's method, of a progress update or of an error, or it is in a descriptor table.
Formatted strings give templates: `f"“{layer.name}” is empty"` gives `“{name}” is empty`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from s2am_common.sliders import SLIDERS
from s2am_common.translation import CATALOGS, read_po

CHECKOUT = Path(__file__).resolve().parents[1]
PLUGIN = "plugin/harmonize-layer/harmonize_layer"
SOURCES = (
    f"{PLUGIN}/**/*.py", "gimp_bridge/client.py", "gimp_bridge/connection.py", "gimp_bridge/engine_session.py",
    "gimp_bridge/bridge_folder.py", "gimp_bridge/model_cache.py", "gimp_bridge/starter.py", "s2am_common/atomic.py",
    "s2am_engine/inference/harmonizer.py", "s2am_engine/inference/detector.py", "s2am_engine/inference/devices.py",
    "s2am_engine/inference/network_input.py", "s2am_engine/inference/predictor.py",
    "s2am_engine/inference/subject.py", "s2am_engine/models/model_files.py",
)  # fmt: skip
"""The files whose messages can reach GIMP."""

SINKS = {"_", "show_status", "append", "report", "progress_init", "ProgressUpdate", "EngineStatus", "LayerError"}
"""Functions and classes that take a text for people; an error's class ends in `Error`."""

INTERNAL = ("MessageError", "ValueError", "TypeError", "LookupError", "AttributeError", "RuntimeError", "OSError")
"""Errors that are for programmers."""

STATUS = (
    "Harmonize Layer", "The engine is {text}", "ready on the CPU", "ready on the GPU", "starting: loading the model",
)  # fmt: skip
"""Texts that are stored before they are shown."""

_ALIASES = {"STARTING": "text"}
_FEWEST_LETTERS = 2
_SENTENCE = re.compile(r"[A-Z“{].* ")


def texts() -> set[str]:
    """Return all message ids."""
    found = set(_tables())
    for pattern in SOURCES:
        for file in sorted(CHECKOUT.glob(pattern)):
            found |= set(_texts_in(ast.parse(file.read_text(encoding="utf-8"))))
    return found


def _tables() -> Iterator[str]:
    from harmonize_layer.core import messages, settings

    for label, help_text, values in settings.CHOICES.values():
        yield from (label, help_text)
        for pair in values.values():
            yield from pair
    for pair in settings.OBJECTS.values():
        yield from pair
    for slider in settings.slider_arguments():
        yield from (slider.label, slider.help)
    yield from messages.GIMP_ADVICE.values()
    yield from STATUS
    yield from (*settings.HELP[:-1], settings.RESTORE_HELP)
    yield from (spec.label for spec in SLIDERS.values() if spec.mnemonic == "")


def _texts_in(tree: ast.Module) -> Iterator[str]:
    assigned = _assignments(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            is_error = name.endswith("Error") and name not in INTERNAL
            if name in SINKS or is_error or name == "Failed":
                yield from _argument_texts(node, name, assigned)


def _argument_texts(node: ast.Call, name: str, assigned: dict[str, list[ast.expr]]) -> Iterator[str]:
    chosen = [keyword.value for keyword in node.keywords if keyword.arg in ("text", "message")] or node.args[:1]
    for value in chosen:
        candidates = assigned.get(value.id, []) if isinstance(value, ast.Name) else [value]
        for candidate in candidates:
            for text in _templates(candidate):
                letters = re.sub(r"\{\w+\}|\W", "", text)
                if len(letters) >= _FEWEST_LETTERS and (name == "_" or _SENTENCE.match(text)):
                    yield text


def _assignments(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Return the values of variables named `message` or `text`, from which errors are often made."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return {name: values for name, values in found.items() if name in ("message", "text")}


def _templates(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(_part(each) for each in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _templates(node.body)
        yield from _templates(node.orelse)


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    words = re.findall(r"[A-Za-z_]\w*", ast.unparse(node.value))
    name = words[-1].strip("_")
    return f"{{{_ALIASES.get(name, name)}}}"


def main() -> int:
    """Print the entries that a PO file lacks."""
    language = sys.argv[1] if len(sys.argv) > 1 else "de"
    file = CATALOGS / f"{language}.po"
    known = read_po(file.read_text(encoding="utf-8")) if file.is_file() else {}
    sys.path.insert(0, str(CHECKOUT / "plugin/harmonize-layer"))
    for text in sorted(texts() - set(known)):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        print(f'msgid "{quoted}"\nmsgstr ""\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
