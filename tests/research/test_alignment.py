# SPDX-License-Identifier: GPL-3.0-or-later
"""Alignment of kinds of synthetic pairs with real composites."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from research import alignment
from research.alignment import align, measure
from s2am_engine.networks.registry import build_network
from s2am_engine.training.pair_source import Batch, PairSource
from s2am_engine.training.photo_cache import Photograph
from tests.engine.pictures import composite
from tests.training.test_evaluation import write_pair


class Brightened(PairSource):
    """Pairs whose foreground must become brighter or darker by a given amount."""

    shift = 0.0

    def piece(self, index: int, count: int) -> Batch:
        """See `PairSource.piece`."""
        generator = torch.Generator().manual_seed(self.seed + index)
        mask = torch.zeros(count, 1, self.size, self.size)
        mask[..., 4:12, 4:12] = 1
        target = torch.rand(count, 3, self.size, self.size, generator=generator) * 0.4 + 0.3
        return Batch(target - self.shift * mask, mask, target)


def shifted(shift: float, seed: int) -> Brightened:
    source = Brightened(16, 4, seed)
    source.shift = shift
    return source


def test_a_kind_that_asks_the_same_as_real_pairs_is_positive_and_the_opposite_negative(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = build_network("concord")
    batch = shifted(0.1, 9).make(0)
    for index, name in enumerate(("a0001", "f0001")):
        pixels, mask, target = (
            (tensor[index].permute(1, 2, 0) * 255).round().byte().squeeze().numpy() for tensor in batch
        )
        write_pair(tmp_path, name, pixels, mask, target)
    sources: dict[str, PairSource] = {"brighter": shifted(0.1, 1), "darker": shifted(-0.1, 2)}
    found = dict(measure(network, "foreground_rmse", sources, tmp_path, 16, batches=4))
    assert set(found["brighter"].cosines) == {"HAdobe5k", "HFlickr"}
    assert all(value > 0.5 for value in found["brighter"].cosines.values())
    assert all(value < -0.1 for value in found["darker"].cosines.values())
    assert found["brighter"].consistency > 0.5


def test_cosines_of_known_gradients() -> None:
    own = torch.tensor([[1.0, 0.0], [1.0, 2.0]])
    found = align(own, {"HFlickr": torch.tensor([0.0, -1.0])}, torch.ones(2))
    assert found.cosines["HFlickr"] == pytest.approx(-1 / 2**0.5)
    assert found.consistency == pytest.approx(1 / 5**0.5)
    # Weights with small gradients count as much as others once they are scaled.
    assert align(own, {"HFlickr": torch.tensor([0.0, -1.0])}, torch.tensor([0.01, 1.0])).cosines["HFlickr"] < -0.99


def test_the_command_measures_every_kind(
    tmp_path: Path,
    photographs: list[Photograph],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(alignment, "load_photographs", lambda folder, split: photographs)
    pixels, mask = composite(60, 80)
    write_pair(tmp_path, "a0001", pixels, mask, pixels[::-1])
    arguments = ["photos", str(tmp_path), "--model", "concord", "--size", "32", "--batches", "2"]
    assert alignment.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == list(alignment.KINDS)
    assert all("HAdobe5k" in line for line in lines)


def test_a_formula_has_no_gradient(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert alignment.main(["photos", str(tmp_path), "--model", "reinhard"]) == 1
    assert "choose another model" in capsys.readouterr().err
