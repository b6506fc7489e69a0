# SPDX-License-Identifier: GPL-3.0-or-later
"""Personal models as files: made, renamed, deleted, and carried to another machine as one `NAME.s2am`.

A model exists when its card does. So the card is written last and removed first, and whatever interrupts it, no half
model is left. An exported model is a zip archive, uncompressed, of `card.json` and `weights.safetensors`.
"""

from __future__ import annotations

import dataclasses
import itertools
import struct
import unicodedata
import warnings
import zipfile
from pathlib import Path

from s2am_common.atomic import atomic_write
from s2am_engine.errors import EngineError
from s2am_engine.models import model_store
from s2am_engine.models.model_store import Card, Model

SUFFIX = ".s2am"
LONGEST_NAME = 64  # characters
CARD, WEIGHTS = "card.json", "weights.safetensors"  # in an exported model
LARGEST = {CARD: 1_000_000, WEIGHTS: 512 * 2**20}  # bytes
LARGEST_DIRECTORY = 65_536  # bytes that an archive has beyond its members; ours have a few hundred
LARGEST_OPTION = 1024  # of a network; the published ones stay below 100
MAX_INPUT_SIZE = 4096
BYTES_PER_PARAMETER = 2  # at least: float16

_PORTS = (f"{port}{number}" for port in ("com", "lpt") for number in "123456789¹²³")
RESERVED = {"con", "prn", "aux", "nul", *_PORTS}
"""What Windows takes for a device, whatever follows after a dot."""


def check_name(name: str) -> str:
    """Check that a name can be a file's on every system.

    Returns:
        The name, with each accented letter as one character.

    Raises:
        EngineError: it can't; the sentence says why.
    """
    name = model_store.composed(name)
    if len(name) > LONGEST_NAME:
        raise EngineError(
            f"“{name[:20]}…” is too long for a model's name: choose one of at most {LONGEST_NAME} characters."
        )
    if problem := _problem_of(name):
        raise EngineError(f"{name!r} can't be a model's name, because {problem}: choose another.")
    return name


def _problem_of(name: str) -> str | None:
    if not name:
        return "it is empty"
    if strange := [letter for letter in name if not _is_allowed(letter)]:
        return f"it contains {strange[0]!r}, and only letters, digits, spaces, “-”, “_” and “.” are allowed"
    if name[0] in ".- " or unicodedata.category(name[0])[0] == "M":
        return "it starts with neither a letter, a digit nor “_”"
    if name[-1] in ". ":
        return "it ends with a dot or a space"
    if name.split(".")[0].rstrip().lower() in RESERVED:
        return "Windows keeps it for a device"
    return None


def _is_allowed(letter: str) -> bool:
    # Letters, their marks (most Indian vowels are marks) and numbers, of all scripts.
    return letter in " -_." or unicodedata.category(letter)[0] in "LMN"


def free_name(wanted: str) -> str:
    """The wanted name, or `wanted-2`, `wanted-3` …: the first that no model has.

    Raises:
        EngineError: it can't be a model's name.
    """
    name = check_name(wanted)
    suffixes = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    names = (name[: LONGEST_NAME - len(suffix)] + suffix for suffix in suffixes)
    return next(free for free in names if _clash(free) is None)


def _clash(name: str) -> str | None:
    """The model that has a name already; on many disks capital letters make no difference."""
    return next((known for known in model_store.find_cards() if known.casefold() == name.casefold()), None)


def check_free(name: str, instead: str = "choose another name") -> None:
    """Check that no model has a name, in capital letters or small ones.

    Args:
        name: one that `check_name` gave.
        instead: what to do if there is one, the second half of a sentence.

    Raises:
        EngineError: there is one.
    """
    if known := _clash(name):
        raise EngineError(f"There is a model “{known}” already: {instead}.")


def add_model(card: Card, weights: bytes, *, replace: bool = False) -> Model:
    """Make a personal model.

    Args:
        card: under its name the model can be used from now on.
        weights: the content of a safetensors file.
        replace: whether the personal model of this name, if there is one, makes way when the weights are written.

    Raises:
        EngineError: the name is taken or can't be a model's, or the files can't be written.
    """
    card = dataclasses.replace(card, name=check_name(card.name))
    folder = model_store.personal_folder()
    path = folder / f"{card.name}.json"
    if not (replace and model_store.find_cards().get(card.name) == path):
        check_free(card.name)
    model_store.ensure_folder(folder)
    model = Model(card, path.with_suffix(".safetensors"), bundled=False)
    with atomic_write(model.weights) as file:  # also over weights whose card was never written
        file.write(weights)
        path.unlink(missing_ok=True)  # an old card would tell of other weights
    try:
        model_store.write_card(card, folder)
    except BaseException:
        _remove_weights(model.weights)
        raise
    return model


def rename_model(old: str, new: str) -> Model:
    """Give a personal model another name; if that fails, it keeps the old one.

    Raises:
        EngineError: no such model, a bundled or a damaged one; or the new name is taken or can't be a model's.
    """
    path = _personal_card(old)
    model = model_store.read_model(path)
    renamed = add_model(dataclasses.replace(model.card, name=new), model_store.read_weights(model))
    try:
        _remove(path)
    except EngineError:
        _remove(renamed.weights.with_suffix(".json"))
        raise
    return renamed


