# SPDX-License-Identifier: GPL-3.0-or-later
"""Harmonization of composites: adapt the colors of a pasted foreground to its background.

    >>> import s2am_engine
    >>> result = s2am_engine.harmonize("composite.png", "mask.png")  # doctest: +SKIP
    >>> s2am_engine.save_image("harmonized.png", result)  # doctest: +SKIP

All names are imported on first use, because PyTorch loads slowly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from s2am_common.version import __version__

if TYPE_CHECKING:
    from s2am_engine.color.adjustments import Sliders
    from s2am_engine.color.map import ColorMap
    from s2am_engine.errors import (
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
    )
    from s2am_engine.finish.finisher import Finisher
    from s2am_engine.finish.measurement import FinishMeasurement
    from s2am_engine.finish.values import Finish
    from s2am_engine.image.io import ImageData, load_image, save_image
    from s2am_engine.image.mask_edges import EdgeSettings, refine_edges
    from s2am_engine.image.mask_reading import MaskOptions, MaskReading, read_mask, read_mask_file
    from s2am_engine.image.masks import save_mask
    from s2am_engine.inference.detector import Detection, Detector
    from s2am_engine.inference.harmonizer import Harmonizer, harmonize
    from s2am_engine.inference.result import HarmonizeResult
    from s2am_engine.inference.subject import SubjectResult, SubjectSelector, select_subject
    from s2am_engine.models.model_store import list_models
    from s2am_engine.shadow.estimate import ShadowEstimate, estimate_shadow
    from s2am_engine.shadow.layer import ShadowLayer, Silhouette
    from s2am_engine.shadow.render import render_shadow
    from s2am_engine.shadow.settings import Shadow

_MODULES = {
    "s2am_engine.color.adjustments": ("Sliders",),
    "s2am_engine.color.map": ("ColorMap",),
    "s2am_engine.errors": (
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
    ),
    "s2am_engine.finish.finisher": ("Finisher",),
    "s2am_engine.finish.measurement": ("FinishMeasurement",),
    "s2am_engine.finish.values": ("Finish",),
    "s2am_engine.image.io": ("ImageData", "load_image", "save_image"),
    "s2am_engine.image.mask_edges": ("EdgeSettings", "refine_edges"),
    "s2am_engine.image.mask_reading": ("MaskOptions", "MaskReading", "read_mask", "read_mask_file"),
    "s2am_engine.image.masks": ("save_mask",),
    "s2am_engine.inference.detector": ("Detection", "Detector"),
    "s2am_engine.inference.harmonizer": ("Harmonizer", "harmonize"),
    "s2am_engine.inference.result": ("HarmonizeResult",),
    "s2am_engine.inference.subject": ("SubjectResult", "SubjectSelector", "select_subject"),
    "s2am_engine.models.model_store": ("list_models",),
    "s2am_engine.shadow.estimate": ("ShadowEstimate", "estimate_shadow"),
    "s2am_engine.shadow.layer": ("ShadowLayer", "Silhouette"),
    "s2am_engine.shadow.render": ("render_shadow",),
    "s2am_engine.shadow.settings": ("Shadow",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "ColorMap",
    "ColorMapError",
    "Detection",
    "Detector",
    "DeviceError",
    "DiskFullError",
    "EdgeSettings",
    "EngineError",
    "FileError",
    "Finish",
    "FinishMeasurement",
    "Finisher",
    "HarmonizeResult",
    "Harmonizer",
    "ImageData",
    "ImageError",
    "ImageFormatError",
    "MaskError",
    "MaskOptions",
    "MaskReading",
    "ModelError",
    "ModelNotFoundError",
    "NoSubjectError",
    "NothingFoundError",
    "S2AMError",
    "Shadow",
    "ShadowEstimate",
    "ShadowLayer",
    "Silhouette",
    "Sliders",
    "SubjectResult",
    "SubjectSelector",
    "TrainingError",
    "__version__",
    "estimate_shadow",
    "harmonize",
    "list_models",
    "load_image",
    "read_mask",
    "read_mask_file",
    "refine_edges",
    "render_shadow",
    "save_image",
    "save_mask",
    "select_subject",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name in _MODULE_OF:
        value = globals()[name] = getattr(importlib.import_module(_MODULE_OF[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
