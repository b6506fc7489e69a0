# SPDX-License-Identifier: GPL-3.0-or-later
"""S2CRNet's variants: both encoders at any width, and the label of Semantic-CRM."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.s2crnet import (
    ENCODERS,
    LABELS,
    CurveRenderingModule,
    S2CRNet,
    SqueezeNetPool,
    positions_in,
)

BOTH = pytest.mark.parametrize("encoder", sorted(ENCODERS))


def batch(count: int = 2, height: int = 37, width: int = 64) -> tuple[Tensor, Tensor]:
    """Return random images, each with a box as its mask."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros(count, 1, height, width)
    mask[..., 10:20, 10:25] = 1
    return torch.rand(count, 3, height, width, generator=generator), mask


def semantic_network(stages: int = 1, encoder: str = "squeezenet") -> S2CRNet:
    """Return a small semantic network whose curves differ slightly from the identity."""
    torch.manual_seed(1)
    network = S2CRNet(pieces=8, stages=stages, encoder=encoder, semantic=True, width=8)
    with torch.no_grad():
        for parameter in network.stages.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def test_vgg16_encoder_is_published() -> None:
    # 14.71 M parameters: the convolutions of configuration D in the paper's table.
    assert sum(p.numel() for p in ENCODERS["vgg16"](64).parameters()) == 14_714_688


@BOTH
@pytest.mark.parametrize("shape", [(37, 64), (96, 50), (32, 32)])
def test_encoders_accept_any_size(encoder: str, shape: tuple[int, int]) -> None:
    network = S2CRNet(pieces=8, encoder=encoder, width=8).eval()
    with torch.no_grad():
        answers = network(*batch(3, *shape))
    assert answers.shape == (3, 3 * 8)
    assert torch.isfinite(answers).all()


@BOTH
def test_s2crnet_width_scales_all_channels(encoder: str) -> None:
    def counts(width: int) -> list[int]:
        layers = ENCODERS[encoder](width).modules()
        return [layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)]

    assert [4 * count for count in counts(16)] == counts(64)
    assert counts(64)[-1] in (256, 512)  # one half of a fire module, or all


@BOTH
@pytest.mark.parametrize("width", [8, 12, 64])
def test_untrained_encoder_passes_color_on(encoder: str, width: int) -> None:
    torch.manual_seed(2)
    layers = ENCODERS[encoder](width)
    colors = torch.rand(4, 3, 1, 1).expand(4, 3, 40, 40)
    carried = width // 4
    with torch.no_grad():
        first = F.relu(layers[0](colors))[:, :carried, 1:-1, 1:-1]
        last = layers(colors)[:, :carried]
    assert float(first.std(dim=0).mean()) > 0.01
    torch.testing.assert_close(last, first[..., :1, :1].expand_as(last))


@pytest.mark.parametrize("shape", [(5, 6), (7, 8), (2, 3)])
def test_squeezenet_pool_equals_ceil_mode(shape: tuple[int, int]) -> None:
    values = torch.rand(1, 2, *shape, generator=torch.Generator().manual_seed(3))
    assert torch.equal(SqueezeNetPool()(values), nn.MaxPool2d(3, 2, ceil_mode=True)(values))


@pytest.mark.parametrize("count", [2, 37, 96])
def test_crop_to_mask_equals_affine_grid(count: int) -> None:
    low, high = torch.tensor([0.0, 0.25]), torch.tensor([1.0, 0.375])
    theta = torch.zeros(2, 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = high - low, high + low - 1
    expected = F.affine_grid(theta, [2, 1, 3, count], align_corners=False)[:, 0, :, 0]
    assert torch.equal(positions_in(low, high, count), expected)


def test_s2crnet_cascade_with_vgg_and_labels() -> None:
    network = semantic_network(stages=2, encoder="vgg16")
    composite, mask = batch()
    answers = network(composite, mask, torch.tensor([0, 3]))
    assert answers.shape == (2, 2 * 3 * 8)
    assert len(network.render(answers, composite)) == 2
    stages = [stage for stage in network.stages if isinstance(stage, CurveRenderingModule)]
    assert [stage.foreground.in_features - stage.background.in_features for stage in stages] == [64, 64]


def test_s2crnet_label_affects_only_its_image() -> None:
    network = semantic_network().eval()
    inputs = batch()
    with torch.no_grad():
        answers = torch.stack([network(*inputs, torch.tensor([0, label])) for label in range(len(LABELS))])
    assert float((answers[1:, 0] - answers[:1, 0]).abs().max()) < 1e-6
    assert float(torch.pdist(answers[:, 1]).min()) > 1e-3


def test_s2crnet_without_label_uses_other() -> None:
    network = semantic_network().eval()
    inputs = batch()
    with torch.no_grad():
        assert torch.equal(network(*inputs), network(*inputs, torch.full((2,), LABELS.index("other"))))


def test_s2crnet_label_branch_gradients() -> None:
    network = semantic_network().train()
    inputs = batch(len(LABELS))
    network(*inputs, torch.arange(len(LABELS))).square().sum().backward()
    behind = [(name, p.grad) for name, p in network.named_parameters() if not name.startswith("encoder.")]
    assert len(behind) == 4 + 4
    assert [name for name, gradient in behind if gradient is None or not gradient.any()] == []


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        (torch.tensor([0]), "label must be int64 of the shape"),
        (torch.tensor([[0], [1]]), "label must be int64 of the shape"),
        (torch.tensor([0.0, 1.0]), "label must be int64 of the shape"),
        (torch.tensor([0, 5]), r"label must lie in \[0, 4\].*person, animal"),
        (torch.tensor([-1, 0]), r"label must lie in \[0, 4\].*person, animal"),
    ],
)
def test_check_label_names_wrong_labels(label: Tensor, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        semantic_network()(*batch(), label)


def test_s2crnet_refuses_an_unused_label() -> None:
    with pytest.raises(ValueError, match="label is for a network with semantic=True"):
        S2CRNet(pieces=8, width=8)(*batch(), torch.tensor([0, 1]))


def test_s2crnet_checks_inputs() -> None:
    composite, mask = batch()
    with pytest.raises(ValueError, match="mask must lie"):
        semantic_network()(composite, mask + 1, torch.tensor([0, 1]))


def test_s2crnet_refuses_unknown_encoders() -> None:
    with pytest.raises(ValueError, match="encoder must be one of squeezenet, vgg16, not “resnet”"):
        S2CRNet(encoder="resnet")


@pytest.mark.parametrize("width", [0, -4, 6])
def test_s2crnet_refuses_odd_widths(width: int) -> None:
    with pytest.raises(ValueError, match="width must be"):
        S2CRNet(width=width)


@BOTH
def test_s2crnet_weights_round_trip(encoder: str) -> None:
    network, other = (S2CRNet(pieces=8, stages=2, encoder=encoder, semantic=True, width=8).eval() for _ in range(2))
    other.load_state_dict(network.state_dict())
    inputs = *batch(), torch.tensor([1, 2])
    with torch.no_grad():
        assert torch.equal(network(*inputs), other(*inputs))
