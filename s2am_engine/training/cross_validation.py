# SPDX-License-Identifier: GPL-3.0-or-later
"""Cross-validation of an adjustment: each photograph is measured with an adjustment that was not trained on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from s2am_common.atomic import atomic_write
from s2am_engine.likeness import ALIKE
from s2am_engine.networks.adjustment import Adjustment
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.personal import Personal
from s2am_engine.training.adjustment_training import Progress, render_samples, train_adjustment
from s2am_engine.training.encoded_pairs import EncodedPairs
from s2am_engine.training.events import Validation
from s2am_engine.training.gain import MOST_LOST_ON_OTHERS, ColorErrors, FineTuningScores, PairScores
from s2am_engine.training.metrics import mean
from s2am_engine.training.pair_source import Batch
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.run_folder import draw_samples
from s2am_engine.training.style_pairs import estimate_style
from s2am_engine.training.trainer import SAMPLES

STRENGTHS = (1.0, 0.85, 0.7, 0.5, 0.35)
"""Of an adjustment. Weaker ones keep most of the gain: the error is nearly quadratic in the strength."""
STYLE, OTHERS = "look", "others"


@dataclass(frozen=True)
class LikenessQuality:
    """Accuracy with which backgrounds with a look are told from others."""

    recognized: float  # share of the backgrounds with the look whose likeness is at least one half
    rejected: float  # share of other backgrounds whose likeness is lower


@dataclass(frozen=True)
class CrossValidation:
    """Fine-tuned networks, one for each fold of the photographs and one of all, and what was measured with the former.

    folds: one for each fold, which was trained on the other folds.
    whole: trained on all.
    """

    folds: list[Personal]
    whole: Personal
    compared: dict[str, FineTuningScores]  # of pairs with the look, `STYLE`, and of `OTHERS`
    recognition: LikenessQuality


def fit_personal(
    network: CurvesAndMatrixNetwork,
    pairs: EncodedPairs,
    photographs: Sequence[Photograph],
    progress: Progress,
    kept: Path | None = None,
) -> Personal:
    """Fit an adjustment of a network, and the likeness of backgrounds, whose threshold is still to be set.

    Args:
        network: it is kept, not copied.
        pairs: of the photographs.
        photographs: of a style.
        progress: see `train_adjustment`.
        kept: a file from which a result of the same arguments is read if it exists, else written; None = no file.
    """
    adjustment = load_adjustment(kept)
    if adjustment is None:
        adjustment = train_adjustment(network, pairs, estimate_style(photographs), progress)
        if kept:
            with atomic_write(kept) as file:
                file.write(safetensors.torch.save(adjustment.state_dict()))
    personal = Personal(network, adjustment)
    personal.likeness.fit(pairs.backgrounds[pairs.in_style], pairs.backgrounds[~pairs.in_style])
    return personal.eval().requires_grad_(False)


def load_adjustment(path: Path | None) -> Adjustment | None:
    """Read an adjustment; None if there is none, or a damaged one."""
    if path is None:
        return None
    adjustment = Adjustment().eval()
    try:
        adjustment.load_state_dict(safetensors.torch.load(path.read_bytes()))
    except (OSError, SafetensorError, RuntimeError):
        return None
    return adjustment


@torch.inference_mode()
def cross_validate(
    folds: list[Personal], whole: Personal, pairs: EncodedPairs, names: Sequence[str], progress: Callable[[], object]
) -> CrossValidation:
    """Measure each pair with the network of its fold, and set thresholds and strength of all networks.

    The strength is the largest of `STRENGTHS` with which the color error in other looks increases by less than half of
    `MOST_LOST_ON_OTHERS`, or the least: held-out photographs are few, and further ones differ more.

    Args:
        folds: the networks, of which each was not trained on its fold of the pairs.
        whole: trained on all of them.
        pairs: all pairs.
        names: of the photographs.
        progress: called before each piece of work; may raise to cancel.
    """
    log_odds = torch.empty(len(pairs))
    for number, personal in enumerate(folds):
        own = pairs.folds == number
        log_odds[own] = personal.likeness.log_odds(pairs[own].backgrounds)
    for personal in (*folds, whole):
        personal.likeness.calibrate(log_odds[pairs.in_style])
    for strength in STRENGTHS:
        compared = compare(folds, pairs, names, strength, progress)
        if compared[OTHERS].fmse_saved > -MOST_LOST_ON_OTHERS / 2:
            break
    for personal in (*folds, whole):
        assert isinstance(personal.learned, Adjustment)
        personal.learned.scale(strength)
    alike = torch.empty(len(pairs), dtype=torch.bool)
    for number, personal in enumerate(folds):
        own = pairs.folds == number
        alike[own] = personal.likeness.of_described(pairs[own].backgrounds) >= ALIKE
    recognition = LikenessQuality(share(alike[pairs.in_style]), share(~alike[~pairs.in_style]))
    return CrossValidation(folds, whole, compared, recognition)


def compare(
    folds: Sequence[Personal],
    pairs: EncodedPairs,
    names: Sequence[str],
    strength: float,
    progress: Callable[[], object],
) -> dict[str, FineTuningScores]:
    """Compare the base network with those of the folds, at a strength, on pairs of either kind."""
    scores: dict[bool, list[PairScores]] = {True: [], False: []}
    for number, personal in enumerate(folds):
        progress()
        part = pairs[pairs.folds == number]
        likeness = personal.likeness.of_described(part.backgrounds)
        maps = (None, part.parameters, adjusted(personal, part, strength * likeness))
        errors = [measure_maps(personal, one, part) for one in maps]
        described = (part.photographs.tolist(), part.in_style.tolist(), *errors)
        for photograph, in_style, *found in zip(*described, strict=True):
            scores[in_style].append(PairScores(names[photograph], *found))
    compared: dict[str, FineTuningScores] = {}
    for name, in_style in ((STYLE, True), (OTHERS, False)):
        progress()
        compared[name] = FineTuningScores.of(scores[in_style])
    return compared


@torch.inference_mode()
def validate(personal: Personal, pairs: EncodedPairs, batch: Batch, step: int) -> Validation:
    """Measure a network on pairs with its style, as long as its threshold is not set, and draw some.

    Args:
        personal: the network.
        pairs: of photographs on which it was not trained.
        batch: of the same photographs, of which the first are drawn.
        step: counts validations.
    """
    chosen = pairs[pairs.in_style]
    found = adjusted(personal, chosen, torch.ones(len(chosen)))
    untouched, after = (measure_maps(personal, one, chosen) for one in (None, found))
    gain = mean(after).psnr - mean(untouched).psnr
    shown = Batch(*(one[:SAMPLES].cpu() for one in batch))
    columns = (shown.composite, personal.predict_pixels(shown.composite, shown.mask), shown.target)
    samples = zip(*(one.permute(0, 2, 3, 1).numpy() for one in columns), strict=True)
    return Validation(step, gain, True, draw_samples(list(samples)))


def adjusted(personal: Personal, pairs: EncodedPairs, shares: Tensor) -> Tensor:
    """Return the parameters (K, PARAMETERS) of a fine-tuned network, of which shares (K,) count, for encoded pairs."""
    assert isinstance(personal.learned, Adjustment)
    learned = personal.learned.adjust(pairs.parameters, pairs.features)
    return torch.lerp(pairs.parameters, learned, shares[:, None])


def measure_maps(personal: Personal, parameters: Tensor | None, pairs: EncodedPairs) -> list[ColorErrors]:
    """Return the errors of color maps (K, PARAMETERS), or of the composites as they are, on encoded pairs."""
    assert isinstance(personal.known, CurvesAndMatrixNetwork)
    shown = pairs.composites / 255 if parameters is None else render_samples(personal.known, parameters, pairs)
    squared = ((shown.clamp(0, 1) * 255).round() - pairs.targets.float()) ** 2
    means = squared.mean(dim=(1, 2)).tolist()
    return [ColorErrors.of_foreground(fmse, area) for fmse, area in zip(means, pairs.areas.tolist(), strict=True)]


def share(chosen: Tensor) -> float:
    """Return the share of a mask (N,) that is True."""
    return float(chosen.float().mean())
