# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic pairs: recolored in the foreground only, diverse, and reproducible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from s2am_common.errors import TrainingError
from s2am_engine.networks.grid_encoder import EfficientNetLite0
from s2am_engine.training import synthetic_pairs as pairs
from s2am_engine.training.degrade import Degradation
from s2am_engine.training.photo_cache import Photograph
from s2am_engine.training.recolor_settings import KINDS, Recoloring
from s2am_engine.training.similar_regions import find_similar
from s2am_engine.training.synthetic_pairs import (
    AS_PUBLISHED,
    GENERAL,
    PAIR_KINDS,
    DetectionPairs,
    PairKinds,
    PairMaker,
)


def test_pair_maker_changes_only_the_foreground(photographs: list[Photograph]) -> None:
    batch = PairMaker(48, 16, 3, photographs=photographs).make(0)
    change = (batch.composite - batch.target).abs()
    outside = F.max_pool2d(batch.mask, 5, 1, 2) == 0
    assert float((change * outside).max()) <= 0.5 / 255 + 1e-6
    assert float((change * batch.mask).amax(dim=(1, 2, 3)).median()) > 0.1
    for tensor in (batch.composite, batch.target, batch.mask):
        assert float(tensor.min()) >= 0
        assert float(tensor.max()) <= 1 + 1e-6


def test_pair_maker_is_deterministic(photographs: list[Photograph]) -> None:
    first, again = (PairMaker(32, 4, 5, photographs=photographs).make(7) for _ in range(2))
    other = PairMaker(32, 4, 5, photographs=photographs).make(8)
    assert torch.equal(first.composite, again.composite)
    assert not torch.equal(first.composite, other.composite)


def test_pair_maker_recolors_diversely(photographs: list[Photograph]) -> None:
    batch = PairMaker(32, 64, 1, photographs=photographs).make(0)
    area = batch.mask.sum(dim=(2, 3)).clamp_min(1)
    shift = ((batch.composite - batch.target) * batch.mask).sum(dim=(2, 3)) / area
    brighter, warmer = shift.mean(dim=1), shift[:, 0] - shift[:, 2]
    for kind in (brighter, warmer):
        assert float((kind > 0.02).float().mean()) > 0.1
        assert float((kind < -0.02).float().mean()) > 0.1


FLAWLESS = Degradation(blur_share=0, sharpen_share=0, noise_share=0, jpeg_share=0)


def only(kind: str) -> PairKinds:
    return GENERAL.without(*(other for other in PAIR_KINDS if other != kind))


@pytest.mark.parametrize("kinds", [AS_PUBLISHED, replace(only("transfers"), mild_targets=0.0)])
def test_pair_maker_as_published_keeps_the_photograph(photographs: list[Photograph], kinds: PairKinds) -> None:
    maker = PairMaker(48, 24, 1, photographs=photographs, kinds=kinds, degradation=FLAWLESS, crop=False)
    means = {photograph.image.mean().round() for photograph in photographs}
    targets = {float((255 * target).mean().round()) for target in maker.make(0).target}
    assert all(min(abs(target - mean) for mean in means) <= 1 for target in targets)
    varied = replace(maker, kinds=PairKinds(edited_targets=1.0, mild_targets=1.0))
    assert len({float((255 * target).mean().round()) for target in varied.make(0).target}) > 2 * len(targets)


@pytest.mark.parametrize("kind", PAIR_KINDS)
def test_pair_maker_makes_each_kind_alone(photographs: list[Photograph], kind: str) -> None:
    maker = PairMaker(48, 32, 1, photographs=photographs, kinds=only(kind), degradation=FLAWLESS)
    batch = maker.make(0)
    change = ((batch.composite - batch.target).abs() * batch.mask).amax(dim=(1, 2, 3))
    assert float((change > 0.05).float().mean()) > 0.8


def test_pair_kinds_without_refuses_unknown_kinds_and_all() -> None:
    for kinds in (("scans",), PAIR_KINDS):
        with pytest.raises(TrainingError, match="choose among renditions, edits, transfers"):
            GENERAL.without(*kinds)


