# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults between a client and a real engine process: recovery, or an error with one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gimp_bridge.bridge_folder import ENGINE_LOCK, LOG, RUNNING
from gimp_bridge.client import EngineClient
from gimp_bridge.color_messages import Adjust
from gimp_bridge.layer_pixels import PixelLayout, PixelSource
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.strip_messages import OpenWorkspace
from s2am_common.errors import CancelledError
from s2am_common.locks import is_unlocked
from tests.bridge.engines import (
    HEIGHT,
    SERVE,
    WIDTH,
    RecordedProgress,
    connect,
    constant_source,
    failure,
    halt,
    harmonize_request,
    harmonized_map,
    process_of,
    serve_after,
    wait_until,
)
from tests.engine.pictures import composite

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the faults are made with POSIX signals")


def kill(folder: Path) -> None:
    """Kill the engine process and wait for its end."""
    os.kill(process_of(folder), signal.SIGKILL)
    assert is_unlocked(folder / ENGINE_LOCK, 10)


def is_starting(update: ProgressUpdate) -> bool:
    """Return whether the engine is loading, which takes a while."""
    return "loading" in update.text


# -- an engine that is killed or hangs


def test_engine_killed_during_a_request_is_restarted(folder: Path) -> None:
    killed: list[int] = []

    def act(update: ProgressUpdate) -> None:
        if is_starting(update) and not killed:
            killed.append(process_of(folder))
            kill(folder)

    progress = RecordedProgress(act)
    engine = EngineClient(SERVE, folder)
    assert engine.request(harmonize_request(), progress).confidence > 0
    assert killed
    assert process_of(folder) != killed[0]
    assert "The engine has stopped; starting it again" in progress.texts


def test_engine_killed_twice_is_an_error(folder: Path) -> None:
    killed: set[int] = set()

    def act(update: ProgressUpdate) -> None:
        if is_starting(update):
            killed.add(process_of(folder))
            kill(folder)

    engine = EngineClient(SERVE, folder)
    error = failure(lambda: engine.request(harmonize_request(), act))
    assert error.code == "bridge.stopped"
    assert str(folder / LOG) in str(error)
    assert len(killed) == 2


def test_render_and_adjust_after_a_restart_need_no_other_request(folder: Path) -> None:
    engine = EngineClient(SERVE, folder)
    found = engine.request(harmonize_request())
    request = Adjust(color_map=found.color_map, sliders={"strength": 0.5}, samples=found.samples)
    adjusted = engine.request(request)
    data = bytes(range(200)) * 4

    def render() -> bytes:
        results: list[bytes] = []
        source = PixelSource(lambda top, rows: data[: rows * 80])
        write = lambda top, rows, received: results.append(received)  # noqa: E731
        engine.render(adjusted.color_map, PixelLayout(20, 10), source, write)
        return b"".join(results)

    before = render()
    kill(folder)
    assert render() == before
    assert before != data
    kill(folder)
    assert engine.request(request) == adjusted


