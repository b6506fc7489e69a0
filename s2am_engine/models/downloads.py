# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional models that are downloaded, or installed from a file that was downloaded elsewhere; never without consent.

To offer another one, add it to `DOWNLOADS`.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from s2am_common.atomic import atomic_write
from s2am_common.errors import DiskFullError, FileError, ModelError, ModelNotFoundError, os_error
from s2am_common.locks import ProcessLock
from s2am_engine.models import model_store
from s2am_engine.models.purposes import Purpose
from s2am_engine.networks.tasks import Task

BLOCK = 1 << 18  # bytes
DOWNLOAD_TIMEOUT = 30.0  # seconds without data
PARTIAL_CONTENT = 206  # HTTP's status of a part of a file

ByteCallback = Callable[[int, int], None]
"""Called with the bytes done and in total; may raise to cancel."""


def ignore_bytes(done: int, total: int) -> None:
    """Receive progress without doing anything."""


@dataclass(frozen=True)
class DownloadableModel:
    """A model that others published as one file.

    description: for lists of models.
    address: of the file.
    size, sha256: number of bytes, and digest.
    license: of the weights.
    page: of its authors.
    variants: digests of other files with the same weights, which may be installed as well.
    """

    name: str
    description: str
    address: str
    size: int
    sha256: str
    license: str
    page: str
    variants: tuple[str, ...] = field(default=())

    @property
    def path(self) -> Path:
        """Place of the installed file; it need not exist."""
        return model_store.personal_folder() / f"{self.name}.onnx"

    @property
    def partial(self) -> Path:
        """Place of an incomplete download."""
        return self.path.with_suffix(".part")

    @property
    def lock(self) -> Path:
        """Place of the file that the process which installs the model locks."""
        return self.path.with_suffix(".lock")

    @property
    def is_installed(self) -> bool:
        """True if the file is there."""
        return self.path.is_file()

    @property
    def summary(self) -> str:
        """Size, license and use of the download, in one line."""
        return f"{self.name}, {self.size / 1e6:.0f} MB, {self.license}, by {self.page}, from {self.address}"

    def installed_file(self) -> Path:
        """Return the path of the installed file.

        Raises:
            ModelNotFoundError: it is not installed.
        """
        if not self.is_installed:
            raise ModelNotFoundError(
                f"The model “{self.name}” is not installed ({self.size / 1e6:.0f} MB to download).",
                code="model.not-downloaded",
                model=self.name,
            )
        return self.path


ISNET = DownloadableModel(
    name="isnet",
    description="selects the subject in more detail and takes seconds (ISNet, Qin et al., ECCV 2022)",
    address="https://github.com/danielgatis/rembg/releases/download/v0.0.0/isnet-general-use.onnx",
    size=178_648_008,
    sha256="60920e99c45464f2ba57bee2ad08c919a52bbf852739e96947fbb4358c0d964a",
    license="Apache-2.0; its training data DIS5K has terms of its own",
    page="https://github.com/xuebinqin/DIS",
    # In half precision, and in 8 bits: the models “medium” and “small” of IMG.LY's background-removal 1.4.
    variants=(
        "b6e8497ba978a6f5fbb647e419d2696cd80df5a23cb6a8ea532021911bd76acb",
        "7001d60734fdc112dd9c062635fb59cd401fb82a9d4213134bce4dbd655c803a",
    ),
)

DOWNLOADS: dict[str, DownloadableModel] = {model.name: model for model in (ISNET,)}
"""All downloadable models by name. They select subjects, the best one first."""

SUBJECT_SELECTION = Purpose(lambda card: card.task is Task.SUBJECT_SELECTION, further=lambda: DOWNLOADS)


def find_download(name: str) -> DownloadableModel:
    """Return a downloadable model.

    Raises:
        ModelNotFoundError: there is none of that name.
    """
    if name not in DOWNLOADS:
        raise ModelNotFoundError(
            f"There is no model “{name}” to download: choose one of {', '.join(DOWNLOADS)}.",
            code="model.not-found.subject",
            model=name,
        )
    return DOWNLOADS[name]


def default_subject_model() -> str:
    """Return the name of the first installed downloadable model, or of the built-in one."""
    return next((name for name, model in DOWNLOADS.items() if model.is_installed), model_store.SUBJECT_MODEL)


