# SPDX-License-Identifier: GPL-3.0-or-later
"""ISNet, a network for salient objects that can be downloaded, run by ONNX Runtime on the CPU.

Qin et al., Highly accurate dichotomous image segmentation, ECCV 2022.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from s2am_common.errors import ModelError
from s2am_engine.inference.onnx_runtime import open_session, session_options
from s2am_engine.types import Floats

INPUT_CENTER = np.float32(0.5)  # subtracted from values in [0, 1], as in training
LEAST_RANGE = 1e-6


class Isnet:
    """ISNet's weights, loaded."""

    input_size = 1024

    def __init__(self, file: Path) -> None:
        """Load the weights from an ONNX file.

        Raises:
            ModelError: the file cannot be loaded.
        """
        options = session_options(os.cpu_count() or 1)
        options.enable_cpu_mem_arena = False  # a gigabyte that would be kept between images
        try:
            self._session = open_session(os.fspath(file), options)
        except Exception as error:  # of ONNX Runtime, which has no common base class of its own
            raise ModelError(
                f"{file} cannot be loaded ({type(error).__name__}): delete the model and install it again.",
                code="model.download.damaged",
                path=str(file),
            ) from error
        self._input = self._session.get_inputs()[0].name
        self._output = self._session.get_outputs()[0].name  # the finest of its maps

    def predict(self, image: Floats) -> Floats:
        """Return the mask of the salient objects, stretched to the full range as ISNet's authors do.

        Args:
            image: N×N×3 sRGB in [0, 1]; N is the input size.

        Returns:
            N×N in [0, 1].
        """
        batch = np.ascontiguousarray(np.moveaxis(image - INPUT_CENTER, 2, 0)[None])
        prediction = np.asarray(self._session.run([self._output], {self._input: batch})[0], np.float32)[0, 0]
        low, high = float(prediction.min()), float(prediction.max())
        return np.asarray((prediction - low) / max(high - low, LEAST_RANGE), np.float32)
