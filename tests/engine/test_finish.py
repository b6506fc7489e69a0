# SPDX-License-Identifier: GPL-3.0-or-later
"""The finish: estimates on images of known noise and blur, matching, edges, and what must not change."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from s2am_engine import Finish, Finisher, FinishMeasurement, Harmonizer
from s2am_engine.cli.benchmark import synthetic_image
from s2am_engine.file_harmonizer import FileHarmonizer, FileJob
from s2am_engine.finish import finisher as finisher_module
from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.grain import grain_stage
from s2am_engine.finish.noise import noise_tiles
from s2am_engine.finish.shading import Shading
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.data import ImageData
from s2am_engine.image.io import save_image
from s2am_engine.types import Floats, Pixels
from tests.engine.pictures import composite
from tests.statue import STATUE_POSITION, ground, statue

NOISE_LEVELS = (1.0, 2.5, 6.0, 14.0)  # from a clean to a very high ISO, in 8-bit levels
EVERYTHING = (
    Finish(grain=3, sharpness=-1.2, decontaminate=1, light_wrap=0.7),
    Finish(grain=-3, sharpness=1, decontaminate=0.5, light_wrap=1),
)

BLOCK_SIZES = ("_BLOCK_ROWS", "_BLOCK_COLUMNS")


def peak_allocation(work: Callable[[], object]) -> int:
    """Return the largest number of bytes that Python and NumPy hold at a time, beyond those before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def scene(height: int = 480, width: int = 720) -> tuple[Floats, NDArray[np.uint8]]:
    """A soft photograph with sharp disks, without noise, in 8-bit levels; and a mask with a soft edge."""
    photograph = cv2.resize(data.astronaut(), (width, height), interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(photograph.astype(np.float32), (0, 0), 6)
    for number, x in enumerate(range(30, width, 60)):
        color = (40.0 + 14 * number, 210.0 - 14 * number, 90.0)
        cv2.circle(blurred, (x, 97 * number % height), 25, color, -1, cv2.LINE_AA)
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height // 3), 0, 0, 360, 255, -1)
    return np.asarray(blurred, np.float32), np.asarray(cv2.GaussianBlur(mask, (0, 0), 3), np.uint8)


def noise(shape: tuple[int, ...], correlation: float, seed: int) -> Floats:
    """Noise of standard deviation 1, blurred by a radius."""
    found = np.random.default_rng(seed).standard_normal(shape, np.float32)
    if correlation:
        found = np.asarray(cv2.GaussianBlur(found, (0, 0), correlation), np.float32)
    return np.asarray(found / found.std(), np.float32)


def at_depth(levels: Floats, dtype: str) -> Pixels:
    """Convert 8-bit levels to another depth."""
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    scaled = levels.clip(0, 255) * (full / 255)
    return (np.rint(scaled) if full > 1 else scaled).astype(dtype)


def measured(pixels: Pixels, mask: NDArray[np.uint8]) -> FinishMeasurement:
    """Measure an image without a color map."""
    return FinishMeasurement.of(SampleWindows.of(pixels, mask))


def noisy(
    own: float, other: float, dtype: str = "uint8", correlation: float = 0.0
) -> tuple[Pixels, NDArray[np.uint8], Floats]:
    """Return a composite with noise of two levels, its mask, and the composite without noise."""
    clean, mask = scene()
    levels = np.where(mask[..., None] > 127, own, other)
    seen = np.asarray(clean + levels * noise(clean.shape, correlation, 1), np.float32)
    return at_depth(seen, dtype), mask, clean


def level_within(pixels: Pixels, clean: Floats, region: NDArray[np.bool_]) -> float:
    """Return the actual noise in a region, in 8-bit levels, away from black, white and detail."""
    scale = 255 / (np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1)
    edges = cv2.dilate(np.abs(cv2.Laplacian(clean[..., 1], cv2.CV_32F)), np.ones((41, 41)))
    inside = region & (clean.min(axis=2) > 45) & (clean.max(axis=2) < 210) & (edges < 1)
    return float((pixels * scale - clean)[inside].std())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_measurement_finds_the_level_of_noise(dtype: str, correlation: float) -> None:
    for own, other in zip(NOISE_LEVELS, NOISE_LEVELS[::-1], strict=True):
        pixels, mask, _ = noisy(own, other, dtype, correlation)
        found = measured(pixels, mask)
        for region, level in ((found.foreground, own), (found.background, other)):
            assert region.noise is not None
            assert region.noise.level == pytest.approx(level, rel=0.2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("own", "other"), [(1.0, 6.0), (2.5, 14.0), (1.0, 2.5), (6.0, 1.5), (14.0, 6.0)])
def test_automatic_grain_matches_foreground_to_background(own: float, other: float, dtype: str) -> None:
    pixels, mask, clean = noisy(own, other, dtype)
    measurement = measured(pixels, mask)
    finish = Finish(grain=measurement.automatic_grain())
    assert (finish.grain > 0) == (other > own)
    matched = pixels.copy()
    Finisher(finish, measurement).apply(matched, mask)
    again = measured(matched, mask)
    assert again.foreground.noise is not None
    assert again.foreground.noise.level == pytest.approx(other, rel=0.2)
    assert level_within(matched, clean, mask == 255) == pytest.approx(other, rel=0.25)
    assert again.automatic_grain() == pytest.approx(0, abs=0.35 * other)


def test_added_grain_has_the_correlation_of_the_background() -> None:
    pixels, mask, clean = noisy(0.5, 8.0, "float32", correlation=1.0)
    measurement = measured(pixels, mask)
    matched = pixels.copy()
    Finisher(Finish(grain=measurement.automatic_grain()), measurement).apply(matched, mask)
    lags = []
    for region in (mask == 255, mask == 0):
        added = (matched * 255 - clean)[..., 1]
        inside = region[:, 1:] & region[:, :-1] & (clean[:, 1:, 1] > 40) & (clean[:, 1:, 1] < 215)
        lags.append(np.corrcoef(added[:, 1:][inside], added[:, :-1][inside])[0, 1])
    assert lags[0] == pytest.approx(lags[1], abs=0.1)


@pytest.mark.parametrize("name", ["brick", "camera", "gravel", "grass", "page", "retina", "text"])
@pytest.mark.parametrize("sigma", [1.2, 1.5])
def test_blur_of_lines_and_texture_is_found_or_said_to_be_unknown(name: str, sigma: float) -> None:
    image = getattr(data, name)()[:600, :800]
    photograph = (image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)).astype(np.float32)
    sharp = cv2.GaussianBlur(photograph, (0, 0), 1.0)
    mask = np.zeros(photograph.shape[:2], np.uint8)
    mask[:, : mask.shape[1] // 2] = 255
    mirrored = np.where(mask[..., None] > 0, sharp, sharp[:, ::-1])
    pixels = np.where(mask[..., None] > 0, mirrored, cv2.GaussianBlur(mirrored, (0, 0), sigma))
    measurement = measured(at_depth(pixels, "uint8"), mask)
    found = -measurement.automatic_sharpness()
    if (name, sigma) == ("text", 1.2):
        assert found == 0
        assert any("background has no clear edges" in note for note in measurement.notes)
    else:
        assert found == pytest.approx(sigma, rel=0.25)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "grass"])
