# SPDX-License-Identifier: GPL-3.0-or-later
"""A real composite to try the program on: an astronaut from a studio, in front of a rocket at dusk.

`python -m s2am_engine.image.sample FOLDER` makes it, harmonizes it and writes the images and a before/after sheet. Both
photographs come with scikit-image and are in the public domain (NASA; SpaceX).
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from s2am_engine.errors import EngineError
from s2am_engine.image.grabcut import GrabCut, foreground_labels
from s2am_engine.image.io import ImageData, Metadata, save_image
from s2am_engine.image.sheets import contact_sheet
from s2am_engine.inference.harmonizer import Harmonizer

# Rough outlines on the 512 × 512 portrait, as a person would scribble them for GrabCut.
HEAD = ((226, 105), (88, 105))
FACE = ((226, 110), (45, 62))
HELMET = ((398, 462), (118, 122))
BODY = (
    (130, 210),
    (165, 130),
    (290, 130),
    (330, 210),
    (360, 290),
    (400, 340),
    (400, 511),
    (8, 511),
    (20, 340),
    (60, 240),
)
CHEST = ((150, 230), (290, 240), (335, 320), (330, 500), (60, 500), (75, 320))
RING = ((211, 224), (86, 64))
GLOSS = ((400, 470), (85, 95))
AT = (64, 20)


def cut_out() -> ImageData:
    """The astronaut with a soft alpha, found by GrabCut within hand-drawn outlines."""
    photograph = data.astronaut()
    hints = np.full(photograph.shape[:2], cv2.GC_BGD, np.uint8)
    for outline in (HEAD, HELMET):
        cv2.ellipse(hints, *outline, 0, 0, 360, cv2.GC_PR_FGD, -1)
    for outline in (FACE, RING, GLOSS):
        cv2.ellipse(hints, *outline, 0, 0, 360, cv2.GC_FGD, -1)
    for corners, label in ((BODY, cv2.GC_PR_FGD), (CHEST, cv2.GC_FGD)):
        # Surer hints are never overwritten by weaker ones.
        drawn = cv2.fillPoly(np.zeros_like(hints), [np.array(corners)], 1) > 0
        hints[drawn & (hints != cv2.GC_FGD)] = label
    GrabCut(seed=0).run(photograph, hints, iterations=6)
    region = foreground_labels(hints).astype(np.uint8)
    return ImageData(photograph, soften(region), None, gray=False, metadata=Metadata())


def soften(region: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the largest part of a region, close its holes, draw its edge in by a pixel and soften it: 0 to 255."""
    outlines, _ = cv2.findContours(cv2.medianBlur(region, 7), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(region), [max(outlines, key=cv2.contourArea)], -1, 255, -1)
    return np.asarray(cv2.GaussianBlur(cv2.erode(filled, np.ones((3, 3), np.uint8)), (0, 0), 1.0), np.uint8)


def background() -> ImageData:
    """The rocket at dusk, half as large again, so that the astronaut stands before it."""
    photograph = cv2.resize(data.rocket(), None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    return ImageData(np.ascontiguousarray(photograph[120:]), None, None, gray=False, metadata=Metadata())


def make(folder: Path) -> list[Path]:
    """Make the sample, harmonize it, and write layer, background, composite, result and sheet.

    Args:
        folder: where to; made if it is missing.

    Returns:
        The result and the before/after sheet.

    Raises:
        EngineError: the folder can't be written to, or the engine is not sound.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"{folder} can't be made ({error.strerror}): name another folder.") from error
    layer, behind = cut_out(), background()
    harmonizer = Harmonizer()
    prediction = harmonizer.paste(layer, behind, AT)
    pasted, result = prediction.composite, prediction.render()
    written = {"layer.png": layer, "background.png": behind, "composite.png": pasted, "harmonized.png": result}
    for name, picture in written.items():
        save_image(folder / name, picture)
    sheet = folder / "before-after.png"
    row = [pasted.pixels, result.pixels]
    contact_sheet(sheet, [row], ["Photographs: NASA and SpaceX, public domain"], ["before", "after"], side=640)
    return [folder / "harmonized.png", sheet]


def main() -> int:
    """Make the sample in the folder that is named, and print where result and sheet are."""
    if len(sys.argv) != 2:
        print("usage: python -m s2am_engine.image.sample FOLDER", file=sys.stderr)
        return 2
    try:
        result, sheet = make(Path(sys.argv[1]))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"result: {result}\nbefore and after: {sheet}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
