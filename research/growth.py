# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m research.growth`: measure time and memory as images grow, and write docs/growth.md and docs/growth.png.

`docs/growth.json` keeps what was measured; with `--draw` the page is made from it again. The chart shows CPU seconds of
all threads: they depend less on what else the machine does than the time on the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from research import console
from s2am_common.atomic import atomic_write
from s2am_common.errors import EngineError
from s2am_engine.cli.benchmark import describe_machine, peak_memory, proc_status, synthetic_image
from s2am_engine.inference.harmonizer import Harmonizer
from s2am_engine.inference.onnx_runner import OnnxRunner

SIZES = ((1224, 816), (3464, 2309), (6000, 4000), (9488, 6324), (17320, 11548))
"""Width and height: 1, 8, 24, 60 and 200 megapixels."""

SHARES = {0.01: "1 %", 0.3: "30 %", 0.99: "100 %"}
"""Shares of foreground, and their names; some background must be left."""

REPEATS = 3

PEERS = {
    "PCT-Net CNN": ((0.57, 2.45, 6.9), 3.5),
    "PCT-Net ViT": ((1.85, 4.3, 7.7), 3.4),
    "CDTNet": ((0.86, 6.6, 14), 4.0),
    "Harmonizer": ((0.38, 4.5, 17), 5.4),
    "S2CRNet": ((0.48, 12, 36), 1.9),
    "DCCF": ((1.84, 22, 73), 8.7),
}
"""Seconds of other harmonizers at `PEER_MEGAPIXELS`, and gigabytes at the last: their own code, one thread, measured
on a machine of this kind with a mask of 26 % of the image."""

PEER_MEGAPIXELS = (1.05, 8.3, 24.0)

PAGE = """\
# Time and memory as images grow

*Made by `python -m research.growth`; not written by hand.*

8-bit sRGB pixels in to pixels out with “{model}” on {runtime}, {machine}. CPU seconds are those of all threads,
medians of {repeats} calls; rendering is shared by the cores, so the time on the clock is shorter on an idle machine.
Memory is that beyond the image, its mask and the result; “100 %” leaves the corners to the background.

![Time and memory against megapixels, with other harmonizers](growth.png)

| megapixels | foreground | CPU seconds | seconds on the clock | more memory | peak of the process |
| ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

{load}Other harmonizers (their own code, one thread, a mask of 26 %):

| | {sizes} | memory at 24 megapixels |
| --- | {rules} | ---: |
{peers}
"""


@dataclass(frozen=True)
class CostMeasurement:
    """Measurement at one size and share of foreground.

    cpu_seconds, seconds: medians.
    more_bytes: memory beyond the image, its mask and the result; peak_bytes: of the process. None = not known here.
    """

    megapixels: float
    share: float
    cpu_seconds: float
    seconds: float
    more_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True)
class CostMeasurements:
    """All measurements, and where they were made.

    runtime: what ran the network.
    load: other runnable processes per core while measuring; None = not known here.
    """

    model: str
    runtime: str
    machine: str
    load: float | None
    points: list[CostMeasurement]

    @classmethod
    def read(cls, path: Path) -> CostMeasurements:
        """Read measurements that `write` wrote.

        Raises:
            EngineError: there is no such file.
        """
        if not path.is_file():
            raise EngineError(f"There is no {path} yet: run python -m research.growth without --draw.")
        values = json.loads(path.read_text("utf-8"))
        return cls(**values | {"points": [CostMeasurement(**point) for point in values["points"]]})

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        with atomic_write(path) as file:
            file.write(json.dumps(asdict(self), indent=1).encode() + b"\n")


