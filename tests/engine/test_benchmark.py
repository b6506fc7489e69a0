# SPDX-License-Identifier: GPL-3.0-or-later
"""`s2am bench`: stages, memory, times beside busy processes, and the speed of training."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from s2am_engine.cli import benchmark, training_benchmark
from s2am_engine.cli.main import main
from s2am_engine.inference.harmonizer import Harmonizer

STAGES = ["network input", "network", "prediction", "rendering", "shadow", "pixels in to pixels out"]
STAGES += ["measuring", "light", "grain", "noise reduction", "softening", "edges"]
STAGES += ["finish, all together", "finish, noise removed"]


def test_measure_size_measures_every_stage_and_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "REPEATS", 2)
    found = benchmark.measure_size(Harmonizer("concord", device="cpu"), 450, 300)
    assert list(found.stages) == [*STAGES, *benchmark.VARIANTS]
    assert all(seconds > 0 for seconds in found.stages.values())
    output = found.to_json()
    assert output["megapixels"] == 0.1
    table = benchmark.to_table([found])
    assert "450×300" in table
    for name, size in (("extra memory ", found.peak_extra_bytes), ("extra memory, finish", found.finish_extra_bytes)):
        [line] = [line for line in table.splitlines() if line.startswith(name)]
        assert ("not measured here" if size is None else f"{size / 1e6:.1f} MB") in line


@pytest.mark.parametrize("share", [0.01, 0.25, 0.99])
def test_synthetic_image_has_the_share_of_foreground(share: float) -> None:
    _, mask = benchmark.synthetic_image(600, 400, share)
    assert (mask > 0).mean() == pytest.approx(share, abs=0.005)
    assert mask.min() == 0
    assert mask.max() == 255


def test_timing_is_median_and_95th_percentile() -> None:
    seconds = [0.001 * number for number in range(21, 0, -1)]
    timing = benchmark.Timing.of(seconds)
    assert (timing.median, timing.percentile95) == (0.011, 0.020)
    assert str(timing) == "11 / 20 ms"


def test_bench_busy_compares_each_stage_and_ends_its_processes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Watched(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(benchmark, "BUSY_REPEATS", 3)
    monkeypatch.setattr(benchmark, "SIZES", ((300, 200),))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert main(["bench", "--busy", "--model", "concord", "--device", "cpu", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["busy_processes"], output["width"]) == (1, 300)
    assert list(output["stages"]) == STAGES
    for stage in output["stages"].values():
        assert 0 < stage["idle"]["median"] <= stage["idle"]["percentile95"]
        assert stage["ratio"] == pytest.approx(stage["busy"]["median"] / stage["idle"]["median"])
    assert len(started) == 1
    assert started[0].returncode is not None


def test_a_busy_process_ends_when_its_parent_does() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", benchmark._BUSY_PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.communicate(timeout=60)[0].strip() == b"running", "the input is closed: the process ends itself"
    assert process.returncode == 0


def test_bench_training_measures_making_learning_and_both(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training_benchmark, "SECONDS", 0.0)
    monkeypatch.setattr(training_benchmark, "WARM_UP", 1)
    assert main(["bench", "--training", "--model", "concord", "--device", "cpu", "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["size"], output["batch"], output["device"]) == (96, 32, "cpu")
    assert list(output["stages"]) == ["making", "encoding", "learning", "together"]
    for speed in output["stages"].values():
        assert speed["pairs_per_second"] > 0
        assert speed["cpu_milliseconds"] > 0


def test_bench_training_refuses_models_that_do_not_learn_from_pairs(capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("reinhard", "dissonance", "subject", "light"):
        assert main(["bench", "--training", "--model", model]) == 1
        assert "choose one of connoisseur, concord, fmm, s2am-mask-free" in capsys.readouterr().err
