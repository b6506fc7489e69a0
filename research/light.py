# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.light`: gains and losses by the light of the finish, on pairs with known ground truth.

PSNR of the foreground before and after the predicted shading is applied at several strengths and at its automatic one:
on simulated pairs of local light, of photographs that no training saw; on scenes that were photographed or developed
several times, after the best global color map; on composites (`--composites`), after the default model's color map.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from skimage import data

from research import console
from s2am_engine import Harmonizer
from s2am_engine.finish.shading import GAMMA, NOTABLE
from s2am_engine.image.contact_sheet import write_contact_sheet
from s2am_engine.image.io import load_image
from s2am_engine.image.sample import sample_layer
from s2am_engine.inference.shading import LIGHT_INPUT, light_runner, predict_gains
from s2am_engine.networks.light import relight
from s2am_engine.training.dataset_readers import find_pairs
from s2am_engine.training.local_light import LocalLightPairs, SceneLightPairs
from s2am_engine.training.pair_source import Batch, PairSource
from s2am_engine.training.photo_cache import load_photographs
from s2am_engine.training.scene_pairs import load_scenes
from s2am_engine.types import Floats, Mask, Pixels

SEED = 30_000
BATCH = 32
WALL = 768  # side of the picture for the documentation, in pixels
STRENGTHS = 0.5, 1.0, 2.0
LEAST_ERROR = 0.25 / 255  # errors below a quarter of an 8-bit level count as that


@dataclass(frozen=True)
class LightScores:
    """PSNR of foregrounds in dB.

    before: without the shading. after: with it, for each of `STRENGTHS`. rms: of its gains, in stops.
    """

    before: list[float] = field(default_factory=list)
    after: dict[float, list[float]] = field(default_factory=lambda: {strength: [] for strength in STRENGTHS})
    rms: list[float] = field(default_factory=list)

    def add(self, before: float, after: Sequence[float], rms: float) -> None:
        """Add one image; after: for each of `STRENGTHS`."""
        self.before.append(before)
        for strength, each in zip(STRENGTHS, after, strict=True):
            self.after[strength].append(each)
        self.rms.append(rms)

    def describe(self) -> dict[str, Any]:
        """Return means, the number of images that became better or worse by 0.1 dB, and how often it is applied."""
        applied = np.greater(self.rms, NOTABLE)
        automatic = np.where(applied, self.after[1.0], self.before)
        change = automatic - self.before
        return {
            "images": len(self.before),
            "before": round(float(np.mean(self.before)), 2),
            **{f"light {strength:g}": round(float(np.mean(each)), 2) for strength, each in self.after.items()},
            "light auto": round(float(np.mean(automatic)), 2),
            "better by 0.1 dB": int((change > 0.1).sum()),
            "worse by 0.1 dB": int((change < -0.1).sum()),
            "worse by 1 dB": int((change < -1).sum()),
            "applied": round(float(np.mean(applied)), 2),
            "rms, stops": round(float(np.mean(self.rms)), 3),
        }


def foreground_psnr(result: Floats, target: Floats, mask: Floats) -> float:
    """Return the PSNR in dB of H×W×3 images in [0, 1], weighted by the mask (H×W)."""
    squared = ((result - target) ** 2).mean(axis=2)
    return -10 * float(np.log10(max(float(np.average(squared, weights=mask)), LEAST_ERROR**2)))


def score_pairs(source: PairSource, count: int) -> LightScores:
    """Measure the shading on reduced pairs."""
    scores = LightScores()
    for composite, mask, target in each_pair(source, count):
        gains, rms = predict_gains(light_runner(), composite, mask)
        after = [foreground_psnr(relit(composite, mask, strength * gains), target, mask) for strength in STRENGTHS]
        scores.add(foreground_psnr(composite, target, mask), after, rms)
    return scores


def relit(composite: Floats, mask: Floats, gains: Floats) -> Floats:
    """Return a composite (H, W, 3) with gains (H, W) in stops applied to the foreground."""
    image, field = torch.from_numpy(composite).permute(2, 0, 1)[None], torch.from_numpy(gains)[None, None]
    lit = relight(image, field)[0].permute(1, 2, 0).clamp(0, 1).numpy()
    return np.asarray(composite + mask[..., None] * (lit - composite), np.float32)


