# SPDX-License-Identifier: GPL-3.0-or-later
"""Color statistics of foreground and background as a feature vector."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LUMA_BT601 = (0.299, 0.587, 0.114)
"""Luma weights that the trained weights of networks with region statistics were fitted to; all else uses BT.709."""
_EPSILON = 1e-6


class RegionStatistics(nn.Module):
    """Histograms, moments and seam statistics of the two regions of a composite.

    Every value is an average of pixels, so the vector does not depend on the input size. Histograms
    are soft (a value is shared by its two nearest bins) and square-rooted, which evens out their noise.
    """

    def __init__(self, bins: int = 16, joint_bins: int = 6, grid: int = 64, ring: int = 3) -> None:
        """Choose the resolution.

        Args:
            bins: bins of the histograms of R, G, B, luma and saturation.
            joint_bins: bins per axis of the joint RGB histogram.
            grid: statistics are taken on about grid × grid pixels, sampled without smoothing.
            ring: width, in grid pixels, of the rings along the seam.
        """
        super().__init__()
        self.bins = bins
        self.joint_bins = joint_bins
        self.grid = grid
        self.ring = ring
        self.length = 2 * (5 * bins + joint_bins**3) + 2 * 13 + 13 + 2 * 6 + 6 + 1

    def forward(self, composite: Tensor, mask: Tensor) -> Tensor:
        """Describe (B, 3, H, W) pictures in [0, 1] with (B, 1, H, W) masks as (B, length) numbers of order 1."""
        step = max(1, min(composite.shape[-2:]) // self.grid)
        composite, mask = composite[..., ::step, ::step], mask[..., ::step, ::step]
        values = describe_pixels(composite)
        foreground, background = mask.flatten(2), 1 - mask.flatten(2)
        regions = normalize_weights(torch.cat([foreground, background], dim=1))
        inner, outer = self.rings(mask)
        rings = normalize_weights(torch.cat([inner, outer], dim=1).flatten(2))
        moments = region_moments(values, regions)
        seam = region_moments(values, rings)[..., [0, 1, 2, 5, 6, 7]]
        parts = [
            self.histograms(values, regions).flatten(1),
            self.joint_histograms(values, regions).flatten(1),
            moments.flatten(1),
            moments[:, 0] - moments[:, 1],
            seam.flatten(1),
            seam[:, 0] - seam[:, 1],
            foreground.mean(dim=2),
        ]
        return torch.cat(parts, dim=1)

    def histograms(self, values: Tensor, regions: Tensor) -> Tensor:
        """Return soft histograms of (B, 5, N) values under (B, 2, N) weights: (B, 2, 5, bins), square-rooted."""
        shares = soft_bins(values, self.bins).flatten(1, 2)  # (B, 5 · bins, N)
        return (regions @ shares.transpose(1, 2)).unflatten(2, (-1, self.bins)).clamp_min(_EPSILON).sqrt()

    def joint_histograms(self, values: Tensor, regions: Tensor) -> Tensor:
        """Return soft joint RGB histograms: (B, 2, joint_bins³), square-rooted and scaled to order 1."""
        red, green, blue = soft_bins(values[:, :3], self.joint_bins).unbind(dim=1)  # (B, joint_bins, N) each
        red_green = (red.unsqueeze(2) * green.unsqueeze(1)).flatten(1, 2)
        # The smaller factor is weighted: it is a sixth of the other.
        weighted = (regions.unsqueeze(2) * blue.unsqueeze(1)).flatten(1, 2)
        joint = (red_green @ weighted.transpose(1, 2)).unflatten(2, (2, -1)).transpose(1, 2)
        return joint.flatten(2).clamp_min(_EPSILON).sqrt() * 2

    def rings(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return bands of foreground and background along the seam, each (B, 1, h, w)."""
        grown, shrunk = dilate(mask, self.ring), -dilate(-mask, self.ring)
        return (mask - shrunk), (grown - mask)


def dilate(masks: Tensor, radius: int) -> Tensor:
    """Return the maximum of (B, 1, h, w) over squares of 2 · radius + 1 pixels around each pixel.

    By maxima of shifted images, of twice the width each time: pooling takes many times as long on a CPU.
    """
    full = 2 * radius + 1
    masks = F.pad(masks, (radius,) * 4, value=-math.inf)
    for axis in (2, 3):
        width = 1
        while width < full:
            shift = min(width, full - width)
            kept = masks.shape[axis] - shift
            masks = torch.maximum(masks.narrow(axis, 0, kept), masks.narrow(axis, shift, kept))
            width += shift
    return masks


def describe_pixels(composite: Tensor) -> Tensor:
    """Return R, G, B, luma and chroma of each pixel: (B, 3, H, W) to (B, 5, H·W)."""
    flat = composite.flatten(2)
    # Numbers instead of a tensor of weights, which would have to be copied to the device.
    red, green, blue = (weight * channel for weight, channel in zip(LUMA_BT601, flat.split(1, dim=1), strict=True))
    luma = red + green + blue
    chroma = flat.amax(dim=1, keepdim=True) - flat.amin(dim=1, keepdim=True)
    return torch.cat([flat, luma, chroma], dim=1)


def normalize_weights(weights: Tensor) -> Tensor:
    """Scale (B, R, N) weights to a sum of 1 for each region (an empty region stays 0)."""
    return weights / weights.sum(dim=2, keepdim=True).clamp_min(_EPSILON)


def soft_bins(values: Tensor, bins: int) -> Tensor:
    """Distribute each value in [0, 1] between its two nearest of `bins` centers: (..., N) to (..., bins, N)."""
    centers = torch.arange(bins, device=values.device, dtype=values.dtype).unsqueeze(1)
    distance = (values * (bins - 1)).unsqueeze(-2) - centers  # pixels last: operations are vectorized over them
    return distance.abs_().neg_().add_(1).clamp_min_(0)  # in place: it is large


def region_moments(values: Tensor, regions: Tensor) -> Tensor:
    """Return means (5), deviations (5) and correlations RG, GB, BR (3) of each region: (B, R, 13)."""
    mean = torch.einsum("bcn,brn->brc", values, regions)
    centerd = values.unsqueeze(1) - mean.unsqueeze(3)
    weighted = centerd * regions.unsqueeze(2)
    deviation = (weighted * centerd).sum(dim=3).clamp_min(_EPSILON).sqrt()
    rolled = centerd[:, :, [1, 2, 0]]
    covariance = (weighted[:, :, :3] * rolled).sum(dim=3)
    correlation = covariance / (deviation[:, :, :3] * deviation[:, :, [1, 2, 0]] + 1e-4)
    return torch.cat([mean, deviation, correlation], dim=2)
