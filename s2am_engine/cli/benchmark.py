# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark: time and memory of each stage of harmonization at the sizes of photographs, idle and under load."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from s2am_engine.finish.edges import Surroundings
from s2am_engine.finish.finisher import Finisher
from s2am_engine.finish.measurement import FinishMeasurement
from s2am_engine.finish.noise import noise_tiles
from s2am_engine.finish.values import Finish
from s2am_engine.finish.windows import SampleWindows
from s2am_engine.image.arrays import SAMPLED_SIDE, subsample
from s2am_engine.image.data import ImageData
from s2am_engine.image.formats.color_space import adobe_rgb_profile
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.network_input import make_network_input
from s2am_engine.inference.result import HarmonizeResult
from s2am_engine.shadow.layer import Silhouette
from s2am_engine.shadow.render import render_shadow
from s2am_engine.shadow.settings import Shadow
from s2am_engine.types import Pixels

# (width, height): 1, 8 and 24 megapixels.
SIZES = ((1224, 816), (3464, 2309), (6000, 4000))
SHARE = 0.25  # of the image that the foreground covers
FINISH_SHARE = 0.375  # the same of the stages of the finish: 9 of 24 megapixels
REPEATS = 7
BUSY_REPEATS = 21  # the 95th percentile is then the second longest time

_BUSY_PROGRAM = """
import os, sys, threading
print("running", flush=True)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
while True:
    pass
"""
"""A process that keeps one core busy until its standard input is closed, also by the end of its parent."""


@dataclass
class Measurement:
    """Measurement of one image size.

    stages: seconds by stage, medians.
    peak_extra_bytes: memory beyond input and result; None where the system does not report it.
    finish_extra_bytes: memory beyond image, mask and result of measuring and all stages of the finish, which works in
        place: its peak in one call, with memory that was freed but not returned to the system, and with noise that is
        kept for further calls. The larger one of adding and removing noise.
    """

    width: int
    height: int
    stages: dict[str, float] = field(default_factory=dict)
    peak_extra_bytes: int | None = None
    finish_extra_bytes: int | None = None

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
            "finish_extra_bytes": self.finish_extra_bytes,
        }


