# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's errors, defined in `s2am_common.errors`."""

from __future__ import annotations

from s2am_common.errors import (
    ColorMapError,
    DeviceError,
    DiskFullError,
    EngineError,
    FileError,
    ImageError,
    ImageFormatError,
    MaskError,
    ModelError,
    ModelNotFoundError,
    NoSubjectError,
    NothingFoundError,
    S2AMError,
    TrainingError,
    with_advice,
)

__all__ = [
    "ColorMapError",
    "DeviceError",
    "DiskFullError",
    "EngineError",
    "FileError",
    "ImageError",
    "ImageFormatError",
    "MaskError",
    "ModelError",
    "ModelNotFoundError",
    "NoSubjectError",
    "NothingFoundError",
    "S2AMError",
    "TrainingError",
    "with_advice",
]
