# SPDX-License-Identifier: GPL-3.0-or-later
"""Connoisseur: harmonizer that conditions color correction on pretrained semantic features."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import ReferenceAttention, region_mean
from s2am_engine.networks.concord import CONCORD_RECIPE, statistics_layers
from s2am_engine.networks.curves import CurvesAndMatrixNetwork
from s2am_engine.networks.grid_encoder import AttentionBlock, GridEncoder
from s2am_engine.networks.network import TrainingOutput, check_inputs
from s2am_engine.networks.spec import NetworkSpec, register
from s2am_engine.networks.statistics import RegionStatistics
from s2am_engine.networks.traits import CONTROLS

_EPSILON = 1e-4
# Of the rows and columns on which losses are computed: a quarter of the pixels, drawn anew in each step, gives the
# gradient of all of them (a cosine of at least 0.9998 at 128 pixels; between batches it is 0.4 to 0.8).
TRAINING_STRIDE = 2


class Stages(NamedTuple):
    """Prediction of `Connoisseur`, and what it is computed from."""

    corrected: Tensor  # (B, P), Concord's parameters after the correction
    first: Tensor  # (B, P), before it: the global prediction
    residuals: Tensor  # (B, 3, h, w), residual correction of each cell


class Connoisseur(CurvesAndMatrixNetwork):
    """Global color prediction, corrected by a ridge regression over residuals of the foreground's cells.

    - Region statistics pass through a perceptron, as in Concord (S2CRNet's idea of regions).
    - Grid cells with semantic features (`GridEncoder`) attend to each other, and foreground cells attend to similar
      background cells (FMM's attention). Pooled by region (S2AM's separation), they predict, together with the
      statistics, curves and a matrix.
    - Each cell then predicts a residual color correction and its weight. A matrix is fitted to the residuals in closed
      form (ridge regression); with low weights it is the identity. Objects of known color, such as faces or lawns, thus
      determine the correction of objects that may have any color.

    The prediction is Concord's: curves and one matrix. Last layers start at zero: an untrained network changes nothing.
    """

    # Image and mirror image at 1.5 times the training size: on 16 real and 93 synthetic composites, other sizes gain
    # nothing, and penalties from 0.3 to 3 differ by less than 0.1 dB.
    input_scales = (1.5, 1.5)
    disagreement_penalty = 1.5

    def __init__(
        self, channels: int = 160, blocks: int = 3, hidden: int = 384, frozen: int = 7, dropout: float = 0.1
    ) -> None:
        """Choose the size.

        Args:
            channels: per cell; a multiple of 4.
            blocks: number of self-attention blocks.
            hidden: width of the perceptrons.
            frozen: stages of EfficientNet-Lite0, of seven, that are not trained.
            dropout: probability.
        """
        super().__init__()
        self.statistics = RegionStatistics(grid=40)
        self.statistics_branch = statistics_layers(self.statistics.length, hidden, dropout)
        self.grid_encoder = GridEncoder(channels, blocks, frozen, context_size=hidden)
        self.reference_attention = ReferenceAttention(channels)
        self.merge = nn.Conv2d(2 * channels, channels, 1)
        self.last = AttentionBlock(channels)
        self.cells_branch = nn.Sequential(nn.Dropout(dropout), nn.Linear(3 * channels, hidden), nn.GELU())
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, 3 * CONTROLS + 12)
        )
        self.residual_head = nn.Sequential(nn.Conv2d(channels + 3, channels, 1), nn.GELU(), nn.Conv2d(channels, 4, 1))
        self.log_ridge = nn.Parameter(torch.tensor([-2.0, -1.0, -1.0, -1.0]))  # log of the regularization
        for last in (self.head[-1], self.residual_head[-1]):
            assert isinstance(last, nn.Linear | nn.Conv2d)
            assert last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; P is Concord's."""
        return self.predict_stages(composite, mask).corrected

    @property
    def has_frozen_part(self) -> bool:
        """True unless a part of the trunk is trained."""
        return self.grid_encoder.trunk.is_frozen

    def encode_frozen(self, composite: Tensor) -> list[Tensor]:
        """See `Network.encode_frozen`: the features of the trunk."""
        return self.grid_encoder.trunk(composite) if self.has_frozen_part else []

    def forward_training(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None = None) -> TrainingOutput:
        """See `Network.forward_training`: the residuals as pixels, the global prediction, and the result."""
        check_inputs(composite, mask)
        found = self.predict_stages(composite, mask, frozen)
        pixels = random_pixels(TRAINING_STRIDE if self.training else 1)
        shown = composite[:, :, pixels[0], pixels[1]].contiguous()
        with torch.autocast(composite.device.type, enabled=False):
            # The correction changes the matrix only, so the curves of both stages are the same.
            curved = self.apply_curves(found.first, shown)
            initial, corrected = (self.apply_matrix(one, curved) for one in (found.first, found.corrected))
            resized = F.interpolate(found.residuals, shown.shape[-2:], mode="bilinear")
            return TrainingOutput([initial.detach() + resized, initial, corrected], [], pixels)

    def predict_stages(self, composite: Tensor, mask: Tensor, frozen: list[Tensor] | None = None) -> Stages:
        """Return the prediction with its intermediate stages; arguments as for `forward_training`."""
        statistics = self.statistics_branch(self.statistics(composite, mask))
        x = self.grid_encoder(composite, mask, frozen or self.grid_encoder.trunk(composite), statistics)
        small = F.interpolate(mask, x.shape[-2:], mode="area")
        reference = self.reference_attention(x, small)
        x = self.last(x + self.merge(torch.cat([x, reference - x], dim=1)))
        pooled = [region_mean(x, small), region_mean(x, 1 - small), region_mean(reference, small)]
        encoded = self.cells_branch(torch.cat(pooled, dim=1))
        first = (0.25 * self.head(torch.cat([statistics, encoded], dim=1))).to(composite.dtype)
        with torch.autocast(composite.device.type, enabled=False):
            (initial,) = self.render(first.detach(), composite)
            shown = initial.clamp_(0, 1).mul_(mask)
            colors = F.interpolate(shown, small.shape[-2:], mode="area") / small.clamp_min(_EPSILON)
        residuals = self.residual_head(torch.cat([x, colors - 0.5], dim=1)).to(composite.dtype)
        with torch.autocast(composite.device.type, enabled=False):
            corrected = apply_correction(first, fit_residuals(residuals, colors, small, self.log_ridge))
        return Stages(corrected, first, residuals[:, :3])


def random_pixels(stride: int) -> tuple[slice, slice]:
    """Return every `stride`-th row and column, each from a random one on."""
    top, left = torch.randint(stride, (2,)).tolist()  # drawn on the host: a GPU is not waited for
    return slice(top, None, stride), slice(left, None, stride)


def fit_residuals(residuals: Tensor, colors: Tensor, mask: Tensor, ridge: Tensor) -> Tensor:
    """Fit an affine color change to the cells' residual corrections by ridge regression.

    Args:
        residuals: (B, 4, h, w): residual corrections, and the logarithm of each one's weight.
        colors: (B, 3, h, w), to which the corrections apply.
        mask: (B, 1, h, w), the cells to fit to.
        ridge: (4,): logarithms of the regularization of an offset and of each slope.

    Returns:
        (B, 3, 4), to be added to the identity matrix.
    """
    weights = (residuals[:, 3:].clamp(-8, 8).exp() * mask).flatten(2)
    weights = weights / mask.sum(dim=(2, 3), keepdim=True).flatten(2).clamp_min(_EPSILON)
    basis = F.pad(colors - 0.5, (0, 0, 0, 0, 1, 0), value=1.0).flatten(2)  # (B, 4, N): 1, R, G, B
    weighted = basis * weights
    normal = weighted @ basis.transpose(1, 2) + torch.diag(0.05 * ridge.exp())
    moments = weighted @ residuals[:, :3].flatten(2).transpose(1, 2)
    change = solve_positive_definite(normal, moments).transpose(1, 2)  # (B, 3, 4), about middle gray
    slopes = change[:, :, 1:]
    return torch.cat([slopes, change[:, :, :1] - 0.5 * slopes.sum(dim=2, keepdim=True)], dim=2)


def apply_correction(first: Tensor, correction: Tensor) -> Tensor:
    """Return the parameters (B, P) of a map followed by the identity plus a correction (B, 3, 4)."""
    identity = torch.eye(3, 4, dtype=first.dtype, device=first.device)
    matrix = identity + first[:, 3 * CONTROLS :].unflatten(1, (3, 4))
    product = (identity[:, :3] + correction[:, :, :3]) @ matrix + F.pad(correction[:, :, 3:], (3, 0))
    return torch.cat([first[:, : 3 * CONTROLS], (product - identity).flatten(1)], dim=1)


def solve_positive_definite(normal: Tensor, residuals: Tensor) -> Tensor:
    """Solve A · X = B for (B, N, N) positive definite A and (B, N, M) right-hand sides by Gauss-Jordan elimination.

    Written out, because ONNX has no operator for it.
    """
    system = torch.cat([normal, residuals], dim=2)
    for index in range(normal.shape[1]):
        pivot = system[:, index : index + 1] / system[:, index : index + 1, index : index + 1]
        rest = system - system[:, :, index : index + 1] * pivot
        system = torch.cat([rest[:, :index], pivot, rest[:, index + 1 :]], dim=1)
    return system[:, :, normal.shape[1] :]


CONNOISSEUR_RECIPE = replace(CONCORD_RECIPE, learning_rate=1e-3, size=128, steps=4000, warm_up=100)

register(
    NetworkSpec(
        "connoisseur",
        Connoisseur,
        "color correction conditioned on semantic features; ridge regression over foreground cells (this project)",
        CONNOISSEUR_RECIPE,
        CONNOISSEUR_RECIPE,
        year=2026,
        default_weights="connoisseur",
    )
)
