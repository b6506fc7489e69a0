# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's side of a session without a connection: samples, effects and the workspace."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from gimp_bridge import protocol
from gimp_bridge.color_messages import MAX_SAMPLES, Adjust, MeasureDeviation
from gimp_bridge.color_requests import adjust_color_map, fit_effect, measure_deviation, sample_colors
from gimp_bridge.mask_messages import RefineMask, SelectSubject
from gimp_bridge.mask_requests import refine_layer_mask, select_layer_subject
from gimp_bridge.shared_workspace import SharedWorkspace, remove_leftovers
from gimp_bridge.strip_messages import Strip
from s2am_common.errors import CancelledError, EngineError, FileError, NothingFoundError
from s2am_engine.color.apply import apply_color_map
from s2am_engine.color.fit import fit_linear_matrix
from s2am_engine.color.map import IDENTITY, Curves, Matrix
from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
from tests.plugin.local_engine import LocalModels

CURVES = Curves(np.stack([np.linspace(0, 1, 5) ** power for power in (0.6, 0.9, 1.5)]).astype(np.float32))


def test_sample_colors_takes_evenly_spaced_foreground_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    weights = np.zeros((200, 300), np.uint8)
    weights[50:150] = np.arange(300) % 255 + 1
    samples = np.frombuffer(sample_colors(pixels, weights), np.uint8).reshape(-1, 4)
    assert len(samples) == MAX_SAMPLES
    assert (samples[:, 3] > 0).all()
    np.testing.assert_array_equal(samples[0], [*pixels[50, 0], 1])
    np.testing.assert_array_equal(samples[-1], [*pixels[149, 299], weights[149, 299]])
    assert sample_colors(pixels, np.zeros_like(weights)) == b""


