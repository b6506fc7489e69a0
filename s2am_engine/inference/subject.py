# SPDX-License-Identifier: GPL-3.0-or-later
"""Selection of a photograph's subject: a full-size mask, and the confidence that there is a clear subject."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from s2am_common.errors import NoSubjectError
from s2am_engine.image.arrays import bounding_box
from s2am_engine.image.data import ImageData
from s2am_engine.image.masks import snap_mask, upsample_mask
from s2am_engine.inference.detector import Detector
from s2am_engine.inference.inputs import ImageLike, convert_image
from s2am_engine.inference.network_input import reduce_image
from s2am_engine.models.downloads import DOWNLOADS, SUBJECT_SELECTION, default_subject_model
from s2am_engine.models.model_store import SUBJECT_MODEL, SUBJECT_THRESHOLD
from s2am_engine.types import Floats, Pixels

if TYPE_CHECKING:
    from s2am_engine.inference.isnet import Isnet

logger = logging.getLogger(__name__)

MIN_REGION = 0.1
"""Area of a separate region, as a share of that of the largest one, from which on it belongs to the subject."""

_SOFT_EDGE = 0.1  # values up to this are background


def keep_main_regions(mask: Floats) -> Floats:
    """Set separate regions of a mask to 0 if they are small, such as objects in the background, with their soft edges.

    Args:
        mask: n×m in [0, 1], 1 = subject.

    Returns:
        A mask in which every region has at least `MIN_REGION` of the largest one's area.
    """
    regions = cv2.connectedComponents((mask > _SOFT_EDGE).astype(np.uint8))[1]
    areas = np.bincount(regions.ravel(), weights=(mask >= 0.5).ravel())
    is_small = areas < MIN_REGION * areas[1:].max(initial=0)
    is_small[0] = False
    return np.where(is_small[regions], np.float32(0), mask)


@dataclass(frozen=True, eq=False)
class SubjectResult:
    """The subject of a photograph.

    mask: (H, W) uint8, 255 = subject, with soft edges.
    confidence: probability, 0 to 1, that the photograph has a clear subject.
    model: name of the model that predicted the mask.
    """

    mask: NDArray[np.uint8] = field(repr=False)
    confidence: float
    model: str

    @property
    def is_certain(self) -> bool:
        """True if the confidence reaches the threshold; otherwise the mask is only the likeliest subject."""
        return self.confidence >= SUBJECT_THRESHOLD


class SubjectSelector:
    """Models that select the subject of a photograph, loaded once.

    The built-in model decides whether there is a clear subject; it or a downloaded one gives the mask.

    Attributes:
        name: of the model that gives the mask.
        detector: the model that decides.

    Example:
        >>> import skimage.data
        >>> from s2am_engine import SubjectSelector
        >>> result = SubjectSelector("subject", device="cpu").select(skimage.data.astronaut())
        >>> result.mask.shape, result.is_certain
        ((512, 512), True)
    """

    def __init__(self, model: str = "", device: str | None = None) -> None:
        """Load a model.

        Args:
            model: `subject`, the built-in one; the name of a downloaded one, see `models.downloads.DOWNLOADS`, or of a
                personal one; "" = the downloaded one if there is one, else the built-in one.
            device: of the built-in model, see `Harmonizer`.

        Raises:
            ModelError: a model that is unknown, damaged or not downloaded.
            DeviceError: this machine has no such device.
        """
        self.name = model or default_subject_model()
        download = DOWNLOADS.get(self.name)
        file = download.installed_file() if download else None
        self.detector = Detector(SUBJECT_MODEL if download else self.name, device, purpose=SUBJECT_SELECTION)
        self._downloaded: Isnet | None = None  # gives the mask instead of the detector
        if file:
            from s2am_engine.inference.isnet import Isnet

            self._downloaded = Isnet(file)

    def select(
        self,
        image: ImageLike,
        *,
        alpha: Pixels | None = None,
        profile: bytes | None = None,
        likeliest: bool = False,
    ) -> SubjectResult:
        """Select the subject of a photograph: its main region, and separate ones that are not small beside it.

        Args:
            image: see `Harmonizer.__call__`.
            alpha: (H, W) of the image's depth; pixels where it is 0 are background. None = the image's own.
            profile: ICC profile of the pixels; None = the image's own, or sRGB.
            likeliest: return the likeliest subject also if the photograph has no clear one.

        Raises:
            NoSubjectError: there is no clear subject, or it covers the whole image.
            ImageError: an image of another type, shape or range, or transparent everywhere.
            FileError: a file that cannot be read.
        """
        started = time.perf_counter()
        data = convert_image(image, alpha, profile).data
        # The network gets the visible part only, so that transparent margins do not make the subject small.
        left, top, right, bottom = _visible_box(data)
        part = slice(top, bottom), slice(left, right)
        visible = ImageData(data.pixels[part], None if data.alpha is None else data.alpha[part], data.profile)
        mask, confidence = self._select(visible, likeliest=likeliest)
        full = np.zeros(data.pixels.shape[:2], np.uint8)
        full[part] = mask
        logger.info(
            "subject in %d×%d with “%s” in %.2f s, confidence %.2f",
            data.pixels.shape[1],
            data.pixels.shape[0],
            self.name,
            time.perf_counter() - started,
            confidence,
        )
        if full.max() < 128:
            raise no_subject(confidence)
        if full.min() == 255:
            raise NoSubjectError("The whole image was taken for the subject.", code="subject.all")
        return SubjectResult(full, confidence, self.name)

    def _select(self, data: ImageData, *, likeliest: bool) -> tuple[NDArray[np.uint8], float]:
        """Return the mask of an image's subject, H×W, and the confidence. Raises NoSubjectError."""
        small = reduce_image(data, self.detector.input_size)
        predicted = self.detector.predictor.predict_mask(small)
        if predicted.presence < SUBJECT_THRESHOLD and not likeliest:
            raise no_subject(predicted.presence)
        mask = self._downloaded_mask(data) if self._downloaded else predicted.mask
        full = snap_mask(upsample_mask(keep_main_regions(mask), data.pixels))
        if data.alpha is not None:
            full[data.alpha == 0] = 0
        return full, predicted.presence

    def _downloaded_mask(self, data: ImageData) -> Floats:
        assert self._downloaded
        return self._downloaded.predict(reduce_image(data, self._downloaded.input_size))


def _visible_box(data: ImageData) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the visible part of an image; of the whole image if it has none."""
    height, width = data.pixels.shape[:2]
    box = None if data.alpha is None else bounding_box(data.alpha)
    return box or (0, 0, width, height)


def no_subject(confidence: float) -> NoSubjectError:
    """Return the error for a photograph without a clear subject."""
    return NoSubjectError("This image has no clear subject.", code="subject.not-found", confidence=round(confidence, 3))


def select_subject(
    image: ImageLike, *, model: str = "", likeliest: bool = False, device: str | None = None
) -> SubjectResult:
    """Select the subject of one photograph; for several, keep a `SubjectSelector`.

    Args:
        image: see `Harmonizer.__call__`.
        model: see `SubjectSelector`.
        likeliest: see `SubjectSelector.select`.
        device: see `Harmonizer`.

    Raises:
        S2AMError: see `SubjectSelector` and its `select`.

    Example:
        >>> import skimage.data
        >>> from s2am_engine import select_subject
        >>> result = select_subject(skimage.data.astronaut(), model="subject")
        >>> result.mask.shape, result.is_certain
        ((512, 512), True)
    """
    return SubjectSelector(model, device).select(image, likeliest=likeliest)
