# SPDX-License-Identifier: GPL-3.0-or-later
"""S2CRNet (Liang, Cun, Pun & Wang, ECCV 2022, arXiv 2109.05750): curves predicted from two region embeddings."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.curves import render_curves
from s2am_engine.networks.encoder_decoder import init_color_channels, init_identity_channels
from s2am_engine.networks.network import MapNetwork, check_inputs
from s2am_engine.networks.spec import PUBLISHED, NetworkSpec, Recipe, register, variant
from s2am_engine.networks.traits import CurvePieces

LABELS = ("person", "animal", "food", "vehicle", "other")
FEATURE_WIDTHS = 8  # output channels of both encoders, in widths


class Fire(nn.Module):
    """SqueezeNet's fire module (Iandola et al., 2016): squeeze to few channels, expand by 1×1 and 3×3."""

    def __init__(self, inputs: int, squeezed: int, expanded: int, carried: int) -> None:
        """Create a module with 2 · `expanded` output channels; `carried` of them pass on inputs, see `init_layer`."""
        super().__init__()
        self.squeeze = init_layer(nn.Conv2d(inputs, squeezed, 1), carried)
        self.expand1 = init_layer(nn.Conv2d(squeezed, expanded, 1), carried)
        self.expand3 = init_layer(nn.Conv2d(squeezed, expanded, 3, padding=1), 0)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the module: (B, inputs, h, w) to (B, 2 · expanded, h, w)."""
        squeezed = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1(squeezed), self.expand3(squeezed)], dim=1))


class SqueezeNetPool(nn.Module):
    """SqueezeNet's MaxPool2d(3, 2, ceil_mode=True) for non-negative values.

    Explicit padding gives the same values, and an output size that exports can express: half, rounded down.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Pool: (B, C, h, w) to (B, C, h // 2, w // 2)."""
        return F.max_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2)


def squeezenet_encoder(width: int) -> nn.Sequential:
    """Return SqueezeNet 1.1 up to its 12th layer: (B, 3, H, W) to (B, 8 · width, about H/16, about W/16)."""
    step = width // 4  # all of its channel counts are multiples of this one

    def fire(inputs: int, squeezed: int, expanded: int) -> Fire:
        return Fire(inputs * step, squeezed * step, expanded * step, step)

    return nn.Sequential(
        init_layer(nn.Conv2d(3, width, 3, stride=2), step, first=True),
        nn.ReLU(),
        SqueezeNetPool(),
        fire(4, 1, 4),
        fire(8, 1, 4),
        SqueezeNetPool(),
        fire(8, 2, 8),
        fire(16, 2, 8),
        SqueezeNetPool(),
        fire(16, 3, 12),
        fire(24, 3, 12),
        fire(24, 4, 16),
        fire(32, 4, 16),
    )


