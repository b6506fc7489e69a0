# SPDX-License-Identifier: GPL-3.0-or-later
"""All texts for people in GIMP and the editor: `python -m tests.translations` prints those that a language lacks.

A text is an argument of `_`, of a view's method, of a progress update or of an error, or it is in a descriptor table.
Formatted strings give templates: `f"“{layer.name}” is empty"` gives `“{name}” is empty`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from s2am_common.edge_sliders import EDGE_SLIDERS
from s2am_common.image_formats import WRITABLE_FORMATS
from s2am_common.shadow_sliders import SHADOW_SLIDERS
from s2am_common.sliders import FINISH_SLIDERS, SLIDERS
from s2am_common.translation import CATALOGS, read_po

CHECKOUT = Path(__file__).resolve().parents[1]
PLUGIN = "plugin/harmonize-layer/harmonize_layer"
SOURCES = (
    f"{PLUGIN}/**/*.py", "gimp_bridge/bridge_folder.py", "gimp_bridge/client.py", "gimp_bridge/color_requests.py",
    "gimp_bridge/connection.py", "gimp_bridge/engine_session.py", "gimp_bridge/harmony_requests.py",
    "gimp_bridge/mask_requests.py", "gimp_bridge/shadow_requests.py", "gimp_bridge/shared_workspace.py",
    "gimp_bridge/strip_rendering.py",
    "gimp_bridge/model_cache.py", "gimp_bridge/starter.py", "s2am_common/atomic.py",
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

EDITOR = "plugin/s2am_editor"
EDITOR_SOURCES = (
    f"{EDITOR}/**/*.py", "s2am_engine/image/**/*.py", "s2am_engine/inference/references.py",
    "s2am_engine/models/model_store.py", "s2am_engine/color/map.py", "s2am_engine/batch.py",
    "s2am_engine/file_harmonizer.py", "s2am_engine/outputs.py",
    "s2am_engine/shadow/estimate.py", "s2am_engine/likeness.py", "s2am_engine/training/finetune.py",
    "s2am_engine/training/fine_tuned_model.py", "s2am_engine/training/fine_tuning_session.py",
    "s2am_engine/training/photo_cache.py",
    "s2am_engine/training/photo_reader.py", "s2am_common/errors.py", "s2am_common/atomic.py",
)  # fmt: skip
"""The files whose messages can reach the editor's window."""

NOT_IN_THE_WINDOW = ("start.py", "command.py", "bench.py")
"""Files whose messages only the command line shows."""

EDITOR_TEXTS = (
    "The background shows no direction of light: light from above casts only a contact shadow.",
    "The foreground covers the image above, as a sky does: it casts no shadow.",
    "The lower border cuts off the foreground above the ground: it casts no visible shadow.",
    "The shadow falls away from the light source in the background.",
    "The shadow falls away from the left, where the background is brighter.",
    "The shadow falls away from the right, where the background is brighter.",
    "save it as PNG, TIFF or an ordinary JPEG first", "{name} copy", "saved selections", "texts ({names})",
    "{path} is black and white: bring it in color.", "{path} {kind} is not read here: export it as JPEG.",
    "{path} nothing in it could be a foreground: bring photographs of people or things.",
    "{name} is a CMYK image: its colors are converted to sRGB.",
    "{name} is a CMYK image without a color profile: its colors are converted to sRGB approximately.",
    "{name} is a Lab image: its colors are converted to sRGB.",
    "{name} has an HDR gain map, which is not kept: its standard colors are used.",
    "{name} has XMP data of which a part is missing or damaged; only the rest is kept.",
    ("{name} is a camera raw file: it is developed with the white balance of the camera and without further "
     "adjustments."),
    ("The background does not have the look to which “{model}” was fine-tuned (likeness {likeness}): its base "
     "model was used."),
    ("The background does not have the look to which “{model}” was fine-tuned (likeness {likeness}): its base "
     "model counts {share}."),
    ("Background and reference photographs do not have the look to which “{model}” was fine-tuned (likeness "
     "{likeness}): its base model was used."),
    ("Background and reference photographs do not have the look to which “{model}” was fine-tuned (likeness "
     "{likeness}): its base model counts {share}."),
    "Other blend modes are shown as normal: {names}.",
    "Effects are not shown: {names}.",
    "Clipped layers are shown without clipping: {names}.",
    "Vector masks are not shown: {names}.",
    "{path} is stored in a way that is not supported: {text}.",
    "{path} has the JPEG compression of 1992, which was replaced in 1995 and few programs read: {text}.",
    "{path} cannot be written: TIFF stores at most 4 GB; choose PNG or scale the image down.",
)  # fmt: skip
"""Texts that are composed or stored before they are shown."""