def install_download(model: DownloadableModel, progress: ByteCallback = ignore_bytes) -> Path:
    """Download and install a model; an incomplete download is continued.

    Args:
        model: which.
        progress: see `ByteCallback`; canceling keeps what was downloaded.

    Returns:
        The installed file.

    Raises:
        ModelError: the server cannot be reached, stopped sending, or sent another file.
        DiskFullError: there is not enough space.
        FileError: the folder of the models cannot be written to, or another process downloads this model.
    """
    with _exclusive(model):
        _check_space(model)
        try:
            _fetch(model, progress)
        except urllib.error.HTTPError as error:
            raise _unreachable(model, f"HTTP status {error.code}") from error
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise _unreachable(model, str(getattr(error, "reason", "") or error or type(error).__name__)) from error
        except OSError as error:
            raise os_error(error, model.partial) from error
        with model.partial.open("rb") as file:
            found = digest_of(file, model.partial.stat().st_size, ignore_bytes)
        if found != model.sha256:
            model.partial.unlink()
            raise ModelError(
                f"{model.address} sent another file than the model “{model.name}”: download it elsewhere.",
                code="model.download.other",
                model=model.name,
            )
        model.partial.replace(model.path)
    return model.path


def install_from_file(model: DownloadableModel, file: Path, progress: ByteCallback = ignore_bytes) -> Path:
    """Install a model from a file that was downloaded elsewhere; the file is copied.

    Raises:
        FileError: the file cannot be read, or the model's cannot be written.
        ModelError: it is not the model's file.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as source:
            if digest_of(source, size, progress) not in (model.sha256, *model.variants):
                raise ModelError(
                    f"{file} is not the file of the model “{model.name}”, or is incomplete: download {model.address}",
                    code="model.download.other",
                    model=model.name,
                )
            source.seek(0)
            with _exclusive(model), atomic_write(model.path) as target:
                shutil.copyfileobj(source, target, BLOCK)
    except OSError as error:
        raise os_error(error, file) from error
    return model.path


def delete_download(model: DownloadableModel) -> None:
    """Delete an installed model, and an incomplete download of it.

    Raises:
        ModelNotFoundError: neither is there.
        FileError: the file cannot be removed.
    """
    if not (model.is_installed or model.partial.exists()):
        model.installed_file()
    try:
        for path in (model.path, model.partial, model.lock):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise os_error(error, model.path) from error


def digest_of(file: BinaryIO, size: int, progress: ByteCallback) -> str:
    """Return the SHA-256 digest of the rest of a file of `size` bytes."""
    digest, done = hashlib.sha256(), 0
    while block := file.read(BLOCK):
        digest.update(block)
        done += len(block)
        progress(done, size)
    return digest.hexdigest()


@contextmanager
def _exclusive(model: DownloadableModel) -> Iterator[None]:
    """Hold the lock of a model's installation, and create the folder.

    Raises:
        FileError: another process holds it, or the folder cannot be written to.
    """
    try:
        model.path.parent.mkdir(parents=True, exist_ok=True)
        lock = ProcessLock(model.lock)
        acquired = lock.acquire()
    except OSError as error:
        raise os_error(error, model.path.parent) from error
    if not acquired:
        raise FileError(f"The model “{model.name}” is being installed already: wait for it.", code="model.installing")
    try:
        yield
    finally:
        lock.release()


def _check_space(model: DownloadableModel) -> None:
    done = model.partial.stat().st_size if model.partial.exists() else 0
    if shutil.disk_usage(model.path.parent).free < model.size - done:
        raise DiskFullError(
            f"{model.path.parent} has no space for {(model.size - done) / 1e6:.0f} MB: free some.",
            path=str(model.path.parent),
        )


def _fetch(model: DownloadableModel, progress: ByteCallback) -> None:
    """Append the missing bytes to the partial file, or begin again if the server sends whole files only."""
    done = model.partial.stat().st_size if model.partial.exists() else 0
    if done >= model.size:
        return
    request = urllib.request.Request(model.address, headers={"User-Agent": "s2am"})
    if done:
        request.add_header("Range", f"bytes={done}-")
    with urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT) as response:
        resumed = response.status == PARTIAL_CONTENT and response.headers.get("Content-Range", "").startswith(
            f"bytes {done}-"
        )
        with model.partial.open("ab" if resumed else "wb") as file:
            done = done if resumed else 0
            while done < model.size and (block := response.read(min(BLOCK, model.size - done))):
                file.write(block)
                done += len(block)
                progress(done, model.size)
    if done < model.size:
        raise ConnectionError("the connection was closed")


def _unreachable(model: DownloadableModel, reason: str) -> ModelError:
    done = model.partial.stat().st_size if model.partial.exists() else 0
    progress = f" after {done / 1e6:.0f} of {model.size / 1e6:.0f} MB" if done else ""
    return ModelError(
        f"The download of “{model.name}” failed{progress} ({reason}): try again, which continues it, or download "
        f"{model.address} elsewhere.",
        code="model.download",
        model=model.name,
    )
