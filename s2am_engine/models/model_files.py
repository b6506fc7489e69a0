# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal models: add, rename and delete them, export them to one file `NAME.s2am`, and import or open such a file.

A model exists if its card does: the card is written last and removed first, so an interruption leaves no partial model.
An exported model is an uncompressed zip archive of `card.json` and `weights.safetensors`.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import struct
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from s2am_common import settings as user_settings
from s2am_common.archives import open_archive
from s2am_common.atomic import atomic_write, ensure_folder, output_exists
from s2am_common.errors import FileError, ModelError, ModelNotFoundError
from s2am_common.path_checks import file_exists, is_folder, is_regular_file
from s2am_engine.models import model_store
from s2am_engine.models.model_store import Card, Model
from s2am_engine.models.network_graph import Graph, find_graph
from s2am_engine.models.purposes import ANY_USE, Purpose
from s2am_engine.types import Floats

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network

logger = logging.getLogger(__name__)

SUFFIX = ".s2am"
LONGEST_NAME = 64  # characters
CARD, WEIGHTS = "card.json", "weights.safetensors"  # members of an exported model
LARGEST = {CARD: 1_000_000, WEIGHTS: 512 * 2**20}  # bytes
LARGEST_DIRECTORY = 65_536  # bytes of an archive besides its members; exported files have a few hundred
LARGEST_HEADER = 4_000_000  # bytes of JSON before the weights; those of the published models have below 100,000
LARGEST_OPTIONS = 64  # number
LARGEST_OPTION = 1024  # of a network; those of the published ones are below 100
MAX_INPUT_SIZE = 4096
BYTES_PER_PARAMETER = 2  # at least: float16
EXPORT_AGAIN = "export the model again, or get another copy of its file"
"""Advice for an exported model whose weights do not fit: the second half of a sentence."""

_PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³")
RESERVED = {"con", "prn", "aux", "nul", *_PORTS}
"""Device names of Windows, with any suffix."""


def check_name(name: str) -> str:
    """Check that a model's name is a valid file name on every system.

    Returns:
        The name, with each accented letter as one character.

    Raises:
        ModelError: it is not; the message gives the reason.
    """
    name = model_store.composed(name)
    if len(name) > LONGEST_NAME:
        raise ModelError(
            f"“{name[:20]}…” is too long for a model's name: choose one of at most {LONGEST_NAME} characters.",
            code="model.name",
        )
    if problem := _problem_of(name):
        raise ModelError(f"{name!r} can't be a model's name, because {problem}: choose another.", code="model.name")
    return name


def _problem_of(name: str) -> str | None:
    if not name:
        return "it is empty"
    if strange := [letter for letter in name if not _is_allowed(letter)]:
        return f"it contains {strange[0]!r}, and only letters, digits, spaces, “-”, “_” and “.” are allowed"
    if name[0] in ".- " or unicodedata.category(name[0])[0] == "M":
        return "it does not start with a letter, a digit or “_”"
    if name[-1] in ". ":
        return "it ends with a dot or a space"
    if name.split(".")[0].rstrip().lower() in RESERVED:
        return "Windows reserves it for a device"
    return None


def _is_allowed(letter: str) -> bool:
    # Letters, their marks (most Indian vowels are marks) and numbers, of all scripts.
    return letter in " -_." or unicodedata.category(letter)[0] in "LMN"


def free_name(wanted: str) -> str:
    """Return a name, or the first of `name-2`, `name-3` … that no model has.

    Raises:
        ModelError: it is not a valid name.
    """
    name = check_name(wanted)
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (name[: LONGEST_NAME - len(suffix)] + suffix for suffix in suffixes)
    return next(free for free in names if _clash(free) is None)


def _clash(name: str) -> str | None:
    """Return the model that has a name, regardless of case: many file systems do not distinguish it."""
    return next((known for known in model_store.find_cards() if known.casefold() == name.casefold()), None)


def check_free(name: str) -> None:
    """Check that no model has a name, regardless of case.

    Args:
        name: a result of `check_name`.

    Raises:
        ModelError: there is one.
    """
    if known := _clash(name):
        raise ModelError(f"There is already a model “{known}”: choose another name.", code="model.exists", model=known)


def add_model(card: Card, weights: bytes, *, replace: bool = False, style_sheet: bytes | None = None) -> Model:
    """Add a personal model.

    Args:
        card: its name is the model's.
        weights: content of a safetensors file.
        replace: whether to replace a personal model of the same name.
        style_sheet: PNG with a contact sheet of the photographs to which the model was fine-tuned.

    Raises:
        ModelError: the name is taken or invalid.
        FileError: the files cannot be written.
    """
    card = dataclasses.replace(card, name=check_name(card.name))
    folder = model_store.personal_folder()
    path = folder / f"{card.name}.json"
    if not (replace and model_store.find_cards().get(card.name) == path):
        check_free(card.name)
    ensure_folder(folder)
    model = Model(card, path.with_suffix(".safetensors"), bundled=False)
    with atomic_write(model.weights) as file:  # also over weights without a card
        file.write(weights)
        path.unlink(missing_ok=True)  # the old card describes other weights
    try:
        if style_sheet:
            with atomic_write(model.style_sheet) as file:
                file.write(style_sheet)
        model_store.write_card(card, folder)
    except BaseException:
        _remove_rest(model.weights, model.style_sheet)
        raise
    logger.info("added model “%s” in %s", card.name, folder)
    return model


