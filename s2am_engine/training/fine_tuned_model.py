# SPDX-License-Identifier: GPL-3.0-or-later
"""Models to fine-tune, and the card and weights of fine-tuned ones."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path

import safetensors.torch

from s2am_common.errors import ModelError
from s2am_engine.models.model_store import Card, Model, load_network, suitable_models
from s2am_engine.models.purposes import FINE_TUNING
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.training.cross_validation import STYLE, CrossValidation
from s2am_engine.training.run_folder import half_precision

SMALL_INPUT_SIZE = 64  # pixels: a look is visible in small images too, and many more of them fit into the time


def load_adjustable(model: Model) -> CurvesAndMatrixNetwork:
    """Load a model that can be fine-tuned.

    Raises:
        EngineError: it predicts no curves and matrix, or was fine-tuned already.
    """
    if not model.card.adjustable:
        suitable = suitable_models(FINE_TUNING)
        raise ModelError(
            f"Model “{model.card.name}” can't be fine-tuned: choose one of {suitable} as base model.",
            code="model.untrainable",
            model=model.card.name,
            suitable=suitable,
        )
    network = load_network(model)
    assert isinstance(network, CurvesAndMatrixNetwork)
    return network.eval().requires_grad_(False)


def training_size(card: Card, network: CurvesAndMatrixNetwork) -> int:
    """Return the side in pixels of the images with which a model is fine-tuned.

    Networks with semantic features can't be trained on much smaller images than they receive at inference.
    """
    from s2am_engine.networks.grid_encoder import GridEncoder

    if any(isinstance(part, GridEncoder) for part in network.modules()):
        return round(card.input_size / max(network.input_scales))
    return SMALL_INPUT_SIZE


def describe_model(
    base: Card, name: str, photos: Path, photographs: int, minutes: float, validated: CrossValidation
) -> tuple[Card, bytes]:
    """Return card and content of the weights file of a fine-tuned model.

    Args:
        base: card of the base model.
        name: of the new model.
        photos: folder of the photographs.
        photographs: their number.
        minutes: time of the fine-tuning.
        validated: the networks and their scores.
    """
    weights = safetensors.torch.save(half_precision(validated.whole))
    count = f"{photographs} photographs of {photos.name}"
    saved = f"{validated.compared[STYLE].fmse_saved:.1%} less fMSE in cross-validation"
    card = replace(
        base,
        name=name,
        fine_tuned=True,
        adjusted=True,
        description=f"{base.name}, fine-tuned on {photos.name}",
        sha256=hashlib.sha256(weights).hexdigest(),
        size=len(weights),
        parameters=sum(parameter.numel() for parameter in validated.whole.parameters()),
        data=f"{base.data} Then {count}, which belong to their owner.",
        training={"base": base.name, "history": f"{base.name}, then {minutes:.1f} minutes on {count}: {saved}"},
        figures={kind: asdict(compared) for kind, compared in validated.compared.items()}
        | {"likeness": asdict(validated.recognition)},
    )
    return card, weights
