# SPDX-License-Identifier: GPL-3.0-or-later
"""A real engine process and peers that are not its own client, and clients with peers that are not the engine."""

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

from gimp_bridge import connection, protocol
from gimp_bridge.bridge_folder import RUNNING
from gimp_bridge.client import EngineClient
from gimp_bridge.message_encoding import decode_message
from gimp_bridge.protocol import ProgressUpdate
from gimp_bridge.strip_messages import OpenWorkspace, Render, Strip, WorkspaceOpened
from s2am_engine.color.map import IDENTITY
from tests.bridge.engines import SERVE, connect, failure, harmonize_request, serve_after

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a Windows pipe is not a socket")


# -- bytes on the socket


def send_raw(folder: Path, *parts: bytes) -> bytes:
    """Connect without a handshake, send bytes, and return the response until the engine disconnects."""
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
    "no bytes": b"",
    "a web browser": b"GET / HTTP/1.1\r\n\r\n",
    "half a length": b"\0\0",
    "a huge length": struct.pack("!iQ", -1, 1 << 60),
    "a length and no more": struct.pack("!i", 40),
    "noise": bytes(range(256)) * 16,
    "a pickle": struct.pack("!i", 44) + b"cos\nsystem\n(S'touch /tmp/s2am-was-here'\ntR.".ljust(44),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_accept_refuses_garbage(engine: EngineClient, shared_folder: Path, name: str) -> None:
    process = engine.status().process
    answer = send_raw(shared_folder, GARBAGE[name])
    assert len(answer) <= 4 + 44  # only the engine's greeting
    assert engine.status().process == process


