# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that are downloaded: from a server on this machine, which may break off, ignore ranges, or send junk."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from s2am_common.errors import DiskFullError, FileError, ModelError, ModelNotFoundError
from s2am_engine.models import downloads
from s2am_engine.models.downloads import (
    DownloadableModel,
    default_subject_model,
    delete_download,
    find_download,
    install_download,
    install_from_file,
)
from tests.engine.test_cli import failed, run

CONTENT = np.random.default_rng(3).integers(0, 256, 3_000_000, np.uint8).tobytes()


class FileServer(ThreadingHTTPServer):
    """Serves one file. ranges: whether parts can be asked for; breaks_after: bytes; asked: the ranges of requests."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FileHandler)
        self.content, self.ranges, self.status = CONTENT, True, 200
        self.breaks_after: int | None = None
        self.asked: list[str] = []


class FileHandler(BaseHTTPRequestHandler):
    """Answers the requests of a `FileServer`."""

    server: FileServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(re.sub(r"\D", "", wanted)) if wanted and self.server.ranges else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        body = self.server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.breaks_after])

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def model(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> DownloadableModel:
    """ISNet's descriptor, with a smaller file on this machine."""
    address = f"http://127.0.0.1:{server.server_port}/isnet.onnx"
    digest = hashlib.sha256(CONTENT).hexdigest()
    found = replace(downloads.ISNET, address=address, size=len(CONTENT), sha256=digest)
    monkeypatch.setitem(downloads.DOWNLOADS, "isnet", found)
    return found


def test_download_reports_progress_and_installs(model: DownloadableModel) -> None:
    seen: list[tuple[int, int]] = []
    assert default_subject_model() == "subject"
    assert install_download(model, lambda *done: seen.append(done)).read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert not model.partial.exists()
    assert default_subject_model() == "isnet"


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_download_is_continued(model: DownloadableModel, server: FileServer, ranges: bool) -> None:
    server.breaks_after, server.ranges = 1_000_000, ranges
    with pytest.raises(ModelError, match=r"after 1 of 3 MB .*try again, which continues it") as caught:
        install_download(model)
    assert caught.value.code == "model.download"
    assert not model.is_installed
    server.breaks_after = None
    assert install_download(model).read_bytes() == CONTENT
    assert server.asked == ["", "bytes=1000000-"]


def test_canceled_download_is_continued(model: DownloadableModel, server: FileServer) -> None:
    def cancel(done: int, _: int) -> None:
        if done > 1_000_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        install_download(model, cancel)
    assert not model.is_installed
    kept = model.partial.stat().st_size
    assert kept > 1_000_000
    install_download(model)
    assert server.asked[1] == f"bytes={kept}-"


def test_other_content_is_not_installed(model: DownloadableModel, server: FileServer) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(ModelError, match="sent another file"):
        install_download(model)
    assert not model.is_installed
    assert not model.partial.exists()


def test_longer_content_is_cut_off(model: DownloadableModel, server: FileServer) -> None:
    server.content = CONTENT + b"more" * 1_000_000
    assert install_download(model).read_bytes() == CONTENT


def test_unreachable_servers_are_explained(model: DownloadableModel, server: FileServer) -> None:
    server.status = 404
    with pytest.raises(ModelError, match="HTTP status 404"):
        install_download(model)
    with pytest.raises(ModelError, match="refused"):
        install_download(replace(model, address="http://127.0.0.1:9/isnet.onnx"))


def test_download_needs_space(model: DownloadableModel, server: FileServer) -> None:
    with pytest.raises(DiskFullError, match="no space for"):
        install_download(replace(model, size=1 << 60))
    assert server.asked == []


def test_two_downloads_at_once_are_refused(model: DownloadableModel) -> None:
    def second(done: int, _: int) -> None:
        if done:
            with pytest.raises(FileError, match="is being installed already"):
                install_download(model)

    install_download(model, second)


def test_install_from_file_checks_the_content(model: DownloadableModel, tmp_path: Path, server: FileServer) -> None:
    file = tmp_path / "isnet-general-use.onnx"
    file.write_bytes(CONTENT[:-1])
    with pytest.raises(ModelError, match="is not the file of the model “isnet”, or is incomplete"):
        install_from_file(model, file)
    assert not model.is_installed
    file.write_bytes(CONTENT)
    assert install_from_file(model, file).read_bytes() == CONTENT
    delete_download(model)
    half = b"the same weights in half precision"
    file.write_bytes(half)
    variant = replace(model, variants=(hashlib.sha256(half).hexdigest(),))
    assert install_from_file(variant, file).read_bytes() == half
    assert server.asked == []


def test_delete_removes_everything(model: DownloadableModel) -> None:
    install_download(model)
    model.partial.write_bytes(b"half")
    delete_download(model)
    assert not list(model.path.parent.iterdir())
    with pytest.raises(ModelNotFoundError, match="not installed"):
        delete_download(model)


def test_find_download_lists_the_names() -> None:
    with pytest.raises(ModelNotFoundError, match="choose one of isnet"):
        find_download("u2net")


def test_command_downloads_nothing_without_consent(
    model: DownloadableModel, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = failed(tmp_path, run(capsys, "models", "install", "isnet"))
    for fact in ("Nothing was downloaded", "3 MB", "Apache-2.0", model.address, "--yes", "--file FILE"):
        assert fact in message
    assert server.asked == []


def test_commands_install_list_and_delete(model: DownloadableModel, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "models", "install", "isnet", "--yes")
    assert (code, out) == (0, f"“isnet” was installed as {model.path}.\n")
    assert json.loads(run(capsys, "models", "--json")[1])["downloads"][0]["installed"] is True
    assert re.search(r"^  isnet +3.0 MB +installed", run(capsys, "models")[1], re.MULTILINE)
    assert "installed already" in run(capsys, "models", "install", "isnet")[1]
    assert run(capsys, "models", "delete", "isnet")[0] == 0
    assert not model.is_installed


def test_command_installs_a_file(
    model: DownloadableModel, server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "downloaded.onnx"
    message = failed(tmp_path, run(capsys, "models", "install", "isnet", "--file", file))
    assert str(file) in message
    file.write_bytes(CONTENT)
    assert run(capsys, "models", "install", "isnet", "--file", file)[0] == 0
    assert model.is_installed
    assert server.asked == []