def resampled(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def deviation(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> int:
    around = np.pad(before, ((1, 1), (1, 1), (0, 0)))
    height, width = after.shape[:2]
    request = MeasureDeviation(
        width=width, height=height, color_map=CURVES.to_json(), before=around.tobytes(), after=after.tobytes()
    )
    return measure_deviation(request).levels


def test_measure_deviation_tells_retouching_from_resampling() -> None:
    before = np.ascontiguousarray(np.dstack([data.chelsea()[:, :, :3], np.full((300, 451), 255, np.uint8)]))
    before[:, 200:203, :3] = (0, 90, 255)
    after = apply_color_map(CURVES, before, np.full(before.shape[:2], 255, np.uint8))
    after[:, :60] = before[:, :60]  # where the mask was 0
    assert deviation(before, after) <= 1
    reduced = resampled(before, (310, 220)), resampled(after, (310, 220))
    assert deviation(*reduced) <= 3
    painted = reduced[1].copy()
    painted[100:103, 150:153, :3] = painted[100:103, 150:153, :3] * 0.9
    assert deviation(reduced[0], painted) > 5
    erased = reduced[1].copy()
    erased[100:103, 150:153, 3] = 200
    assert deviation(reduced[0], erased) == 55
    painted[..., 3] = 0
    assert deviation(np.dstack([reduced[0][..., :3], painted[..., 3]]), painted) == 0


def test_fit_effect_weighs_the_samples() -> None:
    """Dark colors have ten times the weight of bright ones, and the map bends both differently."""
    rng = np.random.default_rng(1)
    colors = np.concatenate([rng.integers(5, 90, (300, 3)), rng.integers(150, 250, (300, 3))])
    samples = np.column_stack([colors, np.repeat([250, 25], 300)]).astype(np.uint8)
    matrix, rmse = fit_effect(CURVES, samples.tobytes())
    values, weights = samples[:, :3] / np.float32(255), samples[:, 3] / np.float32(255)
    target = CURVES(values).clip(0, 1)

    def error(fitted: Matrix) -> float:
        squares = (fitted(values).clip(0, 1) - target) ** 2
        return 255 * float(np.sqrt(np.average(squares.mean(axis=1), weights=weights)))

    assert rmse == pytest.approx(error(matrix), rel=1e-5)
    np.testing.assert_allclose(matrix.matrix, fit_linear_matrix(values, target, weights).matrix, atol=1e-6)
    unweighted = fit_linear_matrix(values, target)
    assert np.abs(matrix.matrix - unweighted.matrix).max() > 0.01
    assert rmse < 0.9 * error(unweighted)


def test_adjust_color_map_of_the_identity_is_exact() -> None:
    samples = np.random.default_rng(2).integers(1, 256, (50, 4)).astype(np.uint8).tobytes()
    adjusted = adjust_color_map(Adjust(color_map=IDENTITY.to_json(), samples=samples))
    np.testing.assert_allclose(np.reshape(adjusted.matrix, (3, 3)), np.eye(3), atol=1e-4)
    assert adjusted.rmse == pytest.approx(0, abs=0.01)


def test_shared_workspace_is_private_and_removed(tmp_path: Path) -> None:
    workspace = SharedWorkspace(tmp_path, 5000)
    assert workspace.file.stat().st_size == 5000
    assert workspace.file.stat().st_mode & 0o077 == 0
    workspace.close()
    assert not list(tmp_path.iterdir())
    SharedWorkspace(tmp_path, 10)
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())


def test_shared_workspace_refuses_strips_beyond_its_end(tmp_path: Path) -> None:
    workspace = SharedWorkspace(tmp_path, 4 * 30)
    workspace.render(Strip(offset=0, width=6, rows=5), None, lambda _: None)
    for strip in (Strip(offset=4, width=6, rows=5), Strip(offset=0, width=6, rows=5, layer_masks=1)):
        with pytest.raises(EngineError, match="does not lie within") as caught:
            workspace.render(strip, None, lambda _: None)
        assert caught.value.code == "engine.request"
    workspace.close()


def test_shared_workspace_needs_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be written to"):
        SharedWorkspace(tmp_path / "missing", 10)


def test_failed_keeps_the_code_of_an_engine_error() -> None:
    failed = protocol.Failed.from_error(EngineError("No.", code="engine.memory"))
    assert (failed.message, failed.code) == ("No.", "engine.memory")


def test_select_layer_subject_gives_the_selectors_mask() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    request = SelectSubject(width=30, height=20, pixels=pixels.tobytes(), likeliest=True)
    models: Any = LocalModels()
    models.certain = False
    steps: list[str] = []
    found = select_layer_subject(request, models, steps.append)
    mask = np.frombuffer(found.mask, np.uint8).reshape(20, 30)
    assert mask[:, :15].min() == 255
    assert not mask[:, 15:].any()
    assert (found.confidence, found.certain, found.model) == (0.9, False, "subject")
    assert steps == ["Selecting the subject"]
    with pytest.raises(NothingFoundError):
        select_layer_subject(dataclasses.replace(request, likeliest=False), models, steps.append)


@pytest.mark.parametrize("edges", [{}, {"refine_edges": 3.0, "grow": -2.0}, {"grow": 2.0, "feather": 6.0}])
def test_refined_mask_stays_within_the_layer_and_the_selection(edges: dict[str, float]) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (40, 60, 4)).astype(np.uint8)
    layer_mask, selection = rng.integers(0, 256, (2, 40, 60)).astype(np.uint8)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 10:50] = 255
    request = RefineMask(width=60, height=40, layer_masks=1, selection=True, predicted=True, edges=edges)
    steps: list[str] = []
    planes = [layer_mask, selection, mask]
    found, share = refine_layer_mask(request, pixels, planes, steps.append, lambda _: None)
    opacity = np.rint(pixels[..., 3] / 255 * layer_mask).astype(np.uint8)
    foreground = np.where(mask > 0, opacity, 0).astype(np.uint8)
    refined = refine_edges(foreground, EdgeSettings(**edges), np.ascontiguousarray(pixels[..., :3]))
    expected = np.minimum(refined, opacity) * (selection / 255)
    assert np.abs(found - expected).max() <= 0.51
    assert np.abs(opacity * (share / 255) - expected).max() <= 1.5
    assert steps == ["Refining the edges of the mask"]


def test_refining_a_mask_can_be_canceled() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (40, 60, 4)).astype(np.uint8)

    def cancel(_: float) -> None:
        raise CancelledError("canceled")

    with pytest.raises(CancelledError):
        refine_layer_mask(
            RefineMask(width=60, height=40, edges={"refine_edges": 3.0}), pixels, [], lambda _: None, cancel
        )
