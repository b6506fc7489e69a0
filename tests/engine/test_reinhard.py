# SPDX-License-Identifier: GPL-3.0-or-later
"""Color transfer by Reinhard et al.: the color space and the resulting moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab
from torch import Tensor

from s2am_engine.networks.reinhard import Reinhard, from_lab, to_lab
from tests.engine.networks import pictures


def all_colors(steps: int = 17) -> Tensor:
    """Return a lattice over the whole cube, dark colors denser, as one picture (1, 3, steps, steps²)."""
    axis = torch.linspace(0, 1, steps, dtype=torch.float64) ** 1.5
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).reshape(1, 3, steps, -1)


def test_to_lab_reference_values() -> None:
    colors = all_colors()
    expected = rgb2lab(colors[0].permute(1, 2, 0).numpy())
    np.testing.assert_allclose(to_lab(colors)[0].permute(1, 2, 0).numpy(), expected, atol=0.03)


def test_to_lab_of_grays() -> None:
    grays = torch.linspace(0, 1, 11).expand(1, 3, 1, 11)
    lightness, a, b = to_lab(grays)[0, :, 0].unbind()
    assert float(lightness[0]) == pytest.approx(0, abs=1e-3)
    assert float(lightness[-1]) == pytest.approx(100, abs=1e-3)
    assert float(torch.stack([a, b]).abs().max()) < 0.02


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_from_lab_inverts_to_lab(precision: torch.dtype) -> None:
    colors = all_colors().to(precision)
    torch.testing.assert_close(from_lab(to_lab(colors)), colors, atol=2e-5, rtol=0)


def test_from_lab_clips() -> None:
    beyond = torch.tensor([[150.0, 0, 0], [-20.0, 0, 0], [50.0, 200, 0]]).T.reshape(1, 3, 1, 3)
    found = from_lab(beyond)[0, :, 0]
    assert found[:, 0].tolist() == pytest.approx([1, 1, 1])
    assert found[:, 1].tolist() == pytest.approx([0, 0, 0])
    assert found[:2, 2].tolist() == pytest.approx([1, 0])


def moderate() -> tuple[Tensor, Tensor]:
    """Return images of moderate colors whose foreground is darker, bluer and flatter."""
    composite, mask = pictures(64)
    composite = 0.35 + 0.3 * composite
    shift = torch.tensor([-0.1, 0.0, 0.1]).view(1, 3, 1, 1)
    return torch.where(mask > 0, 0.5 * composite + 0.2 + shift, composite), mask


def test_reinhard_matches_background_moments() -> None:
    composite, mask = moderate()
    with torch.no_grad():
        before, after = to_lab(composite), to_lab(Reinhard().predict_pixels(composite, mask))
    for index in range(2):
        inside = mask[index, 0] > 0
        wanted, had, found = before[index][:, ~inside], before[index][:, inside], after[index][:, inside]
        assert float((wanted.mean(dim=1) - had.mean(dim=1)).abs().max()) > 3
        torch.testing.assert_close(found.mean(dim=1), wanted.mean(dim=1), atol=0.02, rtol=0)
        torch.testing.assert_close(found.std(dim=1, correction=0), wanted.std(dim=1, correction=0), atol=0.02, rtol=0)
        # One scale and one offset: the order of brightness is preserved.
        assert torch.equal(found[0].argsort(), had[0].argsort())


def test_reinhard_weighs_soft_masks() -> None:
    composite, mask = moderate()
    soft = torch.where(mask > 0, 0.5, 0.0)
    lab = to_lab(composite)
    share = (1 - soft) / (1 - soft).sum(dim=(2, 3), keepdim=True)
    with torch.no_grad():
        after = to_lab(Reinhard()(composite, soft))
    inside = mask[0, 0] > 0
    wanted = (lab * share).sum(dim=(2, 3))[0]
    torch.testing.assert_close(after[0][:, inside].mean(dim=1), wanted, atol=0.02, rtol=0)


def test_reinhard_limits_the_scale() -> None:
    composite, mask = moderate()
    noise = 1e-3 * torch.randn(composite.shape, generator=torch.Generator().manual_seed(1))
    composite = torch.where(mask > 0, 0.5 + noise, composite)
    with torch.no_grad():
        predicted = Reinhard().predict_pixels(composite, mask)
    lightness, inside = to_lab(predicted)[:, :1], mask > 0
    assert torch.isfinite(predicted).all()
    assert float(lightness[inside].std()) < 0.5 * float(lightness[~inside].std())
