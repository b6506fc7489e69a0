# SPDX-License-Identifier: GPL-3.0-or-later
"""ColorStyles: reading a folder, look-up tables, presets and camera responses."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from s2am_common.errors import FileError
from s2am_engine.training.batch_rng import BatchRNG
from s2am_engine.training.color_styles import PRESETS, RESPONSES, TABLES, ColorStyles, apply_tables
from s2am_engine.training.presets import HUES, hue_weights, preset_table

AXIS = np.linspace(0, 1, 17, dtype=np.float32)
IDENTITY = np.stack(np.meshgrid(AXIS, AXIS, AXIS, indexing="ij"), axis=-1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    swapped = IDENTITY[..., ::-1]  # red and blue
    np.savez(tmp_path / TABLES, luts=np.round(255 * swapped[None]).astype(np.uint8))
    with (tmp_path / PRESETS).open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, ["path", "Exposure2012", "Saturation"])
        rows.writeheader()
        rows.writerow({"path": "gray.xmp", "Exposure2012": "", "Saturation": "-100"})
    light = np.linspace(0, 1, 1024, dtype=np.float32)
    np.savez(tmp_path / RESPONSES, irradiance=np.stack([light] * 2), brightness=np.stack([light**0.4, light**0.6]))
    return tmp_path


def test_color_styles_load_and_apply(folder: Path) -> None:
    styles = ColorStyles.load(folder)
    pictures = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(apply_tables(pictures, styles.films[[0] * 4]), pictures.flip(1), atol=0.003, rtol=0)
    gray = apply_tables(pictures, styles.presets[[0] * 4])
    assert float((gray.amax(dim=1) - gray.amin(dim=1)).max()) < 0.005
    ramp = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(8, 3, 8, 8)
    shown = styles.change_response(ramp, BatchRNG.seeded(np.random.default_rng(3), 8)).flatten(2)
    assert bool((shown.diff(dim=2) >= 0).all())
    assert float((shown - ramp.flatten(2)).abs().amax()) > 0.02


def test_change_response_keeps_middle_gray(folder: Path) -> None:
    gray = torch.full((32, 3, 2, 2), 0.46)
    shown = ColorStyles.load(folder).change_response(gray, BatchRNG.seeded(np.random.default_rng(0), 32))
    torch.testing.assert_close(shown, gray, atol=0.01, rtol=0)


@pytest.mark.parametrize("name", [TABLES, PRESETS, RESPONSES])
def test_color_styles_load_names_a_missing_or_damaged_file(folder: Path, name: str) -> None:
    for content in (b"Exposure2012\nbright\n", b"", b"PK\x03\x04 cut off"):
        if name == PRESETS and content[:2] == b"PK":
            continue  # a table of one line, which has no presets either
        (folder / name).write_bytes(content)
        with pytest.raises(FileError, match="does not hold styles"):
            ColorStyles.load(folder)
    (folder / name).unlink()
    with pytest.raises(FileError, match=r"name a folder with luts\.npz, presets\.csv and camera_responses\.npz"):
        ColorStyles.load(folder)


def test_preset_table_without_settings_is_neutral() -> None:
    np.testing.assert_allclose(preset_table({}, 17)[:13, :13, :13], IDENTITY[:13, :13, :13], atol=2e-3)


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({"Exposure2012": "+1.0"}, 0.05, 0.5),
        ({"Exposure2012": "-1.0"}, -0.5, -0.05),
        ({"Shadows2012": "+80"}, 0.005, 0.2),
        ({"Highlights2012": "-80"}, -0.2, -0.005),
        ({"Blacks2012": "-50"}, -0.1, -0.002),
        ({"Whites2012": "+50"}, 0.002, 0.1),
        ({"ToneCurvePV2012": "0,40;255,255"}, 0.03, 0.2),
    ],
)
def test_preset_table_tones_go_the_right_way(settings: dict[str, str], low: float, high: float) -> None:
    assert low < float((preset_table(settings, 9) - preset_table({}, 9)).mean()) < high


def test_preset_table_contrast_and_saturation() -> None:
    neutral, contrast, vivid, gray = (
        preset_table(settings, 9)
        for settings in ({}, {"Contrast2012": "+60"}, {"Saturation": "+40"}, {"Saturation": "-100"})
    )
    grays = np.arange(9), np.arange(9), np.arange(9)
    assert contrast[grays][2, 0] < neutral[grays][2, 0]
    assert contrast[grays][6, 0] > neutral[grays][6, 0]
    chroma = [float(np.ptp(table, axis=-1).mean()) for table in (gray, neutral, vivid)]
    assert chroma[0] < 0.01 < chroma[1] < chroma[2]


def test_preset_table_changes_one_range_of_hues() -> None:
    changed = np.abs(preset_table({"SaturationAdjustmentGreen": "-80"}, 5) - preset_table({}, 5)).max(axis=-1)
    assert changed[0, 4, 0] > 0.2  # green
    assert changed[4, 0, 0] < 0.01  # red
    assert changed[2, 2, 2] < 0.01  # gray


def test_preset_table_split_toning_tints_shadows_and_highlights() -> None:
    settings = {"ColorGradeShadowHue": "220", "ColorGradeShadowSat": "60", "SplitToningHighlightHue": "40"}
    table = preset_table(settings | {"SplitToningHighlightSaturation": "60"}, 9)
    dark, light = table[2, 2, 2], table[7, 7, 7]
    assert dark[2] > dark[0] + 0.02
    assert light[0] > light[2] + 0.02


def test_hue_weights_sum_to_one() -> None:
    angles = np.linspace(0, 360, 100, dtype=np.float32)
    weights = hue_weights(angles)
    np.testing.assert_allclose(sum(weights.values()), 1, atol=1e-5)
    assert list(weights) == list(HUES)