def vgg16_encoder(width: int) -> nn.Sequential:
    """Return VGG16's convolutions (Simonyan & Zisserman, 2015): (B, 3, H, W) to (B, 8 · width, H // 16, W // 16)."""
    layers: list[nn.Module] = []
    inputs = 3
    for block, (multiple, convolutions) in enumerate([(1, 2), (2, 2), (4, 3), (8, 3), (8, 3)]):
        if block > 0:
            layers.append(nn.MaxPool2d(2))
        for _ in range(convolutions):
            convolution = nn.Conv2d(inputs, multiple * width, 3, padding=1)
            layers += [init_layer(convolution, width // 4, first=not layers), nn.ReLU()]
            inputs = multiple * width
    return nn.Sequential(*layers)


ENCODERS = {"squeezenet": squeezenet_encoder, "vgg16": vgg16_encoder}


def init_layer(layer: nn.Conv2d, carried: int, first: bool = False) -> nn.Conv2d:
    """Initialize a layer so that signals survive a dozen layers without batch normalization.

    He's scale throughout, except for a few channels that carry the pixel's own color; see `encoder_decoder`.

    Args:
        layer: one with a bias; it is changed.
        carried: number of channels to pass on, at most as many as the narrowest layer has.
        first: whether the layer is the encoder's first one.

    Returns:
        The layer.
    """
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    if first:
        init_color_channels(layer, carried)
    else:
        init_identity_channels(layer, carried)
    return layer


class CurveRenderingModule(nn.Module):
    """CRM: slopes of a curve per channel from both embeddings, `param = Linear_f(f_f) + Linear_b(f_b)`."""

    def __init__(self, foreground: int, background: int, pieces: int) -> None:
        """Initialize near the identity; `foreground` and `background` are the embeddings' lengths."""
        super().__init__()
        self.pieces = pieces
        self.foreground = nn.Linear(foreground, 3 * pieces)
        self.background = nn.Linear(background, 3 * pieces)
        for linear in (self.foreground, self.background):
            nn.init.normal_(linear.weight, std=1e-3)
            nn.init.constant_(linear.bias, 0.5)

    def forward(self, foreground: Tensor, background: Tensor) -> Tensor:
        """Predict slopes (B, 3, L) from (B, foreground) and (B, background) embeddings."""
        slopes: Tensor = self.foreground(foreground) + self.background(background)
        return slopes.view(-1, 3, self.pieces)


class S2CRNet(MapNetwork):
    """One encoder for masked foreground and masked background, whose embeddings CRMs turn into curves."""

    def __init__(
        self,
        pieces: int = 64,
        stages: int = 1,
        encoder: str = "squeezenet",
        semantic: bool = False,
        width: int = 64,
    ) -> None:
        """Choose the curves and the encoder.

        Args:
            pieces: L, the pieces of each curve.
            stages: 1, or 2 for Cascaded-CRM: a second CRM with its own layers works on the first one's output.
            encoder: one of `ENCODERS`: "squeezenet" for S2CRNet-S, "vgg16" for S2CRNet-V.
            semantic: whether the foreground's class is a further input (Semantic-CRM).
            width: channels of the encoder's first layer, a multiple of 4; all others scale with it. 64 as published.

        Raises:
            ValueError: unknown encoder, or invalid width.
        """
        super().__init__()
        if encoder not in ENCODERS:
            raise ValueError(f"encoder must be one of {', '.join(ENCODERS)}, not “{encoder}”")
        if width < 4 or width % 4:
            raise ValueError(f"width must be a positive multiple of 4, not {width}")
        if pieces < 1:
            raise ValueError(f"pieces must be at least 1, not {pieces}")
        if stages < 1:
            raise ValueError(f"stages must be at least 1, not {stages}")
        self.pieces = pieces
        self.encoder = ENCODERS[encoder](width)
        self.label_branch = (
            nn.Sequential(nn.Linear(len(LABELS), 32), nn.ReLU(), nn.Linear(32, 64)) if semantic else None
        )
        background = FEATURE_WIDTHS * width
        foreground = background + 64 if semantic else background
        self.stages = nn.ModuleList([CurveRenderingModule(foreground, background, pieces) for _ in range(stages)])

    def forward(self, composite: Tensor, mask: Tensor, label: Tensor | None = None) -> Tensor:
        """See `Network.forward`.

        Args:
            composite: (B, 3, H, W) sRGB values in [0, 1], 17 or more pixels per side.
            mask: (B, 1, H, W) in [0, 1], 1 = foreground.
            label: (B,) int64 indices into `LABELS`, classes of the foregrounds, for a semantic network only; None
                stands for "other".

        Returns:
            (B, P), P = stages · 3 · L slopes.

        Raises:
            ValueError: wrong shape or range, or a label for a network without that input; the message names the
                argument.
        """
        check_inputs(composite, mask)
        if label is not None:
            if self.label_branch is None:
                raise ValueError("label is for a network with semantic=True alone")
            check_label(label, composite.shape[0])
        return self.predict(composite, mask, label)

    def predict(self, composite: Tensor, mask: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the result of `forward` for arguments that have been checked."""
        regions = torch.cat([crop_to_mask(composite * mask, mask), composite * (1 - mask)])
        foreground, background = self.encoder(regions).mean(dim=(2, 3)).unflatten(0, (2, -1)).unbind()
        if self.label_branch is not None:
            if label is None:
                label = mask.new_full((mask.shape[0],), LABELS.index("other"), dtype=torch.long)
            one_hot = F.one_hot(label, len(LABELS)).to(foreground)
            foreground = torch.cat([foreground, self.label_branch(one_hot)], dim=1)
        return torch.cat([stage(foreground, background).flatten(1) for stage in self.stages], dim=1)

    def render(self, predictions: Tensor, composite: Tensor) -> list[Tensor]:
        """See `Network.render`; each stage of a cascade is supervised."""
        rendered = [composite]
        for pieces in self.split(predictions):
            rendered.append(render_curves(pieces, rendered[-1]))
        return rendered[1:]

    @property
    def prediction_format(self) -> CurvePieces:
        """See `Network.prediction_format`."""
        return CurvePieces(len(self.stages))

    def split(self, parameters: Tensor) -> list[Tensor]:
        """Split parameters (B, stages · 3 · L) into (B, 3, L) for each stage."""
        return [stage.unflatten(1, (3, self.pieces)) for stage in parameters.chunk(len(self.stages), dim=1)]


def check_label(label: Tensor, count: int) -> None:
    """Raise ValueError, naming the argument, unless label is (count,) int64 indices into `LABELS`."""
    if label.shape != (count,) or label.dtype != torch.long:
        raise ValueError(f"label must be int64 of the shape ({count},), not {label.dtype} of {tuple(label.shape)}")
    # Values of a tensor cannot be inspected while a network is being exported.
    if not torch.compiler.is_compiling() and not bool(((label >= 0) & (label < len(LABELS))).all()):
        raise ValueError(f"label must lie in [0, {len(LABELS) - 1}], indices into {', '.join(LABELS)}")


def crop_to_mask(pictures: Tensor, mask: Tensor) -> Tensor:
    """Enlarge the box around each mask to the whole image, as the authors' data code does.

    Args:
        pictures: (B, C, H, W).
        mask: (B, 1, H, W); the box holds all values above 0.5 (the whole image if there are none).

    Returns:
        (B, C, H, W), sampled bilinearly.
    """
    inside = mask[:, 0] > 0.5
    # Written out, because an export of F.affine_grid works for one size only.
    x, y = (positions_in(*occupied_box(inside.any(dim=dim)), inside.shape[3 - dim]).to(pictures) for dim in (1, 2))
    grid = torch.stack(torch.broadcast_tensors(x.unsqueeze(1), y.unsqueeze(2)), dim=3)
    return F.grid_sample(pictures, grid, align_corners=False, padding_mode="border")


def occupied_box(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Return first and last occupied position of (B, N) flags as fractions of N; (0, 1) if none is."""
    count = occupied.shape[1]
    flags = occupied | ~occupied.any(dim=1, keepdim=True)
    first = flags.float().argmax(dim=1)
    last = count - flags.flip(1).float().argmax(dim=1)
    return first / count, last / count


def positions_in(low: Tensor, high: Tensor, count: int) -> Tensor:
    """Return centers of `count` equal steps from low to high: (B,) fractions of an axis to (B, count) in [−1, 1]."""
    if torch.compiler.is_compiling():  # an export of linspace works for one count only
        centers = torch.arange(1 - count, count, 2, device=low.device) / count
    else:  # bit-identical to F.affine_grid
        centers = torch.linspace(-1, 1, count, device=low.device) * (count - 1) / count
    return centers * (high - low).unsqueeze(1) + (low + high - 1).unsqueeze(1)


# Adam and the loss are the paper's, the weight of the adversarial term is from its authors' code, the rest is S2AM's.
_S2CRNET = NetworkSpec(
    "s2crnet",
    S2CRNet,
    "curves from two SqueezeNet embeddings (Liang et al., ECCV 2022)",
    Recipe("relative_l1", 1.2e-3, mixed_precision=True),
    replace(PUBLISHED, loss="relative_l1", adversarial=0.01, learning_rate=2e-4),
    paper="Liang, Cun, Pun & Wang, Spatial-Separated Curve Rendering Network, ECCV 2022",
    year=2022,
    default_weights="s2crnet",
    comparison={},
)

register(
    _S2CRNET,
    variant(
        _S2CRNET,
        "s2crnet-cascaded",
        "S2CRNet with a second curve stage (Cascaded-CRM)",
        options={"stages": 2},
        default_weights="s2crnet-cascaded",
    ),
    variant(
        _S2CRNET,
        "s2crnet-semantic",
        "S2CRNet with the foreground's class as a further input (Semantic-CRM)",
        options={"semantic": True},
        comparison=None,
    ),
    variant(_S2CRNET, "s2crnet-v", "S2CRNet with a VGG16 encoder", options={"encoder": "vgg16"}, comparison=None),
)
