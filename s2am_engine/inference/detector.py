# SPDX-License-Identifier: GPL-3.0-or-later
"""Where is the pasted region, and how well does it fit in? The mask-free path, from a thumbnail to a full-size mask."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from s2am_engine.errors import EngineError, NothingFoundError
from s2am_engine.image.guided import enlarge_along_edges
from s2am_engine.image.masks import Pixels, check_mask
from s2am_engine.inference.devices import choose_device
from s2am_engine.inference.network_input import Floats, make_network_input, reduce_image
from s2am_engine.inference.predictor import Predictor
from s2am_engine.models.model_store import DETECTION_THRESHOLD, DETECTOR, find_model, load_network

FAINT = 0.1  # networks are never quite sure: what differs from 0 or 1 by less than this counts as 0 or 1
NOTHING = "Nothing pasted was found in this picture: give a mask"
MASK_RAMP = np.rint((np.linspace(0, 1, 256) - FAINT).clip(0, 1 - 2 * FAINT) / (1 - 2 * FAINT) * 255).astype(np.uint8)


@dataclass(frozen=True)
class Detection:
    """What was found in a picture."""

    mask: NDArray[np.uint8]  # H×W, 255 = foreground, soft along its edge
    confidence: float  # 0 to 1: how sure it is that anything was pasted

    @property
    def sure(self) -> bool:
        """Whether it says that something was pasted, rather than where that would be likeliest."""
        return self.confidence >= DETECTION_THRESHOLD


class Detector:
    """A loaded mask-free model."""

    def __init__(self, model: str = DETECTOR, device: str = "auto") -> None:
        """Load a model.

        Args:
            model: the name of one that finds the foreground by itself.
            device: see `devices.choose_device`.

        Raises:
            EngineError: unknown or damaged model, one that needs a mask, or a device that this machine does not have.
        """
        found = find_model(model)
        network = load_network(found)
        if not network.mask_free:
            raise EngineError(f"Model “{model}” goes by a mask and can't find one: choose “{DETECTOR}”.")
        self.name = model
        self.input_size = found.card.input_size  # pixels a side that the network sees
        self.predictor = Predictor(network, choose_device(device), model)

    @property
    def device(self) -> torch.device:
        """Where the network runs."""
        return self.predictor.device

    def detect(
        self, pixels: Pixels, *, alpha: Pixels | None = None, profile: bytes | None = None, likeliest: bool = False
    ) -> Detection:
        """Find what was pasted into a flattened composite.

        Args:
            pixels: H×W×3, uint8, uint16 or float32.
            alpha: H×W of the pixels' dtype; nothing is found where it is 0. None = opaque.
            profile: ICC profile of the pixels; None = sRGB.
            likeliest: take for granted that something was pasted: find the likeliest region also where the model would
                rather say that there is nothing.

        Raises:
            NothingFoundError: nothing was found, or everything.
            EngineError: the picture is transparent everywhere.
        """
        return find(self.predictor, self.input_size, pixels, alpha, profile, likeliest=likeliest)

    def harmony(
        self, pixels: Pixels, mask: Pixels, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> float:
        """How well a foreground fits in, 0 (plainly pasted) to 1 (nothing gives it away), by what would be detected.

        Args:
            pixels: see `detect`.
            mask: H×W, any dtype; full scale = foreground.
            alpha: see `detect`.
            profile: see `detect`.

        Raises:
            EngineError: see `thumbnails.make_network_input`.
        """
        check_mask(mask, pixels.shape)
        network_input = make_network_input(pixels, mask, alpha, profile, self.input_size)
        found = self.predictor.predict_mask(network_input.composite)
        inside, outside = (
            float(np.average(found.mask, weights=w)) for w in (network_input.mask, 1 - network_input.mask)
        )
        return 1 - found.presence * max(0.0, inside - outside)


def find(
    predictor: Predictor,
    input_size: int,
    pixels: Pixels,
    alpha: Pixels | None,
    profile: bytes | None,
    *,
    likeliest: bool = False,
) -> Detection:
    """What a mask-free network sees, at so many pixels a side, in a picture; see `Detector.detect` for the rest."""
    found = predictor.predict_mask(reduce_image(pixels, alpha, profile, input_size))
    if found.presence < DETECTION_THRESHOLD and not likeliest:
        raise NothingFoundError(f"{NOTHING}, or see what “s2am detect --likeliest” finds.")
    return Detection(enlarge_mask(found.mask, pixels, alpha), found.presence)


def enlarge_mask(found: Floats, pixels: Pixels, alpha: Pixels | None = None) -> NDArray[np.uint8]:
    """Turn the mask of a thumbnail into one of its picture, whose edges it follows.

    Args:
        found: N×N in [0, 1], 1 = foreground.
        pixels: H×W×3, the picture.
        alpha: H×W, where 0 nothing is foreground; None = opaque.

    Returns:
        H×W, 255 = foreground; without the faint rest.

    Raises:
        NothingFoundError: no pixel is foreground rather than background, or none is not wholly foreground.
    """
    mask = np.asarray(cv2.LUT(enlarge_along_edges(found, pixels), MASK_RAMP), np.uint8)
    if alpha is not None:
        mask[alpha == 0] = 0
    if mask.max() < 128:
        raise NothingFoundError(f"{NOTHING}.")
    if mask.min() == 255:
        raise NothingFoundError("The whole picture was taken for pasted: give a mask.")
    return mask
