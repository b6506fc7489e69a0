# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundled and personal models: found by name and checked before use."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch

from s2am_common.errors import EngineError, ModelError, ModelNotFoundError
from s2am_engine.models import model_store
from s2am_engine.models.model_store import find_model, list_models, load_network, untrained_networks, write_card
from s2am_engine.networks.light import LightNetwork
from s2am_engine.networks.mask_network import MaskNetwork
from s2am_engine.networks.registry import NETWORKS, build_network

ROOT = Path(__file__).parents[2]


@pytest.fixture
def personal(no_personal_models: Path) -> Path:
    """A personal model “portra”, a copy of the default one."""
    default = find_model(model_store.DEFAULT_MODEL)
    write_card(dataclasses.replace(default.card, name="portra"), no_personal_models)
    (no_personal_models / "portra.safetensors").write_bytes(default.weights.read_bytes())
    return no_personal_models


def test_bundled_models_are_complete_small_and_documented() -> None:
    models = list_models()
    assert models[0].card.name == model_store.DEFAULT_MODEL
    for model in models:
        content = model.weights.read_bytes()
        assert hashlib.sha256(content).hexdigest() == model.card.sha256
        assert len(content) == model.card.size <= 12_000_000
        state = safetensors.torch.load(content)
        assert {value.dtype for value in state.values()} <= {torch.float16}
        network = load_network(model)
        assert model.card.network in NETWORKS
        assert sum(parameter.numel() for parameter in network.parameters()) == model.card.parameters
        assert model.card.recolors is not isinstance(network, MaskNetwork | LightNetwork)
        for fact in (model.card.data, model.card.license, model.card.figures, model.card.training):
            assert fact


def test_find_model_lists_the_models_for_an_unknown_name(personal: Path) -> None:
    message = rf"no model “unknown”: choose one of {model_store.DEFAULT_MODEL}, .*portra, "
    with pytest.raises(EngineError, match=message):
        find_model("unknown")


def test_find_model_finds_personal_models(personal: Path) -> None:
    model = find_model("portra")
    assert not model.bundled
    assert not load_network(model).training


def test_load_network_refuses_damaged_weights(personal: Path) -> None:
    weights = personal / "portra.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    repair = "delete the model, and import it again if you have exported it"
    with pytest.raises(EngineError, match=rf"portra\.safetensors are damaged: {repair}"):
        load_network(find_model("portra"))
    weights.unlink()
    with pytest.raises(EngineError, match=rf"can't be read: {repair}"):
        load_network(find_model("portra"))


def test_damaged_bundled_model_asks_for_the_installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(model_store.BUNDLED, tmp_path / "weights")
    monkeypatch.setattr(model_store, "BUNDLED", tmp_path / "weights")
    (tmp_path / "weights" / "concord.safetensors").write_bytes(b"")
    with pytest.raises(EngineError, match=r"concord\.safetensors are damaged: run the installer again"):
        load_network(find_model("concord"))
    (tmp_path / "weights" / "concord.json").write_bytes(b"")
    with pytest.raises(EngineError, match=r"concord\.json is damaged .*: run the installer again"):
        find_model("concord")


