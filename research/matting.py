# SPDX-License-Identifier: GPL-3.0-or-later
"""Error of refined mask edges on composites of known opacity: `python -m research.matting`.

Nine kinds of foregrounds are drawn over photographs of scikit-image, three times each, and given masks as people have
them. Printed are errors of the masks as they are and refined, by the measures of the alpha matting evaluation (Rhemann
et al., “A Perceptually Motivated Online Benchmark for Image Matting”, CVPR 2009): the sum of absolute differences in
pixels, the mean squared error over the band, and the gradient error.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from research import console
from s2am_engine.image.contact_sheet import write_contact_sheet
from s2am_engine.image.matting import matte_edges
from s2am_engine.types import Bytes, Floats

SIDE = 360  # pixels of a composite
DRAWN = 4  # shapes are drawn this many times larger, then reduced
RADIUS = 18  # of the band in which masks are refined, in pixels
NOISE = 0.008  # standard deviation of the camera's
GRADIENT_SIGMA = 1.4  # pixels, as in the benchmark
BACKGROUNDS = ("sky", "rocket", "chelsea", "coffee", "astronaut")
COLORS = ((0.25, 0.15, 0.1), (0.75, 0.62, 0.4), (0.5, 0.5, 0.52))  # brown, blond, gray

Draw = Callable[[np.random.Generator], Floats]
Spoil = Callable[[Floats, np.random.Generator], Bytes]


@dataclass(frozen=True)
class MattingScene:
    """A composite of known opacity, and a mask of it.

    alpha: SIDE×SIDE in [0, 1]. image: SIDE×SIDE×3. raw: SIDE×SIDE, the mask as it is.
    """

    kind: str
    mask: str
    background: str
    alpha: Floats
    image: Bytes
    raw: Bytes


@dataclass(frozen=True)
class MattingErrors:
    """Errors of a mask; see the module."""

    absolute: float
    squared: float
    gradient: float

    @classmethod
    def of(cls, mask: Bytes, alpha: Floats, band: NDArray[np.bool_]) -> MattingErrors:
        """Compare a mask with the known opacity; band: where it is unknown to whoever refines it."""
        opacity = np.asarray(mask / np.float32(255), np.float32)
        difference, slopes = opacity - alpha, _slope(opacity) - _slope(alpha)
        return cls(
            float(np.abs(difference).sum()), float(np.square(difference[band]).mean()), float(np.square(slopes).sum())
        )


def _canvas() -> Bytes:
    return np.zeros((SIDE * DRAWN,) * 2, np.uint8)


def _reduced(drawn: NDArray[np.generic]) -> Floats:
    small = cv2.resize(drawn.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small.clip(0, 255) / 255, np.float32)


def _disc(radius: float) -> Bytes:
    middle = SIDE * DRAWN // 2
    return np.asarray(cv2.circle(_canvas(), (middle, middle), round(radius * SIDE * DRAWN), 255, -1), np.uint8)


def _strands(rng: np.random.Generator, count: int, length: float, bend: float, width: float, start: float) -> Bytes:
    """Draw curved strands around a disc; lengths are shares of the side, the width is in pixels."""
    large = SIDE * DRAWN
    alpha = _disc(start + 0.005)
    thickness = max(1, round(width * DRAWN))
    for angle, along, curve in zip(
        rng.uniform(0, 2 * np.pi, count),
        length * rng.uniform(0.3, 1, count),
        rng.normal(0, bend, count),
        strict=True,
    ):
        share = np.linspace(0, 1, 16)
        angles, radii = angle + curve * share**2, large * (start + along * share)
        strand = large / 2 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
        cv2.polylines(alpha, [strand.astype(np.int32)], isClosed=False, color=255, thickness=thickness)
    return alpha


def draw_hair(rng: np.random.Generator) -> Floats:
    """Draw a head with single hairs."""
    return _reduced(_strands(rng, 160, 0.045, 0.3, 0.9, 0.25))


def draw_fur(rng: np.random.Generator) -> Floats:
    """Draw a body with a dense, short coat."""
    return _reduced(_strands(rng, 1500, 0.022, 0.12, 1.1, 0.27))


def draw_feathers(rng: np.random.Generator) -> Floats:
    """Draw plumes: a shaft with fine barbs, which leave part of the light through."""
    large = SIDE * DRAWN
    alpha = _disc(0.22)
    for angle in rng.uniform(0, 2 * np.pi, 14):
        direction = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-direction[1], direction[0]])
        for share in np.linspace(0, 1, 40):
            root = large / 2 + large * (0.21 + 0.055 * share) * direction
            for side in (-1, 1):
                tip = root + large * 0.022 * (1 - 0.6 * share) * (0.5 * direction + side * across)
                cv2.line(alpha, _point(root), _point(tip), 200, 2)
    return _reduced(alpha)


def draw_glass(rng: np.random.Generator) -> Floats:
    """Draw a solid with a translucent rim."""
    rim, core = _disc(0.27), _disc(0.235)
    return _reduced(np.maximum(core, rim * rng.uniform(0.4, 0.6)))


def draw_motion(rng: np.random.Generator) -> Floats:
    """Draw an ellipse that moved while the shutter was open."""
    middle, length = SIDE // 2, int(rng.integers(9, 16))
    shape = cv2.ellipse(_canvas(), (middle * DRAWN,) * 2, (400, 300), float(rng.uniform(0, 180)), 0, 360, 255, -1)
    path = cv2.line(np.zeros((31, 31), np.float32), (15 - length, 15), (15 + length, 15), 1.0, 1)
    return np.asarray(cv2.filter2D(_reduced(shape), -1, path / path.sum()), np.float32)


def draw_defocus(rng: np.random.Generator) -> Floats:
    """Draw a star that is out of focus."""
    angles = np.linspace(0, 2 * np.pi, 11)[:-1] + rng.uniform(0, 1)
    radii = SIDE * DRAWN * np.where(np.arange(10) % 2, 0.2, 0.3)
    corners = SIDE * DRAWN / 2 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    star = cv2.fillPoly(_canvas(), [corners.astype(np.int32)], 255)
    radius = int(rng.integers(4, 8))
    aperture = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2).astype(np.float32)
    return np.asarray(cv2.filter2D(_reduced(star), -1, aperture / aperture.sum()), np.float32)


def draw_branches(rng: np.random.Generator) -> Floats:
    """Draw a crown with twigs that fork."""
    alpha = _disc(0.2)

    def grow(start: NDArray[np.float64], angle: float, length: float, width: float) -> None:
        end = start + length * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(alpha, _point(start), _point(end), 255, max(2, round(width)))
        if width > 3:
            for turn in (-0.5, 0.4):
                grow(end, angle + turn + float(rng.normal(0, 0.15)), 0.7 * length, 0.6 * width)

    for angle in rng.uniform(0, 2 * np.pi, 26):
        root = SIDE * DRAWN * (0.5 + 0.19 * np.array([np.cos(angle), np.sin(angle)]))
        grow(root, float(angle), SIDE * DRAWN * 0.025, 14.0)
    return _reduced(alpha)


def draw_holes(rng: np.random.Generator) -> Floats:
    """Draw lace: an edge full of holes."""
    large = SIDE * DRAWN
    alpha = _disc(0.27)
    for angle in rng.uniform(0, 2 * np.pi, 90):
        center = large / 2 + rng.uniform(0.225, 0.262) * large * np.array([np.cos(angle), np.sin(angle)])
        cv2.circle(alpha, _point(center), int(rng.uniform(8, 26)), 0, -1)
    return _reduced(alpha)


def draw_plain(rng: np.random.Generator) -> Floats:
    """Draw an object of smooth outline, whose shadow on the background does not belong to it."""
    angles = np.linspace(0, 2 * np.pi, 200)
    waves = sum(rng.normal(0, 0.012) * np.cos(count * angles + rng.uniform(0, 6)) for count in (2, 3, 5))
    radii = SIDE * DRAWN * (0.26 + waves)
    outline = SIDE * DRAWN / 2 + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    return _reduced(cv2.fillPoly(_canvas(), [outline.astype(np.int32)], 255))


def _point(place: NDArray[np.float64]) -> tuple[int, int]:
    return int(place[0]), int(place[1])


KINDS: dict[str, Draw] = {
    "hair": draw_hair,
    "fur": draw_fur,
    "feathers": draw_feathers,
    "glass": draw_glass,
    "motion blur": draw_motion,
    "defocus": draw_defocus,
    "branches": draw_branches,
    "holes": draw_holes,
    "shadow": draw_plain,
}


def threshold(alpha: Floats, rng: np.random.Generator) -> Bytes:
    """Return a hard mask, as of a magic wand."""
    return np.asarray(np.where(alpha > rng.uniform(0.4, 0.6), 255, 0), np.uint8)


def brush(alpha: Floats, rng: np.random.Generator) -> Bytes:
    """Return a mask painted by hand: it wavers by a few pixels, and fine parts are missing."""
    opened = cv2.morphologyEx((alpha > 0.5).view(np.uint8), cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    smooth = cv2.GaussianBlur(opened.astype(np.float32), (0, 0), 5)
    wave = cv2.resize(rng.standard_normal((9, 9)).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    hard = (smooth + 0.2 * wave > 0.5) & (smooth > 0.02)
    return np.asarray(np.rint(255 * cv2.GaussianBlur(hard.astype(np.float32), (0, 0), 1)), np.uint8)


def selection(alpha: Floats, _: np.random.Generator) -> Bytes:
    """Return a mask as of a segmentation at a sixth of the size: fine parts and holes are missing."""
    opened = cv2.morphologyEx((alpha > 0.5).view(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    small = cv2.resize(opened * np.float32(255), (SIDE // 6,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(cv2.resize(small, (SIDE, SIDE))), np.uint8)


MASKS: dict[str, Spoil] = {"threshold": threshold, "brush": brush, "selection": selection}


def draw_background(name: str, rng: np.random.Generator) -> Floats:
    """Return a background SIDE×SIDE×3 in [0, 1]."""
    if name == "sky":
        share = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
        return np.broadcast_to(
            (1 - share) * np.array([0.4, 0.55, 0.8], np.float32) + share * np.array([0.75, 0.8, 0.85], np.float32),
            (SIDE, SIDE, 3),
        )
    photograph = getattr(data, name)()[..., :3]
    side = min(photograph.shape[:2])
    left = int(rng.integers(photograph.shape[1] - side + 1))
    square = cv2.resize(photograph[:side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(square / np.float32(255), np.float32)


def compose(alpha: Floats, behind: Floats, color: Sequence[float], rng: np.random.Generator) -> Bytes:
    """Return a foreground of one color, with soft shading, over a background, with noise."""
    grain = cv2.resize(rng.standard_normal((SIDE // 10, SIDE // 10, 3)), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    mixed = alpha[..., None] * (np.array(color) + 0.03 * grain) + (1 - alpha[..., None]) * behind
    noisy = mixed + rng.normal(0, NOISE, mixed.shape)
    return np.asarray(np.rint(noisy.clip(0, 1) * 255), np.uint8)


def with_shadow(behind: Floats, alpha: Floats) -> Floats:
    """Return a background with the soft shadow of a foreground, cast down to the right."""
    moved = cv2.warpAffine(alpha, np.array([[1, 0, 10], [0, 1, 14]], np.float32), (SIDE, SIDE))
    return np.asarray(behind * (1 - 0.6 * cv2.GaussianBlur(moved, (0, 0), 9))[..., None], np.float32)


def make_scenes(kinds: Sequence[str] = tuple(KINDS), masks: Sequence[str] = tuple(MASKS)) -> Iterator[MattingScene]:
    """Yield a scene of each kind with each mask; they are the same in each call."""
    for row, kind in enumerate(KINDS):
        for column, name in enumerate(MASKS):
            if kind not in kinds or name not in masks:
                continue
            rng = np.random.default_rng([row, column])
            alpha = KINDS[kind](rng)
            background = BACKGROUNDS[(row + 2 * column) % len(BACKGROUNDS)]
            behind = draw_background(background, rng)
            if kind == "shadow":
                behind = with_shadow(behind, alpha)
            image = compose(alpha, behind, COLORS[(row + column) % len(COLORS)], rng)
            yield MattingScene(kind, name, background, alpha, image, MASKS[name](alpha, rng))


def _slope(values: Floats) -> Floats:
    """Return the magnitude of the gradient, by derivatives of a Gaussian."""
    smooth = cv2.GaussianBlur(values, (0, 0), GRADIENT_SIGMA)
    across, down = (cv2.Sobel(smooth, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
    return np.asarray(np.hypot(across, down), np.float32)


def refine(scene: MattingScene) -> Bytes:
    """Return the refined mask of a scene."""
    return np.asarray(matte_edges(scene.raw, scene.image, RADIUS), np.uint8)


def compare(scene: MattingScene, refined: Bytes) -> tuple[MattingErrors, MattingErrors]:
    """Return the errors of the mask as it is, and refined."""
    unknown = (scene.alpha > 0) & (scene.alpha < 1)
    edge = cv2.morphologyEx(scene.raw, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    band = cv2.dilate((unknown | edge).view(np.uint8), np.ones((5, 5), np.uint8)) > 0
    before, after = (MattingErrors.of(mask, scene.alpha, band) for mask in (scene.raw, refined))
    return before, after


def means(errors: Sequence[MattingErrors]) -> MattingErrors:
    """Return the mean errors."""
    return MattingErrors(*np.mean([(one.absolute, one.squared, one.gradient) for one in errors], axis=0).tolist())


def describe(title: str, before: MattingErrors, after: MattingErrors) -> str:
    """Return a line of the table."""
    columns = (
        f"{before.absolute:8.0f}{after.absolute:8.0f}",
        f"{1000 * before.squared:9.1f}{1000 * after.squared:8.1f}",
        f"{before.gradient:9.1f}{after.gradient:8.1f}",
    )
    return f"{title:34}{''.join(columns)}"


def measure(out: Path | None) -> None:
    """Print the table; out: a contact sheet of all scenes, or None."""
    print(f"{'mean per picture':34}{'SAD':>8}{'refined':>8}{'MSE·1000':>9}{'refined':>8}{'gradient':>9}{'refined':>8}")
    found: list[tuple[MattingScene, Bytes, MattingErrors, MattingErrors]] = []
    started = time.process_time()
    for scene in make_scenes():
        refined = refine(scene)
        found.append((scene, refined, *compare(scene, refined)))
    seconds = time.process_time() - started
    for part in (*KINDS, *MASKS):
        chosen = [row for row in found if part in (row[0].kind, row[0].mask)]
        print(describe(part, means([row[2] for row in chosen]), means([row[3] for row in chosen])))
    print(describe("all", means([row[2] for row in found]), means([row[3] for row in found])))
    worse = [row for row in found if row[3].absolute > row[2].absolute]
    print(f"worse in {len(worse)} of {len(found)} ({seconds:.1f} s of CPU time):")
    for scene, _, before, after in worse:
        print(describe(f"{scene.kind}, {scene.mask}, {scene.background}", before, after))
    if out:
        write_contact_sheet(
            out,
            [[scene.image, *(_gray(mask) for mask in (scene.raw, refined, _bytes(scene.alpha)))]
             for scene, refined, _, _ in found],
            [f"{scene.kind}, {scene.mask}: {before.absolute:.0f} → {after.absolute:.0f}"
             for scene, _, before, after in found],
            ("composite", "mask", "refined", "known opacity"),
            side=SIDE,
        )  # fmt: skip


def _bytes(values: Floats) -> Bytes:
    return np.asarray(np.rint(255 * values), np.uint8)


def _gray(mask: Bytes) -> Bytes:
    return np.repeat(mask[..., None], 3, axis=-1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="also draw all masks")
    options = parser.parse_args(arguments)
    return console.run(lambda: measure(options.sheet))


if __name__ == "__main__":
    sys.exit(main())
