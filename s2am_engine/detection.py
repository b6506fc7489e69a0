# SPDX-License-Identifier: GPL-3.0-or-later
"""Where is the pasted region? From what a mask-free network sees in a thumbnail to a mask of the whole picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_engine.errors import EngineError
from s2am_engine.masks import Pixels
from s2am_engine.model_store import mask_free_model
from s2am_engine.thumbnails import Floats

FAINT = 0.1  # networks are never quite sure: what differs from 0 or 1 by less than this counts as 0 or 1


class NothingFoundError(EngineError):
    """A mask-free network saw nothing pasted, or nothing else."""


def enlarge_mask(found: Floats, shape: tuple[int, ...], alpha: Pixels | None = None) -> NDArray[np.uint8]:
    """Turn the mask of a thumbnail into one of its picture.

    Args:
        found: N×N in [0, 1], 1 = foreground.
        shape: of the picture, H and W first.
        alpha: H×W, where 0 nothing is foreground; None = opaque.

    Returns:
        H×W, 255 = foreground; interpolated linearly, without the faint rest.

    Raises:
        NothingFoundError: no pixel is foreground rather than background, or none is not wholly foreground.
    """
    surer = np.clip((found - FAINT) / (1 - 2 * FAINT), 0, 1)
    # In 8 bits from the start: floats of the picture's size would take four times the memory.
    levels = np.rint(surer * 255).astype(np.uint8)
    mask = np.asarray(cv2.resize(levels, shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    if alpha is not None:
        mask[alpha == 0] = 0
    if mask.max() < 128:
        raise NothingFoundError("Nothing pasted was found in this picture: give a mask.")
    if mask.min() == 255:
        raise NothingFoundError("The whole picture was taken for pasted: give a mask.")
    return mask


def or_find_it(advice: str) -> str:
    """Add to the advice to give a mask, a sentence, that a model can do without one, if that model is there."""
    name = mask_free_model()
    return f"{advice.removesuffix('.')}, or try --model {name}, which looks for what was pasted." if name else advice
