# SPDX-License-Identifier: GPL-3.0-or-later
"""Contact sheets: images side by side, with captions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from s2am_common.atomic import atomic_write
from s2am_engine.image.arrays import full_scale
from s2am_engine.types import Bytes, Pixels

SHEET_GAP = 8
"""Pixels between images."""

CAPTION_HEIGHT = 22
"""Pixels for a line of text."""

_PAPER = (24, 24, 26)
_INK = (225, 225, 225)


def write_contact_sheet(
    path: Path,
    rows: Sequence[Sequence[Pixels]],
    captions: Sequence[str],
    headings: Sequence[str] = (),
    side: int = 240,
    across: int = 1,
) -> None:
    """Write a contact sheet as PNG, whole or not at all; further arguments as for `draw_contact_sheet`."""
    with atomic_write(path) as file:
        draw_contact_sheet(rows, captions, headings, side, across).save(file, "PNG")


def draw_contact_sheet(
    rows: Sequence[Sequence[Pixels]],
    captions: Sequence[str],
    headings: Sequence[str] = (),
    side: int = 240,
    across: int = 1,
) -> Image.Image:
    """Draw rows of images with captions.

    Args:
        rows: the images of each row, H×W×3 or H×W (a mask), any depth; all images of a row have one shape.
        captions: a line of text for each row.
        headings: a line of text for each column, above the first row.
        side: the longer side of each image on the sheet, in pixels.
        across: number of rows side by side, to shorten a long sheet.
    """
    strips = [_draw_row(row, caption, side) for row, caption in zip(rows, captions, strict=True)]
    lines = [strips[start : start + across] for start in range(0, len(strips), across)]
    heights = [max(image.height for image in line) + SHEET_GAP for line in lines]
    top = CAPTION_HEIGHT + SHEET_GAP if headings else SHEET_GAP
    sheet = Image.new(
        "RGB", (max(image.width for image in strips) * min(across, len(strips)), top + sum(heights)), _PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(list(headings) * across):
        left = SHEET_GAP + column * (side + SHEET_GAP) + column // max(1, len(headings)) * SHEET_GAP
        draw.text((left, SHEET_GAP), heading, _INK, ImageFont.load_default(14))
    for line, height in zip(lines, heights, strict=True):
        for column, image in enumerate(line):
            sheet.paste(image, (column * image.width, top))
        top += height
    return sheet


def _draw_row(images: Sequence[Pixels], caption: str, side: int) -> Image.Image:
    """Draw images in columns of `side` pixels, with a caption below."""
    small = [Image.fromarray(fit_into_square(image, side)) for image in images]
    height = max(image.height for image in small)
    row = Image.new("RGB", (SHEET_GAP + len(small) * (side + SHEET_GAP), height + CAPTION_HEIGHT), _PAPER)
    for column, image in enumerate(small):
        row.paste(image, (SHEET_GAP + column * (side + SHEET_GAP) + (side - image.width) // 2, 0))
    ImageDraw.Draw(row).text((SHEET_GAP, height + 3), caption, _INK, ImageFont.load_default(13))
    return row


def fit_into_square(image: Pixels, side: int) -> Bytes:
    """Scale an image or mask to a longer side of `side` pixels, as 8-bit RGB."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    unit = image.astype(np.float32) / np.float32(full_scale(image.dtype))
    small = cv2.resize(unit, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    gray = np.rint(np.clip(small, 0, 1) * 255).astype(np.uint8)
    return gray if gray.ndim == 3 else np.repeat(gray[..., None], 3, axis=2)
