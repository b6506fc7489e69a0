# SPDX-License-Identifier: GPL-3.0-or-later
"""Models on disk: find, check and load bundled and personal ones.

A model is a network with its weights, in two files: `NAME.safetensors` (float16) and its card, `NAME.json`. Bundled
models are in `weights/` next to this file, personal ones in the user's data folder, see model_files.py.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin, get_type_hints

from s2am_common.atomic import atomic_write, ensure_folder
from s2am_common.errors import ModelError, ModelNotFoundError
from s2am_common.paths import user_paths
from s2am_common.settings import load_settings
from s2am_engine.models.purposes import ANY_USE, HARMONIZATION, Purpose
from s2am_engine.networks.parameter_names import current_name
from s2am_engine.networks.tasks import HARMONIZING_TASKS, Task, task_of
from s2am_engine.pytorch import has_torch

if TYPE_CHECKING:
    from s2am_engine.networks.network import Network

logger = logging.getLogger(__name__)

DEFAULT_MODEL = "connoisseur"
DETECTOR = "dissonance"
SUBJECT_MODEL = "subject"
LIGHT_MODEL = "light"
DETECTION_THRESHOLD = 0.5  # confidence from which on a detection counts
SUBJECT_THRESHOLD = 0.5  # confidence from which on a subject counts as clear
BUNDLED = Path(__file__).parent / "weights"
STYLE_SHEET_SUFFIX = ".png"
RENAMED_KEYS = {"licence": "license", "thumbnail": "input_size"}
"""Keys of cards that version 0.1 wrote, and their names now."""


@dataclass(frozen=True)
class Card:
    """Model card: the JSON file next to the weights.

    network: name in the catalog.
    input_size: side of the network's input in pixels.
    sha256, size: digest and number of bytes of the weights file.
    parameters: number of parameters.
    data: the training data and their terms.
    options: of the network, see `build_network`.
    fine_tuned: the weights are those of a `networks.personal.Personal` with two such networks …
    adjusted: … or, in this case, with one and its adjustment.
    """

    name: str
    network: str
    description: str
    input_size: int
    sha256: str = field(repr=False)
    parameters: int
    size: int
    license: str
    data: str = field(repr=False)
    training: dict[str, Any] = field(default_factory=dict, repr=False)
    figures: dict[str, Any] = field(default_factory=dict, repr=False)
    known_failures: list[str] = field(default_factory=list, repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    fine_tuned: bool = False
    adjusted: bool = False

    @property
    def task(self) -> Task:
        """Task of the network."""
        return task_of(self.network)

    @property
    def recolors(self) -> bool:
        """True if the model harmonizes (a detector or the model of the light does not)."""
        return self.task in HARMONIZING_TASKS

    @property
    def adjustable(self) -> bool:
        """True if the model can be fine-tuned."""
        return self.task is Task.ADJUSTABLE_HARMONIZATION and not self.fine_tuned


@dataclass(frozen=True)
class Model:
    """A card and the path of its weights."""

    card: Card
    weights: Path
    bundled: bool

    @property
    def style_sheet(self) -> Path:
        """Contact sheet of the photographs to which the model was fine-tuned; the file may be missing."""
        return self.weights.with_suffix(STYLE_SHEET_SUFFIX)

    @property
    def repair(self) -> str:
        """Advice for damaged weights: the second half of a sentence."""
        return how_to_repair(bundled=self.bundled)


@dataclass(frozen=True)
class UntrainedNetwork:
    """A network that can be trained and of which no model exists."""

    name: str
    description: str
    parameters: int


def personal_folder() -> Path:
    """Return the folder of the personal models."""
    return user_paths().models


def default_model() -> str:
    """Return the name of the model of the settings, or of the recommended one."""
    return load_settings().model or DEFAULT_MODEL


def list_models(on_damaged: Callable[[ModelError], None] | None = None) -> list[Model]:
    """Return all models, the recommended one first; a personal model hides a bundled one of the same name.

    Args:
        on_damaged: called for each model whose card is damaged, which is left out; None = log it.
    """
    return [model for card in find_cards().values() if (model := _read_unless_damaged(card, on_damaged))]


def _read_unless_damaged(card: Path, on_damaged: Callable[[ModelError], None] | None) -> Model | None:
    try:
        return read_model(card)
    except ModelError as error:
        if on_damaged:
            on_damaged(error)
        else:
            logger.warning("%s", error)
        return None


def find_cards() -> dict[str, Path]:
    """Return the paths of the cards by model name, in the order of `list_models`."""
    found: dict[str, Path] = {}
    for folder in (BUNDLED, personal_folder()):
        with contextlib.suppress(PermissionError):  # another user's folder holds no models of this user
            found |= {composed(path.stem): path for path in folder.glob("*.json")}
    return dict(sorted(found.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))


def composed(name: str) -> str:
    """Return a name with each accented letter as one character; some systems and keyboards produce two."""
    return unicodedata.normalize("NFC", name)


def is_bundled(card: Path) -> bool:
    """Return whether a card is one of the program's own."""
    return card.parent == BUNDLED


