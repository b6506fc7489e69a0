# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of finish and shadow: composites before and after each stage, and the picture of docs/finish.md.

python -m research.finish_sheets COMPOSITES OUT          # OUT/grain.png …; COMPOSITES has images/ and masks/
python -m research.finish_sheets COMPOSITES OUT --stages shadow light --count 30 --rows 4   # OUT/shadow-1.png …
python -m research.finish_sheets --docs docs/finish.png  # made from the free photographs of scikit-image
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from s2am_engine import Harmonizer, HarmonizeResult, Sliders, load_image, read_mask
from s2am_engine.batch import list_images
from s2am_engine.image.contact_sheet import write_contact_sheet
from s2am_engine.image.sample import SAMPLE_POSITION, sample_background, sample_layer
from s2am_engine.inference.result import FinishValues
from s2am_engine.shadow.estimate import estimate_shadow
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.types import Floats, Pixels

STAGES: dict[str, tuple[Sliders, FinishValues]] = {
    "color": (Sliders(tone=0.0), None),
    "tone": (Sliders(color=0.0), None),
    "light": (Sliders(), {"light": "auto"}),
    "light 1": (Sliders(), {"light": 1.0}),
    "light 2": (Sliders(), {"light": 2.0}),
    "grain": (Sliders(), {"grain": "auto"}),
    "noise reduction": (Sliders(), {"grain": -4.0}),
    "sharpness": (Sliders(), {"sharpness": "auto"}),
    "decontaminate": (Sliders(), {"decontaminate": "auto"}),
    "light wrap": (Sliders(), {"light_wrap": 0.7}),
    "all": (Sliders(), {"grain": "auto", "sharpness": "auto", "decontaminate": "auto", "light_wrap": 0.5}),
}
"""Sliders and finish of each stage."""

SHADOW = "shadow"
"""The stage of the shadow with its automatic values."""

SIDE = 290
"""Longer side in pixels of an image on a sheet, and the side of the detail at an edge, which is shown at 100 %."""

DETAIL = 200
"""Side in pixels of a detail in the picture of the documentation."""


def write_sheets(composites: Path, out: Path, count: int, stages: Sequence[str], rows: int) -> None:
    """Write sheets of each stage: composites, harmonized, with the stage, and a detail at an edge of both.

    Args:
        composites: folder with images/ and masks/.
        out: folder of the sheets.
        count: number of composites, evenly spread over the folder.
        stages: names of `STAGES`, or `SHADOW`.
        rows: of each sheet; 0 = all composites on one.
    """
    harmonizer = Harmonizer(device="cpu")
    shown: dict[str, list[list[Pixels]]] = {stage: [] for stage in stages}
    captions: dict[str, list[str]] = {stage: [] for stage in stages}
    paths = list_images(composites / "images")
    for path in (paths[index] for index in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int)):
        result = harmonizer(load_image(path), read_mask(composites / "masks" / f"{path.stem}.png"))
        plain = result.render().pixels
        for stage in stages:
            changed, caption = with_shadow(result) if stage == SHADOW else finished(result, stage)
            place = edge_detail(result.mask, SIDE, foot=stage == SHADOW)
            shown[stage].append([_square(plain), _square(changed), plain[place], changed[place]])
            captions[stage].append(f"{path.stem}  {caption}")
    out.mkdir(parents=True, exist_ok=True)
    step = rows or len(paths)
    for stage, images in shown.items():
        headings = ("harmonized", stage, "harmonized, 100 %", f"{stage}, 100 %")
        for number, start in enumerate(range(0, len(images), step), 1):
            name = stage.replace(" ", "-") + (f"-{number}" if rows else "")
            part = slice(start, start + step)
            write_contact_sheet(out / f"{name}.png", images[part], captions[stage][part], headings, SIDE)


def finished(result: HarmonizeResult[Any], stage: str) -> tuple[Pixels, str]:
    """Return the image with a stage of `STAGES`, and its caption."""
    sliders, finish = STAGES[stage]
    finisher = result.finisher(finish, sliders)
    pixels: Pixels = result.render(sliders, finish=finisher).pixels
    return pixels, describe(result, finisher.finish if finisher else None)


def with_shadow(result: HarmonizeResult[Any]) -> tuple[Pixels, str]:
    """Return a harmonized composite with the automatic shadow of its foreground on the background, and its caption."""
    pixels: Pixels = result.render().pixels
    silhouette = Silhouette(result.mask)
    estimate = estimate_shadow(result.composite.pixels, silhouette, np.where(result.mask > 0, 0, 255).astype(np.uint8))
    dark = pixels.copy()
    render_shadow(estimate.shadow, silhouette, *result.mask.shape).darken(dark)
    share = _unit(result.mask)[..., None]
    mixed = np.rint(share * pixels + (1 - share) * dark).astype(np.uint8)
    values = {name: round(value, 2) for name, value in estimate.shadow.values.items()}
    return mixed, f"{estimate.evidence}: {values}"


