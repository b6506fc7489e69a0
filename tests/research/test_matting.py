# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that measures refined edges on composites of known opacity, and its figures on some of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from research import matting
from research.matting import KINDS, MASKS, MattingErrors, compare, make_scenes, means, refine


@pytest.mark.parametrize(
    ("kind", "share"), [("hair", 0.6), ("fur", 0.4), ("glass", 0.6), ("motion blur", 0.65), ("branches", 0.6)]
)
def test_refined_edges_are_closer_to_the_known_opacity(kind: str, share: float) -> None:
    compared = [compare(scene, refine(scene)) for scene in make_scenes([kind])]
    before, after = (means(errors) for errors in zip(*compared, strict=True))
    assert after.absolute < share * before.absolute
    assert after.squared < share * before.squared
    assert after.gradient < share * before.gradient


def test_hostile_texture_harms_an_exact_mask_little() -> None:
    """A mask that is almost exact, on a background with the colors of the foreground."""
    (scene,) = make_scenes(["holes"], ["threshold"])
    before, after = compare(scene, refine(scene))
    assert after.absolute - before.absolute < 2000


def test_scenes_are_the_same_in_each_call_and_cover_all_kinds() -> None:
    scenes = list(make_scenes())
    assert len(scenes) == len(KINDS) * len(MASKS) == 27
    for one, again in zip(scenes, make_scenes(), strict=True):
        np.testing.assert_array_equal(one.image, again.image)
        np.testing.assert_array_equal(one.raw, again.raw)
        assert 0.02 < one.alpha.mean() < 0.5


def test_errors_are_those_of_the_benchmark() -> None:
    alpha = np.zeros((20, 20), np.float32)
    alpha[:, 10:] = 1
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 12:] = 255
    band = np.zeros((20, 20), np.bool_)
    band[:, 8:12] = True
    errors = MattingErrors.of(mask, alpha, band)
    assert errors.absolute == 40
    assert errors.squared == 0.5
    assert errors.gradient > 0
    assert MattingErrors.of(np.where(alpha > 0, 255, 0).astype(np.uint8), alpha, band) == MattingErrors(0, 0, 0)


def test_command_prints_the_table_and_draws_the_sheet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(matting, "make_scenes", lambda: make_scenes(["fur", "shadow"]))
    monkeypatch.setattr(matting, "KINDS", {kind: KINDS[kind] for kind in ("fur", "shadow")})
    assert matting.main(["--sheet", str(tmp_path / "sheet.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:7]] == ["fur", "shadow", "threshold", "brush", "selection", "all"]
    assert " of 6 (" in lines[7]
    assert Image.open(tmp_path / "sheet.png").height > 6 * matting.SIDE
