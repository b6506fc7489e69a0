# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark of Harmonize Layer in a real GIMP 3: `python -m tests.gimp.bench`.

An image of 24 megapixels with a layer of 9 megapixels, called from a script; the time is that of the whole call, the
memory is the plug-in's own peak, without GIMP and the engine.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from s2am_setup.console import Console
from tests.gimp import pictures
from tests.gimp.harness import Gimp3
from tests.gimp.provision import HOSTS, UnavailableError, provision

GOALS: dict[tuple[str, str, str], float | None] = {
    ("cold", "new-layer", "8-bit sRGB"): 8.0,
    ("warm", "new-layer", "8-bit sRGB"): 1.0,
    ("warm", "in-place", "8-bit sRGB"): 1.0,
    ("warm", "effect", "8-bit sRGB"): 1.0,
    ("warm", "edges", "8-bit sRGB"): None,
    ("warm", "finish", "8-bit sRGB"): 1.5,
    ("warm", "edges and finish", "8-bit sRGB"): None,
    ("warm", "new-layer", "16-bit sRGB"): 1.5,
    ("warm", "new-layer", "8-bit AdobeRGB"): 1.5,
    ("warm", "new-layer", "16-bit AdobeRGB"): 1.5,
    ("warm", "new-layer", "float linear"): 1.5,
}
"""Seconds; None = no goal is set."""

MEMORY_GOAL = 200
"""Megabytes of the plug-in."""


class MemoryWatch:
    """Samples the peak memory of the plug-in's processes, one for each call."""

    def __init__(self, plugin: Path) -> None:
        """Start the thread for the plug-in in a folder."""
        self._is_plugin = os.fsencode(plugin / "harmonize-layer.py")
        self._peaks: dict[Path, tuple[float, float]] = {}  # when a process was first seen, and its megabytes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop the thread."""
        self._over.set()
        self._thread.join()

    def peak(self, begun: float, seconds: float) -> float:
        """Return the peak of a call in megabytes, given when it began (seconds since 1970) and how long it took."""
        return max((peak for seen, peak in self._peaks.values() if begun <= seen <= begun + seconds), default=0.0)

    def _sample(self) -> None:
        while not self._over.wait(0.01):
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if self._is_plugin in (process / "cmdline").read_bytes().split(b"\0"):
                        found = re.search(r"VmHWM:\s+(\d+) kB", (process / "status").read_text())
                        seen, peak = self._peaks.get(process, (time.time(), 0.0))
                        self._peaks[process] = seen, max(peak, int(found[1]) / 1024 if found else 0)


def measure(gimp: Gimp3) -> list[dict[str, Any]]:
    """Return the timings of GIMP's script, with the plug-in's memory in megabytes."""
    gimp.prepare()
    vast = cv2.resize(pictures.background(), (6000, 4000), interpolation=cv2.INTER_CUBIC)
    (gimp.folder / "vast.bin").write_bytes(vast.tobytes())
    (gimp.folder / "big.bin").write_bytes(np.ascontiguousarray(pictures.cut_out((3000, 3000))).tobytes())
    watch = MemoryWatch(gimp.plugin)
    try:
        timings: list[dict[str, Any]] = gimp.run("bench.py", 1500)
        return [each | {"memory": watch.peak(each["begun"], each["seconds"])} for each in timings]
    finally:
        watch.end()
        gimp.end_engine()


def parts_of(log: str) -> list[tuple[float, str]]:
    """Return, for each call in the log, when its progress bar appeared (seconds since 1970) and its steps."""
    begun = [
        time.mktime(time.strptime(stamp, "%Y-%m-%d %H:%M:%S")) + int(thousandths) / 1000
        for stamp, thousandths in re.findall(r"^(\S+ \S+),(\d+) plug-in.*: Harmonizing ", log, re.MULTILINE)
    ]
    return list(zip(begun, re.findall(r"Done in [^(]*\(([^)]*)\)", log), strict=True))


def report(timings: list[dict[str, Any]], log: str) -> bool:
    """Print all figures; return whether all goals are reached."""
    reached, parts = True, parts_of(log)
    for kind, goal in GOALS.items():
        chosen = [
            (each["seconds"], begun - each["begun"], text, each["memory"])
            for each, (begun, text) in zip(timings, parts, strict=True)
            if (each["state"], each["result"], each["format"]) == kind
        ]
        best, first_words, where, _ = min(chosen)
        median, memory = float(np.median([seconds for seconds, *_ in chosen])), max(peak for *_, peak in chosen)
        reached &= memory <= MEMORY_GOAL and (goal is None or best <= goal)
        aim = f"goal {goal:.1f} s" if goal else "no goal"
        print(
            f"{' '.join(kind):38} least {best:.2f} s, median {median:.2f} s of {len(chosen)} ({aim}), {memory:.0f} MB"
        )
        print(f"{'':38} progress after {first_words:.2f} s; then {where}")
    print(f"goal for the memory of the plug-in: {MEMORY_GOAL} MB")
    return reached


def main() -> int:
    """Run the benchmark; return 0 if all goals are reached."""
    try:
        root = provision(HOSTS[0], Console(sys.stdout))
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="s2am-gimp-") as folder:
        gimp = Gimp3(root, Path(folder))
        timings = measure(gimp)
        failed = [each["message"] for each in timings if each["status"] != "success"]
        if failed:
            print(failed[0], file=sys.stderr)
            return 1
        return 0 if report(timings, gimp.log.read_text(encoding="utf-8")) else 1


if __name__ == "__main__":
    sys.exit(main())
