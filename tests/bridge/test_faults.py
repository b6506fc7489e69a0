# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a plug-in and a real engine process: it goes on, or says in one sentence what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from gimp_bridge import places, protocol
from gimp_bridge.client import Engine, Layer
from gimp_bridge.protocol import Adjust, CancelledError, Progress, Sliders
from s2am_common.locks import is_unlocked
from tests.bridge.engines import (
    SERVE,
    Heard,
    authenticated,
    failure,
    halt,
    process_of,
    request,
    serve_after,
    wait_until,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these faults are made with what POSIX offers")


def kill(folder: Path) -> None:
    """Kill the engine and wait until it is gone."""
    os.kill(process_of(folder), signal.SIGKILL)
    assert is_unlocked(folder / places.ENGINE_LOCK, 10)


def is_starting(event: Progress) -> bool:
    """Whether the engine is at work on a request, and needs a while."""
    return "loading" in event.words


# -- an engine that ends or hangs


def test_an_engine_that_is_killed_while_it_works_is_started_once_more(folder: Path) -> None:
    killed: list[int] = []

    def act(event: Progress) -> None:
        if is_starting(event) and not killed:
            killed.append(process_of(folder))
            kill(folder)

    heard = Heard(act)
    engine = Engine(SERVE, folder)
    assert engine.harmonize(request(), heard).confidence > 0
    assert killed
    assert process_of(folder) != killed[0]
    assert "The engine has stopped; starting it again" in heard.words


def test_an_engine_that_is_killed_again_is_given_up_with_a_sentence(folder: Path) -> None:
    killed: set[int] = set()

    def act(event: Progress) -> None:
        if is_starting(event):
            killed.add(process_of(folder))
            kill(folder)

    engine = Engine(SERVE, folder)
    sentence = failure(lambda: engine.harmonize(request(), act))
    assert "stopped twice" in sentence
    assert str(folder / places.LOG) in sentence
    assert len(killed) == 2


def test_an_engine_that_is_started_again_is_told_what_it_knew(folder: Path) -> None:
    engine = Engine(SERVE, folder)
    engine.harmonize(request())
    look = engine.adjust(Adjust(sliders=Sliders(strength=0.5)))
    data = bytes(range(200)) * 4
    results: list[bytes] = []

    def render() -> bytes:
        results.clear()
        engine.render(Layer(20, 10), lambda top, rows: data[: rows * 80], lambda top, rows, got: results.append(got))
        return b"".join(results)

    before = render()
    kill(folder)
    assert render() == before
    assert before != data
    kill(folder)
    assert engine.adjust(Adjust(sliders=Sliders(strength=0.5))).color_map == look.color_map


def test_a_layer_is_whole_though_the_engine_was_killed_on_the_way(folder: Path) -> None:
    engine = Engine(SERVE, folder)
    engine.harmonize(request())
    layer = Layer(1500, 4000)
    row = bytes([200, 100, 50, 255]) * layer.width
    written: dict[int, bytes] = {}
    killed: list[int] = []

    def write(top: int, rows: int, data: bytes) -> None:
        if len(written) == 1 and not killed:
            killed.append(process_of(folder))
            kill(folder)
        written[top] = data

    engine.render(layer, lambda top, rows: row * rows, write)
    assert killed
    whole = b"".join(written[top] for top in sorted(written))
    assert len(whole) == len(row) * layer.height
    assert whole == whole[:4] * (len(whole) // 4) != row * layer.height


def test_an_engine_that_hangs_is_told_apart_and_can_be_ended(folder: Path) -> None:
    engine = Engine(SERVE, folder, silence=1)
    process = engine.status().process
    halt(process)
    for each in (engine, Engine(SERVE, folder, silence=1)):
        assert "has not answered for 1 s: end it with “s2am serve --stop”" in failure(each.status)
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "The engine has ended.\n"
    assert engine.status().process != process


def test_ending_an_engine_that_does_not_run(folder: Path) -> None:
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "No engine runs.\n"


# -- what surrounds it


def test_a_full_disk_is_a_sentence_and_leaves_nothing(folder: Path) -> None:
    engine = Engine(["sh", "-c", 'ulimit -f 4000; exec "$0" "$@"', *SERVE], folder)
    engine.harmonize(request())
    layer = Layer(3000, 3000)
    written: list[int] = []
    sentence = failure(
        lambda: engine.render(layer, lambda top, rows: bytes(12_000 * rows), lambda top, *_: written.append(top))
    )
    assert "The disk is full: free" in sentence
    assert not written
    assert not list(folder.glob("*.pixels"))
    assert engine.harmonize(request()).confidence > 0


def test_what_a_killed_engine_leaves_behind_is_cleared_away(folder: Path) -> None:
    Engine(SERVE, folder).status()
    line = authenticated(folder)
    line.send(1, protocol.OpenWorkspace(size=4096))
    line.receive(20)
    first = process_of(folder)
    kill(folder)
    left = {path.name for path in folder.iterdir()}
    assert {"socket", places.RUNNING, places.ENGINE_LOCK} < left
    assert any(name.endswith(".pixels") for name in left)
    assert Engine(SERVE, folder).status().process != first
    assert not list(folder.glob("*.pixels"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"address": "x"}', b'{"address": "/nowhere", "key": "00"}'])
def test_a_file_that_a_crash_has_spoilt_is_no_obstacle(folder: Path, content: bytes) -> None:
    (folder / places.RUNNING).write_bytes(content)
    (folder / "socket").write_bytes(b"not a socket")
    assert Engine(SERVE, folder).status().process == process_of(folder)


def test_several_gimps_at_once_start_one_engine(folder: Path) -> None:
    script = "import sys; from gimp_bridge.client import Engine; print(Engine(sys.argv[1:]).status().process)"
    command = [sys.executable, "-c", script, *SERVE]
    gimps = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = {gimp.communicate(timeout=60)[0].strip() for gimp in gimps}
    assert told == {str(process_of(folder))}
    second = subprocess.run(SERVE, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.startswith("error: The engine runs already")


def test_gimps_at_once_do_not_mix_up_their_pictures(folder: Path) -> None:
    one, other = Engine(SERVE, folder), Engine(SERVE, folder)
    dark = request(pixels=bytes(each // 3 for each in request().pixels))
    looks = one.harmonize(request()), other.harmonize(dark)
    assert looks[0].color_map != looks[1].color_map
    neutral = Adjust(sliders=Sliders())
    assert one.adjust(neutral).color_map == looks[0].color_map
    other.close()
    assert one.adjust(neutral).color_map == looks[0].color_map


def test_an_engine_that_is_not_there_any_more(folder: Path) -> None:
    sentence = failure(Engine(["/nowhere/python", "-m", "s2am_engine.cli", "serve"], folder).status)
    assert "/nowhere/python" in sentence
    assert "run the installer again" in sentence


def test_an_environment_that_is_damaged(folder: Path) -> None:
    damaged = serve_after("sys.modules['numpy'] = None")
    sentence = failure(Engine(damaged, folder).status)
    assert "environment is damaged" in sentence
    assert "numpy" in sentence
    assert "run the installer again" in sentence


def test_pytorch_that_does_not_load(folder: Path) -> None:
    engine = Engine(serve_after("sys.modules['torch'] = None"), folder)
    sentence = failure(lambda: engine.harmonize(request()))
    assert "can't load PyTorch" in sentence
    assert "run the installer again" in sentence
    assert (engine.status().state, engine.status().words) == ("broken", sentence)


def test_a_device_that_is_not_there(folder: Path) -> None:
    engine = Engine([*SERVE[:-1], "warp"], folder)
    assert "There is no device “warp”" in failure(lambda: engine.harmonize(request()))


def test_gimp_from_flatpak_says_how_to_start_the_engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATPAK_ID", "org.gimp.GIMP")
    assert "run “s2am serve” in a terminal" in failure(Engine(SERVE, folder).status)
    with subprocess.Popen(SERVE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("Ready for GIMP")
        assert Engine(SERVE, folder).status().process == serving.pid
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
    assert not (folder / places.RUNNING).exists()
    assert not (folder / "socket").exists()


# -- leaving


def test_an_engine_that_nobody_needs_leaves(folder: Path) -> None:
    engine = Engine([*SERVE, "--idle-minutes", "0.005"], folder)
    assert engine.harmonize(request()).confidence > 0  # which takes longer than 0.3 seconds, and is no idleness
    assert is_unlocked(folder / places.ENGINE_LOCK, 30)
    assert not (folder / places.RUNNING).exists()
    assert engine.adjust(Adjust(sliders=Sliders())).confidence > 0


def test_the_idle_time_is_a_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_IDLE_MINUTES", "0.005")
    Engine(SERVE, folder).status()
    assert is_unlocked(folder / places.ENGINE_LOCK, 30)


def test_an_engine_that_is_told_to_leave_leaves(folder: Path) -> None:
    engine = Engine(SERVE, folder)
    engine.status()
    engine.leave()
    assert is_unlocked(folder / places.ENGINE_LOCK, 30)


def test_a_plug_in_that_is_killed_leaves_no_file(engine: Engine, warm_folder: Path) -> None:
    script = (
        "import sys\nfrom gimp_bridge.client import Engine\nfrom gimp_bridge import protocol as p\n"
        "engine = Engine(sys.argv[1:])\nengine.status()\n"
        "line = engine._line\nline.wait_for(line.ask(p.OpenWorkspace(size=1 << 20)), p.Workspace, None)\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, *SERVE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as plug_in:  # type: ignore[call-overload]
        assert plug_in.stdout.readline() == "open\n"
        assert len(list(warm_folder.glob("*.pixels"))) == 1
        plug_in.kill()
    wait_until(lambda: not list(warm_folder.glob("*.pixels")))
    assert engine.status().process == process_of(warm_folder)


# -- cancelling


def test_cancelling_ends_a_call_though_the_engine_is_busy(folder: Path) -> None:
    engine = Engine(SERVE, folder)
    begun = threading.Event()

    def act(event: Progress) -> None:
        if is_starting(event):
            begun.set()

    def cancel() -> None:
        begun.wait()
        engine.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CancelledError):
        engine.harmonize(request(), act)
    thread.join()
    assert engine.status().state in ("starting", "ready")
    assert engine.harmonize(request()).confidence > 0


def test_what_progress_raises_cancels_the_call(engine: Engine, warm_folder: Path) -> None:
    engine.harmonize(request())

    def stop(event: Progress) -> None:
        if event.fraction:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.render(Layer(2000, 6000), lambda top, rows: bytes(8000 * rows), lambda *_: None, progress=stop)
    wait_until(lambda: not list(warm_folder.glob("*.pixels")))
    assert engine.adjust(Adjust(sliders=Sliders())).confidence > 0


def test_cancelling_when_there_is_nothing_to_cancel(engine: Engine) -> None:
    engine.cancel()
    engine.harmonize(request())
    engine.cancel()
    time.sleep(0.1)
    assert engine.adjust(Adjust(sliders=Sliders())).confidence > 0