def read_model(path: Path) -> Model:
    """Read a model's card.

    Raises:
        ModelError: the card is damaged.
    """
    return Model(read_card(path), path.with_suffix(".safetensors"), is_bundled(path))


def suitable_models(purpose: Purpose) -> str:
    """Return the names of the models that suit a purpose, for a message; damaged ones are left out."""
    names = [model.card.name for model in list_models(on_damaged=lambda _: None) if purpose.suits(model.card)]
    return ", ".join([*names, *purpose.further()])


def find_model(name: str, purpose: Purpose = ANY_USE) -> Model:
    """Find a model by name. Other models' cards are only read for an error message: they may be damaged.

    Args:
        name: the model's; it need not suit the purpose.
        purpose: the use of the model; the message for an unknown name lists the models that suit it.

    Raises:
        ModelNotFoundError: no such model.
        ModelError: its card is damaged.
    """
    return read_model(find_card(name, purpose))


def check_recolors(card: Card) -> None:
    """Check that a model harmonizes.

    Raises:
        ModelError: it does something else, such as detecting the foreground.
    """
    if not card.recolors:
        suitable = suitable_models(HARMONIZATION)
        raise ModelError(
            f"Model “{card.name}” recolors no foreground: choose one of {suitable}.",
            code="model.detector",
            model=card.name,
        )


def find_card(name: str, purpose: Purpose = ANY_USE) -> Path:
    """Return the path of a model's card, which may be damaged.

    Args:
        name: the model's.
        purpose: see `find_model`.

    Raises:
        ModelNotFoundError: no such model; the message lists the suitable ones.
    """
    cards = find_cards()
    if composed(name) in cards:
        return cards[composed(name)]
    suitable = suitable_models(purpose)
    if not suitable:
        raise ModelNotFoundError(f"There is no model “{name}”, nor another one for this purpose.", model=name)
    if has_torch() and name in _network_names():
        raise ModelNotFoundError(
            f"There are no trained weights of the network “{name}”: choose one of {suitable}.",
            code="model.not-found.untrained",
            network=name,
        )
    raise ModelNotFoundError(f"There is no model “{name}”: choose one of {suitable}.", model=name)


def _network_names() -> Collection[str]:
    from s2am_engine.networks.registry import NETWORKS  # imports PyTorch

    return NETWORKS


def how_to_repair(*, bundled: bool) -> str:
    """Return advice for a damaged model: the second half of a sentence."""
    if bundled:
        return "run the installer again to repair the model"
    return "delete the model, and import it again if you have exported it"


