# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing packages with pip or uv; resuming an interrupted download."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from s2am_common.errors import InstallError
from s2am_setup.console import Console
from s2am_setup.packages import PackageSources, install_torch
from s2am_setup.python_environment import Environment
from s2am_setup.torch_builds import TorchBuild
from tests.installer import fakes, machines

CPU = TorchBuild("cpu", "")


@pytest.fixture(params=["pip", "uv"])
def uv(request: pytest.FixtureRequest) -> str:
    """The path of uv, or "" for pip."""
    if request.param == "pip":
        return ""
    module = pytest.importorskip("uv", reason="uv is not installed: its tests need the package uv")
    return str(module.find_uv_bin())


@pytest.fixture
def console() -> Console:
    return Console(io.StringIO())


@pytest.fixture
def new(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Return an empty environment."""
    fakes.isolate(monkeypatch, machines.machine(tmp_path, "linux"))
    made = Environment(tmp_path / "ünv 1")
    fakes.make_environment(made, console)
    return made


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    fakes.make_torch(folder, "2.13.0", "2.13.0+cpu", "2.14.0")
    return folder


def test_install_torch_uses_configured_sources(
    new: Environment, wheels: Path, console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[global]\nfind-links =\n    {wheels}\n    {tmp_path}\nno-index = true\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    sources = PackageSources(cache=tmp_path / "cache")
    assert install_torch(new, CPU, sources, console) == "2.13.0+cpu"
    assert new.version("torch") == "2.13.0+cpu"


def test_install_torch_names_missing_build(uv: str, new: Environment, tmp_path: Path, console: Console) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InstallError, match="was found neither in"):
        install_torch(new, CPU, PackageSources(empty, uv), console)


def test_install_torch_falls_back_to_cpu_build_with_message(uv: str, new: Environment, wheels: Path) -> None:
    said = io.StringIO()
    assert install_torch(new, TorchBuild("cu130", ""), PackageSources(wheels, uv), Console(said)) == "2.13.0+cpu"
    assert "PyTorch for cu130 is not available here" in said.getvalue()


def test_install_torch_falls_back_despite_pip_constraint(
    new: Environment, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("torch<=2.14.1\n", encoding="ascii")
    monkeypatch.setenv("PIP_CONSTRAINT", str(constraints))
    said = io.StringIO()
    assert install_torch(new, TorchBuild("cu130", ""), PackageSources(wheels), Console(said)) == "2.13.0+cpu"
    assert "PyTorch for cu130 is not available here" in said.getvalue()


class InterruptingIndex(BaseHTTPRequestHandler):
    """A package index whose first download is interrupted halfway."""

    wheel: Path
    asked: list[str | None]

    def do_GET(self) -> None:
        if not self.path.endswith(".whl"):
            page = f'<a href="/files/{self.wheel.name}">{self.wheel.name}</a>'.encode()
            self._answer(200, page, len(page))
            return
        content = self.wheel.read_bytes()
        part = self.headers["Range"]
        self.asked.append(part)
        if part:
            start = int(part.removeprefix("bytes=").rstrip("-"))
            self._answer(206, content[start:], len(content) - start, f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self._answer(200, content[: len(content) // 2], len(content))

    def _answer(self, code: int, content: bytes, length: int, part: str = "") -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/html" if code == 200 and length < 500 else "application/octet-stream")
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", '"always the same"')
        if part:
            self.send_header("Content-Range", part)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Return the address of an index with a wheel that is larger than one packet."""
    folder = tmp_path / "served"
    folder.mkdir()
    noise = os.urandom(1 << 20).hex()
    InterruptingIndex.wheel = fakes.make_wheel(folder, "torch", "2.13.0+cpu", {"torch/noise.txt": noise})
    InterruptingIndex.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), InterruptingIndex) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


def test_install_torch_resumes_interrupted_download(
    new: Environment, index: str, console: Console, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", index)
    assert install_torch(new, CPU, PackageSources(cache=tmp_path / "cache"), console) == "2.13.0+cpu"
    assert InterruptingIndex.asked[0] is None
    half = InterruptingIndex.wheel.stat().st_size // 2
    assert [part for part in InterruptingIndex.asked if part] == [f"bytes={half}-"]
