# SPDX-License-Identifier: GPL-3.0-or-later
"""Models: found by name, checked before use, personal ones beside the bundled ones."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest
import safetensors.torch
import torch

from s2am_engine import model_store
from s2am_engine.errors import EngineError
from s2am_engine.model_store import find_model, list_models, load_network, write_card


@pytest.fixture
def personal(no_personal_models: Path) -> Path:
    """A personal model “mine”, a copy of the default one."""
    default = find_model(model_store.DEFAULT_MODEL)
    write_card(dataclasses.replace(default.card, name="mine"), no_personal_models)
    (no_personal_models / "mine.safetensors").write_bytes(default.weights.read_bytes())
    return no_personal_models


def test_every_bundled_model_is_whole_small_and_documented() -> None:
    models = list_models()
    assert models[0].card.name == model_store.DEFAULT_MODEL
    for model in models:
        content = model.weights.read_bytes()
        assert hashlib.sha256(content).hexdigest() == model.card.sha256
        assert len(content) == model.card.size <= 10_000_000
        state = safetensors.torch.load(content)
        assert {value.dtype for value in state.values()} == {torch.float16}
        network = load_network(model)
        assert sum(parameter.numel() for parameter in network.parameters()) == model.card.parameters
        for fact in (model.card.data, model.card.licence, model.card.figures, model.card.training):
            assert fact


def test_an_unknown_name_lists_the_known_ones(personal: Path) -> None:
    with pytest.raises(EngineError, match="no model “nobody”: choose one of concord, mine"):
        find_model("nobody")


def test_a_personal_model_is_used_like_a_bundled_one(personal: Path) -> None:
    model = find_model("mine")
    assert not model.bundled
    assert not load_network(model).training


def test_damaged_weights_are_never_used(personal: Path) -> None:
    weights = personal / "mine.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(EngineError, match=r"mine\.safetensors are damaged"):
        load_network(find_model("mine"))
    weights.unlink()
    with pytest.raises(EngineError, match="can't be read"):
        load_network(find_model("mine"))


def test_weights_of_another_network_are_refused(personal: Path) -> None:
    content = safetensors.torch.save({"weight": torch.zeros(3)})
    (personal / "mine.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    card = find_model("mine").card
    write_card(dataclasses.replace(card, sha256=digest), personal)
    with pytest.raises(EngineError, match="don't fit its network"):
        load_network(find_model("mine"))
    write_card(dataclasses.replace(card, sha256=digest, network="tomorrow"), personal)
    with pytest.raises(EngineError, match="needs the network “tomorrow”: update"):
        load_network(find_model("mine"))


def test_a_damaged_card_says_which(personal: Path) -> None:
    (personal / "mine.json").write_text("{")
    with pytest.raises(EngineError, match=r"mine\.json is damaged"):
        list_models()
    assert find_model(model_store.DEFAULT_MODEL).card.name == model_store.DEFAULT_MODEL