@dataclass(frozen=True)
class Timing:
    """Seconds that repeated calls took."""

    median: float
    percentile95: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Summarize the seconds of single calls, at least one."""
        ordered = sorted(seconds)
        return cls(ordered[len(ordered) // 2], ordered[math.ceil(0.95 * len(ordered)) - 1])

    def __str__(self) -> str:
        """Show both in milliseconds."""
        return f"{1000 * self.median:.0f} / {1000 * self.percentile95:.0f} ms"


@dataclass(frozen=True)
class BusyMeasurement:
    """Times of each stage on this machine as it is, and beside processes that keep its cores busy.

    processes: number of busy processes.
    """

    width: int
    height: int
    processes: int
    idle: Mapping[str, Timing]
    busy: Mapping[str, Timing]

    def ratio(self, stage: str) -> float:
        """Return the time of a stage beside the busy processes relative to that without, by medians."""
        return self.busy[stage].median / self.idle[stage].median

    def to_json(self) -> dict[str, Any]:
        """Return JSON values."""
        stages = {
            name: {"idle": asdict(self.idle[name]), "busy": asdict(self.busy[name]), "ratio": self.ratio(name)}
            for name in self.idle
        }
        return {"width": self.width, "height": self.height, "busy_processes": self.processes, "stages": stages}

    def to_table(self) -> str:
        """Return a plain-text table, one line for each stage."""
        headings = ("idle", f"beside {self.processes} busy processes", "ratio")
        lines = [
            f"{self.width}×{self.height}, median / 95th percentile of {BUSY_REPEATS} calls",
            f"{'':25}{headings[0]:>20}{headings[1]:>30}{headings[2]:>8}",
        ]
        for name, idle in self.idle.items():
            lines.append(f"{name:25}{idle!s:>20}{self.busy[name]!s:>30}{self.ratio(name):8.1f}")
        return "\n".join(lines)


def measure_sizes(model: str, device: str, progress: Callable[[str], None] | None = None) -> list[Measurement]:
    """Measure the stages and all of them together, on 8-bit images; SHARE and FINISH_SHARE of them are foreground."""
    harmonizer = Harmonizer(model, device)
    measurements = []
    for width, height in SIZES:
        if progress:
            progress(f"{width} × {height}")
        measurements.append(measure_size(harmonizer, width, height))
    return measurements


def measure_size(harmonizer: Harmonizer, width: int, height: int) -> Measurement:
    """Measure each stage, and memory, on an image with a share of foreground."""
    pixels, mask = synthetic_image(width, height)
    measurement = Measurement(width, height)
    stages = stages_of(harmonizer, pixels, mask)
    for name, stage in stages.items():
        measurement.stages[name] = Timing.of(durations(stage, REPEATS)).median
    for name in WHOLE_FINISHES:
        noise_tiles.cache_clear()
        with peak_memory() as growth:
            stages[name]()
        measurement.finish_extra_bytes = max(growth[0], measurement.finish_extra_bytes or 0) if growth else None
    for name, variant in VARIANTS.items():
        whole = partial(harmonize_variant, harmonizer, *variant(pixels), mask)
        measurement.stages[name] = Timing.of(durations(whole, REPEATS)).median
    with peak_memory() as growth:
        result = harmonizer(pixels, mask).render()
    if growth:
        measurement.peak_extra_bytes = max(0, growth[0] - result.nbytes)
    return measurement


def measure_busy(model: str, device: str, progress: Callable[[str], None] | None = None) -> BusyMeasurement:
    """Measure the stages at the largest size, first as the machine is, then beside as many busy processes as cores."""
    width, height = SIZES[-1]
    processes = os.cpu_count() or 1
    stages = stages_of(Harmonizer(model, device), *synthetic_image(width, height))

    def measure() -> dict[str, Timing]:
        return {name: Timing.of(durations(stage, BUSY_REPEATS)) for name, stage in stages.items()}

    if progress:
        progress("idle")
    idle = measure()
    if progress:
        progress(f"beside {processes} busy processes")
    with busy_processes(processes):
        busy = measure()
    return BusyMeasurement(width, height, processes, idle, busy)


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep `count` cores busy with other processes inside the block."""
    command = [sys.executable, "-c", _BUSY_PROGRAM]
    running: list[subprocess.Popen[bytes]] = []
    try:
        while len(running) < count:
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()  # until it runs
        yield
    finally:
        for process in running:
            process.kill()
            process.communicate()


def stages_of(
    harmonizer: Harmonizer, pixels: NDArray[np.uint8], mask: NDArray[np.uint8]
) -> dict[str, Callable[[], object]]:
    """Return the stages of harmonizing an image, to be called repeatedly, and those of its finish."""
    size, (height, width) = harmonizer.input_size, mask.shape
    image = ImageData(pixels)
    network_input = make_network_input(image, mask, size)
    shaded = pixels.copy()
    return {
        "network input": lambda: make_network_input(image, mask, size),
        "network": lambda: harmonizer.predictor(network_input),
        "prediction": lambda: harmonizer(pixels, mask),
        "rendering": harmonizer(pixels, mask).render,
        "shadow": lambda: cast_shadow(shaded, mask),
        "pixels in to pixels out": lambda: harmonizer(pixels, mask).render(),
    } | finish_stages(harmonizer(pixels, elliptic_mask(height, width, FINISH_SHARE)))


FINISHES = {
    "light": Finish(light=1),
    "grain": Finish(grain=3),
    "noise reduction": Finish(grain=-3),
    "softening": Finish(sharpness=-1.2),
    "edges": Finish(decontaminate=1, light_wrap=0.5),
}
"""Values of the stages of the finish that are measured."""

WHOLE_FINISHES = {
    "finish, all together": Finish(light=1, grain=3, sharpness=-1.2, decontaminate=1, light_wrap=0.5),
    "finish, noise removed": Finish(light=1, grain=-3, sharpness=-1.2, decontaminate=1, light_wrap=0.5),
}
"""Values of the finishes with all stages, with noise added or removed; these are measured with measuring."""

