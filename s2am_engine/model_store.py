# SPDX-License-Identifier: GPL-3.0-or-later
"""Models (network + weights + card): finding the bundled ones and personal ones, checking and loading them.

A model is two files, `NAME.safetensors` (float16) and `NAME.json`, its card. Bundled models lie in `weights/` beside
this file, personal ones in the user's data folder.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from s2am_engine.errors import EngineError

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network

DEFAULT_MODEL = "concord"
MASK_FREE_MODEL = "s2am-mask-free"
BUNDLED = Path(__file__).parent / "weights"


@dataclass(frozen=True)
class Card:
    """What is known about a model; the JSON file beside its weights."""

    name: str
    network: str  # its name in the catalogue
    description: str
    thumbnail: int  # pixels a side that the network sees
    sha256: str  # of the weights file
    parameters: int
    size: int  # bytes of the weights file
    licence: str
    data: str  # what it was trained on, and under which terms
    training: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    known_failures: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)  # of the network, see `catalogue.build_network`


@dataclass(frozen=True)
class Model:
    """A card and where its weights are."""

    card: Card
    weights: Path
    bundled: bool


@dataclass(frozen=True)
class Untrained:
    """A network that can be built and trained, and has no weights here."""

    name: str
    description: str
    parameters: int


def personal_folder() -> Path:
    """Where personal models are kept."""
    return Path(platformdirs.user_data_dir("s2am", appauthor=False)) / "models"


def list_models() -> list[Model]:
    """All models that can be named, the default first; a personal one hides a bundled one of the same name."""
    return [read_model(path) for path in find_cards().values()]


def find_cards() -> dict[str, Path]:
    """The cards' files by model name, in the order of `list_models`."""
    found: dict[str, Path] = {}
    for folder in (BUNDLED, personal_folder()):
        with contextlib.suppress(PermissionError):  # somebody else's folder holds none of this user's models
            found |= {path.stem: path for path in folder.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def read_model(path: Path) -> Model:
    """Read a card and say where its weights are.

    Raises:
        EngineError: the card is damaged.
    """
    return Model(read_card(path), path.with_suffix(".safetensors"), bundled=path.parent == BUNDLED)


def find_model(name: str) -> Model:
    """Find a model by name; other models' cards are not read, so a damaged one does no harm here.

    Raises:
        EngineError: no such model (the sentence lists the known ones), or its card is damaged.
    """
    cards = find_cards()
    if name in cards:
        return read_model(cards[name])
    from s2am_engine.networks.catalogue import NETWORKS

    known = f"choose one of {', '.join(cards)}"
    if name in NETWORKS:
        raise EngineError(
            f"The network “{name}” has no trained weights here: "
            f"train it (python -m s2am_engine.training {name} …) or {known}."
        )
    raise EngineError(f"There is no model “{name}”: {known}.")


def mask_free_model() -> str | None:
    """The name of the model that finds the foreground by itself, if it is there."""
    return MASK_FREE_MODEL if MASK_FREE_MODEL in find_cards() else None


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        EngineError: the file is damaged.
    """
    try:
        card = Card(**json.loads(path.read_text(encoding="utf-8")))
        dict(**card.options)  # a file may hold anything, options without names too
    except (OSError, ValueError, TypeError) as error:
        raise EngineError(
            f"The model card {path} is damaged ({error}): remove it or install the model again."
        ) from error
    if card.name != path.stem:
        raise EngineError(f"The model card {path} names another model, “{card.name}”: rename the file or the model.")
    return card


def load_network(model: Model) -> Network:
    """Build a model's network with its weights, float32 on the CPU, ready for inference.

    Raises:
        EngineError: the weights are missing, damaged, or of another network, or the network is not known here.
    """
    import safetensors.torch  # with torch, a second of import time that listing models can do without

    from s2am_engine.networks.catalogue import NETWORKS, build_network

    card = model.card
    try:
        content = model.weights.read_bytes()
    except OSError as error:
        raise EngineError(
            f"The weights {model.weights} can't be read: run the installer again to repair it."
        ) from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise EngineError(f"The weights {model.weights} are damaged: run the installer again to repair them.")
    if card.network not in NETWORKS:
        raise EngineError(f"Model “{card.name}” needs the network “{card.network}”: update this program.")
    try:
        network = build_network(card.network, **card.options)
    except (ValueError, TypeError, RuntimeError) as error:
        raise EngineError(f"Model “{card.name}” can't be built here ({error}): update this program.") from error
    try:
        state = {name: value.float() for name, value in safetensors.torch.load(content).items()}
        network.load_state_dict(state)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise EngineError(f"The weights of “{card.name}” don't fit its network: install the model again.") from error
    return network.eval().requires_grad_(False)


def untrained_networks(models: Iterable[Model]) -> list[Untrained]:
    """The networks of the catalogue that none of the models uses, with their published size."""
    import torch

    from s2am_engine.networks.catalogue import NETWORKS, build_network

    used = {model.card.network for model in models}
    found = []
    with torch.device("meta"):  # shapes without numbers
        for name, entry in NETWORKS.items():
            if name not in used:
                count = sum(parameter.numel() for parameter in build_network(name).parameters())
                found.append(Untrained(name, entry.description, count))
    return found


def write_card(card: Card, folder: Path) -> None:
    """Write a card beside its weights."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n"
    (folder / f"{card.name}.json").write_text(text, encoding="utf-8")