@pytest.mark.parametrize("level", [0.0, 3.0])
def test_automatic_sharpness_is_the_blur_that_the_foreground_lacks(name: str, level: float) -> None:
    image = getattr(data, name)()
    photograph = (image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)).astype(np.float32)
    clean, mask = cv2.GaussianBlur(photograph, (0, 0), 1.0), np.zeros(photograph.shape[:2], np.uint8)
    mask[:, : mask.shape[1] // 2] = 255
    mirrored = np.where(mask[..., None] > 0, clean, clean[:, ::-1])  # the same detail in both halves
    for sigma in (1.2, 1.5, 1.9):
        blurred = np.where(mask[..., None] > 0, mirrored, cv2.GaussianBlur(mirrored, (0, 0), sigma))
        pixels = at_depth(blurred + level * noise(blurred.shape, 0, 1), "uint8")
        measurement = measured(pixels, mask)
        assert -measurement.automatic_sharpness() == pytest.approx(sigma, rel=0.25)
        softened = pixels.copy()
        Finisher(Finish(sharpness=-sigma), measurement).apply(softened, mask)
        assert measured(softened, mask).automatic_sharpness() > -0.6
    reverse = measured(pixels, 255 - mask)
    assert reverse.automatic_sharpness() == 0  # a softer foreground is not sharpened


def test_a_foreground_before_a_cloudy_sky_is_not_softened() -> None:
    photograph = data.astronaut().astype(np.float32)
    sky = np.tile(np.linspace(200, 150, 512, dtype=np.float32)[:, None, None], (1, 512, 3)) - (40, 10, -20)
    sky[250:300, 300:460] += 50  # a cloud
    sky = np.asarray(cv2.GaussianBlur(sky, (0, 0), 4), np.float32)
    mask = np.zeros((512, 512), np.uint8)
    mask[:, :250] = 255
    pixels = at_depth(np.where(mask[..., None] > 0, photograph, sky), "uint8")
    measurement = measured(pixels, mask)
    assert measurement.automatic_sharpness() == 0
    assert any("background has no clear edges" in note for note in measurement.notes)


def fractal_clouds(exponent: float, edge: float, seed: int, side: int = 640) -> Floats:
    """White clouds before a blue sky, in 8-bit levels.

    exponent: of the amplitude spectrum, 1 / frequency^exponent; larger = smoother. edge: width of their edges.
    """
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequencies[0, 0] = 1
    shapes = []
    for number in (seed, seed + 100):
        spectrum = np.fft.rfft2(np.random.default_rng(number).normal(size=(side, side)))
        shape = np.fft.irfft2(spectrum / frequencies**exponent, s=(side, side))
        shapes.append((shape - shape.mean()) / shape.std())
    cover = 1 / (1 + np.exp(-shapes[0] / edge))
    blue = np.linspace(1, 0.8, side)[:, None, None] * np.array([90, 130, 190])
    white = (215 + 18 * shapes[1])[..., None]
    return np.asarray(blue + cover[..., None] * (white - blue), np.float32)


@pytest.mark.parametrize(
    ("exponent", "edge", "seed"), [(1.8, 0.25, 2), (1.8, 0.4, 1), (2.0, 0.15, 1), (2.0, 0.25, 3), (2.2, 0.15, 3)]
)
def test_a_foreground_before_clouds_of_every_blur_is_not_softened(exponent: float, edge: float, seed: int) -> None:
    sky = fractal_clouds(exponent, edge, seed)
    sky[320:] = cv2.resize(data.astronaut(), (640, 640))[320:]
    mask = np.zeros(sky.shape[:2], np.uint8)
    mask[320:] = 255
    measurement = measured(at_depth(sky + noise(sky.shape, 0, seed), "uint8"), mask)
    assert measurement.automatic_sharpness() == 0
    assert any("background has no clear edges" in note for note in measurement.notes)


@pytest.mark.parametrize(("exponent", "edge", "seed"), [(1.8, 0.4, 1), (2.0, 0.25, 3)])
def test_light_is_not_automatic_for_a_replaced_sky(exponent: float, edge: float, seed: int) -> None:
    scene = fractal_clouds(exponent, edge, seed)
    scene[320:] = cv2.resize(data.astronaut(), (640, 640))[320:]
    sky = np.zeros(scene.shape[:2], np.uint8)
    sky[:320] = 255
    pixels = at_depth(scene + noise(scene.shape, 0, seed), "uint8")
    for mask, light in ((sky, 0), (255 - sky, 1)):
        found, shading = measured(pixels, mask), Shading((0, 0, 640, 640), np.eye(4, dtype=np.float32), rms=0.5)
        shading = replace(shading, at_top=bool(mask[0].all()))
        again = FinishMeasurement.from_json(json.loads(json.dumps(found.to_json())))
        assert found.automatic(shading).light == again.automatic(shading).light == light


def test_light_is_automatic_for_a_subject_that_is_as_soft_as_clouds() -> None:
    background, subject = ground(), statue()
    harmonized = Harmonizer(device="cpu").paste(subject, background, STATUE_POSITION)
    assert harmonized.measure().foreground.clouds
    shading = harmonized.predict_shading()
    assert shading.automatic == 1
    assert not shading.at_top
    assert harmonized.measure().automatic(shading).light == 1


def test_measurement_without_evidence_is_zero_and_says_so() -> None:
    pixels, mask = np.full((300, 300, 3), 255, np.uint8), np.zeros((300, 300), np.uint8)
    mask[100:200, 100:200] = 255
    found = measured(pixels, mask)
    assert found.automatic() == Finish()
    assert len(found.notes) == 4
    assert "even area" in found.notes[0]
    assert "edges" in found.notes[1]


def test_texture_is_not_measured_as_grain() -> None:
    rng = np.random.default_rng(0)
    leaves = np.zeros((400, 600, 3), np.float32)
    for _ in range(20_000):  # disks of many sizes and colors, as foliage
        x, y, radius = int(rng.integers(600)), int(rng.integers(400)), int(rng.integers(1, 6))
        green = float(rng.normal(110, 40))
        cv2.circle(leaves, (x, y), radius, (0.7 * green, green, 0.4 * green), -1, cv2.LINE_AA)
    clean, _ = scene(400, 600)
    mask = np.zeros((400, 600), np.uint8)
    mask[:, :300] = 255
    sky = clean + 2 * noise(clean.shape, 0.6, 2)
    pixels = at_depth(np.where(mask[..., None] > 0, cv2.GaussianBlur(leaves, (0, 0), 0.7), sky), "uint8")
    found = measured(pixels, mask)
    assert found.foreground.noise is None
    assert found.background.noise is not None
    assert found.automatic_grain() == 0


def test_measurement_copies_no_pixels_unless_the_image_is_smaller_than_a_window() -> None:
    pixels, mask, _ = noisy(2, 8)
    windows = SampleWindows.of(pixels, mask)
    assert all(np.shares_memory(window, pixels) for window in windows.pixels)
    small = SampleWindows.of(pixels[200:260, :300], mask[200:260, :300])
    assert {window.shape for window in small.pixels} == {(96, 96, 3)}
    for number in range(len(small.pixels)):
        assert not small.valid(number, background=True)[60:].any(), "no pixels beyond the image"
    assert any(small.valid(number, background=False).any() for number in range(len(small.pixels)))


def test_measurement_survives_json() -> None:
    pixels, mask, _ = noisy(2, 8)
    found = measured(pixels, mask)
    again = FinishMeasurement.from_json(json.loads(json.dumps(found.to_json())))
    assert again.automatic_grain() == pytest.approx(found.automatic_grain(), abs=0.02)
    around = Surroundings.measure(pixels, mask)
    restored = Surroundings.from_json(json.loads(json.dumps(around.to_json())))
    results = [pixels.copy() for _ in range(2)]
    Finisher(EVERYTHING[0], found, around).apply(results[0], mask)
    Finisher(EVERYTHING[0], again, restored).apply(results[1], mask)
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1


@pytest.mark.parametrize("finish", EVERYTHING)
def test_finish_does_not_depend_on_blocks_or_strips(finish: Finish, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, mask, _ = noisy(3, 3)
    finisher = Finisher(finish, measured(pixels, mask), Surroundings.measure(pixels, mask))
    whole = pixels.copy()
    monkeypatch.setattr(finisher_module, "_UNDIVIDED", 0)
    for name in BLOCK_SIZES:
        monkeypatch.setattr(finisher_module, name, 10_000)
    finisher.apply(whole, mask)
    for name, size in zip(BLOCK_SIZES, (17, 81), strict=True):  # at least as large as what they depend on
        monkeypatch.setattr(finisher_module, name, size)
    parts = pixels.copy()
    finisher.apply(parts, mask)
    np.testing.assert_array_equal(parts, whole)
    strips = pixels.copy()
    for top in range(0, len(pixels), 100):  # as GIMP's
        first, last = max(0, top - finisher.reach), min(len(pixels), top + 100 + finisher.reach)
        strip, rows = pixels[first:last].copy(), slice(top - first, min(top + 100, len(pixels)) - first)
        finisher.apply(strip, mask[first:last], origin=(0, first), rows=rows)
        strips[top : top + 100] = strip[rows]
    np.testing.assert_array_equal(strips, whole)


@pytest.fixture(scope="module")
def large() -> tuple[Pixels, NDArray[np.uint8], FinishMeasurement, Surroundings]:
    pixels, mask = synthetic_image(4000, 3000, 0.5)
    around = Surroundings.measure(pixels, mask)
    return pixels, mask, FinishMeasurement.of(SampleWindows.of(pixels, mask), None, around), around


@pytest.mark.parametrize(("grain", "megabytes"), [(3, 4.0), (-3, 6.0)])
def test_large_foreground_is_finished_in_little_memory(
    grain: int, megabytes: float, large: tuple[Pixels, NDArray[np.uint8], FinishMeasurement, Surroundings]
) -> None:
    pixels, mask, measurement, around = large
    shading = Shading((0, 0, 4000, 3000), np.eye(16, dtype=np.float32))
    finish = Finish(light=1, grain=grain, sharpness=-1.2, decontaminate=1, light_wrap=0.5)
    finisher = Finisher(finish, measurement, around, shading)
    assert finisher.reach > 0  # prepares the noise
    peak = peak_allocation(lambda: finisher.apply(pixels.copy(), mask))
    assert peak < pixels.nbytes + megabytes * 1e6


def test_measuring_a_large_image_takes_little_memory(
    large: tuple[Pixels, NDArray[np.uint8], FinishMeasurement, Surroundings],
) -> None:
    pixels, mask, measurement, around = large
    windows = SampleWindows.of(pixels, mask)
    assert peak_allocation(lambda: Surroundings.measure(pixels, mask)) < 2.2e6
    assert peak_allocation(lambda: FinishMeasurement.of(windows, None, around)) < 2e6
    noise_tiles.cache_clear()
    assert peak_allocation(lambda: grain_stage(-3, measurement)) < 1e6
    assert peak_allocation(lambda: grain_stage(3, measurement)) < 3.6e6


def test_reduced_noise_does_not_depend_on_blocks_or_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    reaches = []
    for correlation, grain in ((0.0, -2.0), (0.0, -6.0), (0.8, -6.0)):  # from one to three bands
        pixels, mask, _ = noisy(6, 0.5, correlation=correlation)
        finisher = Finisher(Finish(grain=grain), measured(pixels, mask))
        found = []
        monkeypatch.setattr(finisher_module, "_UNDIVIDED", 0)
        for size in (10_000, 45):
            for name in BLOCK_SIZES:
                monkeypatch.setattr(finisher_module, name, size)
            found.append(pixels.copy())
            finisher.apply(found[-1], mask, origin=(3, 5))
        np.testing.assert_array_equal(found[0], found[1])
        reaches.append(finisher.reach)
    assert reaches == sorted(set(reaches))


def contaminated(background: Floats, alpha: Floats) -> tuple[Floats, Floats]:
    """Return the colors of a striped foreground, and those that a camera sees at its soft edges."""
    own = np.zeros((*alpha.shape, 3), np.float32)
    own[:] = 120, 70, 40
    own[:, ::8] += 10
    return own, alpha[..., None] * own + (1 - alpha[..., None]) * background


@pytest.mark.parametrize("hidden", [True, False])
def test_decontaminate_restores_the_colors_of_a_layer_at_soft_edges(hidden: bool) -> None:
    _, mask = scene(240, 360)
    alpha = np.asarray(mask / np.float32(255), np.float32)
    own, seen = contaminated(np.array([60, 230, 90], np.float32), alpha)
    layer = at_depth(seen if hidden else np.where(mask[..., None] > 0, seen, 0), "uint8")
    around = Surroundings.measure(layer, mask)
    cleaned = layer.copy()
    Finisher(Finish(decontaminate=1), measured(layer, mask), around).apply(cleaned, layer_alpha=mask)
    soft = (mask > 25) & (mask < 230)
    before, after = (np.abs(each.astype(float) - own)[soft].mean() for each in (layer, cleaned))
    assert after < 0.35 * before
    for kept in (mask == 0, mask == 255):
        np.testing.assert_array_equal(cleaned[kept], layer[kept])


def test_light_wrap_brightens_the_inside_of_edges_only() -> None:
    mask = np.zeros((240, 360), np.uint8)
    mask[60:180, 90:270] = 255
    pixels = np.full((240, 360, 3), 40, np.uint8)
    pixels[mask == 0] = 230, 200, 120
    around = Surroundings.measure(pixels, mask)
    wrapped = pixels.copy()
    Finisher(Finish(light_wrap=1), measured(pixels, mask), around).apply(wrapped, mask)
    inside = cv2.distanceTransform((mask == 255).astype(np.uint8), cv2.DIST_L2, 5)
    gain = (wrapped.astype(int) - pixels).astype(int)
    assert gain.min() >= 0
    assert gain[(inside > 0) & (inside < 2)].mean() > 20
    assert gain[inside > 20].max() <= 1
    edge = gain[(inside > 0) & (inside < 2)].mean(axis=0)
    assert edge[0] > edge[2]  # the color of the background


def wrapped_and_true_glare(mask: NDArray[np.uint8], strength: float) -> tuple[Floats, Floats]:
    """Return what a light wrap adds to a dark foreground before a bright sky, and what the glare of a lens adds.

    The lens scatters half of the strength over a Gaussian of 1.5 % of the foreground's size.
    """
    alpha = np.asarray(mask[..., None] / np.float32(255), np.float32)
    dark = alpha * np.array([45, 38, 30]) + (1 - alpha) * np.array([200, 215, 235])
    glare = cv2.GaussianBlur(dark, (0, 0), 0.015 * float(np.sqrt(alpha.sum()))) - dark
    pixels = np.rint(dark).astype(np.uint8)
    wrapped, around = pixels.copy(), Surroundings.measure(pixels, mask)
    Finisher(Finish(light_wrap=strength), measured(pixels, mask), around).apply(wrapped, mask)
    return np.asarray(wrapped.astype(np.float32) - pixels), np.asarray(0.5 * strength * glare, np.float32)


@pytest.mark.parametrize("slope", [0, 0.4])
def test_light_wrap_at_a_hard_edge_is_a_thin_veil_without_a_rim(slope: float) -> None:
    rows, columns = np.mgrid[:600, :800]
    depth = np.asarray(rows - 250 - slope * np.abs(columns - 400), np.float32)  # below the horizon, or a roof
    gain, glare = wrapped_and_true_glare(np.where(depth >= 0, 255, 0).astype(np.uint8), 0.7)
    inside = (depth > 1) & (columns > 100) & (columns < 700)
    assert np.abs(gain - glare)[inside].max() < 12
    assert gain[inside].max() > 20
    assert gain[depth > 100].max() == 0
    # It falls off smoothly: slower and slower, not over a few pixels.
    down = gain[:, 200].mean(axis=1)[int(np.argmax(depth[:, 200] > 1)) :]
    assert (np.diff(down) <= 0.5).all()
    assert np.diff(down).min() > -4


@pytest.mark.parametrize("count", [4, 10])
@pytest.mark.parametrize("width", [2, 5])
def test_light_wrap_gives_twigs_the_glare_of_a_lens(count: int, width: int) -> None:
    rng = np.random.default_rng(1)
    body, twigs = np.zeros((1600, 1600), np.uint8), np.zeros((1600, 1600), np.uint8)  # twice the size: antialiasing
    body[1000:, 300:1300] = 255
    for x in np.linspace(340, 1260, count).astype(int).tolist():
        end = int(x + rng.integers(-150, 150)), int(rng.integers(150, 400))
        cv2.line(twigs, (x, 1000), end, 255, 2 * width)
    mask, twigs = (
        np.asarray(cv2.resize(each, (800, 800), interpolation=cv2.INTER_AREA), np.uint8)
        for each in (body | twigs, twigs)
    )
    gain, glare = wrapped_and_true_glare(mask, 0.7)
    inside = (twigs == 255) & (np.arange(800)[:, None] < 480)
    wanted = float(glare[inside].mean())
    assert 0.6 * wanted < float(gain[inside].mean()) < 1.2 * wanted


@pytest.fixture(scope="module")
def harmonizer() -> Harmonizer:
    """A small model, loaded once."""
    return Harmonizer("concord", device="cpu")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("finish", EVERYTHING)
def test_render_with_every_stage_keeps_the_background_bit_for_bit(
    harmonizer: Harmonizer, dtype: str, finish: Finish
) -> None:
    pixels, mask = composite(dtype=dtype)
    result = harmonizer(pixels, mask)
    finished, plain = result.render(finish=finish), result.render()
    np.testing.assert_array_equal(finished[mask == 0], pixels[mask == 0])
    assert (finished != plain)[mask == 255].mean() > 0.7
    np.testing.assert_array_equal(result.render(finish=finish), finished)  # the same grain again
    np.testing.assert_array_equal(result.render(finish=Finish()), plain)
    np.testing.assert_array_equal(result.render(finish={}), plain)


def test_a_text_is_no_finish(harmonizer: Harmonizer) -> None:
    with pytest.raises(ValueError, match="values by name"):
        harmonizer(*composite()).render(finish="auto")  # type: ignore[arg-type]


def test_paste_finishes_the_layer_and_keeps_background_and_alpha(harmonizer: Harmonizer) -> None:
    clean, mask = scene(240, 360)
    background = ImageData(
        at_depth(clean + 8 * noise(clean.shape, 0, 3), "uint8"), alpha=np.full((240, 360), 200, np.uint8)
    )
    layer = ImageData(at_depth(clean[60:180, 90:270], "uint8"), alpha=np.ascontiguousarray(mask[60:180, 90:270]))
    result = harmonizer.paste(layer, background, (70, 30))
    plain, finished = result.render(), result.render(finish=EVERYTHING[0])
    outside = result.mask == 0
    np.testing.assert_array_equal(finished.pixels[outside], background.pixels[outside])
    np.testing.assert_array_equal(finished.alpha, plain.alpha)
    assert (finished.pixels != plain.pixels)[result.mask == 255].mean() > 0.7
    grain = result.finisher({"grain": "auto"})
    assert grain is not None
    assert grain.finish.grain > 4


def test_render_keeps_gray_images_gray(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    gray = ImageData(np.repeat(pixels[..., :1], 3, axis=2), gray=True)
    finished = harmonizer(gray, mask).render(finish=EVERYTHING[0])
    assert np.ptp(finished.pixels, axis=2).max() == 0


def test_finish_refuses_other_values(harmonizer: Harmonizer) -> None:
    pixels, mask = composite()
    result = harmonizer(pixels, mask)
    with pytest.raises(ValueError, match="grain must be from -20 to 20"):
        Finish(grain=21)
    with pytest.raises(ValueError, match="there is no slider “blur”"):
        result.render(finish={"blur": 1})
    with pytest.raises(ValueError, match="light_wrap has no automatic value"):
        result.render(finish={"light_wrap": "auto"})


def test_automatic_values_without_evidence_are_said_to_be_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels, mask = np.full((200, 200, 3), 255, np.uint8), np.zeros((200, 200), np.uint8)
    mask[50:150, 50:150] = 255
    save_image(tmp_path / "one.png", ImageData(pixels))
    save_image(tmp_path / "mask.png", ImageData(np.repeat(mask[..., None], 3, axis=2)))
    files = FileHarmonizer("concord", "cpu", finish={"sharpness": "auto"})
    found = files.harmonize_file(FileJob(tmp_path / "one.png", mask=tmp_path / "mask.png"))
    assert found.finisher is None
    assert "The background has no clear edges to measure its sharpness by" in caplog.text
    assert "grain" not in caplog.text