def each_pair(source: PairSource, count: int) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield composite, mask and target of pairs as arrays."""
    for step in range(-(-count // source.batch)):
        batch: Batch = source.make(step)
        composites, targets = (one.permute(0, 2, 3, 1).numpy() for one in (batch.composite, batch.target))
        yield from zip(composites, batch.mask[:, 0].numpy(), targets, strict=True)


def score_composites(folder: Path) -> tuple[LightScores, dict[str, float]]:
    """Measure the shading on composites after the default model's color map; also the change of each in dB."""
    harmonizer = Harmonizer.from_pretrained(device="cpu")
    scores, changes = LightScores(), {}
    for pair in find_pairs(folder, "test"):
        composite, mask, target = (load_image(path).pixels for path in (pair.composite, pair.mask, pair.target))
        mask = mask if mask.ndim == 2 else mask[..., 0]
        result = harmonizer(composite, mask)
        plain, shading = result.render(), result.predict_shading()
        lit = [result.render(finish={"light": strength}) for strength in STRENGTHS]
        before, *after = (levels_psnr(one, target, mask) for one in (plain, *lit))
        scores.add(before, after, shading.rms)
        changes[pair.composite.stem] = round(after[STRENGTHS.index(1.0)] - before, 2)
    return scores, changes


def levels_psnr(result: Pixels, target: Pixels, mask: Mask) -> float:
    """Return the PSNR in dB of 8-bit images H×W×3, weighted by the mask (H×W)."""
    unit = (np.asarray(one / np.float32(255), np.float32) for one in (result, target, mask))
    return foreground_psnr(*unit)


def write_picture(path: Path) -> None:
    """Write the picture of docs/finish.md: a studio portrait before a wall that is lit from one side."""
    wall = cv2.cvtColor(cv2.resize(data.brick(), (WALL, WALL), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    fall = np.linspace(1.3, -1.7, WALL, dtype=np.float32)[None, :, None]
    lit = np.rint(np.clip(wall * np.exp2(fall / GAMMA), 0, 255)).astype(np.uint8)
    result = Harmonizer("connoisseur", device="cpu").paste(sample_layer(), lit, (WALL // 2 - 256, WALL - 512))
    shading = result.predict_shading()
    gains = np.log2(shading.factors(1, 0, 0, WALL, WALL))
    shown = ((gains - gains.min()) / np.ptp(gains) * 255).astype(np.uint8)
    finishes: list[dict[str, float]] = [{}, {"light": 1.0}, {"light": 3.0}]
    row = [result.render(finish=finish) for finish in finishes] + [cv2.cvtColor(shown, cv2.COLOR_GRAY2RGB)]
    headings = ("colors alone", "light 1", "light 3", "predicted gains")
    write_contact_sheet(path, [row], [f"root mean square {shading.rms:.2f} stops"], headings, side=300)


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(prog="python -m research.light", description=__doc__)
    parser.add_argument("photos", type=Path, nargs="?", help="photographs, with a split “val”")
    parser.add_argument("--docs", type=Path, metavar="PNG", help="write the picture of the documentation")
    parser.add_argument("--scenes", type=Path, help="scenes, see “s2am train --scenes”")
    parser.add_argument("--composites", type=Path, nargs="+", default=[], help="in iHarmony4's layout")
    parser.add_argument("--count", type=int, default=512, help="pairs of each kind (default: %(default)s)")
    return console.run(lambda: measure_and_print(parser.parse_args()))


def measure_and_print(options: argparse.Namespace) -> None:
    """Measure according to the options, and print JSON."""
    torch.set_num_threads(1)
    if options.docs:
        write_picture(options.docs)
    found: dict[str, Any] = {}
    if options.photos:
        found |= score_simulated(options.photos, options.count)
    if options.scenes:
        scenes = load_scenes(options.scenes, held_out=True)
        found["scenes"] = score_pairs(
            SceneLightPairs(LIGHT_INPUT, BATCH, SEED, scenes=scenes), options.count
        ).describe()
    for folder in options.composites:
        scores, changes = score_composites(folder)
        found[folder.name] = scores.describe() | {"changes": changes}
    print(json.dumps(found, indent=2))


def score_simulated(folder: Path, count: int) -> dict[str, Any]:
    """Measure the shading on simulated pairs of held-out photographs, by kind."""
    photographs = load_photographs(folder, "val")
    found = {}
    for name, shares in {"missing": (1.0, 0.0), "uneven": (0.0, 1.0), "none": (0.0, 0.0)}.items():
        missing, uneven = shares
        source = LocalLightPairs(LIGHT_INPUT, BATCH, SEED, photographs=photographs, missing=missing, uneven=uneven)
        found[name] = score_pairs(source, count).describe()
    return found


if __name__ == "__main__":
    raise SystemExit(main())
