# SPDX-License-Identifier: GPL-3.0-or-later
"""Network descriptors agree with the models, the model store and the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from s2am_engine.models import model_store
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.light import LightNetwork
from s2am_engine.networks.mask_network import MaskNetwork
from s2am_engine.networks.network import Network
from s2am_engine.networks.registry import NETWORKS, build_network
from s2am_engine.networks.spec import NetworkSpec, register
from s2am_engine.networks.subject import SubjectNetwork
from s2am_engine.networks.tasks import Task, task_of

MODELS = Path(__file__).resolve().parents[2] / "docs/models.md"


def test_default_weights_are_the_bundled_models() -> None:
    bundled = {model.card.name: model.card for model in model_store.list_models() if model.bundled}
    assert {spec.default_weights for spec in NETWORKS.values()} - {None} == set(bundled)
    for spec in NETWORKS.values():
        if spec.default_weights:
            assert bundled[spec.default_weights].network == spec.name


TASKS = {
    CurvesAndMatrixNetwork: Task.ADJUSTABLE_HARMONIZATION,
    SubjectNetwork: Task.SUBJECT_SELECTION,
    MaskNetwork: Task.DETECTION,
    LightNetwork: Task.LIGHT_PREDICTION,
}
"""Tasks of networks by their class, the more special first; the others harmonize."""


@pytest.mark.parametrize("name", NETWORKS)
def test_task_of_a_network_is_that_of_its_class(name: str) -> None:
    with torch.device("meta"):
        network = build_network(name)
    tasks = [task for kind, task in TASKS.items() if isinstance(network, kind)]
    other = Task.MASK_FREE_HARMONIZATION if network.mask_free else Task.HARMONIZATION
    assert task_of(name) is (tasks[0] if tasks else other)


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
