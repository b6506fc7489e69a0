# SPDX-License-Identifier: GPL-3.0-or-later
"""Detection of pasted regions: from an image without a mask to a full-size mask, and a score for how well they fit."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import ModelError, NothingFoundError
from s2am_engine.image.data import ImageData
from s2am_engine.image.masks import check_mask, snap_mask, upsample_mask
from s2am_engine.inference.inputs import ImageLike, MaskLike, convert_image, convert_mask
from s2am_engine.inference.network_input import make_network_input, reduce_image
from s2am_engine.inference.network_runner import open_runner
from s2am_engine.inference.predictor import Predictor
from s2am_engine.models.model_files import read_model_data
from s2am_engine.models.model_store import DETECTION_THRESHOLD, DETECTOR, SUBJECT_MODEL, suitable_models
from s2am_engine.models.purposes import DETECTION, Purpose
from s2am_engine.types import Floats, Pixels

logger = logging.getLogger(__name__)

SUBJECT_WEIGHT = 0.8
"""Weight of the subject's mask beside that of the pasted region's, which has 1."""
COMBINED_THRESHOLD = 0.72
"""Weighted sum of the two masks from which on a pixel is foreground: either mask is enough alone where it is sure."""
_CONTRAST = 5.0  # slope of the combined mask at the threshold; a sure subject alone gives 0.9


@dataclass(frozen=True, eq=False)
class Detection:
    """Detected foreground.

    mask: (H, W) uint8, 255 = foreground, with soft edges.
    confidence: probability, 0 to 1, that the image has a pasted region.
    """

    mask: NDArray[np.uint8] = field(repr=False)
    confidence: float

    @property
    def is_certain(self) -> bool:
        """True if the confidence reaches the threshold; otherwise the mask is only the likeliest region."""
        return self.confidence >= DETECTION_THRESHOLD


class Detector:
    """A model that detects pasted regions.

    Pasted regions are mostly subjects of photographs, so the subject's mask is added to the built-in detector's.

    Example:
        >>> import numpy as np
        >>> from s2am_engine import Detector
        >>> image = np.full((96, 96, 3), 90, np.uint8)
        >>> image[30:60, 30:60] = 230, 40, 160
        >>> detection = Detector.from_pretrained(device="cpu").detect(image, likeliest=True)
        >>> detection.mask.shape, 0 <= detection.confidence <= 1
        ((96, 96), True)
    """

    def __init__(
        self, model: str | Path = DETECTOR, device: str | None = None, *, purpose: Purpose = DETECTION
    ) -> None:
        """Load a model.

        Args:
            model: name of a mask-free model, or path of an exported one.
            device: see `Harmonizer`.
            purpose: use of the masks; errors propose models that suit it.

        Raises:
            ModelError: a model that is unknown, damaged, or needs a mask.
            DeviceError: this machine has no such device.
        """
        loaded = read_model_data(model, purpose)
        predictor = Predictor(open_runner(loaded, device), loaded.card.name)
        if not predictor.mask_free:
            suitable = suitable_models(purpose)
            raise ModelError(
                f"Model “{loaded.card.name}” needs a mask and cannot detect one: choose one of {suitable}.",
                code="model.needs-mask",
                model=loaded.card.name,
            )
        self.name = loaded.card.name
        self.input_size = loaded.card.input_size
        self.predictor = predictor
        # Models for subjects, and those that recolor the region that they detect, are used as they are.
        self.subject = Detector(SUBJECT_MODEL, device) if loaded.card.network == DETECTOR else None

    @classmethod
    def from_pretrained(cls, model: str | Path = DETECTOR, device: str | None = None) -> Detector:
        """Load a model; the same as the constructor."""
        return cls(model, device)

    def __repr__(self) -> str:
        """Show model, device and input size."""
        return f"Detector(model={self.name!r}, device={self.device!r}, input_size={self.input_size})"

    @property
    def device(self) -> str:
        """PyTorch's name of the network's device: `cpu`, `cuda`, `cuda:1` …."""
        return self.predictor.runner.device

    def detect(
        self,
        image: ImageLike,
        *,
        alpha: Pixels | None = None,
        profile: bytes | None = None,
        likeliest: bool = False,
    ) -> Detection:
        """Detect the pasted region of a flattened composite.

        Args:
            image: see `Harmonizer.__call__`.
            alpha: (H, W) of the image's depth; pixels where it is 0 are background. None = the image's own.
            profile: ICC profile of the pixels; None = the image's own, or sRGB.
            likeliest: return the likeliest region also if the model considers the image not to be a composite.

        Raises:
            NothingFoundError: no foreground was found, or no background.
            ImageError: an image of another type, shape or range, or transparent everywhere.
            FileError: a file that cannot be read.
        """
        data = convert_image(image, alpha, profile).data
        return detect_foreground(self.predictor, self.input_size, data, likeliest=likeliest, subject=self.subject)

    def harmony_score(
        self, image: ImageLike, mask: MaskLike, *, alpha: Pixels | None = None, profile: bytes | None = None
    ) -> float:
        """Return the harmony score of a foreground, 0 (recognized as pasted) to 1.

        1 − presence · (mean of the predicted mask inside the foreground − mean outside, at least 0).

        Args:
            image: see `detect`.
            mask: see `Harmonizer.__call__`.
            alpha: see `detect`.
            profile: see `detect`.

        Raises:
            MaskError: a mask that does not fit, or leaves no foreground or no visible background.
            ImageError: see `detect`.
        """
        data, chosen = convert_image(image, alpha, profile).data, convert_mask(mask)
        check_mask(chosen, data.pixels.shape)
        network_input = make_network_input(data, chosen, self.input_size)
        predicted = self.predictor.predict_mask(network_input.composite)
        weights = (network_input.mask, 1 - network_input.mask)
        inside, outside = (float(np.average(predicted.mask, weights=weight)) for weight in weights)
        return 1 - predicted.presence * max(0.0, inside - outside)


def detect_foreground(
    predictor: Predictor,
    input_size: int,
    image: ImageData,
    *,
    likeliest: bool = False,
    subject: Detector | None = None,
) -> Detection:
    """Detect the foreground with a mask-free network of an input size.

    Args:
        predictor: the network.
        input_size: of the network, in pixels.
        image: the flattened composite; pixels whose alpha is 0 are background.
        likeliest: see `Detector.detect`.
        subject: the model of the mask that is combined with the network's; None = none.

    Raises:
        NothingFoundError: see `Detector.detect`.
    """
    started = time.perf_counter()
    predicted = predictor.predict_mask(reduce_image(image, input_size))
    mask = None
    if predicted.presence >= DETECTION_THRESHOLD or likeliest:
        reduced_mask = predicted.mask
        if subject:
            view = reduce_image(image, subject.input_size)
            reduced_mask = add_subject(reduced_mask, subject.predictor.predict_mask(view).mask)
        mask = enlarge_mask(reduced_mask, image.pixels, image.alpha)
    logger.info(
        "detection in %d×%d with “%s” on %s in %.2f s, confidence %.2f",
        image.pixels.shape[1],
        image.pixels.shape[0],
        predictor.name,
        predictor.runner.device,
        time.perf_counter() - started,
        predicted.presence,
    )
    if mask is None:
        raise NothingFoundError(
            "No pasted region was found in this image.", code="mask.not-found.uncertain", confidence=predicted.presence
        )
    return Detection(mask, predicted.presence)


def add_subject(pasted: Floats, subject: Floats) -> Floats:
    """Add the mask of the photograph's subject to that of the pasted region.

    The mean IoU rises from 0.39 to 0.54 on `../shared/real`, and from 0.50 to 0.54 on `../shared/benchmark`.

    Args:
        pasted: n×n in [0, 1], 1 = pasted.
        subject: N×N in [0, 1], 1 = subject, of the same image.

    Returns:
        N×N in [0, 1], 0.5 where the weighted sum is at the threshold.
    """
    resized = cv2.resize(pasted, subject.shape[::-1], interpolation=cv2.INTER_LINEAR)
    total = resized + np.float32(SUBJECT_WEIGHT) * subject
    return np.asarray((_CONTRAST * (total - COMBINED_THRESHOLD) + 0.5).clip(0, 1), np.float32)


def enlarge_mask(predicted: Floats, pixels: Pixels, alpha: Pixels | None = None) -> NDArray[np.uint8]:
    """Enlarge a predicted mask to the size of its image, along the image's edges.

    Args:
        predicted: N×N in [0, 1], 1 = foreground.
        pixels: H×W×3, the image.
        alpha: H×W; pixels where it is 0 become background. None = opaque.

    Returns:
        H×W, 255 = foreground; values near 0 and 1 become 0 and 255.

    Raises:
        NothingFoundError: no pixel is more foreground than background, or all are foreground.
    """
    mask = snap_mask(upsample_mask(predicted, pixels))
    if alpha is not None:
        mask[alpha == 0] = 0
    if mask.max() < 128:
        raise NothingFoundError("No pasted region was found in this image.")
    if mask.min() == 255:
        raise NothingFoundError("The whole image was taken for a pasted region.", code="mask.not-found.all")
    return mask
