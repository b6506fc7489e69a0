# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of other programs: each kind means what its program meant, or is refused with a sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from s2am_common.errors import MaskError
from s2am_engine.image.data import ImageData
from s2am_engine.image.mask_reading import (
    MaskKind,
    MaskOptions,
    interpret_mask,
    invert_mask,
    read_mask,
    read_mask_file,
    remove_noise,
)
from s2am_engine.inference.inputs import convert_mask
from s2am_engine.types import Pixels

RAMP = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
DISTANCE = np.hypot(*(np.mgrid[:96, :128] - np.array([48, 64])[:, None, None]))
DISC = DISTANCE < 30
BYTES = DISC.view(np.uint8) * np.uint8(255)
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def palette_image(indices: Pixels, palette: list[int]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(palette + [0] * (768 - len(palette)))
    return image


def rgba(color: Pixels, alpha: Pixels) -> Image.Image:
    color = color if color.ndim == 3 else np.dstack([color] * 3)
    return Image.fromarray(np.dstack([color, alpha]))


OPAQUE = np.full(DISC.shape, 255, np.uint8)
PHOTO = np.random.default_rng(1).integers(0, 256, (*DISC.shape, 3), dtype=np.uint8)
SOFT_BORDER = OPAQUE.copy()
SOFT_BORDER[:3] = 200
ONE_PIXEL = OPAQUE.copy()
ONE_PIXEL[0, 0] = 254
HALF_CANVAS = OPAQUE.copy()
HALF_CANVAS[:, :64] = 0

SAME_AS_DISC: dict[str, Any] = {
    "0 and 1": DISC.astype(np.uint8),
    "0 and 1 in 16 bits": DISC.astype(np.uint16),
    "0 and 255 in 16 bits": BYTES.astype(np.uint16),
    "two labels": DISC.astype(np.uint8) * 15,
    "1 bit": Image.fromarray(BYTES).convert("1"),
    "VOC palette, first class": palette_image(DISC, VOC),
    "VOC palette, third class": palette_image(DISC * 3, VOC),
    "VOC palette, a gray class": palette_image(DISC, [0, 0, 0, 128, 128, 128]),
    "palette with white before black": palette_image(~DISC, [255, 255, 255, 0, 0, 0]),
    "black and white, one pixel of alpha 254": rgba(BYTES, ONE_PIXEL),
    "black and white, border of alpha 200": rgba(BYTES, SOFT_BORDER),
    "all black, alpha": rgba(BYTES * 0, BYTES),
    "all white, alpha": rgba(OPAQUE, BYTES),
    "a cutout": rgba(PHOTO, BYTES),
    "gray with alpha only": Image.merge("LA", [Image.fromarray(BYTES * 0), Image.fromarray(BYTES)]),
    "red on black": Image.fromarray(np.dstack([BYTES, BYTES * 0, BYTES * 0])),
    "dark red on black": Image.fromarray(np.dstack([BYTES // 2, BYTES * 0, BYTES * 0])),
}


@pytest.mark.parametrize("kind", SAME_AS_DISC)
def test_mask_of_another_program_means_the_same_disc(tmp_path: Path, kind: str) -> None:
    source = SAME_AS_DISC[kind]
    image = source if isinstance(source, Image.Image) else Image.fromarray(source)
    image.save(tmp_path / "mask.png")
    found = read_mask_file(tmp_path / "mask.png").mask
    np.testing.assert_array_equal(found > 0, DISC)
    assert len(np.unique(found)) == 2
    assert found.max() == np.iinfo(found.dtype).max
    np.testing.assert_array_equal(convert_mask(source), found)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palette_of_1_2_4_and_8_bits_is_read_with_its_numbers(tmp_path: Path, suffix: str) -> None:
    for bits in (1, 2, 4, 8):
        image = palette_image(DISC, VOC)
        image.save(tmp_path / f"{bits}{suffix}", bits=bits)  # TIFF: always 8
        reading = read_mask_file(tmp_path / f"{bits}{suffix}")
        np.testing.assert_array_equal(reading.mask, BYTES)
        assert reading.kind is MaskKind.PALETTE


@pytest.mark.parametrize("labels", ["palette", "gray"])
def test_more_than_two_entries_need_a_choice(tmp_path: Path, labels: str) -> None:
    indices = np.where(DISTANCE < 10, 2, DISC).astype(np.uint8)
    image = palette_image(indices, VOC) if labels == "palette" else Image.fromarray(indices)
    image.save(tmp_path / "labels.png")
    with pytest.raises(MaskError, match=r"labels\.png .*0 \(.* %\), 1 \(.* %\), 2 \(.* %\)") as caught:
        read_mask(tmp_path / "labels.png")
    assert caught.value.code == "mask.entries"
    assert ("#008000" in str(caught.value)) == (labels == "palette")
    both = read_mask_file(tmp_path / "labels.png", MaskOptions(entries=(1, 2))).mask
    np.testing.assert_array_equal(both, BYTES)
    inner = read_mask_file(tmp_path / "labels.png", MaskOptions(entries=(2,), invert=True)).mask
    np.testing.assert_array_equal(inner == 0, DISTANCE < 10)
    with pytest.raises(MaskError, match=r"no .* 7: choose from"):
        read_mask_file(tmp_path / "labels.png", MaskOptions(entries=(7,)))


def test_levels_of_gray_are_kept(tmp_path: Path) -> None:
    deep = RAMP.astype(np.uint16) * 257 + 3
    deep[deep > 65000] = 65535
    for mask in (RAMP, deep):
        Image.fromarray(mask).save(tmp_path / "mask.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "mask.png"), mask)
    palette_image(RAMP, [level for level in range(256) for _ in range(3)]).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "palette.png"), RAMP)
    unit = (RAMP / 255).astype(np.float32)
    np.testing.assert_array_equal(interpret_mask(unit).mask, unit)


def test_alpha_of_a_cutout_and_gray_of_an_opaque_image_are_kept(tmp_path: Path) -> None:
    rgba(np.full((4, 256), 7, np.uint8), RAMP).save(tmp_path / "cutout.png")
    rgba(RAMP, np.full((4, 256), 255, np.uint8)).save(tmp_path / "opaque.png")
    for name in ("cutout", "opaque"):
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), RAMP)


def test_black_and_white_with_transparency_is_what_is_white_and_opaque() -> None:
    reading = interpret_mask(ImageData(np.dstack([BYTES] * 3), HALF_CANVAS))
    np.testing.assert_array_equal(reading.mask, np.where(HALF_CANVAS > 0, BYTES, 0))
    assert reading.kind is MaskKind.GRAY_AND_ALPHA
    assert "white and opaque" in reading.notes[0]


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (Image.fromarray(PHOTO), "color picture and not a mask"),
        (rgba(PHOTO, SOFT_BORDER), "opaque almost everywhere"),
        (Image.fromarray(np.dstack([BYTES, OPAQUE - BYTES, BYTES * 0])), "labels in several colors"),
    ],
)
def test_pictures_are_no_masks(image: Image.Image, sentence: str) -> None:
    with pytest.raises(MaskError, match=sentence):
        convert_mask(image)