def rename_model(old: str, new: str) -> Model:
    """Rename a personal model, also in the setting `model`; if that fails, it keeps the old name.

    Raises:
        ModelError: no such model, a bundled or a damaged one; or the new name is taken or invalid.
        FileError: the files cannot be written.
    """
    path = find_personal_card(old)
    model = model_store.read_model(path)
    sheet = model.style_sheet.read_bytes() if model.style_sheet.is_file() else None
    renamed = add_model(dataclasses.replace(model.card, name=new), model_store.read_weights(model), style_sheet=sheet)
    try:
        _remove(path)
    except FileError:
        _remove(renamed.weights.with_suffix(".json"))
        raise
    _replace_in_settings(old, renamed.card.name)
    return renamed


def delete_model(name: str) -> None:
    """Delete a personal model, damaged or not, for good; see also `deleted_models`.

    If the setting `model` names it, the setting is removed from the file, so that the recommended model is the default.

    Raises:
        ModelError: no such model, or a bundled one.
        FileError: its card cannot be removed.
    """
    _remove(find_personal_card(name))
    logger.info("deleted model “%s”", name)
    _replace_in_settings(name, "")


def _replace_in_settings(old: str, new: str) -> None:
    """Replace a name in the setting `model`, unless there is still a model of this name; "" = remove the setting."""
    path = user_settings.settings_path()
    texts = user_settings.read_section(path)
    name = model_store.composed(old)
    if model_store.composed(texts.get("model", "")) != name or name in model_store.find_cards():
        return
    try:
        user_settings.save_section(path, {key: text for key, text in (texts | {"model": new}).items() if text})
    except FileError as error:
        logger.warning("The setting “model” still names “%s”: %s", old, error)


def find_personal_card(name: str) -> Path:
    """Return the path of a personal model's card, which may be damaged.

    Raises:
        ModelError: no such model, or a bundled one.
    """
    cards = model_store.find_cards()
    path = cards.get(model_store.composed(name))
    if path and not model_store.is_bundled(path):
        return path
    if path:
        raise ModelError(
            f"“{name}” is part of the program and can be neither renamed nor deleted: choose a personal model.",
            code="model.bundled",
            model=name,
        )
    personal = ", ".join(known for known, card in cards.items() if not model_store.is_bundled(card))
    if not personal:
        message = f"There is no model “{name}” to rename or delete: you have no personal models."
        raise ModelNotFoundError(message, model=name)
    raise ModelNotFoundError(f"There is no personal model “{name}”: choose one of {personal}.", model=name)


def _remove(card: Path) -> None:
    """Remove a model's files, the card first."""
    try:
        card.unlink()
    except OSError as error:
        raise FileError(
            f"{card} can't be removed ({error.strerror}): allow it, or close the program that uses it.",
            code="file.remove",
            path=str(card),
        ) from error
    _remove_rest(card.with_suffix(".safetensors"), card.with_suffix(model_store.STYLE_SHEET_SUFFIX))


def _remove_rest(*paths: Path) -> None:
    """Remove files of a model without a card."""
    for path in paths:
        _remove_leftover(path)


def _remove_leftover(path: Path) -> None:
    """Remove a file that does no harm; a failure is logged."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("%s is no longer needed, but can't be removed (%s).", path, error.strerror)


def export_path(path: Path) -> Path:
    """Return the path of an exported model's file; its suffix is added if missing. FileError for a folder."""
    if output_exists(path) and is_folder(path):
        raise FileError(f"{path} is a folder: give the name of a file to write.", code="file.is-folder", path=str(path))
    return path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)


def export_model(name: str, path: Path) -> Path:
    """Write a model, bundled or personal, to one file, which is replaced if it exists.

    Args:
        name: the model.
        path: the file; `.s2am` is added if missing.

    Returns:
        Path of the file.

    Raises:
        ModelError: no such model, or a damaged one.
        FileError: the file cannot be written.
    """
    path = export_path(path)
    model = model_store.find_model(name)
    contents = {CARD: model_store.card_content(model.card), WEIGHTS: model_store.read_weights(model)}
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for member, content in contents.items():
            archive.writestr(zipfile.ZipInfo(member), content)  # without a date: the file is reproducible
    return path


def import_model(path: Path, name: str | None = None) -> Model:
    """Add an exported model to the personal ones; nothing is written before everything has been checked.

    Args:
        path: a file from `export_model`; it may also be damaged or malicious.
        name: the new name; None = that of the exported model.

    Raises:
        ModelError: the file holds no model that this version can use, or the name is taken or invalid.
        FileError: the file cannot be read.
    """
    card, weights = _read_export(path)
    card = dataclasses.replace(card, name=check_name(card.name if name is None else name))
    check_free(card.name)
    ModelData(card, weights, EXPORT_AGAIN, path).check()
    return add_model(card, weights)