def test_raw_targets_are_darker_and_paler(photographs: list[Photograph]) -> None:
    kinds = replace(only("renditions"), raw_targets=1.0, untouched_foregrounds=1.0, mild_foregrounds=0.0)
    batch = PairMaker(48, 32, 1, photographs=photographs, kinds=kinds, degradation=FLAWLESS).make(0)
    area = batch.mask.sum(dim=(2, 3)).clamp_min(1)

    def means(image: Tensor) -> tuple[float, float]:
        """Return the mean value and the mean chroma under the mask."""
        chroma = image.amax(dim=1) - image.amin(dim=1)
        inside = batch.mask[:, 0] / area[..., None]
        return float((image.mean(dim=1) * inside).sum()), float((chroma * inside).sum())

    (dark, pale), (bright, vivid) = means(batch.target), means(batch.composite)
    assert dark < 0.8 * bright
    assert pale < 0.8 * vivid


def test_transfers_take_colors_of_similar_regions(photographs: list[Photograph]) -> None:
    trunk = EfficientNetLite0()
    similar = find_similar(photographs, trunk)
    counts = [len(photograph.regions) for photograph in photographs]
    assert len(similar.neighbors) == sum(counts)
    rng = np.random.default_rng(0)
    for number, count in enumerate(counts):
        for region in range(count):
            other, chosen = similar.draw(number, region, rng)
            assert other != number
            assert 0 <= chosen < counts[other]
    batch = PairMaker(48, 8, 1, photographs=photographs, kinds=only("transfers"), references=similar).make(0)
    assert bool(torch.isfinite(batch.composite).all())


def test_pair_maker_degrades_only_the_foreground(photographs: list[Photograph]) -> None:
    """Only the color differs: the target has the same noise and compression."""
    noisy = Degradation(blur_share=0, sharpen_share=0, noise_share=1, jpeg_share=0)
    unchanged, kinds = Recoloring().without(*KINDS), AS_PUBLISHED.without("transfers")
    made = [
        PairMaker(48, 8, 1, photographs=photographs, kinds=kinds, degradation=flaws, recoloring=unchanged).make(0)
        for flaws in (FLAWLESS, noisy)
    ]
    difference = (made[1].target - made[0].target).abs()
    outside = F.max_pool2d(made[0].mask, 9, 1, 4) == 0
    assert float((difference * outside).max()) == 0
    assert float((difference * made[0].mask).amax()) > 0.01
    torch.testing.assert_close(made[1].composite, made[1].target, atol=1.5 / 255, rtol=0)


def test_crop_region_softens_and_inverts_some(photographs: list[Photograph], monkeypatch: pytest.MonkeyPatch) -> None:
    maker = PairMaker(48, 1, 0, photographs=photographs, crop=False)

    def regions() -> list[np.ndarray]:
        return [maker.crop_region(0, np.random.default_rng(seed))[1] / 255 for seed in range(60)]

    inverted = [region[0, 0] == 1 for region in regions()]
    soft = [((region > 0.05) & (region < 0.95)).mean() > 0.05 for region in regions()]
    assert 0 < sum(inverted) < 20
    assert 5 < sum(soft) < 25
    monkeypatch.setattr(pairs, "SOFT_SHARE", 0.0)
    assert not any(((region > 0.05) & (region < 0.95)).mean() > 0.05 for region in regions())


def test_detection_pairs_contain_empty_masks(photographs: list[Photograph]) -> None:
    batch = DetectionPairs(48, 64, 3, photographs=photographs, degradation=FLAWLESS).make(0)
    changed = ((batch.composite - batch.target).abs().amax(dim=1) > 6 / 255).float().mean(dim=(1, 2)) > 0.005
    marked = batch.mask.amax(dim=(1, 2, 3)) > 0
    assert 10 < int((~marked).sum()) < 40
    assert not (marked & ~changed).any()
    assert float(batch.mask.mean(dim=(1, 2, 3)).max()) <= 0.5 + 1e-6
    for composite, target, mask in zip(batch.composite, batch.target, batch.mask, strict=True):
        change = (composite - target).abs().amax(dim=0)
        if mask.max() > 0:  # either the marked part is recolored or, where that is larger, all of the rest
            inside, outside = change[mask[0] > 0.1], change[mask[0] <= 0.1]
            assert max(float(inside.mean()), float(outside.mean())) > 0.01
