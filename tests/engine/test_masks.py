# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks: reading, checks, and upsampling along edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from s2am_engine.errors import EngineError
from s2am_engine.image.io import ImageData
from s2am_engine.image.masks import check_mask, mask_from_alpha, read_mask
from s2am_engine.types import Pixels

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def test_read_mask_of_gray_image_keeps_levels(tmp_path: Path) -> None:
    Image.fromarray(RAMP).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), RAMP)


def test_read_mask_keeps_16_bits(tmp_path: Path) -> None:
    deep = (RAMP.astype(np.uint16) * 257) + 3
    Image.fromarray(deep).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), deep)


def test_read_mask_of_cut_out_is_its_alpha(tmp_path: Path) -> None:
    dark = np.full((4, 256, 4), 7, np.uint8)
    dark[..., 3] = RAMP
    Image.fromarray(dark).save(tmp_path / "cutout.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "cutout.png"), RAMP)


def test_read_mask_of_opaque_rgba_is_its_luma(tmp_path: Path) -> None:
    white = np.full((4, 256, 4), 255, np.uint8)
    white[..., :3] = RAMP[..., None]
    Image.fromarray(white).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), RAMP)


def test_read_mask_removes_jpeg_noise(tmp_path: Path) -> None:
    disc = (np.hypot(*(np.mgrid[:64, :64] - 32)) < 20).astype(np.uint8) * 255
    Image.fromarray(disc).save(tmp_path / "mask.jpg", quality=85)
    far = np.hypot(*(np.mgrid[:64, :64] - 32)) > 23
    assert (np.asarray(Image.open(tmp_path / "mask.jpg"))[far] > 0).any()
    assert (read_mask(tmp_path / "mask.jpg")[far] == 0).all()


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


def test_mask_from_alpha_refuses_image_without_alpha() -> None:
    with pytest.raises(EngineError, match=r"beach\.png has no transparency"):
        mask_from_alpha(ImageData(np.zeros((2, 2, 3), np.uint8)), "beach.png")


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