def write_picture(path: Path) -> None:
    """Write the picture of docs/finish.md: details of the sample composite, whose background gets grain."""
    behind = sample_background()
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.normal(0, 1, behind.pixels.shape).astype(np.float32), (0, 0), 0.7)
    noisy = behind.pixels + 9 * grain / grain.std()
    background = replace(behind, pixels=np.rint(noisy.clip(0, 255)).astype(np.uint8))
    result = Harmonizer(device="cpu").paste(sample_layer(), background, SAMPLE_POSITION)
    place = edge_detail(result.mask, DETAIL)
    finishes: dict[str, FinishValues] = {
        "colors alone": None,
        "grain": {"grain": "auto"},
        "grain, sharpness": {"grain": "auto", "sharpness": "auto"},
        "grain, sharpness, edges": {"grain": "auto", "sharpness": "auto", "decontaminate": 1.0, "light_wrap": 0.4},
    }
    row = [result.render(finish=finish).pixels[place] for finish in finishes.values()]
    finisher = result.finisher(finishes["grain, sharpness, edges"])
    caption = describe(result, finisher.finish if finisher else None)
    write_contact_sheet(path, [row], [caption], list(finishes), side=int(1.5 * DETAIL))


def describe(result: HarmonizeResult[Any], finish: object) -> str:
    """Return measurement and finish as a caption."""
    measured = result.measure()
    noise = [each.noise.level if each.noise else float("nan") for each in (measured.foreground, measured.background)]
    blur = [each.radius for each in (measured.foreground, measured.background)]
    radii = " / ".join("-" if radius is None else f"{radius:.2f}" for radius in blur)
    values = {name: value for name, value in vars(finish).items() if value} if finish else {}
    return f"grain {noise[0]:.1f} / {noise[1]:.1f}, blur {radii}: {values or 'nothing'}"


def edge_detail(mask: Pixels, side: int, *, foot: bool = False) -> tuple[slice, slice]:
    """Return a square at an edge of the foreground: where foreground and background have the most equal shares.

    Args:
        mask: H×W, the foreground.
        side: of the square in pixels.
        foot: choose the place at the lower edge instead, around the lowest point.
    """
    body = mask > mask.max() / 2
    height, width = mask.shape
    margin = side // 2
    if foot:
        rows, columns = np.nonzero(body)
        y, x = int(rows.max()), int(np.median(columns[rows == rows.max()]))
    else:
        share = cv2.boxFilter(body.astype(np.float32), -1, (side, side))
        inner = np.full(share.shape, np.inf, np.float32)
        area = np.s_[margin : max(height - margin, margin + 1), margin : max(width - margin, margin + 1)]
        inner[area] = np.abs(share[area] - 0.5)
        y, x = (int(each) for each in np.unravel_index(int(inner.argmin()), inner.shape))
    top, left = (
        int(np.clip(at - margin, 0, max(0, length - side))) for at, length in zip((y, x), (height, width), strict=True)
    )
    return slice(top, top + side), slice(left, left + side)


def _unit(mask: Pixels) -> Floats:
    return np.asarray(mask / np.float32(mask.max()), np.float32)


def _square(image: Pixels) -> Pixels:
    """Add black borders, so that all images of a row have one shape."""
    side = max(image.shape[:2])
    vertical, horizontal = side - image.shape[0], side - image.shape[1]
    return np.pad(
        image, [(vertical // 2, vertical - vertical // 2), (horizontal // 2, horizontal - horizontal // 2), (0, 0)]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("composites", type=Path, nargs="?")
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=12, help="number of composites (default: %(default)s)")
    parser.add_argument("--docs", type=Path, metavar="PNG", help="write the picture of the documentation instead")
    every = (*STAGES, SHADOW)
    parser.add_argument("--stages", nargs="+", choices=every, default=every, metavar="STAGE", help=", ".join(every))
    parser.add_argument("--rows", type=int, default=0, help="composites on each sheet (default: all)")
    options = parser.parse_args(arguments)
    if options.docs:
        write_picture(options.docs)
    elif options.composites and options.out:
        write_sheets(options.composites, options.out, options.count, options.stages, options.rows)
    else:
        parser.error("name the composites and the folder of the sheets, or --docs")


if __name__ == "__main__":
    main()
