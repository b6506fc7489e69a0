# SPDX-License-Identifier: GPL-3.0-or-later
"""Reinhard's color transfer (IEEE CG&A 2001): match the background's mean and deviation in Lab."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from s2am_engine.color.srgb import linear_tensor_to_srgb, srgb_tensor_to_linear
from s2am_engine.networks.network import PixelNetwork
from s2am_engine.networks.spec import NetworkSpec, register

# Linear sRGB to CIE XYZ relative to D65 white (IEC 61966-2-1), rows scaled by the white point: white is (1, 1, 1).
TO_XYZ = ((0.43395, 0.37622, 0.18983), (0.21267, 0.71516, 0.07217), (0.01776, 0.10947, 0.87277))
FROM_XYZ = np.linalg.inv(TO_XYZ).tolist()
# CIE 1976: f = t^(1/3), linear below δ³.
DELTA = 6 / 29
SMALLEST_DEVIATION = (
    1.0  # smallest deviation of L, a and b (range about 0 to 100): limits the stretching of a flat foreground
)


class Reinhard(PixelNetwork):
    """Classical baseline: (x − mean_f) · σ_b / σ_f + mean_b for L, a and b; it has no weights."""

    def __init__(self) -> None:
        """Takes no parameters."""
        super().__init__()

    def predict(self, composite: Tensor, mask: Tensor) -> Tensor:
        """See `Network.forward`."""
        with torch.autocast(composite.device.type, enabled=False):
            lab = to_lab(composite)
            mean_f, deviation_f = lab_moments(lab, mask)
            mean_b, deviation_b = lab_moments(lab, 1 - mask)
            scale = deviation_b / deviation_f.clamp_min(SMALLEST_DEVIATION)
            return from_lab((lab - mean_f) * scale + mean_b)


def lab_moments(pictures: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation (B, C, 1, 1) of (B, C, H, W) values under (B, 1, H, W) weights."""
    share = mask / mask.sum(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    mean = (pictures * share).sum(dim=(2, 3), keepdim=True)
    return mean, (((pictures - mean) ** 2) * share).sum(dim=(2, 3), keepdim=True).sqrt()


def to_lab(srgb: Tensor) -> Tensor:
    """Convert (B, 3, H, W) sRGB in [0, 1] to CIE L*a*b* (D65)."""
    xyz = torch.einsum("rc,bchw->brhw", srgb.new_tensor(TO_XYZ), srgb_tensor_to_linear(srgb))
    x, y, z = torch.where(xyz > DELTA**3, xyz.clamp_min(DELTA**3) ** (1 / 3), xyz / (3 * DELTA**2) + 4 / 29).unbind(
        dim=1
    )
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def from_lab(lab: Tensor) -> Tensor:
    """Convert CIE L*a*b* to (B, 3, H, W) sRGB, clipped to [0, 1]."""
    y = (lab[:, 0] + 16) / 116
    f = torch.stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200], dim=1)
    xyz = torch.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
    linear = torch.einsum("rc,bchw->brhw", lab.new_tensor(FROM_XYZ), xyz).clamp(0, 1)
    return linear_tensor_to_srgb(linear)


register(
    NetworkSpec(
        "reinhard",
        Reinhard,
        "the background's Lab mean and deviation (Reinhard et al., 2001), no training",
        recipe_small=None,
        recipe_published=None,
        paper="Reinhard et al., Color Transfer between Images, IEEE CG&A 2001",
        year=2001,
        default_weights="reinhard",
        comparison={},
    )
)
