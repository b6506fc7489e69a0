# SPDX-License-Identifier: GPL-3.0-or-later
"""Proposed regions of photographs, with and without a label map."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from s2am_engine.training.regions import (
    Region,
    cut_region,
    find_superpixels,
    has_visible_edge,
    is_compact,
    is_plausible,
    label_regions,
    largest_component,
    overlap,
    propose_regions,
    saliency,
    smooth_region,
    window_trimap,
)

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")


def photograph(name: str) -> NDArray[np.uint8]:
    """Return one of scikit-image's photographs, reduced to 192 pixels."""
    image = getattr(data, name)()
    scale = 192 / max(image.shape[:2])
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def propose(image: NDArray[np.uint8], labels: NDArray[np.integer] | None = None, seed: int = 0) -> list[Region]:
    return propose_regions(image, labels, np.random.default_rng(seed))


def masks_of(kind: str, regions: list[Region]) -> list[NDArray[np.bool_]]:
    return [region.mask for region in regions if region.kind == kind]


def painted(shape: tuple[int, int], center: tuple[int, int], axes: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a filled ellipse; center and axes as (x, y)."""
    return cv2.ellipse(np.zeros(shape, np.uint8), center, axes, 0, 0, 360, 1, cv2.FILLED) > 0


def noisy(image: NDArray[np.uint8], strength: int = 12) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(-strength, strength + 1, image.shape)
    return np.clip(image.astype(np.int64) + noise, 0, 255).astype(np.uint8)


def test_propose_regions_finds_a_person() -> None:
    (person,) = masks_of("people", propose(photograph("astronaut")))
    face = painted((192, 192), (85, 43), (13, 18))
    shoulders = np.zeros((192, 192), np.bool_)
    shoulders[90:110, 60:115] = True
    assert person[face].mean() > 0.97
    assert person[shoulders].mean() > 0.9
    assert person[:70, 125:].mean() < 0.02  # the space shuttle
    assert person[:60, :40].mean() < 0.02  # the flag


def test_find_faces_without_a_face() -> None:
    for name in ("chelsea", "coffee", "rocket"):
        assert not masks_of("people", propose(photograph(name)))


def test_propose_regions_finds_a_salient_object() -> None:
    image = np.full((130, 192, 3), (70, 110, 60), np.uint8)
    image[80:] = (120, 100, 80)
    thing = painted((130, 192), (80, 70), (34, 28))
    image[thing] = (190, 60, 50)
    found = masks_of("object", propose(noisy(image)))
    assert max(overlap(mask, thing) for mask in found) > 0.9


def test_saliency_is_low_at_the_border() -> None:
    image = np.full((130, 192, 3), (70, 110, 60), np.uint8)
    image[:, 130:165] = (190, 60, 50)
    thing = painted((130, 192), (65, 65), (34, 28))
    image[thing] = (190, 60, 50)
    superpixels = find_superpixels(image)
    found = saliency(superpixels)[superpixels.patches]
    assert found[thing].mean() > 0.9
    assert found[:, 130:165].mean() < 0.75
    assert found[:, :25].mean() < 0.1


def test_area_trimaps_find_sky_and_ground() -> None:
    image = np.full((130, 192, 3), (90, 140, 220), np.uint8)
    ground = np.zeros((130, 192), np.bool_)
    for column in range(192):
        ground[70 + round(12 * np.sin(column / 25)) :, column] = True
    image[ground] = (110, 130, 60)
    regions = propose(noisy(image))
    assert max(overlap(mask, ~ground) for mask in masks_of("area", regions)) > 0.95
    assert max(overlap(region.mask, ground) for region in regions) > 0.95


def test_propose_regions_prefers_labels() -> None:
    image = photograph("astronaut")
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[20:80, 30:90], labels[100:150, 10:150] = 1, 2
    regions = propose(image, labels)
    assert {region.kind for region in regions} == {"labeled"}
    np.testing.assert_array_equal([region.mask for region in regions], label_regions(labels))


def test_propose_regions_ignores_implausible_labels() -> None:
    image = photograph("astronaut")
    labels = np.zeros(image.shape[:2], np.uint8)
    labels[5:8, 5:8] = 1
    kinds = {region.kind for region in propose(image, labels)}
    assert kinds == {"people", "object", "area"}


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_propose_regions_are_plausible(name: str) -> None:
    image = photograph(name)
    masks = [region.mask for region in propose(image)]
    assert 1 <= len(masks) <= 6
    for index, mask in enumerate(masks):
        assert mask.shape == image.shape[:2]
        assert mask.dtype == np.bool_
        assert is_plausible(mask)
        assert is_compact(mask)
        assert has_visible_edge(image, mask)
        np.testing.assert_array_equal(largest_component(mask.astype(np.uint8)), mask)
        assert all(overlap(mask, other) <= 0.85 for other in masks[:index])


def test_propose_regions_limits_their_number() -> None:
    image = photograph("astronaut")
    two = propose_regions(image, None, np.random.default_rng(0), most=2)
    assert len(two) == 2
    np.testing.assert_array_equal([r.mask for r in two], [r.mask for r in propose(image)[:2]])


def test_propose_regions_is_deterministic_in_threads() -> None:
    images = [photograph(name) for name in PHOTOGRAPHS] * 2
    expected = [propose(image, seed=index) for index, image in enumerate(images)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda index: propose(images[index], seed=index), range(len(images))))
    for some, others in zip(expected, found, strict=True):
        assert [region.kind for region in some] == [region.kind for region in others]
        np.testing.assert_array_equal([region.mask for region in some], [region.mask for region in others])


def test_propose_regions_depends_on_the_seed() -> None:
    first, second = (propose(photograph("coffee"), seed=seed) for seed in (0, 1))
    assert any(all(overlap(one.mask, other.mask) < 0.8 for other in second) for one in first)


@pytest.mark.parametrize("shape", [(1, 1), (3, 90), (16, 16), (17, 60), (60, 60), (60, 400)])
def test_propose_regions_of_tiny_images(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    assert all(is_plausible(region.mask) for region in propose(image))


@pytest.mark.parametrize("value", [0, 128, 255])
def test_propose_regions_of_one_flat_color(value: int) -> None:
    assert propose(np.full((80, 120, 3), value, np.uint8)) == []


def test_label_regions_have_plausible_sizes() -> None:
    labels = np.zeros((60, 80), np.uint8)
    labels[5:25, 5:25], labels[35:55, 40:70], labels[0, 79] = 1, 1, 2
    areas = [int(mask.sum()) for mask in label_regions(labels)]
    assert areas == [1000, 600, 400]


def test_window_trimap_finds_an_object() -> None:
    image = np.full((80, 100, 3), (40, 120, 50), np.uint8)
    square = np.zeros((80, 100), np.bool_)
    square[20:60, 30:70] = True
    image[square] = (200, 60, 40)
    image = noisy(image, 5)
    superpixels = find_superpixels(image)
    rngs = [np.random.default_rng(seed) for seed in range(8)]
    found = [region for rng in rngs for region in cut_region("object", image, window_trimap(superpixels, rng), rng)]
    assert all(is_plausible(region.mask) for region in found)
    assert max(overlap(region.mask, square) for region in found) > 0.9


def test_smooth_region_removes_specks_and_small_holes() -> None:
    ring = painted((192, 192), (96, 96), (60, 60)) & ~painted((192, 192), (96, 96), (30, 30))
    spoilt = ring.copy()
    spoilt[50:56, 94:100] = False
    spoilt[10:16, 10:16] = True
    spoilt[95:97, 150:190] = True
    assert overlap(smooth_region(spoilt), ring) > 0.99
    assert not smooth_region(spoilt)[:20, :20].any()
    assert not smooth_region(spoilt)[96, 96]
    assert smooth_region(spoilt)[53, 97]


def test_is_compact_refuses_frames_and_lines() -> None:
    frame = np.ones((130, 192), np.bool_)
    frame[12:-12, 12:-12] = False
    line = np.zeros((130, 192), np.bool_)
    line[60:66] = True
    assert not is_compact(frame)
    assert not is_compact(line)
    assert is_compact(painted((130, 192), (96, 65), (60, 25)))


def test_propose_regions_ignores_an_image_frame() -> None:
    frame = np.ones((130, 192), np.bool_)
    frame[10:-10, 10:-10] = False
    image = np.full((130, 192, 3), 200, np.uint8)
    image[frame] = (60, 40, 30)
    thing = painted((130, 192), (80, 70), (34, 28))
    image[thing] = (190, 60, 50)
    regions = propose(noisy(image))
    assert max(overlap(region.mask, thing) for region in regions) > 0.9
    assert all(overlap(region.mask, frame) < 0.3 for region in regions)


def test_has_visible_edge() -> None:
    image = np.full((130, 192, 3), 90, np.uint8)
    thing = painted((130, 192), (80, 70), (34, 28))
    image[thing] = (140, 90, 80)
    half = thing.copy()
    half[:, 80:] = False
    assert has_visible_edge(image, thing)
    assert not has_visible_edge(image, half)
