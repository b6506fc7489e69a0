# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality of the bundled models on the shared benchmark and on real composites."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from s2am_engine.image.io import load_image
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.models.model_store import DEFAULT_MODEL
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.evaluation import Evaluation, evaluate_harmonizers
from s2am_engine.training.loaded_pairs import load_pair
from s2am_engine.training.metrics import score
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared


@pytest.fixture(scope="module")
def measured() -> Evaluation:
    """Both models on the shared benchmark."""
    return evaluate_harmonizers(SHARED / "benchmark", [Harmonizer(name, "cpu") for name in (DEFAULT_MODEL, "s2crnet")])


def test_benchmark_has_known_scores_of_untouched_composites(measured: Evaluation) -> None:
    assert len(measured.names) == 93
    assert measured.untouched.mean.psnr == pytest.approx(26.16, abs=0.01)
    assert measured.untouched.mean.mse == pytest.approx(308.5, abs=0.1)


def test_default_model_improves_real_composites() -> None:
    real = evaluate_harmonizers(SHARED / "real", [Harmonizer(DEFAULT_MODEL, "cpu")])
    assert len(real.names) == 16
    assert real.models[0].mean.psnr >= 28.4
    assert real.models[0].mean.fmse <= 0.5 * real.untouched.mean.fmse
    assert real.harmed(real.models[0]) <= 1


@pytest.mark.parametrize(("index", "least", "error", "harmed"), [(0, 30.4, 0.52, 14), (1, 28.5, 0.7, 8)])
def test_bundled_model_improves_most_composites(
    measured: Evaluation, index: int, least: float, error: float, harmed: int
) -> None:
    row, untouched = measured.models[index].mean, measured.untouched.mean
    assert row.psnr >= least
    assert row.fmse <= error * untouched.fmse
    assert row.ssim > untouched.ssim
    assert measured.harmed(measured.models[index]) <= harmed


def test_harmonize_hardly_changes_unmodified_photographs() -> None:
    harmonizer, found = Harmonizer(device="cpu"), []
    for pair in find_pairs(SHARED / "benchmark", "test"):
        loaded = load_pair(pair)
        result = harmonizer(loaded.target, loaded.mask).render()
        found.append(score(result, loaded.target, loaded.mask > 127).psnr)
    assert len(found) == 93
    assert np.mean(found) >= 36


def test_harmonize_keeps_background_bits_of_real_composites() -> None:
    harmonizer = Harmonizer(device="cpu")
    paths = sorted((SHARED / "composites" / "images").iterdir())
    assert len(paths) == 30
    for path in paths:
        picture = load_image(path)
        mask = read_mask(Path(SHARED / "composites" / "masks" / f"{path.stem}.png"))
        result = harmonizer(picture, mask).render()
        np.testing.assert_array_equal(result.pixels[mask == 0], picture.pixels[mask == 0], err_msg=path.name)
        assert not np.array_equal(result.pixels, picture.pixels)
