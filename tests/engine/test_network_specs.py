# SPDX-License-Identifier: GPL-3.0-or-later
"""Network descriptors agree with the models, the model store and the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from s2am_engine.models import model_store
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS
from s2am_engine.networks.spec import NetworkSpec, register

MODELS = Path(__file__).resolve().parents[2] / "docs/models.md"


def test_default_weights_are_the_bundled_models() -> None:
    bundled = {model.card.name: model.card for model in model_store.list_models() if model.bundled}
    assert {spec.default_weights for spec in NETWORKS.values()} - {None} == set(bundled)
    for spec in NETWORKS.values():
        if spec.default_weights:
            assert bundled[spec.default_weights].network == spec.name


def test_default_model_and_detector_are_registered() -> None:
    assert not NETWORKS[model_store.DEFAULT_MODEL].is_detector
    assert NETWORKS[model_store.DETECTOR].is_detector
    assert set(model_store.LIGHT_NETWORKS) == {name for name, spec in NETWORKS.items() if spec.predicts_light}
    assert set(model_store.DETECTOR_NETWORKS) == {name for name, spec in NETWORKS.items() if spec.is_detector}


def test_documentation_lists_every_bundled_model_with_its_figures() -> None:
    rows = {row[1]: row[0] for row in re.finditer(r"^\| `([^`]+)`.*$", MODELS.read_text(encoding="utf-8"), re.M)}
    for model in model_store.list_models():
        if not model.card.recolors:
            assert f"`{model.card.name}` (" in MODELS.read_text(encoding="utf-8")
            continue
        figures = model.card.figures["benchmark"]
        row = rows[model.card.name]
        assert f"{figures['psnr']:.2f} dB" in row
        assert f"| {figures['worse_by_1db']} |" in row


def test_every_spec_builds_its_class() -> None:
    for spec in NETWORKS.values():
        assert issubclass(spec.factory, Network)  # type: ignore[arg-type]
        assert spec.title
        assert (spec.recipe_small is None) == (spec.recipe_published is None)


def test_register_refuses_a_name_twice() -> None:
    with pytest.raises(ValueError, match="“concord” is registered twice"):
        register(NetworkSpec("concord", NETWORKS["concord"].factory, "again", None, None))
