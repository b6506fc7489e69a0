# SPDX-License-Identifier: GPL-3.0-or-later
"""A sample composite: an astronaut, photographed in a studio, in front of a rocket at dusk.

`python -m s2am_engine.image.sample FOLDER` composes and harmonizes it, and writes the images and a before/after sheet.
Both photographs come with scikit-image, whose libraries are not needed, and are in the public domain (NASA; SpaceX).
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.atomic import ensure_folder
from s2am_common.errors import EngineError, FileError
from s2am_engine.image.contact_sheet import write_contact_sheet
from s2am_engine.image.data import ImageData, Metadata
from s2am_engine.image.grabcut import GrabCut, foreground_labels
from s2am_engine.image.io import load_image, save_image
from s2am_engine.inference.harmonizer import Harmonizer

# Rough outlines on the 512 × 512 portrait, as hints for GrabCut.
_HEAD = ((226, 105), (88, 105))
_FACE = ((226, 110), (45, 62))
_HELMET = ((398, 462), (118, 122))
_BODY = (
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
_CHEST = ((150, 230), (290, 240), (335, 320), (330, 500), (60, 500), (75, 320))
_RING = ((211, 224), (86, 64))
_GLOSS = ((400, 470), (85, 95))
SAMPLE_POSITION = (64, 8)
"""(x, y) of the layer on the background, in pixels."""


def _photograph(name: str) -> NDArray[np.uint8]:
    """Return the pixels of a photograph of scikit-image, H×W×3.

    Raises:
        FileError: scikit-image is not installed.
    """
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise FileError(
            "The photographs of the sample come with scikit-image, which is not installed.", code="sample.photographs"
        )
    return np.asarray(load_image(Path(package.submodule_search_locations[0]) / "data" / name).pixels, np.uint8)


def sample_layer() -> ImageData:
    """Return the astronaut with a soft alpha, found by GrabCut within hand-drawn outlines.

    Raises:
        FileError: scikit-image is not installed.
    """
    photograph = _photograph("astronaut.png")
    hints = np.full(photograph.shape[:2], cv2.GC_BGD, np.uint8)
    for outline in (_HEAD, _HELMET):
        cv2.ellipse(hints, *outline, 0, 0, 360, cv2.GC_PR_FGD, -1)
    for outline in (_FACE, _RING, _GLOSS):
        cv2.ellipse(hints, *outline, 0, 0, 360, cv2.GC_FGD, -1)
    for corners, label in ((_BODY, cv2.GC_PR_FGD), (_CHEST, cv2.GC_FGD)):
        # “Probable” hints do not overwrite “certain” ones.
        drawn = cv2.fillPoly(np.zeros_like(hints), [np.array(corners)], 1) > 0
        hints[drawn & (hints != cv2.GC_FGD)] = label
    GrabCut(seed=0).run(photograph, hints, iterations=6)
    region = foreground_labels(hints).astype(np.uint8)
    return ImageData(photograph, _soften(region), None, gray=False, metadata=Metadata())


def _soften(region: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Keep the largest part of a region, fill its holes, erode it by a pixel and blur its edge; 0 to 255."""
    outlines, _ = cv2.findContours(cv2.medianBlur(region, 7), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(region), [max(outlines, key=cv2.contourArea)], -1, 255, -1)
    return np.asarray(cv2.GaussianBlur(cv2.erode(filled, np.ones((3, 3), np.uint8)), (0, 0), 1.0), np.uint8)


def sample_background() -> ImageData:
    """Return the rocket at dusk, enlarged by half to be larger than the astronaut.

    Raises:
        FileError: scikit-image is not installed.
    """
    photograph = cv2.resize(_photograph("rocket.jpg"), None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    return ImageData(np.ascontiguousarray(photograph[120:]), None, None, gray=False, metadata=Metadata())


def make_sample(folder: Path) -> list[Path]:
    """Make the sample, harmonize it, and write layer, background, composite, result and sheet.

    Args:
        folder: where to; made if it is missing.

    Returns:
        The result and the before/after sheet.

    Raises:
        EngineError: the folder cannot be written to, or the result is wrong.
    """
    ensure_folder(folder)
    layer, behind = sample_layer(), sample_background()
    harmonizer = Harmonizer()
    prediction = harmonizer.paste(layer, behind, SAMPLE_POSITION)
    pasted, result = prediction.composite, prediction.render()
    written = {"layer.png": layer, "background.png": behind, "composite.png": pasted, "harmonized.png": result}
    for name, picture in written.items():
        save_image(folder / name, picture)
    sheet = folder / "before-after.png"
    row = [pasted.pixels, result.pixels]
    write_contact_sheet(sheet, [row], ["Photographs: NASA and SpaceX, public domain"], ["before", "after"], side=640)
    return [folder / "harmonized.png", sheet]


def main() -> int:
    """Make the sample in the folder of the command line, and print the paths of result and sheet."""
    if len(sys.argv) != 2:
        print("usage: python -m s2am_engine.image.sample FOLDER", file=sys.stderr)
        return 2
    try:
        result, sheet = make_sample(Path(sys.argv[1]))
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"result: {result}\nbefore and after: {sheet}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
