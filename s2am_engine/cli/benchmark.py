# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark: time and memory of each stage of harmonization at the sizes of photographs."""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.network_input import make_network_input

# (width, height): 1, 8 and 24 megapixels.
SIZES = ((1224, 816), (3464, 2309), (6000, 4000))
REPEATS = 5


@dataclass
class Measurement:
    """Measurement of one image size.

    stages: seconds by stage, medians.
    peak_extra_bytes: memory beyond input and result; None where the system does not report it.
    """

    width: int
    height: int
    stages: dict[str, float] = field(default_factory=dict)
    peak_extra_bytes: int | None = None

    @property
    def megapixels(self) -> float:
        """Size in millions of pixels."""
        return self.width * self.height / 1e6

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        picture = self.width * self.height * 3
        extra = self.peak_extra_bytes
        return {
            "width": self.width,
            "height": self.height,
            "megapixels": round(self.megapixels, 1),
            "seconds": {name: round(seconds, 4) for name, seconds in self.stages.items()},
            "peak_extra_bytes": extra,
            "peak_extra_of_picture": None if extra is None else round(extra / picture, 3),
        }


def measure_sizes(model: str, device: str, progress: Callable[[str], None] | None = None) -> list[Measurement]:
    """Measure network_input, network, rendering and all of it, on 8-bit pictures with a quarter of foreground."""
    harmonizer = Harmonizer(model, device)
    found = []
    for width, height in SIZES:
        if progress:
            progress(f"{width} × {height}")
        found.append(measure_size(harmonizer, width, height))
    return found


def measure_size(harmonizer: Harmonizer, width: int, height: int) -> Measurement:
    """Measure network input, network, rendering, and the whole call."""
    pixels, mask = synthetic_image(width, height)
    size = harmonizer.input_size
    found = Measurement(width, height)
    network_input = make_network_input(pixels, mask, None, None, size)
    found.stages["network input"] = median_time(lambda: make_network_input(pixels, mask, None, None, size))
    found.stages["network"] = median_time(lambda: harmonizer.predictor(network_input))
    prediction = harmonizer(pixels, mask)
    found.stages["rendering"] = median_time(prediction.render)

    def harmonize() -> NDArray[Any]:
        return harmonizer(pixels, mask).render()

    found.stages["pixels in to pixels out"] = median_time(harmonize)
    with peak_memory() as growth:
        result = harmonize()
    if growth:
        found.peak_extra_bytes = max(0, growth[0] - result.nbytes)
    return found


def synthetic_image(width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a smooth image with grain, and an elliptic mask of a quarter of it with a soft edge."""
    rng = np.random.default_rng(0)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    pixels = np.empty((height, width, 3), np.uint8)
    for channel, (a, b) in enumerate(((0.7, 0.2), (0.5, 0.4), (0.2, 0.7))):
        pixels[..., channel] = 20 + 200 * (a * x + b * y) + rng.integers(0, 12, (height, width), np.uint8)
    distance = ((x - 0.5) / 0.3) ** 2 + ((y - 0.5) / 0.2653) ** 2
    return pixels, np.clip((1.01 - distance) * 5000, 0, 255).astype(np.uint8)


def median_time(work: Callable[[], object]) -> float:
    """Return the median time of several calls in seconds, after one call to warm up."""
    work()
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return sorted(times)[len(times) // 2]


def describe_machine() -> str:
    """Return system, number of cores and Python version."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores, Python {platform.python_version()}"


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Measure the peak growth of the process in the block, in bytes: the list's only item, or none without /proc."""
    growth: list[int] = []
    release_freed_memory()
    before = proc_status("VmRSS")
    try:
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    except OSError:
        before = None
    yield growth
    peak = proc_status("VmHWM")
    if before is not None and peak is not None:
        growth.append(peak - before)


def release_freed_memory() -> None:
    """Return freed memory to the system, so reusing it counts as growth (glibc only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def proc_status(key: str) -> int | None:
    """Return a size from /proc/self/status in bytes."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    return None


def to_table(found: list[Measurement]) -> str:
    """Return a plain-text table, one line for each size."""
    names = list(found[0].stages)
    lines = [f"{'image':>18}" + "".join(f"{name:>25}" for name in names) + f"{'extra memory':>22}"]
    for item in found:
        size = f"{item.width}×{item.height}"
        times = "".join(f"{item.stages[name] * 1000:22.0f} ms" for name in names)
        extra = item.to_json()["peak_extra_of_picture"]
        memory = "not measured here" if extra is None else f"{(item.peak_extra_bytes or 0) / 1e6:.1f} MB = {extra:.0%}"
        lines.append(f"{size:>18}{times}{memory:>22}")
    return "\n".join(lines)