def test_load_network_refuses_weights_of_another_network(personal: Path) -> None:
    content = safetensors.torch.save({"weight": torch.zeros(3)})
    (personal / "portra.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    card = find_model("portra").card
    write_card(dataclasses.replace(card, sha256=digest), personal)
    with pytest.raises(EngineError, match="don't fit its network"):
        load_network(find_model("portra"))
    write_card(dataclasses.replace(card, sha256=digest, network="tomorrow"), personal)
    with pytest.raises(EngineError, match="needs the network “tomorrow”: update"):
        load_network(find_model("portra"))


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 100_000, '{"name": "portra"}'])
def test_list_models_leaves_out_and_logs_a_damaged_card(
    personal: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    others = [model for model in list_models() if model.card.name != "portra"]
    (personal / "portra.json").write_text(content)
    with pytest.raises(EngineError, match=r"portra\.json is damaged .*: delete the model"):
        find_model("portra")
    assert list_models() == others
    assert caplog.text.count("portra.json is damaged") == 1
    problems: list[ModelError] = []
    assert list_models(problems.append) == others
    assert [(error.code, error.fields) for error in problems] == [("model.damaged.personal", {"model": "portra"})]


@pytest.mark.parametrize(
    "change", [{"parameters": "many"}, {"size": None}, {"options": []}, {"description": ["a"]}, {"input_size": 1.5}]
)
def test_read_card_refuses_wrong_types(personal: Path, change: dict[str, object]) -> None:
    path = personal / "portra.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EngineError, match=rf"portra\.json is damaged \(“{next(iter(change))}” must be of type"):
        find_model("portra")


def test_write_card_keeps_the_old_card_on_failure(personal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    before = {path: path.read_bytes() for path in personal.iterdir()}
    card = find_model("portra").card
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(EngineError, match="disk is full"):
        write_card(dataclasses.replace(card, description="other"), personal)
    assert {path: path.read_bytes() for path in personal.iterdir()} == before


def test_write_card_names_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match=r"models cannot be created \(.*\): allow writing there"):
        write_card(find_model(model_store.DEFAULT_MODEL).card, tmp_path / "file" / "models")


def test_load_network_uses_the_options_of_the_card(personal: Path) -> None:
    network = build_network("s2crnet", pieces=16)
    content = safetensors.torch.save(network.state_dict())
    (personal / "portra.safetensors").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    card = dataclasses.replace(find_model("portra").card, network="s2crnet", sha256=digest, options={"pieces": 16})
    write_card(card, personal)
    assert find_model("portra").card == card
    loaded = load_network(find_model("portra")).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("options", [{"antennae": 6}, {"pieces": "many"}, {"name": "other"}])
def test_load_network_asks_for_an_update_for_unknown_options(personal: Path, options: dict[str, object]) -> None:
    card = dataclasses.replace(find_model("s2crnet").card, name="portra", options=options)
    write_card(card, personal)
    (personal / "portra.safetensors").write_bytes(find_model("s2crnet").weights.read_bytes())
    with pytest.raises(EngineError, match=r"“portra” can't be built here \(.*\): update this program\.$"):
        load_network(find_model("portra"))


def test_read_card_accepts_cards_without_options(personal: Path) -> None:
    path = personal / "portra.json"
    output = json.loads(path.read_text())
    del output["options"]
    path.write_text(json.dumps(output))
    assert find_model("portra").card.options == {}
    for options in (None, [1, 2], "width"):
        path.write_text(json.dumps(output | {"options": options}))
        with pytest.raises(EngineError, match=r"portra\.json is damaged"):
            find_model("portra")


def test_find_model_refuses_an_untrained_network() -> None:
    name = untrained_networks(list_models())[0].name
    with pytest.raises(ModelNotFoundError, match=f"no trained weights of the network “{name}”: choose one") as caught:
        find_model(name)
    assert (caught.value.code, caught.value.fields) == ("model.not-found.untrained", {"network": name})


def test_untrained_networks_have_descriptions_and_parameter_counts() -> None:
    found = {network.name: network for network in untrained_networks([])}
    assert set(found) == set(NETWORKS)
    for name in ("concord", "s2crnet-cascaded"):
        assert found[name].parameters == sum(value.numel() for value in build_network(name).parameters())
        assert found[name].description == NETWORKS[name].title
    used = {model.card.network for model in list_models()}
    assert {network.name for network in untrained_networks(list_models())} == set(NETWORKS) - used


def test_list_models_does_not_import_pytorch() -> None:
    code = "import sys; from s2am_engine.models.model_store import list_models; list_models(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "torch" not in done.stdout.split()
