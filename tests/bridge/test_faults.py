# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a plug-in and a real engine process: it goes on, or says in one sentence what to do."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from gimp_bridge import channel, places, protocol
from gimp_bridge.client import Engine, Layer
from gimp_bridge.protocol import Adjust, BridgeError, CancelledError, Progress, Sliders
from tests.bridge.engines import SERVE, Heard, process_of, request, serve_after, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these faults are made with what POSIX offers")


def failure(act: Callable[[], object]) -> str:
    """The one sentence that a person gets."""
    with pytest.raises(BridgeError) as caught:
        act()
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    return sentence


def kill(folder: Path) -> None:
    """Kill the engine and wait until it is gone."""
    os.kill(process_of(folder), signal.SIGKILL)
    assert places.is_free(folder / places.ENGINE_LOCK, 10)


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
    assert engine.adjust(Adjust(sliders=Sliders(strength=0.5))).colour_map == look.colour_map


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
    os.kill(process, signal.SIGSTOP)
    for each in (engine, Engine(SERVE, folder, silence=1)):
        assert "has not answered for 1 s: end it with “s2am serve --stop”" in failure(each.status)
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "The engine has ended.\n"
    assert engine.status().process != process


def test_ending_an_engine_that_does_not_run(folder: Path) -> None:
    command = [sys.executable, "-m", "s2am_engine.cli", "serve", "--stop"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "No engine runs.\n"


# -- what comes over the socket


def send_raw(folder: Path, *parts: bytes) -> bytes:
    """Connect without the bridge's manners, send bytes, and give what is answered until the engine hangs up."""
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(folder / "socket"))
        try:
            for part in parts:
                raw.sendall(part)
            raw.shutdown(socket.SHUT_WR)
            received = b""
            while more := raw.recv(4096):
                received += more
        except (BrokenPipeError, ConnectionResetError):
            return b""
    return received


