# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS: what is missing is named, images are passed in its range, and the evaluation reports it."""

from __future__ import annotations

import math
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from s2am_common.errors import ModelError
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.training.evaluation import EvaluationOptions, evaluate_harmonizers
from s2am_engine.training.perceptual import PerceptualDistance
from tests.engine.fake_networks import KnownColors
from tests.engine.pictures import composite
from tests.training.test_evaluation import write_pair


class FakeNetwork(torch.nn.Module):
    """The mean difference of two images in [-1, 1]."""

    def __init__(self, **_: object) -> None:
        super().__init__()

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        assert one.shape == other.shape
        assert one.abs().max() <= 1
        assert max(one.shape) <= 512
        return (one - other).abs().mean().view(1, 1, 1, 1)


def test_load_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(ModelError, match="needs the packages lpips and torchvision"):
        PerceptualDistance.load()
    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=FakeNetwork))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    with pytest.raises(ModelError, match="AlexNet's weights"):
        PerceptualDistance.load()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").touch()
    black, white = np.zeros((700, 40, 3), np.uint8), np.full((700, 40, 3), 255, np.uint8)
    assert PerceptualDistance.load()(black, white) == pytest.approx(2)
    assert math.isnan(PerceptualDistance.load()(black[:20], white[:20]))


def test_evaluation_reports_the_distance(tmp_path: Path) -> None:
    pixels, mask = composite(60, 80)
    for name, shift in (("one", 10), ("two", 30)):
        write_pair(tmp_path, name, pixels, mask, np.minimum(pixels, 255 - shift) + np.uint8(shift))
    harmonizer = Harmonizer.from_network(KnownColors(), 32, "cpu")
    found = evaluate_harmonizers(
        tmp_path, [harmonizer], EvaluationOptions(perceptual=PerceptualDistance(FakeNetwork()))
    )
    untouched = found.to_json()["untouched"]
    assert [image["lpips"] for image in untouched["images"]] == pytest.approx([20 / 255, 60 / 255], rel=0.02)
    assert untouched["lpips"] == pytest.approx(40 / 255, rel=0.02)
    header, first = found.to_table().splitlines()[1:3]
    assert header.split()[-1] == "LPIPS"
    assert first.split()[-1] == f"{untouched['lpips']:.4f}"
    assert "lpips" not in evaluate_harmonizers(tmp_path, [harmonizer]).to_json()["untouched"]
