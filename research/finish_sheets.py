# SPDX-License-Identifier: GPL-3.0-or-later
"""Sheets of the finish: composites before and after each of its stages, and the picture of docs/finish.md.

python -m research.finish_sheets COMPOSITES OUT          # OUT/grain.png …; COMPOSITES has images/ and masks/
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
from s2am_engine.types import Pixels

STAGES: dict[str, tuple[Sliders, FinishValues]] = {
    "color": (Sliders(tone=0.0), None),
    "tone": (Sliders(color=0.0), None),
    "light": (Sliders(), {"light": "auto"}),
    "grain": (Sliders(), {"grain": "auto"}),
    "noise reduction": (Sliders(), {"grain": -4.0}),
    "sharpness": (Sliders(), {"sharpness": "auto"}),
    "decontaminate": (Sliders(), {"decontaminate": 1.0}),
    "light wrap": (Sliders(), {"light_wrap": 0.7}),
    "all": (Sliders(), {"grain": "auto", "sharpness": "auto", "decontaminate": 1.0, "light_wrap": 0.5}),
}
"""Sliders and finish of each stage."""

DETAIL = 200
"""Side in pixels of the detail at an edge that is shown enlarged."""


def write_sheets(composites: Path, out: Path, count: int) -> None:
    """Write a sheet for each stage: composites, harmonized, with the stage, and a detail at an edge of both."""
    harmonizer = Harmonizer(device="cpu")
    rows: dict[str, list[list[Pixels]]] = {stage: [] for stage in STAGES}
    captions: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for path in list_images(composites / "images")[:count]:
        image = load_image(path)
        result = harmonizer(image, read_mask(composites / "masks" / f"{path.stem}.png"))
        plain = result.render().pixels
        for stage, (sliders, finish) in STAGES.items():
            finisher = result.finisher(finish, sliders)
            finished = result.render(sliders, finish=finisher).pixels
            place = edge_detail(result.mask)
            rows[stage].append([image.pixels, plain, finished, plain[place], finished[place]])
            captions[stage].append(f"{path.stem}  {describe(result, finisher.finish if finisher else None)}")
    out.mkdir(parents=True, exist_ok=True)
    for stage, images in rows.items():
        squared = [[_square(each) for each in row] for row in images]
        headings = ("composite", "harmonized", stage, "harmonized", stage)
        write_contact_sheet(out / f"{stage.replace(' ', '-')}.png", squared, captions[stage], headings, side=330)


def write_picture(path: Path) -> None:
    """Write the picture of docs/finish.md: details of the sample composite, whose background gets grain."""
    behind = sample_background()
    rng = np.random.default_rng(0)
    grain = cv2.GaussianBlur(rng.normal(0, 1, behind.pixels.shape).astype(np.float32), (0, 0), 0.7)
    noisy = behind.pixels + 9 * grain / grain.std()
    background = replace(behind, pixels=np.rint(noisy.clip(0, 255)).astype(np.uint8))
    result = Harmonizer(device="cpu").paste(sample_layer(), background, SAMPLE_POSITION)
    place = edge_detail(result.mask)
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
    """Return what was measured, and the finish, as a caption."""
    measured = result.measure()
    noise = [each.noise.level if each.noise else float("nan") for each in (measured.foreground, measured.background)]
    blur = [each.radius for each in (measured.foreground, measured.background)]
    radii = " / ".join("-" if radius is None else f"{radius:.2f}" for radius in blur)
    values = {name: value for name, value in vars(finish).items() if value} if finish else {}
    return f"grain {noise[0]:.1f} / {noise[1]:.1f}, blur {radii}: {values or 'nothing'}"


def edge_detail(mask: Pixels) -> tuple[slice, slice]:
    """Return a square at an edge of the foreground: where foreground and background have the most equal shares."""
    share = cv2.boxFilter((mask > mask.max() / 2).astype(np.float32), -1, (DETAIL, DETAIL))
    height, width = mask.shape
    margin = DETAIL // 2
    inner = np.full(share.shape, np.inf, np.float32)
    area = np.s_[margin : max(height - margin, margin + 1), margin : max(width - margin, margin + 1)]
    inner[area] = np.abs(share[area] - 0.5)
    y, x = np.unravel_index(int(inner.argmin()), inner.shape)
    top, left = max(0, int(y) - margin), max(0, int(x) - margin)
    return slice(top, top + DETAIL), slice(left, left + DETAIL)


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
    options = parser.parse_args(arguments)
    if options.docs:
        write_picture(options.docs)
    elif options.composites and options.out:
        write_sheets(options.composites, options.out, options.count)
    else:
        parser.error("name the composites and the folder of the sheets, or --docs")


if __name__ == "__main__":
    main()
