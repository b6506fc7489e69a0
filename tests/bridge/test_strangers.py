# SPDX-License-Identifier: GPL-3.0-or-later
"""What comes to a real engine process that does not come from its own plug-in, and the reverse."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from multiprocessing.connection import Client
from pathlib import Path

import pytest

from gimp_bridge import channel, places, protocol
from gimp_bridge.client import Engine
from gimp_bridge.protocol import Progress
from tests.bridge.engines import SERVE, authenticated, failure, request, serve_after

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a Windows pipe is not a socket")


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


@pytest.mark.parametrize(("version", "what"), [(7, "run the installer again"), (0, "end it with “s2am serve --stop”")])
def test_an_engine_of_another_version_is_told_apart(folder: Path, version: int, what: str) -> None:
    other = serve_after(f"from gimp_bridge import protocol\nprotocol.VERSION = {version}")
    sentence = failure(Engine(other, folder).status)
    assert f"version {version} of the bridge and this plug-in version {protocol.VERSION}: {what}" in sentence
    assert failure(Engine(SERVE, folder).status) == sentence