def test_render_is_complete_if_the_engine_is_killed_between_strips(folder: Path) -> None:
    engine = EngineClient(SERVE, folder)
    found = harmonized_map(engine)
    layout = PixelLayout(1500, 4000)
    pixel = bytes([200, 100, 50, 255])
    written: dict[int, bytes] = {}
    killed: list[int] = []

    def write(top: int, rows: int, data: bytes) -> None:
        if len(written) == 1 and not killed:
            killed.append(process_of(folder))
            kill(folder)
        written[top] = data

    engine.render(found, layout, constant_source(pixel, layout), write)
    assert killed
    whole = b"".join(written[top] for top in sorted(written))
    assert len(whole) == 4 * layout.width * layout.height
    assert whole == whole[:4] * (len(whole) // 4) != pixel * (len(whole) // 4)


def test_hanging_engine_is_an_error_and_can_be_stopped(folder: Path) -> None:
    EngineClient(SERVE, folder).request(harmonize_request())  # loading may be silent for longer
    engine = EngineClient(SERVE, folder, silence=1)
    process = process_of(folder)
    halt(process)
    for each in (engine, EngineClient(SERVE, folder, silence=1)):
        error = failure(each.status)
        assert (error.code, error.fields["process"]) == ("bridge.silent", process)
        assert str(error) == "The engine has not answered for 1 s."
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "The engine has ended.\n"
    assert EngineClient(SERVE, folder).status().process != process


def test_serve_stop_without_an_engine(folder: Path) -> None:
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "The engine was not running.\n"


# -- disk, files and environment


def test_full_disk_is_an_error_and_leaves_no_file(folder: Path) -> None:
    engine = EngineClient(["sh", "-c", 'ulimit -f 4000; exec "$0" "$@"', *SERVE], folder)
    found = harmonized_map(engine)
    layout = PixelLayout(3000, 3000)
    written: list[int] = []
    write = lambda top, *_: written.append(top)  # noqa: E731
    error = failure(lambda: engine.render(found, layout, constant_source(bytes(4), layout), write))
    assert error.code == "file.disk-full"
    assert "The disk is full: free" in str(error)
    assert not written
    assert not list(folder.glob("*.pixels"))
    assert engine.request(harmonize_request()).confidence > 0


def test_files_of_a_killed_engine_are_removed(folder: Path) -> None:
    EngineClient(SERVE, folder).status()
    channel = connect(folder)
    channel.send(1, OpenWorkspace(size=4096))
    channel.receive(20)
    first = process_of(folder)
    kill(folder)
    left = {path.name for path in folder.iterdir()}
    assert {"socket", RUNNING, ENGINE_LOCK} < left
    assert any(name.endswith(".pixels") for name in left)
    assert EngineClient(SERVE, folder).status().process != first
    assert not list(folder.glob("*.pixels"))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"address": "x"}', b'{"address": "/nowhere", "key": "00"}'])
def test_damaged_address_file_is_ignored(folder: Path, content: bytes) -> None:
    (folder / RUNNING).write_bytes(content)
    (folder / "socket").write_bytes(b"not a socket")
    assert EngineClient(SERVE, folder).status().process == process_of(folder)


def test_concurrent_clients_start_one_engine(folder: Path) -> None:
    script = (
        "import sys; from gimp_bridge.client import EngineClient; print(EngineClient(sys.argv[1:]).status().process)"
    )
    command = [sys.executable, "-c", script, *SERVE]
    gimps = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    processes = {gimp.communicate(timeout=60)[0].strip() for gimp in gimps}
    assert processes == {str(process_of(folder))}
    second = subprocess.run(SERVE, capture_output=True, text=True, check=False)
    assert second.returncode == 1
    assert second.stderr.startswith("error: The engine is running already: end it with “s2am serve --stop”")


def test_concurrent_clients_get_their_own_results(folder: Path) -> None:
    one, other = EngineClient(SERVE, folder), EngineClient(SERVE, folder)
    dark = composite(HEIGHT, WIDTH)[0] // 3
    alone = one.request(harmonize_request()), one.request(harmonize_request(dark))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: [one.request(harmonize_request()) for _ in range(3)])
        second = pool.submit(lambda: [other.request(harmonize_request(dark)) for _ in range(3)])
    assert first.result() == [alone[0]] * 3
    assert second.result() == [alone[1]] * 3
    assert alone[0].color_map != alone[1].color_map


def test_missing_engine_is_an_installation_error(folder: Path) -> None:
    error = failure(EngineClient(["/nowhere/python", "-m", "s2am_engine.cli", "serve"], folder).status)
    assert error.code == "bridge.installation"
    assert "/nowhere/python" in str(error)


def test_damaged_environment_is_an_installation_error(folder: Path) -> None:
    error = failure(EngineClient(serve_after("sys.modules['numpy'] = None"), folder).status)
    assert error.code in ("bridge.installation", "bridge.start")
    assert "numpy" in str(error)


def test_engine_runs_without_pytorch(folder: Path) -> None:
    engine = EngineClient(serve_after("sys.modules['torch'] = None"), folder)
    assert engine.request(harmonize_request()).confidence > 0


