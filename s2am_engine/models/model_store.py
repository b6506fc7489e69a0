# SPDX-License-Identifier: GPL-3.0-or-later
"""Models (network + weights + card): finding the bundled ones and personal ones, checking and loading them.

A model is two files, `NAME.safetensors` (float16) and `NAME.json`, its card. Bundled models lie in `weights/` beside
this file, personal ones in the user's data folder; model_files.py makes, renames and removes those.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from s2am_common.atomic import atomic_write
from s2am_common.paths import user_paths
from s2am_engine.errors import EngineError

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network

DEFAULT_MODEL = "connoisseur"
DETECTOR = "dissonance"
DETECTOR_NETWORKS = (
    "dissonance",
)  # networks that find what was pasted and recolor nothing (known here without PyTorch)
DETECTION_THRESHOLD = 0.5  # of a detector's confidence: from where on it says that something was pasted
BUNDLED = Path(__file__).parent / "weights"
RENAMED_KEYS = {"licence": "license", "thumbnail": "input_size"}
"""Keys of cards that version 0.1 wrote, and their names now."""


@dataclass(frozen=True)
class Card:
    """What is known about a model; the JSON file beside its weights."""

    name: str
    network: str  # its name in the catalog
    description: str
    input_size: int  # side of the network's input in pixels
    sha256: str  # of the weights file
    parameters: int
    size: int  # bytes of the weights file
    license: str
    data: str  # what it was trained on, and under which terms
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    known_failures: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)  # of the network, see `catalog.build_network`
    fine_tuned: bool = False  # then the weights are those of a `networks.personal.Personal` of two such networks

    @property
    def recolors(self) -> bool:
        """Whether one can harmonize with it."""
        return self.network not in DETECTOR_NETWORKS


@dataclass(frozen=True)
class Model:
    """A card and where its weights are."""

    card: Card
    weights: Path
    bundled: bool

    @property
    def repair(self) -> str:
        """What to do when its weights turn out to be damaged."""
        return how_to_repair(self.card.name, bundled=self.bundled)


@dataclass(frozen=True)
class UntrainedNetwork:
    """A network that can be built and trained, and has no weights here."""

    name: str
    description: str
    parameters: int


def personal_folder() -> Path:
    """Where personal models are kept."""
    return user_paths().models


def list_models() -> list[Model]:
    """All models that can be named, the default first; a personal one hides a bundled one of the same name.

    One whose card is damaged is left out, with a warning that says what to do about it.
    """
    return [model for card in find_cards().values() if (model := _read_or_warn(card))]


def _read_or_warn(card: Path) -> Model | None:
    try:
        return read_model(card)
    except EngineError as error:
        warnings.warn(str(error), stacklevel=2)
        return None


def find_cards() -> dict[str, Path]:
    """The cards' files by model name, in the order of `list_models`."""
    found: dict[str, Path] = {}
    for folder in (BUNDLED, personal_folder()):
        with contextlib.suppress(PermissionError):  # somebody else's folder holds none of this user's models
            found |= {composed(path.stem): path for path in folder.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def composed(name: str) -> str:
    """A name with each accented letter as one character: some systems and keyboards give it as two."""
    return unicodedata.normalize("NFC", name)


def is_bundled(card: Path) -> bool:
    """Whether a card's file came with the program."""
    return card.parent == BUNDLED


def read_model(path: Path) -> Model:
    """Read a card and say where its weights are.

    Raises:
        EngineError: the card is damaged.
    """
    return Model(read_card(path), path.with_suffix(".safetensors"), is_bundled(path))


def find_model(name: str) -> Model:
    """Find a model by name; other models' cards are not read, so a damaged one does no harm here.

    Raises:
        EngineError: no such model (the sentence lists the known ones), or its card is damaged.
    """
    return read_model(find_card(name))


def find_card(name: str) -> Path:
    """Find a model's card, which may be damaged.

    Raises:
        EngineError: no such model; the sentence lists the known ones.
    """
    cards = find_cards()
    if composed(name) in cards:
        return cards[composed(name)]
    from s2am_engine.networks.registry import NETWORKS

    known = f"choose one of {', '.join(cards)}"
    if name in NETWORKS:
        raise EngineError(
            f"The network “{name}” has no trained weights here: "
            f"train it (s2am train --network {name} --data PHOTOS) or {known}."
        )
    raise EngineError(f"There is no model “{name}”: {known}.")


def how_to_repair(name: str, *, bundled: bool) -> str:
    """What to do about a damaged model: the second half of a sentence."""
    if bundled:
        return "run the installer again to repair the model"
    word = f'"{name}"' if " " in name else name
    return f"delete the model (s2am models delete {word}), and import it again if you have exported it"


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        EngineError: the file is damaged.
    """
    try:
        card = parse_card(path.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError) as error:
        repair = how_to_repair(path.stem, bundled=is_bundled(path))
        raise EngineError(f"The model card {path} is damaged ({error}): {repair}.") from error
    if composed(card.name) != composed(path.stem):
        raise EngineError(f"The model card {path} names another model, “{card.name}”: rename the file or the model.")
    return card


def parse_card(content: bytes) -> Card:
    """Read a card from its file's content, which may be anything.

    Raises:
        ValueError, TypeError, RecursionError: this is no card.
    """
    data = json.loads(content)
    types = {name: get_origin(hint) or hint for name, hint in get_type_hints(Card).items()}
    if not isinstance(data, dict):
        raise ValueError("it is not a JSON object")
    data = {RENAMED_KEYS.get(key, key): value for key, value in data.items()}
    if unknown := data.keys() - types.keys():
        raise ValueError(f"this version does not support its field “{min(unknown)}”")
    card = Card(**data)
    for name, wanted in types.items():
        if type(getattr(card, name)) is not wanted:
            raise TypeError(f"“{name}” must be of type {wanted.__name__}")
    shown = (card.name, card.network, *card.options, *map(str, card.options.values()))  # in errors, on terminals
    if not "".join(shown).isprintable():
        raise ValueError("its names have control characters")
    card_content(card)  # JSON can spell half characters that no file can hold
    return card


def card_content(card: Card) -> bytes:
    """A card's file."""
    return (json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n").encode()


def write_card(card: Card, folder: Path) -> None:
    """Write a card beside its weights.

    Raises:
        EngineError: it can't be written; the card that was there, if any, is as it was.
    """
    ensure_folder(folder)
    with atomic_write(folder / f"{card.name}.json") as file:
        file.write(card_content(card))


def ensure_folder(folder: Path) -> None:
    """Make a folder for models, if it is not there.

    Raises:
        EngineError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(
            f"The folder {folder} can't be made ({error.strerror}): allow writing there, then try again."
        ) from error


def read_weights(model: Model) -> bytes:
    """Read a model's weights.

    Raises:
        EngineError: they are missing or damaged.
    """
    try:
        content = model.weights.read_bytes()
    except OSError as error:
        raise EngineError(f"The weights {model.weights} can't be read: {model.repair}.") from error
    if not are_weights_of(model.card, content):
        raise EngineError(f"The weights {model.weights} are damaged: {model.repair}.")
    return content


def are_weights_of(card: Card, weights: bytes) -> bool:
    """Whether these are the very weights that a card was written for."""
    return hashlib.sha256(weights).hexdigest() == card.sha256


def load_network(model: Model) -> Network:
    """Build a model's network with its weights, float32 on the CPU, ready for inference.

    Raises:
        EngineError: the weights are missing, damaged, or of another network, or the network is not known here.
    """
    return fill_network(model.card, read_weights(model), model.repair)


def fill_network(card: Card, weights: bytes, repair: str) -> Network:
    """The same as `load_network`, with weights that have been read.

    Args:
        card: the model's.
        weights: the content of its weights file.
        repair: what to do if they are of another network, the second half of a sentence.

    Raises:
        EngineError: the weights are of another network, or the network is not known here.
    """
    import safetensors.torch  # with torch, a second of import time that listing models can do without

    from s2am_engine.networks.network import current_name

    network = blank_network(card)
    try:
        state = {current_name(name): value.float() for name, value in safetensors.torch.load(weights).items()}
        network.load_state_dict(state)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise EngineError(f"The weights of “{card.name}” don't fit its network: {repair}.") from error
    return network.eval().requires_grad_(False)


def blank_network(card: Card) -> Network:
    """Build a model's network without its weights.

    Raises:
        EngineError: the network, or one of its options, is not known here.
    """
    from s2am_engine.networks.personal import Personal
    from s2am_engine.networks.registry import NETWORKS, build_network

    if card.network not in NETWORKS:
        raise EngineError(f"Model “{card.name}” needs the network “{card.network}”: update this program.")
    try:
        if card.fine_tuned:
            return Personal(*(build_network(card.network, **card.options) for _ in range(2)))
        return build_network(card.network, **card.options)
    except (ValueError, TypeError, RuntimeError) as error:
        raise EngineError(f"Model “{card.name}” can't be built here ({error}): update this program.") from error


def untrained_networks(models: Iterable[Model]) -> list[UntrainedNetwork]:
    """The networks of the catalog that none of the models uses, with their published size."""
    import torch

    from s2am_engine.networks.registry import NETWORKS, build_network

    used = {model.card.network for model in models}
    found = []
    with torch.device("meta"):  # shapes without numbers
        for name, entry in NETWORKS.items():
            if name not in used:
                count = sum(parameter.numel() for parameter in build_network(name).parameters())
                found.append(UntrainedNetwork(name, entry.title, count))
    return found