def delete_model(name: str) -> None:
    """Delete a personal model, damaged or not.

    Raises:
        EngineError: no such model, a bundled one, or its card can't be removed.
    """
    _remove(_personal_card(name))


def _personal_card(name: str) -> Path:
    path = model_store.find_card(name)
    if model_store.is_bundled(path):
        raise EngineError(
            f"“{name}” comes with the program and can be neither renamed nor deleted: choose a personal model."
        )
    return path


def _remove(card: Path) -> None:
    """Remove a model's files, the card first."""
    try:
        card.unlink()
    except OSError as error:
        raise EngineError(
            f"{card} can't be removed ({error.strerror}): allow it, or close the program that uses it."
        ) from error
    _remove_weights(card.with_suffix(".safetensors"))


def _remove_weights(path: Path) -> None:
    """Remove weights that have no card: they do no harm, so that they can't be removed is only told."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        warnings.warn(f"{path} is no longer needed, but can't be removed ({error.strerror}).", stacklevel=2)


def export_model(name: str, path: Path) -> Path:
    """Write a model, bundled or personal, to one file; one that is there is replaced.

    Args:
        name: of the model.
        path: the file; `.s2am` is added if missing.

    Returns:
        The file that was written.

    Raises:
        EngineError: no such model, a damaged one, or the file can't be written.
    """
    if path.is_dir():
        raise EngineError(f"{path} is a folder: give the name of a file to write.")
    if path.suffix.lower() != SUFFIX:
        path = path.with_name(path.name + SUFFIX)
    model = model_store.find_model(name)
    contents = {CARD: model_store.card_content(model.card), WEIGHTS: model_store.read_weights(model)}
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for member, content in contents.items():
            archive.writestr(zipfile.ZipInfo(member), content)  # without a date: the same model gives the same file
    return path


def import_model(path: Path, name: str | None = None) -> Model:
    """Make a personal model of an exported one; nothing is written before all of it has been checked.

    Args:
        path: what `export_model` wrote; it may also be damaged, or made by somebody who means harm.
        name: the model's name from now on; None = the one that it was exported with.

    Raises:
        EngineError: the file holds no model that can be used here, or the name is taken or can't be a model's.
    """
    card, weights = _read_export(path)
    card = dataclasses.replace(card, name=check_name(card.name if name is None else name))
    check_free(card.name, "give another name with --name")
    if not _promises_what_it_holds(card):
        raise _unusable(path, f"its weights can't fill its network “{card.network}”")
    model_store.fill_network(card, weights, "export the model again, or get another copy of its file")
    return add_model(card, weights)


def _unusable(path: Path, problem: str) -> EngineError:
    return EngineError(f"{path} holds no usable model ({problem}): export it again, or get another copy.")


def _read_export(path: Path) -> tuple[Card, bytes]:
    if not path.exists():
        raise EngineError(f"{path} does not exist: check the name and the folder.")
    if not path.is_file():
        raise EngineError(f"{path} is not a file: give one that “s2am models export” wrote.")
    try:
        if path.stat().st_size > sum(LARGEST.values()) + LARGEST_DIRECTORY:
            raise ValueError("it is too large")
        with zipfile.ZipFile(path) as archive:
            contents = _read_members(archive)
        card = model_store.parse_card(contents[CARD])
        _check_card(card, contents[WEIGHTS])
    except OSError as error:
        raise EngineError(f"{path} can't be read ({error.strerror or error}): choose another file.") from error
    except (zipfile.BadZipFile, struct.error, EOFError, ValueError, TypeError, RuntimeError) as error:
        raise _unusable(path, str(error) or "it is cut off") from error
    return card, contents[WEIGHTS]


def _read_members(archive: zipfile.ZipFile) -> dict[str, bytes]:
    members = archive.infolist()
    if sorted(member.filename for member in members) != sorted(LARGEST):
        raise ValueError(f"it does not consist of {CARD} and {WEIGHTS}")
    for member in members:
        # Then what is read is never more than the file is long, whatever it claims.
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"its {member.filename} is compressed")
        if member.file_size > LARGEST[member.filename]:
            raise ValueError(f"its {member.filename} is too large")
    return {member.filename: archive.read(member) for member in members}


def _check_card(card: Card, weights: bytes) -> None:
    if not model_store.are_weights_of(card, weights) or card.size != len(weights):
        raise ValueError("its weights are damaged")
    if not 1 <= card.input_size <= MAX_INPUT_SIZE:
        raise ValueError(f"its input size is {card.input_size} pixels")
    if any(type(value) is int and value > LARGEST_OPTION for value in card.options.values()):
        raise ValueError("its network is too large")


def _promises_what_it_holds(card: Card) -> bool:
    """Whether the network has as many parameters as the card says and the weights can hold.

    This is known before memory is taken for the network.
    """
    import torch

    with torch.device("meta"):  # shapes without numbers
        count = sum(parameter.numel() for parameter in model_store.blank_network(card).parameters())
    return count == card.parameters and count * BYTES_PER_PARAMETER <= card.size