VARIANTS: dict[str, Callable[[NDArray[np.uint8]], tuple[Pixels, bytes | None]]] = {
    "whole, Adobe RGB": lambda pixels: (pixels, adobe_rgb_profile()),
    "whole, 16 bits": lambda pixels: (pixels.astype(np.uint16) * np.uint16(257), None),
    "whole, Adobe RGB 16 bits": lambda pixels: (pixels.astype(np.uint16) * np.uint16(257), adobe_rgb_profile()),
    "whole, floating point": lambda pixels: (pixels.astype(np.float32) / np.float32(255), None),
}
"""Pixels and profile of other kinds of images, from 8-bit pixels: measured from pixels in to pixels out."""


def harmonize_variant(
    harmonizer: Harmonizer, pixels: Pixels, profile: bytes | None, mask: NDArray[np.uint8]
) -> NDArray[Any]:
    """Harmonize an image with a profile from pixels to pixels."""
    return harmonizer(pixels, mask, profile=profile).render()


def finish_stages(result: HarmonizeResult[Any]) -> dict[str, Callable[[], object]]:
    """Return the stages of a finish that follow rendering; the last ones are measuring and all of them together."""
    pixels = result.render()

    def finish(values: Finish, measurement: FinishMeasurement | None = None) -> None:
        composite, mask = result.composite.pixels, result.mask
        needed = measurement is None or values.decontaminate or values.light_wrap
        around = Surroundings.measure(composite, mask) if needed else None
        measured = measurement or FinishMeasurement.of(SampleWindows.of(composite, mask), result.color_map, around)
        shading = result.predict_shading() if values.light else None
        Finisher(values, measured, around, shading).apply(pixels, mask)

    once = result.measure()
    stages: dict[str, Callable[[], object]] = {"measuring": lambda: finish(Finish())}
    stages |= {name: partial(finish, values, once) for name, values in FINISHES.items()}
    return stages | {name: partial(finish, values) for name, values in WHOLE_FINISHES.items()}


def cast_shadow(pixels: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
    """Render the layer of a shadow to the side, and multiply the pixels with it, in place."""
    shadow = Shadow(direction=120, length=0.8)
    render_shadow(shadow, Silhouette(mask), *mask.shape).darken(pixels)


def synthetic_image(width: int, height: int, share: float = SHARE) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a smooth image with grain, and a mask with a soft edge: an ellipse that covers a share of the image."""
    rng = np.random.default_rng(0)
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(0, 1, width, dtype=np.float32)[None]
    pixels = np.empty((height, width, 3), np.uint8)
    for channel, (a, b) in enumerate(((0.7, 0.2), (0.5, 0.4), (0.2, 0.7))):
        pixels[..., channel] = 20 + 200 * (a * x + b * y) + rng.integers(0, 12, (height, width), np.uint8)
    return pixels, elliptic_mask(height, width, share)


def elliptic_mask(height: int, width: int, share: float) -> NDArray[np.uint8]:
    """Return a mask with a soft edge: an ellipse that covers a share of the image."""
    y = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    x = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None]
    distance = x**2 + y**2
    radius = np.quantile(subsample(distance, SAMPLED_SIDE), share)
    return np.clip((1.01 - distance / radius) * 5000, 0, 255).astype(np.uint8)


def durations(work: Callable[[], object], repeats: int) -> list[float]:
    """Return the times of several calls in seconds, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


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


def to_table(measurements: list[Measurement]) -> str:
    """Return a plain-text table, one line for each stage, one column for each size."""
    lines = [f"{'image':24}" + "".join(f"{f'{item.width}×{item.height}':>20}" for item in measurements)]
    lines += [
        f"{name:24}" + "".join(f"{item.stages[name] * 1000:17.0f} ms" for item in measurements)
        for name in measurements[0].stages
    ]
    for name, sizes in (
        ("extra memory", [item.peak_extra_bytes for item in measurements]),
        ("extra memory, finish", [item.finish_extra_bytes for item in measurements]),
    ):
        cells = [_memory_cell(item, size) for item, size in zip(measurements, sizes, strict=True)]
        lines.append(f"{name:24}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def _memory_cell(item: Measurement, size: int | None) -> str:
    """Return a size in bytes, and its share of an image of 8 bits."""
    if size is None:
        return "not measured here"
    return f"{size / 1e6:.1f} MB = {size / (item.width * item.height * 3):.0%}"
