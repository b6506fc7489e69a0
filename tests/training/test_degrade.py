# SPDX-License-Identifier: GPL-3.0-or-later
"""Degradation: the effect of each kind, on the chosen share of images only."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from skimage import data
from torch import Tensor

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.degrade import Degradation, degrade, through_jpeg

FLAWLESS = Degradation(blur_share=0, sharpen_share=0, noise_share=0, jpeg_share=0)


@pytest.fixture(scope="module")
def pictures() -> Tensor:
    """Six windows of photographs: (6, 3, 64, 64)."""
    images = [torch.from_numpy(getattr(data, name)()).permute(2, 0, 1) / 255 for name in ("astronaut", "coffee")]
    return torch.stack([image[:, top : top + 128 : 2, 90:218:2] for image in images for top in (0, 90, 180)])


def degraded(pictures: Tensor, degradation: Degradation, seed: int = 0) -> Tensor:
    return degrade(pictures, BatchRNG.seeded(np.random.default_rng(seed), len(pictures)), degradation)


def difference(one: Tensor, other: Tensor) -> float:
    """Return the mean difference in 8-bit levels."""
    return float(255 * (one - other).abs().mean())


def detail(pictures: Tensor) -> Tensor:
    """Return the mean difference of neighboring pixels of each image."""
    return pictures.diff(dim=3).abs().mean(dim=(1, 2, 3))


def test_degrade_switched_off_changes_nothing(pictures: Tensor) -> None:
    assert torch.equal(degraded(pictures, FLAWLESS), pictures)


@pytest.mark.parametrize(
    "degradation",
    [
        replace(FLAWLESS, blur_share=0.5),
        replace(FLAWLESS, sharpen_share=0.5),
        replace(FLAWLESS, noise_share=0.5),
        replace(FLAWLESS, jpeg_share=0.5),
    ],
    ids=["blur", "sharpen", "noise", "jpeg"],
)
def test_degrade_changes_only_a_share(pictures: Tensor, degradation: Degradation) -> None:
    many = pictures.repeat(10, 1, 1, 1)
    out = degraded(many, degradation)
    hit = (out != many).flatten(1).any(dim=1)
    assert 0.3 < float(hit.float().mean()) < 0.7
    assert 0 <= float(out.min()) <= float(out.max()) <= 1
    assert difference(out[hit], many[hit]) < 12


def test_degrade_is_deterministic(pictures: Tensor) -> None:
    first, again, other = (degraded(pictures, Degradation(), seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_blur_and_sharpen_change_detail(pictures: Tensor) -> None:
    assert bool((detail(degraded(pictures, replace(FLAWLESS, blur_share=1))) < 0.97 * detail(pictures)).all())
    assert bool((detail(degraded(pictures, replace(FLAWLESS, sharpen_share=1))) > detail(pictures)).all())


def test_add_noise_grows_with_light() -> None:
    degradation = replace(FLAWLESS, noise_share=1, sensitivity=0)
    light = torch.tensor([0.05, 0.2, 0.5]).view(3, 1, 1, 1).expand(3, 3, 128, 128)
    variance = (
        (srgb_tensor_to_linear(degraded(linear_tensor_to_srgb(light), degradation)) - light).flatten(1).var(dim=1)
    )
    assert bool((variance.diff() > 0).all())
    expected = degradation.shot_noise * light[:, 0, 0, 0] + degradation.read_noise**2
    torch.testing.assert_close(variance, expected, rtol=0.1, atol=0)


def test_compress_error_depends_on_quality(pictures: Tensor) -> None:
    good, bad = (
        difference(degraded(pictures, replace(FLAWLESS, jpeg_share=1, jpeg_worst=quality, jpeg_best=quality)), pictures)
        for quality in (95, 35)
    )
    assert 0 < good < 3
    assert bad > 2 * good


def test_through_jpeg_chroma_subsampling_costs_color() -> None:
    stripes = torch.zeros(4, 3, 32, 32)
    stripes[:, 0, :, ::2], stripes[:, 2, :, 1::2] = 0.8, 0.8
    whole, halved = (
        degraded(stripes, replace(FLAWLESS, jpeg_share=1, jpeg_worst=95, jpeg_best=95, chroma_halved_share=share))
        for share in (0, 1)
    )
    assert difference(whole, stripes) < 5
    assert difference(halved, stripes) > 30


@pytest.mark.parametrize("halved", [False, True])
@pytest.mark.parametrize("quality", [35, 60, 95])
def test_through_jpeg_loses_what_libjpeg_loses(quality: int, halved: bool) -> None:
    image = cv2.resize(data.astronaut(), (136, 130), interpolation=cv2.INTER_AREA)
    sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420 if halved else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    encoded = cv2.imencode(".jpg", image[..., ::-1], options)[1]
    expected = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), np.float32)
    pictures = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    restored = through_jpeg(pictures, torch.tensor([float(quality)]), torch.tensor([halved]))
    found = (255 * restored[0]).permute(1, 2, 0).numpy()
    loss, difference = (float(np.sqrt(((found - other) ** 2).mean())) for other in (image, expected))
    assert loss == pytest.approx(float(np.sqrt(((image - expected) ** 2).mean())), rel=0.08)
    assert difference < 0.6 * loss