@pytest.mark.parametrize("quality", [30, 60, 85, 95])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_compression_noise_is_removed_up_to_the_edge(tmp_path: Path, quality: int, suffix: str) -> None:
    Image.fromarray(BYTES).save(tmp_path / "noisy.jpg", quality=quality)
    noisy = np.asarray(Image.open(tmp_path / "noisy.jpg"))
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    found = read_mask(tmp_path / f"noisy{suffix}")
    beyond = np.abs(DISTANCE - 30) > 3
    assert (noisy[beyond] != BYTES[beyond]).any()
    if suffix == ".jpg" or quality <= 85:  # a PNG file with a few odd pixels may be meant so
        np.testing.assert_array_equal(found[beyond], BYTES[beyond])
    assert np.abs(found.astype(int) - BYTES).sum() <= np.abs(noisy.astype(int) - BYTES).sum()


@pytest.mark.parametrize("radius", [60, 700])
def test_noise_of_large_masks_is_found_in_a_part_of_them(tmp_path: Path, radius: int) -> None:
    hard = cv2.circle(np.zeros((2000, 3000), np.uint8), (2200, 1100), radius, 255, -1)
    soft = np.asarray(cv2.blur(hard, (3, 3))).astype(np.uint8)
    assert remove_noise(soft) is soft
    Image.fromarray(np.asarray(hard, np.uint8)).save(tmp_path / "noisy.jpg", quality=70)
    noisy = np.asarray(Image.open(tmp_path / "noisy.jpg"))
    assert np.count_nonzero(remove_noise(noisy) != hard) < 0.1 * np.count_nonzero(noisy != hard)


