# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: checks and writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from s2am_common.errors import EngineError, MaskError
from s2am_engine.image.arrays import full_scale, to_unit
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import load_image
from s2am_engine.image.mask_reading import read_mask
from s2am_engine.image.masks import check_mask, mask_from_alpha, save_mask
from s2am_engine.types import Pixels


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.zeros((4, 5), np.uint8), "is empty"),
        (np.full((4, 5), 255, np.uint8), "covers the whole image"),
        (np.full((4, 5), 65535, np.uint16), "covers the whole image"),
        (np.ones((4, 5), np.bool_), "covers the whole image"),
        (np.full((5, 4), 100, np.uint8), "has 4×5 pixels and the image 5×4"),
        (np.full((4, 5), np.nan, np.float32), "not numbers"),
    ],
)
def test_check_mask_refuses_unusable_masks(mask: Pixels, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        check_mask(mask, (4, 5, 3))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
@pytest.mark.parametrize("background", [0, 1])
def test_check_mask_finds_a_single_pixel_of_a_large_mask(dtype: type[Pixels], background: int) -> None:
    mask = np.full((2100, 1100), background * full_scale(np.dtype(dtype)), dtype)
    with pytest.raises(MaskError):
        check_mask(mask, mask.shape)
    mask[1000, 601] = (1 - background) * full_scale(np.dtype(dtype))  # between the rows and columns that are sampled
    check_mask(mask, mask.shape)


@pytest.mark.parametrize(
    ("size", "orientation", "sentence"),
    [
        ((80, 60), 6, "EXIF orientation turns by 90°: turn the mask likewise"),
        ((80, 60), 1, "lies on its side"),
        ((30, 40), 1, r"50 % of the size; scale it to 80×60"),
        ((59, 79), 1, r"98\.8 % of the size"),
        ((60, 60), 1, "other proportions"),
        ((1, 60), 1, "other proportions"),
        ((1, 1), 1, "1×1 pixels, too few to show a foreground: export it in the image's size, 80×60"),
        ((12, 16), 1, "16×12 pixels, too few"),
    ],
)
def test_check_mask_gives_the_reason_for_another_size(size: tuple[int, int], orientation: int, sentence: str) -> None:
    mask = np.zeros(size, np.uint8)
    mask[:20, :20] = 255
    with pytest.raises(MaskError, match=sentence) as caught:
        check_mask(mask, (60, 80, 3), orientation=orientation)
    assert caught.value.code == "mask.size"


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "bool"])
def test_save_mask_is_read_as_the_same_mask(tmp_path: Path, kind: str) -> None:
    soft = np.tile(np.linspace(0, 1, 60), (40, 1)) if kind != "bool" else np.tile(np.arange(60) > 20, (40, 1))
    mask = soft.astype(kind) if kind in ("bool", "float32") else (soft * np.iinfo(kind).max).astype(kind)
    save_mask(tmp_path / "mask.png", mask)
    assert load_image(tmp_path / "mask.png").gray
    np.testing.assert_allclose(to_unit(read_mask(tmp_path / "mask.png")), to_unit(mask), atol=1 / 65535)


def test_save_mask_refuses_a_lossy_format(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"ends in \.png"):
        save_mask(tmp_path / "mask.jpg", np.zeros((4, 4), np.uint8))


@pytest.mark.parametrize("mask", [Image.new("L", (5, 4)), np.zeros((4, 5, 3), np.uint8)])
def test_save_mask_refuses_other_types_and_shapes(tmp_path: Path, mask: Any) -> None:
    with pytest.raises(MaskError, match="A mask to save must be an array"):
        save_mask(tmp_path / "mask.png", mask)


def test_mask_from_alpha_refuses_image_without_alpha() -> None:
    with pytest.raises(EngineError, match="The image has no transparency"):
        mask_from_alpha(ImageData(np.zeros((2, 2, 3), np.uint8)))


def test_mask_from_alpha_refuses_opaque_alpha() -> None:
    with pytest.raises(EngineError, match="no transparency"):
        mask_from_alpha(ImageData(np.zeros((2, 2, 3), np.uint8), np.full((2, 2), 255, np.uint8)))


def test_mask_from_alpha_refuses_cut_out_without_background() -> None:
    alpha = np.array([[0, 255], [0, 255]], np.uint8)
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[:, 1] = (10, 20, 30)
    with pytest.raises(EngineError, match="cutout without a background"):
        mask_from_alpha(ImageData(pixels, alpha))


def test_mask_from_alpha_returns_alpha_over_a_scene() -> None:
    alpha = np.array([[0, 255], [0, 255]], np.uint8)
    scene = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert mask_from_alpha(ImageData(scene, alpha)) is alpha