@dataclass(frozen=True)
class ModelData:
    """A model in memory, before its network is built.

    weights: content of the weights file.
    repair: advice if they are of another network, the second half of a sentence.
    file: the exported file that it comes from; None = it is one of the program's or the personal models.
    """

    card: Card
    weights: bytes = field(repr=False)
    repair: str
    file: Path | None = None

    def network(self) -> Network:
        """Build the network with PyTorch, float32 on the CPU, ready for inference.

        Raises:
            ModelError: the weights are of another network, or this version lacks the network.
        """
        if self.file and not _has_right_size(self.card):
            raise self._unfit(self.file)
        return model_store.fill_network(self.card, self.weights, self.repair)

    def graph_weights(self, graph: Graph) -> dict[str, Floats]:
        """Return the weights as float32 by name for a graph of the network.

        Raises:
            ModelError: the weights are of another network.
        """
        if self.file and self.card.parameters != graph.parameters:
            raise self._unfit(self.file)
        try:
            return graph.read_weights(self.weights)
        except ValueError as error:
            raise model_store.misfit(self.card, self.repair) from error

    def _unfit(self, file: Path) -> ModelError:
        return _unusable(file, f"its weights can't fill its network “{self.card.network}”")

    def check(self) -> None:
        """Raise ModelError unless the weights fill the network; without PyTorch where a graph describes it."""
        if graph := find_graph(self.card):
            self.graph_weights(graph)
        else:
            self.network()


def read_model_data(model: str | Path, purpose: Purpose = ANY_USE) -> ModelData:
    """Read a model by name, or from an exported file without adding it to the personal models.

    Args:
        model: name, or path that ends in `.s2am`.
        purpose: see `find_model`.

    Raises:
        ModelError: no such model, or a damaged one.
        FileError: the file cannot be read.
    """
    path = Path(model)
    if path.suffix.lower() == SUFFIX:
        card, weights = _read_export(path)
        return ModelData(card, weights, EXPORT_AGAIN, path)
    found = model_store.find_model(str(model), purpose)
    return ModelData(found.card, model_store.read_weights(found), found.repair)


def _unusable(path: Path, problem: str) -> ModelError:
    return ModelError(
        f"{path} holds no usable model ({problem}): export it again, or get another copy.",
        code="model.export",
        path=str(path),
    )


def _read_export(path: Path) -> tuple[Card, bytes]:
    if not file_exists(path):
        raise FileError(f"{path} does not exist: check the name and the folder.", code="file.missing", path=str(path))
    if not is_regular_file(path):
        raise FileError(f"{path} is not a file: give an exported model.", code="file.is-folder", path=str(path))
    try:
        if path.stat().st_size > sum(LARGEST.values()) + LARGEST_DIRECTORY:
            raise ValueError("it is too large")
        with open_archive(path, LARGEST_DIRECTORY) as archive:
            contents = _read_members(archive, path.stat().st_size)
        card = model_store.parse_card(contents[CARD])
        _check_card(card, contents[WEIGHTS])
    except OSError as error:
        raise FileError(
            f"{path} can't be read ({error.strerror or error}): choose another file.",
            code="file.read",
            path=str(path),
        ) from error
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, TypeError, RuntimeError) as error:
        raise _unusable(path, str(error) or "it is cut off") from error
    return card, contents[WEIGHTS]


def _read_members(archive: zipfile.ZipFile, size: int) -> dict[str, bytes]:
    members = archive.infolist()
    if sorted(member.filename for member in members) != sorted(LARGEST):
        raise ValueError(f"it does not consist of {CARD} and {WEIGHTS}")
    for member in members:
        # Limits the bytes that are read to the length of the file.
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"its {member.filename} is compressed")
        if member.file_size > LARGEST[member.filename]:
            raise ValueError(f"its {member.filename} is too large")
        if member.header_offset + member.file_size > size:
            raise ValueError("it is cut off")
    return {member.filename: archive.read(member) for member in members}


def _check_card(card: Card, weights: bytes) -> None:
    if not model_store.are_weights_of(card, weights) or card.size != len(weights):
        raise ValueError("its weights are damaged")
    if not 1 <= card.input_size <= MAX_INPUT_SIZE:
        raise ValueError(f"its input size is {card.input_size} pixels")
    options = card.options.values()
    if len(options) > LARGEST_OPTIONS or not all(isinstance(value, int | float | str) for value in options):
        raise ValueError("its options are not those of a network")
    if any(type(value) is int and value > LARGEST_OPTION for value in options):
        raise ValueError("its network is too large")
    if LARGEST_HEADER < int.from_bytes(weights[:8], "little") < len(weights):
        raise ValueError("its list of weights is too large")


def _has_right_size(card: Card) -> bool:
    """Return whether the network has as many parameters as the card states and the weights can hold.

    Checked before memory is allocated for the network.
    """
    model_store.check_torch(card)
    import torch

    with torch.device("meta"):  # shapes without numbers
        count = sum(parameter.numel() for parameter in model_store.blank_network(card).parameters())
    return count == card.parameters and count * BYTES_PER_PARAMETER <= card.size