def test_noise_removal_keeps_soft_masks() -> None:
    feathered = np.rint(255 * np.clip((60 - DISTANCE) / 50, 0, 1)).astype(np.uint8)
    assert remove_noise(feathered) is feathered
    lossy = remove_noise(feathered, lossy=True)
    middle = (feathered > 20) & (feathered < 235)
    np.testing.assert_array_equal(lossy[middle], feathered[middle])


def test_inverted_mask_is_kept_with_a_hint() -> None:
    reading = interpret_mask(OPAQUE - BYTES, name="mask.png")
    np.testing.assert_array_equal(reading.mask, OPAQUE - BYTES)
    assert "mask.png marks most of the image's border as foreground" in reading.hint
    assert reading.hint_code == "mask.inverted"
    inverted = interpret_mask(OPAQUE - BYTES, MaskOptions(invert=True))
    np.testing.assert_array_equal(inverted.mask, BYTES)
    assert not inverted.hint
    portrait = BYTES.copy()
    portrait[40:, 20:110] = 255  # touches the lower border
    assert not interpret_mask(portrait).hint


def test_weak_mask_has_a_hint() -> None:
    assert "50 % of white" in interpret_mask(BYTES // 2).hint
    assert not interpret_mask(BYTES).hint


@pytest.mark.parametrize("kind", ["bool", "uint8", "uint16", "float32"])
def test_invert_mask_exchanges_foreground_and_background(kind: str) -> None:
    top = True if kind == "bool" else 1 if kind == "float32" else np.iinfo(kind).max
    mask = (DISC * np.float64(top)).astype(kind)
    inverted = invert_mask(mask)
    assert inverted.dtype == mask.dtype
    np.testing.assert_array_equal(inverted > 0, ~DISC)
    assert inverted.max() == top


@pytest.mark.parametrize(
    "convert",
    [
        lambda disc: disc,
        lambda disc: disc.astype(np.int64),
        lambda disc: disc.astype(np.uint8)[..., None],
        lambda disc: torch.from_numpy(disc.astype(np.int32))[None],
        lambda disc: disc.astype(np.float64),
    ],
)
def test_arrays_of_0_and_1_are_masks(convert: Any) -> None:
    found = convert_mask(convert(DISC))
    np.testing.assert_array_equal(found, found.max() * DISC)
    assert float(found.max()) == (255 if found.dtype == np.uint8 else 1)


def test_notes_and_hints_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        reading = interpret_mask((~DISC).astype(np.uint8), name="mask.png")
        reading.log(logging.getLogger("s2am_engine"))
        assert convert_mask(reading) is reading.mask
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "mask.png holds only 0 and 1",
        "mask.png marks most of the image's border as foreground",
    ]


def test_saved_selection_of_a_tiff_file_is_the_mask(tmp_path: Path) -> None:
    samples = np.dstack([PHOTO, BYTES])
    tifffile.imwrite(tmp_path / "a.tif", samples, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(read_mask(tmp_path / "a.tif"), BYTES)


@pytest.mark.parametrize("width", [4, 7, 10, 14, 40])
def test_ramps_at_edges_keep_their_levels(width: int) -> None:
    """A feathered edge has all levels next to black and white, as ringing has, but no black or white in between."""
    y, x = np.mgrid[:400, :600]
    distance = np.hypot(y - 200, x - 300) - 120
    mask = np.asarray((127.5 - 255 / width * distance).clip(0, 255), np.uint8)
    assert remove_noise(mask) is mask
    encoded = cv2.imencode(".jpg", (distance < 0).astype(np.uint8) * 255)[1]
    ringing = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.uint8)
    assert (remove_noise(ringing) == (distance < 0) * 255).mean() > 0.999
