# SPDX-License-Identifier: GPL-3.0-or-later
"""Images in a real GIMP when the engine or the plug-in ends in the middle of a call."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from s2am_common.settings import variable_of
from tests.bridge.engines import process_of
from tests.gimp import pictures
from tests.gimp.answers import Case
from tests.gimp.harness import Gimp3, engine_outside

LARGE = (1600, 1900)

PATIENCE = 600.0
"""Seconds until a call that does not get to work counts as hung; other tests run at the same time."""

# Executed in the engine process, before it renders a second strip for the first time.
AT_THE_SECOND_STRIP = """
import os, signal, sys, time
from pathlib import Path
from gimp_bridge.shared_workspace import SharedWorkspace
from s2am_engine.cli.main import main

folder = Path(sys.argv[1])
render = SharedWorkspace.render

def disturbed(self, strip, *rest):
    if strip.offset and not (folder / "disturbed").exists():
        (folder / "disturbed").touch()
        {act}
    render(self, strip, *rest)

SharedWorkspace.render = disturbed
sys.exit(main(["serve"]))
"""


@pytest.fixture(scope="module")
def profile(gimp_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Gimp3:
    """A GIMP whose profile is kept between the tests."""
    gimp = Gimp3(gimp_root, tmp_path_factory.mktemp("faults"))
    background = np.tile(pictures.background(), (9, 7, 1))[:2000, :2000]
    (gimp.folder / "large-background.bin").write_bytes(np.ascontiguousarray(background).tobytes())
    (gimp.folder / "large-pasted.bin").write_bytes(pictures.cut_out(LARGE).tobytes())
    return gimp


@pytest.fixture
def large(profile: Gimp3) -> Iterator[Gimp3]:
    """A GIMP for a layer of several strips, with its own engine."""
    for mark in ("disturbed", "go on"):
        (profile.folder / mark).unlink(missing_ok=True)
    profile.prepare()
    yield profile
    profile.end_engine()
    assert not list(profile.bridge.glob("*.pixels"))


def disturb(gimp: Gimp3, act: str) -> None:
    """Install an engine that executes a statement at the second strip."""
    *outside, _, _, _ = engine_outside()
    gimp.prepare([*outside, "-c", AT_THE_SECOND_STRIP.format(act=act), str(gimp.folder)])


def run(gimp: Gimp3, fault: str, silence: float = 60) -> Case:
    """Run the calls of a kind in GIMP and return their results."""
    environ = {"S2AM_FAULT": fault, variable_of("silence_seconds"): str(silence)}
    (facts,) = gimp.run("faults.py", 600, **environ).values()
    assert "failed" not in facts, facts["failed"]
    return Case(gimp.folder, facts)


def processes_of_the_plugin(gimp: Gimp3) -> list[int]:
    """Return the processes in which GIMP runs the plug-in of a test."""
    wanted = os.fsencode(gimp.plugin / "harmonize-layer.py")
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        if wanted in words:
            found.append(int(process.name))
    return found


def test_result_is_complete_after_the_engine_is_killed(large: Gimp3) -> None:
    disturb(large, "os.kill(os.getpid(), signal.SIGKILL)")
    case = run(large, "twice")
    assert (large.folder / "disturbed").exists()
    first, second = case.inner("first"), case.inner("second")
    assert first.succeeded, first.facts["message"]
    assert second.succeeded, second.facts["message"]
    after = first.pixels("after", LARGE)
    np.testing.assert_array_equal(after, second.pixels("after", LARGE))
    seen = first.pixels("before", LARGE)[..., 3] == 255
    assert (after[seen] != first.pixels("before", LARGE)[seen]).any(axis=1).mean() > 0.5


def test_image_and_engine_survive_a_killed_plug_in(large: Gimp3) -> None:
    disturb(large, 'wait = [time.sleep(0.02) for _ in iter(lambda: (folder / "go on").exists(), True)]')
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, large, "twice")
        try:
            large.wait_for((large.folder / "disturbed").exists, PATIENCE, "the engine at work")
            (plugin,) = processes_of_the_plugin(large)
            engine = process_of(large.bridge)
            os.kill(plugin, signal.SIGKILL)
            large.wait_for(lambda: not processes_of_the_plugin(large), 10, "the plug-in's end")
        finally:
            (large.folder / "go on").touch()
        case = running.result()
    first, second = case.inner("first"), case.inner("second")
    assert not first.succeeded
    assert first.untouched
    assert second.succeeded, second.facts["message"]
    assert process_of(large.bridge) == engine
    assert second.facts["images"] == 2  # those of the two calls: copies of the killed plug-in are deleted


def test_killed_plug_in_leaves_no_open_undo_group(large: Gimp3) -> None:
    module = large.plugin / "harmonize_layer/core/inserting.py"
    kill = "\n\ndef save_metadata(*_):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    module.write_text(module.read_text(encoding="utf-8") + kill, encoding="utf-8")
    case = run(large, "killed")
    assert not case.succeeded
    assert not case.facts["left open"]


def test_hanging_engine_is_an_error_and_leaves_the_image_unchanged(large: Gimp3) -> None:
    disturb(large, "os.kill(os.getpid(), signal.SIGSTOP)")
    try:
        case = run(large, "once", silence=8)
    finally:
        os.kill(process_of(large.bridge), signal.SIGKILL)
    assert (large.folder / "disturbed").exists()
    assert not case.succeeded
    assert case.untouched
    assert "The engine has not answered for 8 s: end it (process " in case.facts["message"]


def test_incomplete_installation_is_an_error(large: Gimp3) -> None:
    (large.plugin / "engine.json").unlink()
    case = run(large, "once")
    assert not case.succeeded
    assert case.untouched
    assert "run the installer again" in case.facts["message"]
