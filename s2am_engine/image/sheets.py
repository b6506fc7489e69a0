# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: pictures side by side with captions, for looking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from s2am_common.atomic import atomic_write
from s2am_engine.image.masks import full_scale

Pixels = NDArray[Any]

GAP = 8
CAPTION = 22
PAPER = (24, 24, 26)
INK = (225, 225, 225)


def contact_sheet(
    path: Path,
    rows: Sequence[Sequence[Pixels]],
    captions: Sequence[str],
    headings: Sequence[str] = (),
    side: int = 240,
    across: int = 1,
) -> None:
    """Write rows of pictures as one PNG, whole or not at all; the arguments after `path` are those of `draw_sheet`."""
    with atomic_write(path) as file:
        draw_sheet(rows, captions, headings, side, across).save(file, "PNG")


def draw_sheet(
    rows: Sequence[Sequence[Pixels]],
    captions: Sequence[str],
    headings: Sequence[str] = (),
    side: int = 240,
    across: int = 1,
) -> Image.Image:
    """Draw rows of pictures with captions.

    Args:
        rows: for each row its pictures, H×W×3 or H×W (a mask), any depth; a row's pictures have one shape.
        captions: a line of text a row.
        headings: a line of text a column, above the first row.
        side: the longer side of each picture on the sheet, in pixels.
        across: how many rows stand beside each other, so that a long sheet keeps a handy shape.
    """
    strips = [strip(row, caption, side) for row, caption in zip(rows, captions, strict=True)]
    lines = [strips[start : start + across] for start in range(0, len(strips), across)]
    heights = [max(image.height for image in line) + GAP for line in lines]
    top = CAPTION + GAP if headings else GAP
    sheet = Image.new(
        "RGB", (max(image.width for image in strips) * min(across, len(strips)), top + sum(heights)), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(list(headings) * across):
        left = GAP + column * (side + GAP) + column // max(1, len(headings)) * GAP
        draw.text((left, GAP), heading, INK, ImageFont.load_default(14))
    for line, height in zip(lines, heights, strict=True):
        for column, image in enumerate(line):
            sheet.paste(image, (column * image.width, top))
        top += height
    return sheet


def strip(pictures: Sequence[Pixels], caption: str, side: int) -> Image.Image:
    """Draw one row: pictures in columns of `side` pixels, the caption beneath."""
    small = [Image.fromarray(fit_into(picture, side)) for picture in pictures]
    height = max(image.height for image in small)
    row = Image.new("RGB", (GAP + len(small) * (side + GAP), height + CAPTION), PAPER)
    for column, image in enumerate(small):
        row.paste(image, (GAP + column * (side + GAP) + (side - image.width) // 2, 0))
    ImageDraw.Draw(row).text((GAP, height + 3), caption, INK, ImageFont.load_default(13))
    return row


def fit_into(picture: Pixels, side: int) -> NDArray[np.uint8]:
    """Scale a picture or mask so that its longer side is `side`, as 8-bit RGB."""
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    unit = picture.astype(np.float32) / np.float32(full_scale(picture.dtype))
    small = cv2.resize(unit, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gray = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    return gray if gray.ndim == 3 else np.repeat(gray[..., None], 3, axis=2)
