# SPDX-License-Identifier: GPL-3.0-or-later
"""Fine-tuned networks: the fine-tuned branch for backgrounds of the style, the base network for others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from s2am_engine.networks.adjustment import PARAMETERS, Adjustment, curves_of_gains
from s2am_engine.networks.background import BACKGROUND_FEATURES, describe_background
from s2am_engine.networks.concord import Concord
from s2am_engine.networks.connoisseur import Connoisseur
from s2am_engine.networks.personal import RECOGNIZED, Likeness, Personal
from s2am_engine.networks.traits import CurvesAndMatrix
from tests.engine.networks import perturbed_network, pictures, small_network


def scenes(count: int, seed: int, warm: bool) -> Tensor:
    """Return random images of one style (warm and faded) or of various styles."""
    generator = torch.Generator().manual_seed(seed)
    plain = torch.rand(count, 3, 8, 8, generator=generator)
    plain = torch.nn.functional.interpolate(plain, (32, 32), mode="bilinear")
    if warm:
        return 0.15 + 0.7 * plain * torch.tensor([1.0, 0.9, 0.6]).view(3, 1, 1)
    gains = 0.5 + 0.5 * torch.rand(count, 3, 1, 1, generator=generator)
    lift = 0.1 * torch.rand(count, 1, 1, 1, generator=generator)
    return lift + (1 - lift) * plain * gains


def half_masks(count: int) -> Tensor:
    masks = torch.zeros(count, 1, 32, 32)
    masks[..., :16] = 1
    return masks


@pytest.fixture
def likeness() -> Likeness:
    """A likeness fitted to the warm style."""
    fitted = Likeness()
    kinds = [
        describe_background(scenes(200, seed, warm), half_masks(200))
        for seed, warm in ((0, True), (1, False), (10, True))
    ]
    fitted.fit(*kinds[:2])
    fitted.calibrate(fitted.log_odds(kinds[2]))
    return fitted


def test_likeness_separates_styles(likeness: Likeness) -> None:
    for seed, warm in ((2, True), (3, False)):
        found = likeness(scenes(50, seed, warm), half_masks(50))
        assert found.shape == (50,)
        assert float(((found > 0.5) == warm).float().mean()) > 0.9


def test_likeness_recognizes_most_further_backgrounds(likeness: Likeness) -> None:
    """The threshold is set by backgrounds that were not fitted to."""
    found = likeness(scenes(200, 10, warm=True), half_masks(200))
    assert float((found >= 0.5).float().mean()) == pytest.approx(RECOGNIZED, abs=0.01)


def test_likeness_ignores_the_foreground(likeness: Likeness) -> None:
    composites, masks = scenes(4, 5, warm=True), half_masks(4)
    repainted = torch.where(masks > 0.5, torch.tensor([0.0, 0.2, 1.0]).view(1, 3, 1, 1), composites)
    torch.testing.assert_close(likeness(composites, masks), likeness(repainted, masks))
    assert torch.isfinite(likeness(composites, torch.ones_like(masks))).all(), "nor is there always a background"


def test_describe_background() -> None:
    composite = torch.tensor([0.5, 0.4, 0.1]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    found = describe_background(composite, torch.zeros(1, 1, 8, 8))[0]
    assert found.shape == (BACKGROUND_FEATURES,)
    torch.testing.assert_close(found[:7], torch.full((7,), 1 / 3))
    torch.testing.assert_close(found[7:12], torch.full((5,), 0.1))
    torch.testing.assert_close(found[12:17], torch.full((5,), -0.3))
    torch.testing.assert_close(found[17:], torch.tensor([0.1, -0.3] * 3))


@pytest.mark.parametrize("name", ["concord", "s2crnet", "unet"])
def test_personal_interpolates_predictions(name: str, likeness: Likeness) -> None:
    known, learned = perturbed_network(name), small_network(name)
    with torch.no_grad():
        for parameter in learned.parameters():
            parameter.add_(0.05)
    network = Personal(known, learned).eval()
    composite, mask = pictures(32)
    with torch.no_grad():
        torch.testing.assert_close(network(composite, mask), learned.eval()(composite, mask))
        network.likeness.offset.fill_(-1e4)
        torch.testing.assert_close(network(composite, mask), known.eval()(composite, mask))
        network.likeness.offset.zero_()
        expected = 0.5 * (known(composite, mask) + learned(composite, mask))
        torch.testing.assert_close(network(composite, mask), expected)
        torch.testing.assert_close(network.render(expected, composite), known.render(expected, composite))


def test_adjustment_changes_nothing_at_first_and_then_adds_the_style_map() -> None:
    """Weight 1 of the base network's map, and what the last layer adds: a part of the style's matrix and curves."""
    known = perturbed_network("concord")
    adjustment = Adjustment().eval()
    affine, gains = torch.eye(3, 4) + torch.tensor([[0.2, 0.0, 0.0, 0.1]] * 3), torch.tensor([0.5, 1.0, 1.5])
    adjustment.fit(affine, gains, torch.randn(8, adjustment.mean.numel()))
    network = Personal(known, adjustment).eval()
    composite, mask = pictures(32)
    with torch.no_grad():
        expected = known.eval()(composite, mask)
        torch.testing.assert_close(network(composite, mask), expected)
        last = adjustment.perceptron[-1]
        assert isinstance(last, nn.Linear)
        last.bias[:] = torch.tensor([-0.25, 0.5, 2.0])
        found = network(composite, mask)
    matrix = 0.5 * (affine - torch.eye(3, 4)).flatten()
    torch.testing.assert_close(found[:, :-12], 0.75 * expected[:, :-12] + 2 * curves_of_gains(gains).flatten())
    torch.testing.assert_close(found[:, -12:], 0.75 * expected[:, -12:] + matrix)
    assert found.shape == (len(composite), PARAMETERS)


def test_curves_of_gains_multiply_linear_light() -> None:
    parameters = torch.cat([curves_of_gains(torch.tensor([0.4, 1.0, 1.3])).flatten(), torch.zeros(12)])
    gray = np.full((1, 1, 3), 0.5, np.float32)
    red, green, blue = CurvesAndMatrix().to_color_map(parameters.numpy())(gray)[0, 0]
    # Linear light of sRGB 0.5 is 0.214; encoded again, times 0.4 and 1.3.
    np.testing.assert_allclose([red, green, blue], [0.324, 0.5, 0.563], atol=0.01)


def test_personal_inherits_scales_and_penalty() -> None:
    for name, kind in (("connoisseur", Connoisseur), ("concord", Concord)):
        network = Personal(small_network(name), small_network(name))
        assert (network.disagreement_penalty, network.input_scales) == (kind.disagreement_penalty, kind.input_scales)
    assert (Connoisseur.disagreement_penalty, Connoisseur.input_scales) != (
        Concord.disagreement_penalty,
        Concord.input_scales,
    )


def test_personal_skips_the_second_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Personal(perturbed_network("concord"), perturbed_network("concord")).eval()
    network.likeness.offset.fill_(-1e4)
    monkeypatch.setattr(network.learned, "predict", None)
    assert torch.isfinite(network(*pictures(32))).all()


def test_likeness_in_half_precision(likeness: Likeness) -> None:
    halved = Likeness()
    halved.load_state_dict({key: value.half().float() for key, value in likeness.state_dict().items()})
    composites, masks = scenes(50, 7, warm=True), half_masks(50)
    torch.testing.assert_close(halved(composites, masks), likeness(composites, masks), atol=0.1, rtol=0)