def measure(harmonizer: Harmonizer, width: int, height: int, share: float) -> CostMeasurement:
    """Measure one size and share of foreground."""
    pixels, mask = synthetic_image(width, height, share)
    harmonizer(pixels, mask).render()
    spent = []
    for _ in range(REPEATS):
        clock, processor = time.perf_counter(), time.process_time()
        harmonizer(pixels, mask).render()
        spent.append((time.process_time() - processor, time.perf_counter() - clock))
    with peak_memory() as growth:
        result = harmonizer(pixels, mask).render()
    cpu, seconds = (sorted(each)[REPEATS // 2] for each in zip(*spent, strict=True))
    more = max(0, growth[0] - result.nbytes) if growth else None
    return CostMeasurement(width * height / 1e6, share, cpu, seconds, more, proc_status("VmHWM"))


def measure_all(model: str) -> CostMeasurements:
    """Measure all sizes and shares on the CPU."""
    harmonizer = Harmonizer(model, "cpu")
    points = []
    for width, height in SIZES:
        for share, name in SHARES.items():
            print(f"{width}×{height}, {name} foreground …", file=sys.stderr)
            points.append(measure(harmonizer, width, height, share))
    load = max(0, os.getloadavg()[1] - 1) / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else None
    runtime = "ONNX Runtime" if isinstance(harmonizer.predictor.runner, OnnxRunner) else "PyTorch"
    return CostMeasurements(harmonizer.name, runtime, describe_machine(), load, points)


def make_page(found: CostMeasurements) -> str:
    """Return the page in Markdown."""
    rows = [
        f"| {one.megapixels:.0f} | {SHARES[one.share]} | {one.cpu_seconds:.2f} | {one.seconds:.2f} | "
        f"{in_megabytes(one.more_bytes)} | {in_megabytes(one.peak_bytes)} |"
        for one in found.points
    ]
    peers = [
        f"| {name} | {' | '.join(f'{each:g} s' for each in seconds)} | {memory:g} GB |"
        for name, (seconds, memory) in PEERS.items()
    ]
    busy = found.load is not None and found.load > 0.25
    load = "The machine was busy with other work, so all times are too high, those on the clock most.\n\n"
    return PAGE.format(
        model=found.model,
        runtime=found.runtime,
        machine=found.machine,
        repeats=REPEATS,
        rows="\n".join(rows),
        load=load if busy else "",
        sizes=" | ".join(f"{size:.0f} megapixels" if size > 2 else "1 megapixel" for size in PEER_MEGAPIXELS),
        rules=" | ".join("---:" for _ in PEER_MEGAPIXELS),
        peers="\n".join(peers),
    )


def in_megabytes(count: int | None) -> str:
    """Format a number of bytes."""
    return "–" if count is None else f"{count / 1e6:.0f} MB"


def draw_chart(found: CostMeasurements, path: Path) -> None:
    """Draw time and memory against megapixels, with the other harmonizers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    times, memory = figure.subplots(1, 2)
    for name, (seconds, gigabytes) in PEERS.items():
        (line,) = times.plot(PEER_MEGAPIXELS, seconds, "--o", linewidth=1, markersize=3, label=name)
        memory.plot(PEER_MEGAPIXELS[-1], gigabytes, "o", color=line.get_color(), label=name)
    for share, shade in zip(SHARES, ("0.65", "0.4", "0.0"), strict=True):
        points = [one for one in found.points if one.share == share]
        sizes, label = [one.megapixels for one in points], f"s2am, {SHARES[share]} foreground"
        times.plot(sizes, [one.cpu_seconds for one in points], "-s", color=shade, markersize=4, label=label)
        memory.plot(
            sizes, [(one.peak_bytes or 0) / 1e9 for one in points], "-s", color=shade, markersize=4, label=label
        )
    for axes, title in ((times, "CPU seconds (others: one thread)"), (memory, "peak memory of the process, GB")):
        axes.set(xscale="log", yscale="log", xlabel="megapixels", title=title)
        axes.set_xticks([1, 8, 24, 60, 200], ["1", "8", "24", "60", "200"])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
    times.legend(fontsize=7)
    with atomic_write(path) as file:
        figure.savefig(file, format="png", dpi=110)


def main(arguments: list[str] | None = None) -> int:
    """Parse the command line, measure, and make the page."""
    parser = argparse.ArgumentParser(prog="python -m research.growth", description=__doc__)
    parser.add_argument("--model", default="", help="default: that of the settings")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="default: %(default)s")
    options = parser.parse_args(arguments)
    return console.run(lambda: write_page(options.docs, None if options.draw else options.model))


def write_page(docs: Path, model: str | None) -> None:
    """Measure a model (None: use the kept figures), and write growth.json, growth.md and growth.png."""
    kept = docs / "growth.json"
    if model is not None:
        measure_all(model).write(kept)
    found = CostMeasurements.read(kept)
    with atomic_write(docs / "growth.md") as file:
        file.write(make_page(found).encode())
    draw_chart(found, docs / "growth.png")


if __name__ == "__main__":
    sys.exit(main())