def damage_code(*, bundled: bool) -> str:
    """Return the error code of a damaged model."""
    return f"model.damaged.{'bundled' if bundled else 'personal'}"


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        card = parse_card(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        bundled = is_bundled(path)
        raise ModelError(
            f"The model card {path} is damaged ({error}): {how_to_repair(bundled=bundled)}.",
            code=damage_code(bundled=bundled),
            model=path.stem,
        ) from error
    if composed(card.name) != composed(path.stem):
        raise ModelError(
            f"The model card {path} names another model, “{card.name}”: rename the file or the model.",
            code="model.card-name",
        )
    return card


def parse_card(content: bytes) -> Card:
    """Parse the content of a card's file, which may be anything.

    Raises:
        ValueError, TypeError: it is not a card.
    """
    try:
        return _parse_data(json.loads(content))
    except RecursionError as error:
        raise ValueError("its lists or objects are nested too deeply") from error


def _parse_data(data: Any) -> Card:
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
    shown = (card.name, card.network, *card.options, *map(str, card.options.values()))  # in messages, on terminals
    if not "".join(shown).isprintable():
        raise ValueError("its names contain control characters")
    card_content(card)  # JSON can contain lone surrogates, which cannot be encoded
    return card


def card_content(card: Card) -> bytes:
    """Return the content of a card's file."""
    return (json.dumps(dataclasses.asdict(card), indent=2, ensure_ascii=False) + "\n").encode()


def write_card(card: Card, folder: Path) -> None:
    """Write a card next to its weights.

    Raises:
        FileError: it cannot be written; an existing card stays unchanged.
    """
    ensure_folder(folder)
    with atomic_write(folder / f"{card.name}.json") as file:
        file.write(card_content(card))


def read_weights(model: Model) -> bytes:
    """Read a model's weights.

    Raises:
        ModelError: they are missing or damaged.
    """
    try:
        content = model.weights.read_bytes()
    except OSError as error:
        raise _damaged(model, f"The weights {model.weights} can't be read") from error
    if not are_weights_of(model.card, content):
        raise _damaged(model, f"The weights {model.weights} are damaged")
    return content


def _damaged(model: Model, problem: str) -> ModelError:
    code = damage_code(bundled=model.bundled)
    return ModelError(f"{problem}: {model.repair}.", code=code, model=model.card.name)


def are_weights_of(card: Card, weights: bytes) -> bool:
    """Return whether the digest of weights is that of a card."""
    return hashlib.sha256(weights).hexdigest() == card.sha256


def load_network(model: Model) -> Network:
    """Build a model's network with its weights, float32 on the CPU, ready for inference.

    Raises:
        ModelError: the weights are missing, damaged, or of another network, or this version lacks the network.
    """
    network = fill_network(model.card, read_weights(model), model.repair)
    logger.info("loaded model “%s”, %.2f M parameters", model.card.name, model.card.parameters / 1e6)
    return network


def fill_network(card: Card, weights: bytes, repair: str) -> Network:
    """Build a card's network with given weights, float32 on the CPU, ready for inference.

    Args:
        card: the model's.
        weights: content of the weights file.
        repair: advice if they are of another network, the second half of a sentence.

    Raises:
        ModelError: the weights are of another network, this version lacks the network, or PyTorch is not installed.
    """
    network = blank_network(card)
    import safetensors.torch  # imports torch, which takes a second and is not needed to list models

    try:
        state = {current_name(name): value.float() for name, value in safetensors.torch.load(weights).items()}
        network.load_state_dict(state)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise misfit(card, repair) from error
    return network.eval().requires_grad_(False)


def misfit(card: Card, repair: str) -> ModelError:
    """Return the error for weights that are of another network; `repair` is the second half of a sentence."""
    return ModelError(
        f"The weights of “{card.name}” don't fit its network: {repair}.", code="model.weights", model=card.name
    )


def check_torch(card: Card) -> None:
    """Raise ModelError for a model that needs PyTorch, unless it is installed."""
    if not has_torch():
        raise ModelError(
            f"Model “{card.name}” needs PyTorch, which is not installed.",
            code="model.torch",
            model=card.name,
        )


def blank_network(card: Card) -> Network:
    """Build a model's network without its weights.

    Raises:
        ModelError: this version lacks the network or one of its options, or PyTorch is not installed.
    """
    check_torch(card)
    from s2am_engine.networks.adjustment import Adjustment
    from s2am_engine.networks.personal import Personal
    from s2am_engine.networks.registry import NETWORKS, build_network

    if card.network not in NETWORKS:
        raise ModelError(
            f"Model “{card.name}” needs the network “{card.network}”: update this program.",
            code="model.newer",
            model=card.name,
        )
    try:
        network = build_network(card.network, **card.options)
        if not card.fine_tuned:
            return network
        return Personal(network, Adjustment() if card.adjusted else build_network(card.network, **card.options))
    except (ValueError, TypeError, RuntimeError) as error:
        raise ModelError(
            f"Model “{card.name}” can't be built here ({error}): update this program.",
            code="model.newer",
            model=card.name,
        ) from error


def untrained_networks(models: Iterable[Model]) -> list[UntrainedNetwork]:
    """Return the networks that none of the models uses, with the number of parameters of their published version.

    None without PyTorch, which could train them.
    """
    if not has_torch():
        return []
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