UNDO_SINKS = ("Command", "chain", "_on_item", "_on_layer", "_on_harmonization", "_apply_to_all", "_use", "change_frame")
_UNDO_NAME = re.compile(r"[A-Z][a-z]+( [a-z]+){0,4}")
_ALIASES = {"STARTING": "text", "CONVERT_FIRST": "text", "SAVE_USUAL": "text", "advice": "text"}
_ABBREVIATIONS = {"W"}  # of width
_FEWEST_LETTERS = 2
_SENTENCE = re.compile(r"[A-Z“{].* ")


def texts() -> set[str]:
    """Return all message ids."""
    found = set(_tables())
    for pattern in SOURCES:
        for file in sorted(CHECKOUT.glob(pattern)):
            found |= set(_texts_in(ast.parse(file.read_text(encoding="utf-8"))))
    return found


def editor_texts() -> set[str]:
    """Return all message ids of the editor, and of the errors and notes that reach it."""
    found = {*_editor_tables(), *_model_descriptions()}
    for file in sorted((CHECKOUT / EDITOR).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found |= set(_marked_texts(tree)) | set(_undo_names(tree))
    for pattern in EDITOR_SOURCES:
        for file in sorted(CHECKOUT.glob(pattern)):
            if file.name not in NOT_IN_THE_WINDOW:
                tree = ast.parse(file.read_text(encoding="utf-8"))
                found |= {*_texts_in(tree), *_notes(tree), *_refusals(tree)}
    long = {text for text in found if len(re.findall("[A-Za-z]", re.sub(r"\{\w+\}", "", text))) >= _FEWEST_LETTERS}
    return long | _ABBREVIATIONS


def _editor_tables() -> Iterator[str]:
    from s2am_editor.window.jobs import EDITOR_ADVICE
    from s2am_engine.finish.measurement import NOTES
    from s2am_engine.image.formats.common import CONTENTS, CONVERT_FIRST
    from s2am_engine.training.gain import SENTENCES

    for spec in [*SLIDERS.values(), *FINISH_SLIDERS.values(), *SHADOW_SLIDERS.values(), *EDGE_SLIDERS.values()]:
        yield from (spec.label, spec.help)
    yield from EDITOR_ADVICE.values()
    yield from EDITOR_TEXTS
    yield from NOTES.values()
    yield from (each.summary for each in WRITABLE_FORMATS)
    yield from SENTENCES.values()
    yield from CONTENTS.values()
    yield from (CONVERT_FIRST, CONVERT_FIRST.replace("it", "one frame"))


def _model_descriptions() -> Iterator[str]:
    for card in (CHECKOUT / "s2am_engine/models/weights").glob("*.json"):
        yield json.loads(card.read_text(encoding="utf-8"))["description"]


def _marked_texts(tree: ast.Module) -> Iterator[str]:
    """Yield the texts that `tr` or its variants translate."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if name in ("tr", "_tr", "_mark", "localized"):
                yield from _templates(node.args[0])
            elif name == "translate":
                yield from _templates(node.args[-1])


def _undo_names(tree: ast.Module) -> Iterator[str]:
    """Yield the names of undo steps: of commands, of arguments to commands, and of variables called `name`."""
    values: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            owner = getattr(getattr(node.func, "value", None), "id", "")
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if owner in ("commands", "layer_tree") or name in UNDO_SINKS:
                values += [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.FunctionDef):
            values += [value for value in node.args.defaults if isinstance(value, ast.Constant)]
        elif isinstance(node, ast.Assign | ast.Return) and node.value is not None:
            values += node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
    for value in values:
        if isinstance(value, ast.Constant | ast.IfExp):
            yield from (text for text in _templates(value) if _UNDO_NAME.fullmatch(text))


def _notes(tree: ast.Module) -> Iterator[str]:
    """Yield the sentences on contents of a file that are not supported, and on an estimated shadow."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("add", "append"):
            yield from (text for each in node.args for text in _templates(each) if _SENTENCE.match(text))


def _refusals(tree: ast.Module) -> Iterator[str]:
    """Yield the sentences on a file that cannot be used, whose end is raised as `UnsupportedFileError`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UnsupportedFileError" and node.args:
            yield from (f"{{path}} {text}." for text in _templates(node.args[0]) if " " in text)


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
    yield from (*settings.HELP, settings.RESTORE_HELP)
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
    for text in sorted((texts() | editor_texts()) - set(known)):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        print(f'msgid "{quoted}"\nmsgstr ""\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