def test_missing_library_of_the_default_model_is_an_error(folder: Path) -> None:
    engine = EngineClient(serve_after("sys.modules['onnxruntime'] = None"), folder)
    error = failure(lambda: engine.request(harmonize_request()))
    assert error.code == "engine.start"
    assert "cannot load the default model (ModuleNotFoundError" in str(error)
    assert (engine.status().state, engine.status().text) == ("broken", str(error))


def test_unknown_device_is_an_error(folder: Path) -> None:
    engine = EngineClient([*SERVE[:-1], "warp"], folder)
    assert "warp" in str(failure(lambda: engine.request(harmonize_request())))


def test_client_in_flatpak_uses_a_running_engine_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLATPAK_ID", "org.gimp.GIMP")
    assert failure(EngineClient(SERVE, folder).status).code == "bridge.not-running"
    with subprocess.Popen(SERVE, stdout=subprocess.PIPE, text=True) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline().startswith("Ready for GIMP")
        assert EngineClient(SERVE, folder).status().process == serving.pid
        serving.send_signal(signal.SIGINT)
        assert serving.wait(30) == 0
    assert not (folder / RUNNING).exists()
    assert not (folder / "socket").exists()


# -- ending


def test_idle_engine_ends(folder: Path) -> None:
    engine = EngineClient([*SERVE, "--idle-minutes", "0.005"], folder)
    assert engine.request(harmonize_request()).confidence > 0  # takes longer than 0.3 seconds
    assert is_unlocked(folder / ENGINE_LOCK, 30)
    assert not (folder / RUNNING).exists()
    assert engine.request(harmonize_request()).confidence > 0


def test_idle_minutes_is_a_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_IDLE_MINUTES", "0.005")
    EngineClient(SERVE, folder).status()
    assert is_unlocked(folder / ENGINE_LOCK, 30)


def test_shutdown_ends_the_engine(folder: Path) -> None:
    engine = EngineClient(SERVE, folder)
    engine.status()
    engine.shutdown()
    assert is_unlocked(folder / ENGINE_LOCK, 30)


def test_workspace_of_a_killed_client_is_removed(engine: EngineClient, shared_folder: Path) -> None:
    script = (
        "import sys\nfrom gimp_bridge.client import EngineClient\nfrom gimp_bridge import strip_messages\n"
        "engine = EngineClient(sys.argv[1:])\n"
        "engine.request(strip_messages.OpenWorkspace(size=1 << 20))\n"
        "print('open', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, *SERVE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout.readline() == "open\n"
        assert len(list(shared_folder.glob("*.pixels"))) == 1
        process.kill()
    wait_until(lambda: not list(shared_folder.glob("*.pixels")))
    assert engine.status().process == process_of(shared_folder)


# -- canceling


def test_cancel_ends_a_call_while_the_engine_is_busy(folder: Path) -> None:
    engine = EngineClient(SERVE, folder)
    begun = threading.Event()

    def act(update: ProgressUpdate) -> None:
        if is_starting(update):
            begun.set()

    def cancel() -> None:
        begun.wait()
        engine.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(CancelledError):
        engine.request(harmonize_request(), act)
    thread.join()
    assert engine.status().state in ("starting", "ready")
    assert engine.request(harmonize_request()).confidence > 0


def test_exception_of_the_progress_callback_cancels_the_call(engine: EngineClient, shared_folder: Path) -> None:
    found, layout = harmonized_map(engine), PixelLayout(2000, 6000)

    def stop(update: ProgressUpdate) -> None:
        if update.fraction:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.render(found, layout, constant_source(bytes(4), layout), lambda *_: None, progress=stop)
    wait_until(lambda: not list(shared_folder.glob("*.pixels")))
    assert engine.request(harmonize_request()).confidence > 0


def test_cancel_without_a_call(engine: EngineClient) -> None:
    engine.cancel()
    engine.request(harmonize_request())
    engine.cancel()
    time.sleep(0.1)
    assert engine.request(harmonize_request()).confidence > 0