GARBAGE = {
    "nothing": b"",
    "a web browser": b"GET / HTTP/1.1\r\n\r\n",
    "half a length": b"\0\0",
    "a huge length": struct.pack("!iQ", -1, 1 << 60),
    "a length and no more": struct.pack("!i", 40),
    "noise": bytes(range(256)) * 16,
    "a pickle": struct.pack("!i", 44) + b"cos\nsystem\n(S'touch /tmp/s2am-was-here'\ntR.".ljust(44),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_instead_of_a_greeting_harms_nobody(engine: Engine, warm_folder: Path, what: str) -> None:
    process = engine.status().process
    answer = send_raw(warm_folder, GARBAGE[what])
    assert len(answer) <= 4 + 44  # the engine's own greeting at most: nothing that only the owner may know
    assert engine.status().process == process


def authenticated(folder: Path) -> channel.Channel:
    told = json.loads((folder / places.RUNNING).read_bytes())
    return channel.reach(told["address"], bytes.fromhex(told["key"]), 10)


def message(header: object, blobs: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + blobs


STATUS = {"number": 1, "kind": "status", "fields": {}, "blobs": []}
ADJUST = {"number": 1, "kind": "adjust", "fields": {"sliders": {"strength": 0.5}}, "blobs": []}
BAD_MESSAGES = {
    "empty": b"",
    "no header": b"\0\0\0\x10{}",
    "a header longer than it says": struct.pack(">I", 1 << 31) + b"{}",
    "not JSON": struct.pack(">I", 4) + b"\xff{}}",
    "nested beyond reason": struct.pack(">I", 200_000) + b"[" * 200_000,
    "another kind": message(STATUS | {"kind": "eval"}),
    "a number that is none": message(STATUS | {"number": "1"}),
    "an unknown field": message(STATUS | {"fields": {"code": "1"}}),
    "a slider out of range": message(ADJUST | {"fields": {"sliders": {"strength": 2}}}),
    "a slider that is no number": message(ADJUST | {"fields": {"sliders": {"strength": float("nan")}}}),
    "more bytes than said": message(STATUS, b"more"),
    "fewer bytes than said": message(STATUS | {"blobs": [["pixels", 1 << 40]]}),
    "a negative size": message(STATUS | {"blobs": [["pixels", -1]]}),
    "an answer": message({"number": 1, "kind": "done", "fields": {}, "blobs": []}) + b"x",
    "a picture of another size": message(
        {"number": 1, "kind": "detect", "fields": {"width": 2000, "height": 2000}, "blobs": [["pixels", 3]]}, b"abc"
    ),
    "a workspace of a terabyte": message(
        {"number": 1, "kind": "open-workspace", "fields": {"size": 1 << 40}, "blobs": []}
    ),
}


@pytest.mark.parametrize("what", BAD_MESSAGES)
def test_a_bad_message_ends_its_connection_and_no_other(engine: Engine, warm_folder: Path, what: str) -> None:
    process = engine.status().process
    bad = authenticated(warm_folder)
    bad._connection.send_bytes(BAD_MESSAGES[what])
    with pytest.raises(channel.LostError):
        bad.receive(20)
    assert engine.status().process == process


def test_a_message_that_is_cut_off_ends_its_connection(engine: Engine, warm_folder: Path) -> None:
    process = engine.status().process
    bad = authenticated(warm_folder)
    os.write(bad._connection.fileno(), struct.pack("!i", 1000) + b"half of it")
    bad.close()
    assert engine.status().process == process


def test_a_strip_beyond_the_workspace_is_refused(engine: Engine, warm_folder: Path) -> None:
    engine.harmonize(request())
    line = authenticated(warm_folder)
    pixels = request()
    for number, each in enumerate(
        (pixels, protocol.OpenWorkspace(size=4096), protocol.Render(offset=0, width=64, rows=17))
    ):
        line.send(number, each)
    answers: dict[int, protocol.Message] = {}
    while len(answers) < 3:
        number, answer = line.receive(30)
        if not isinstance(answer, Progress):
            answers[number] = answer
    assert isinstance(answers[1], protocol.Workspace)
    assert isinstance(answers[2], protocol.Failed)
    assert "does not lie within" in answers[2].sentence
    line.close()


# -- who is there


def test_a_plug_in_with_the_wrong_key_gets_nothing(folder: Path) -> None:
    Engine(SERVE, folder).status()
    file = folder / places.RUNNING
    told = json.loads(file.read_bytes())
    right = file.read_bytes()
    file.write_text(json.dumps(told | {"key": "00" * 32}))
    assert "is not the engine" in failure(Engine(SERVE, folder).status)
    connection = Client(told["address"], "AF_UNIX")
    connection.recv_bytes(100)
    connection.send_bytes(struct.pack(">8sI32s", b"s2ambrdg", protocol.VERSION, b"n" * 32))
    connection.send_bytes(b"p" * 32)
    assert connection.recv_bytes(100) == b"no"
    with pytest.raises(EOFError):
        connection.recv_bytes(100)
    file.write_bytes(right)
    assert Engine(SERVE, folder).status().process == told["process"]


def test_an_impostor_learns_nothing_that_helps_it(folder: Path) -> None:
    """Something listens where the engine should, and knows no key: the plug-in sends it a proof and no picture."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen()

        def pretend() -> None:
            connection, _ = listening.accept()
            with connection:
                greeting = struct.pack(">8sI32s", b"s2ambrdg", protocol.VERSION, b"n" * 32)
                connection.sendall(struct.pack("!i", len(greeting)) + greeting)
                heard.append(connection.recv(4096))
                connection.sendall(struct.pack("!i", 32) + b"p" * 32)
                while more := connection.recv(4096):
                    heard.append(more)

        thread = threading.Thread(target=pretend)
        thread.start()
        told = {"address": str(folder / "socket"), "key": "11" * 32, "process": 1}
        (folder / places.RUNNING).write_text(json.dumps(told))
        assert "is not the engine" in failure(lambda: Engine(SERVE, folder).harmonize(request()))
        thread.join()
    assert len(b"".join(heard)) == 4 + 44 + 4 + 32


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody else")
def test_another_person_can_neither_connect_nor_read_the_key(folder: Path) -> None:
    Engine(SERVE, folder).status()
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("socket", places.RUNNING):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    folder.chmod(0o755)  # even so, the files themselves are closed
    script = (
        "import os, socket, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for attempt in (lambda: open(sys.argv[2]), lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1])):\n"
        "    try:\n        attempt()\n    except PermissionError:\n        print('refused')\n"
    )
    command = [sys.executable, "-c", script, str(folder / "socket"), str(folder / places.RUNNING)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["refused"] * 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_that_somebody_else_has_made_is_not_used(folder: Path) -> None:
    os.chown(folder, 65534, 65534)
    assert "belongs to somebody else" in failure(Engine(SERVE, folder).status)
    done = subprocess.run(SERVE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "belongs to somebody else" in done.stderr
    os.chown(folder, 0, 0)


def test_an_engine_of_another_version_is_told_apart(folder: Path) -> None:
    newer = serve_after("from gimp_bridge import protocol\nprotocol.VERSION = 7")
    sentence = failure(Engine(newer, folder).status)
    assert "version 7 of the bridge and this plug-in version 1" in sentence
    assert "run the installer again" in sentence
    assert failure(Engine(SERVE, folder).status) == sentence


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
    assert looks[0].colour_map != looks[1].colour_map
    neutral = Adjust(sliders=Sliders())
    assert one.adjust(neutral).colour_map == looks[0].colour_map
    other.close()
    assert one.adjust(neutral).colour_map == looks[0].colour_map


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
    assert places.is_free(folder / places.ENGINE_LOCK, 30)
    assert not (folder / places.RUNNING).exists()
    assert engine.adjust(Adjust(sliders=Sliders())).confidence > 0


def test_the_idle_time_is_a_setting(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S2AM_IDLE_MINUTES", "0.005")
    Engine(SERVE, folder).status()
    assert places.is_free(folder / places.ENGINE_LOCK, 30)


def test_an_engine_that_is_told_to_leave_leaves(folder: Path) -> None:
    engine = Engine(SERVE, folder)
    engine.status()
    engine.leave()
    assert places.is_free(folder / places.ENGINE_LOCK, 30)


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