def message(header: object, blobs: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack(">I", len(text)) + text + blobs


STATUS = {"number": 1, "kind": "status", "fields": {}, "blobs": []}
ADJUST = {"number": 1, "kind": "adjust", "fields": {"color_map": {}}, "blobs": []}
BAD_MESSAGES = {
    "empty": b"",
    "no header": b"\0\0\0\x10{}",
    "a header shorter than its length": struct.pack(">I", 1 << 31) + b"{}",
    "not JSON": struct.pack(">I", 4) + b"\xff{}}",
    "nested beyond reason": struct.pack(">I", 200_000) + b"[" * 200_000,
    "another kind": message(STATUS | {"kind": "eval"}),
    "a number as text": message(STATUS | {"number": "1"}),
    "an unknown field": message(STATUS | {"fields": {"code": "1"}}),
    "a slider out of range": message(ADJUST | {"fields": {"color_map": {}, "sliders": {"strength": 2}}}),
    "a slider that is not a number": message(ADJUST | {"fields": {"color_map": {}, "sliders": {"strength": "1"}}}),
    "more bytes than said": message(STATUS, b"more"),
    "fewer bytes than said": message(STATUS | {"blobs": [["pixels", 1 << 40]]}),
    "a negative size": message(STATUS | {"blobs": [["pixels", -1]]}),
    "a response": message({"number": 1, "kind": "done", "fields": {}, "blobs": []}) + b"x",
    "an image of another size": message(
        {"number": 1, "kind": "harmonize", "fields": {"width": 2000, "height": 2000}, "blobs": [["pixels", 3]]}, b"abc"
    ),
    "a workspace of a terabyte": message(
        {"number": 1, "kind": "open-workspace", "fields": {"size": 1 << 40}, "blobs": []}
    ),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_invalid_message_ends_its_connection_only(engine: EngineClient, shared_folder: Path, name: str) -> None:
    process = engine.status().process
    bad = connect(shared_folder)
    bad._connection.send_bytes(BAD_MESSAGES[name])
    with pytest.raises(connection.DisconnectedError):
        bad.receive(20)
    assert engine.status().process == process


def test_truncated_message_ends_its_connection(engine: EngineClient, shared_folder: Path) -> None:
    process = engine.status().process
    bad = connect(shared_folder)
    os.write(bad._connection.fileno(), struct.pack("!i", 1000) + b"half of it")
    bad.close()
    assert engine.status().process == process


def test_strip_beyond_the_workspace_is_refused(engine: EngineClient, shared_folder: Path) -> None:
    engine.status()
    channel = connect(shared_folder)
    strip = Strip(offset=0, width=64, rows=64)
    identity = IDENTITY.to_json()
    requests: list[protocol.Message] = [OpenWorkspace(size=4096), Render(color_map=identity, strip=strip)]
    for number, each in enumerate(requests):
        channel.send(number, each)
    responses: dict[int, protocol.Message] = {}
    while len(responses) < 2:
        number, response = channel.receive(30)
        if not isinstance(response, ProgressUpdate):
            responses[number] = response
    assert isinstance(responses[0], WorkspaceOpened)
    assert isinstance(responses[1], protocol.Failed)
    assert "does not lie within" in responses[1].message
    channel.close()


def test_render_without_a_workspace_is_refused(engine: EngineClient) -> None:
    strip = Strip(offset=0, width=1, rows=1)
    request = Render(color_map=IDENTITY.to_json(), strip=strip)
    error = failure(lambda: engine.request(request))
    assert (error.code, str(error)) == ("engine.request", "Unexpected request “render” (is a workspace open?).")


# -- authentication


def test_client_with_the_wrong_key_is_refused(folder: Path) -> None:
    EngineClient(SERVE, folder).status()
    file = folder / RUNNING
    running = json.loads(file.read_bytes())
    right = file.read_bytes()
    file.write_text(json.dumps(running | {"key": "00" * 32}))
    assert failure(EngineClient(SERVE, folder).status).code == "bridge.impostor"
    raw = Client(running["address"], "AF_UNIX")
    raw.recv_bytes(100)
    raw.send_bytes(struct.pack(">8sI32s", b"s2ambrdg", protocol.PROTOCOL_VERSION, b"n" * 32))
    raw.send_bytes(b"p" * 32)
    assert raw.recv_bytes(100) == b"no"
    with pytest.raises(EOFError):
        raw.recv_bytes(100)
    file.write_bytes(right)
    assert EngineClient(SERVE, folder).status().process == running["process"]


def test_impostor_receives_no_request(folder: Path) -> None:
    """A program without the key listens in place of the engine: the client sends it a proof and no image."""
    received: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen()

        def pretend() -> None:
            accepted, _ = listening.accept()
            with accepted:
                greeting = struct.pack(">8sI32s", b"s2ambrdg", protocol.PROTOCOL_VERSION, b"n" * 32)
                accepted.sendall(struct.pack("!i", len(greeting)) + greeting)
                received.append(accepted.recv(4096))
                accepted.sendall(struct.pack("!i", 32) + b"p" * 32)
                while more := accepted.recv(4096):
                    received.append(more)

        thread = threading.Thread(target=pretend)
        thread.start()
        running = {"address": str(folder / "socket"), "key": "11" * 32, "process": 1}
        (folder / RUNNING).write_text(json.dumps(running))
        assert failure(lambda: EngineClient(SERVE, folder).request(harmonize_request())).code == "bridge.impostor"
        thread.join()
    assert len(b"".join(received)) == 4 + 44 + 4 + 32


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can change its user")
def test_other_users_can_neither_connect_nor_read_the_key(folder: Path) -> None:
    EngineClient(SERVE, folder).status()
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("socket", RUNNING):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    folder.chmod(0o755)  # even so, the files themselves are closed
    script = (
        "import os, socket, sys\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "for attempt in (lambda: open(sys.argv[2]), lambda: socket.socket(socket.AF_UNIX).connect(sys.argv[1])):\n"
        "    try:\n        attempt()\n    except PermissionError:\n        print('refused')\n"
    )
    command = [sys.executable, "-c", script, str(folder / "socket"), str(folder / RUNNING)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["refused"] * 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_bridge_folder_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder, 65534, 65534)
    assert "belongs to another user" in str(failure(EngineClient(SERVE, folder).status))
    done = subprocess.run(SERVE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "belongs to another user" in done.stderr
    os.chown(folder, 0, 0)


# -- other versions

EARLIER_VERSION = 2
EARLIER_GREETING = struct.pack(">8sI32s", b"s2ambrdg", EARLIER_VERSION, b"n" * 32)
"""The greeting of version 0.1, which has the second version of the bridge."""

EARLIER_REQUEST = message(
    {
        "number": 1,
        "kind": "harmonize",
        "fields": {
            "width": 1,
            "height": 1,
            "model": "",
            "sliders": {"strength": 1.0},
            "preview": True,
            "effect": False,
        },
        "blobs": [["pixels", 3], ["alpha", 0], ["mask", 1]],
    },
    b"abcm",
)
"""A request as version 0.1 sends it."""


@pytest.mark.parametrize(
    ("version", "code"),
    [(protocol.PROTOCOL_VERSION + 1, "bridge.client-outdated"), (0, "bridge.engine-outdated")],
)
def test_version_mismatch_is_an_error(folder: Path, version: int, code: str) -> None:
    other = serve_after(f"from gimp_bridge import protocol\nprotocol.PROTOCOL_VERSION = {version}")
    for command in (other, SERVE):
        error = failure(EngineClient(command, folder).status)
        assert error.code == code
        assert f"version {version} of the bridge and this program version {protocol.PROTOCOL_VERSION}" in str(error)
        assert "process" in error.fields


def test_client_of_version_0_1_reads_the_engines_version(engine: EngineClient, shared_folder: Path) -> None:
    """It names both versions in its own error message; the engine closes the connection without an answer."""
    process = engine.status().process
    answer = send_raw(shared_folder, struct.pack("!i", len(EARLIER_GREETING)) + EARLIER_GREETING)
    program, version, _ = struct.unpack(">8sI32s", answer[4:])
    assert (program, version) == (b"s2ambrdg", protocol.PROTOCOL_VERSION)
    assert engine.status().process == process


def test_engine_of_version_0_1_is_an_error(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        listening.listen()
        running = {"address": str(folder / "socket"), "key": "11" * 32, "process": 4711}
        (folder / RUNNING).write_text(json.dumps(running))

        def greet() -> None:
            accepted, _ = listening.accept()
            with accepted:
                accepted.sendall(struct.pack("!i", len(EARLIER_GREETING)) + EARLIER_GREETING)
                accepted.recv(4096)

        thread = threading.Thread(target=greet)
        thread.start()
        error = failure(EngineClient(SERVE, folder).status)
        thread.join()
    assert (error.code, error.fields) == ("bridge.engine-outdated", {"process": 4711})
    versions = f"version 2 of the bridge and this program version {protocol.PROTOCOL_VERSION}"
    assert str(error) == f"The running engine has {versions}."


def test_requests_of_version_0_1_are_refused() -> None:
    with pytest.raises(protocol.MessageError):
        decode_message(EARLIER_REQUEST)
