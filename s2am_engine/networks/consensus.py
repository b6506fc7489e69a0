# SPDX-License-Identifier: GPL-3.0-or-later
"""Consensus, this project's default network: Concord's first guess, then every part of the foreground has a vote."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from s2am_engine.networks.attention import region_mean
from s2am_engine.networks.concord import CONTROLS, Concord, ConvBlock, ResidualBlock
from s2am_engine.networks.network import Rendered, check_inputs

SMALLEST_AREA = 1e-4


class Consensus(Concord):
    """Two stages, one map.

    The first stage is Concord: a global guess. The second sees what that guess made of the foreground, in statistics
    (S2CRNet's cascade) and at each place of a quarter of the size, and says there how the colour should still change
    and how sure it is of that. The matrix that the votes agree on, weighted by their sureness, is found in closed form
    (ridge regression); where nobody is sure it is the identity. A face or a lawn, whose colours are known, thus decides
    for a coat, which may have any.

    The answer is Concord's: curves and one matrix, the product of both stages'.
    """

    def __init__(self, width: int = 48, hidden: int = 384, dropout: float = 0.1) -> None:
        """Choose the size, see `Concord`."""
        super().__init__(width, hidden, dropout)
        deep = 2 * width
        self.second_statistics = nn.Sequential(
            nn.LayerNorm(self.statistics.length), nn.Linear(self.statistics.length, hidden), nn.GELU()
        )
        self.tell = nn.Linear(2 * hidden, 2 * deep)
        self.think = nn.Sequential(ResidualBlock(deep), ResidualBlock(deep))
        self.look = ConvBlock(deep + width + 7, width)
        self.vote = nn.Conv2d(width, 4, 3, padding=1)
        self.doubt = nn.Parameter(torch.tensor([-2.0, -1.0, -1.0, -1.0]))  # log of what evidence has to outweigh
        nn.init.zeros_(self.vote.weight)
        assert self.vote.bias is not None
        nn.init.zeros_(self.vote.bias)
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def answer(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`; P is Concord's."""
        return self.deliberate(composite, mask)[0]

    def rendered(self, composite: Tensor, mask: Tensor) -> Rendered:
        """See `Network.rendered`: the votes as a painting, the first guess, and the result."""
        check_inputs(composite, mask)
        answers, first, votes = self.deliberate(composite, mask)
        with torch.autocast(composite.device.type, enabled=False):
            guess = self.render(first, composite)[0]
            painted = guess + F.interpolate(votes, composite.shape[-2:], mode="bilinear")
            return Rendered([painted, guess, *self.render(answers, composite)], [])

    def deliberate(self, composite: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The answer, the first stage's, and each place's wish, (B, 3, h, w), for what the first stage leaves."""
        statistics = self.statistics_branch(self.statistics(composite, mask))
        quarter = self.stem(torch.cat([composite - 0.5, mask - 0.5], dim=1))
        small = F.interpolate(mask, quarter.shape[-2:], mode="area")
        quarter = self.gates(quarter, small)
        eighth = self.trunk(quarter)
        smaller = F.interpolate(mask, eighth.shape[-2:], mode="area")
        reference = self.attention(eighth, smaller)
        compared = self.compare(torch.cat([eighth, eighth - reference], dim=1))
        pooled = [region_mean(compared, smaller), region_mean(eighth, smaller), region_mean(eighth, 1 - smaller)]
        encoded = self.encoder_branch(torch.cat(pooled, dim=1))
        first = (0.25 * self.head(torch.cat([statistics, encoded], dim=1))).to(composite.dtype)
        with torch.autocast(composite.device.type, enabled=False):
            guess = torch.lerp(composite, self.render(first.detach(), composite)[0].clamp(0, 1), mask)
        again = self.second_statistics(self.statistics(guess, mask))
        scale, shift = self.tell(torch.cat([statistics, again], dim=1))[:, :, None, None].chunk(2, dim=1)
        deep = self.think(compared * (1 + scale) + shift)
        colours, before = (F.interpolate(one, quarter.shape[-2:], mode="area") for one in (guess, composite))
        seen = [F.interpolate(deep, quarter.shape[-2:], mode="bilinear"), quarter, colours - 0.5, before - 0.5, small]
        votes = self.vote(self.look(torch.cat(seen, dim=1))).to(composite.dtype)
        with torch.autocast(composite.device.type, enabled=False):
            return corrected(first, self.agree(votes, colours, small)), first, votes[:, :3]

    def agree(self, votes: Tensor, colours: Tensor, mask: Tensor) -> Tensor:
        """The affine change that votes agree on, by ridge regression.

        Args:
            votes: (B, 4, h, w): wished changes, and the logarithm of how sure each is.
            colours: (B, 3, h, w) that the changes are wished for.
            mask: (B, 1, h, w), who has a vote.

        Returns:
            (B, 3, 4): added to the identity, the matrix for colours.
        """
        weights = (votes[:, 3:].clamp(-8, 8).exp() * mask).flatten(2)
        weights = weights / mask.sum(dim=(2, 3), keepdim=True).flatten(2).clamp_min(SMALLEST_AREA)
        basis = F.pad(colours - 0.5, (0, 0, 0, 0, 1, 0), value=1.0).flatten(2)  # (B, 4, N): 1, R, G, B
        weighted = basis * weights
        normal = weighted @ basis.transpose(1, 2) + torch.diag(0.05 * self.doubt.exp())
        wished = weighted @ votes[:, :3].flatten(2).transpose(1, 2)
        change = solved(normal, wished).transpose(1, 2)  # (B, 3, 4), about middle grey
        slopes = change[:, :, 1:]
        return torch.cat([slopes, change[:, :, :1] - 0.5 * slopes.sum(dim=2, keepdim=True)], dim=2)


def corrected(first: Tensor, correction: Tensor) -> Tensor:
    """The parameters (B, P) of the first stage's map followed by the identity plus a correction (B, 3, 4)."""
    identity = torch.eye(3, 4).to(first)
    matrix = identity + first[:, 3 * CONTROLS :].unflatten(1, (3, 4))
    product = (identity[:, :3] + correction[:, :, :3]) @ matrix + F.pad(correction[:, :, 3:], (3, 0))
    return torch.cat([first[:, : 3 * CONTROLS], (product - identity).flatten(1)], dim=1)


def solved(normal: Tensor, wished: Tensor) -> Tensor:
    """The solution X (B, N, M) of normal (B, N, N; positive definite) · X = wished (B, N, M), by Gauss and Jordan.

    Written out, because ONNX has no operation for it.
    """
    system = torch.cat([normal, wished], dim=2)
    for index in range(normal.shape[1]):
        pivot = system[:, index : index + 1] / system[:, index : index + 1, index : index + 1]
        rest = system - system[:, :, index : index + 1] * pivot
        system = torch.cat([rest[:, :index], pivot, rest[:, index + 1 :]], dim=1)
    return system[:, :, normal.shape[1] :]
