# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing a large image can be canceled between small pieces of work, and then leaves nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from s2am_engine.image.data import ImageData
from s2am_engine.image.formats import pillow, png
from s2am_engine.image.io import load_image, save_image

FORMATS = [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint16), (".tif", np.float32), (".jpg", np.uint8)]


class CanceledError(Exception):
    """The user canceled."""


def noise(dtype: type[np.generic], height: int = 900, width: int = 1200) -> ImageData:
    values = np.random.default_rng(0).random((height, width, 3), np.float32)
    return ImageData(values if dtype is np.float32 else (values * np.iinfo(dtype).max).astype(dtype))  # type: ignore[type-var]


@pytest.mark.parametrize(("suffix", "dtype"), FORMATS)
def test_save_image_reports_after_each_small_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, dtype: type[np.generic]
) -> None:
    monkeypatch.setattr(png, "_STRIP_PIXELS", 1 << 15)
    image, reported = noise(dtype), list[float]()
    save_image(tmp_path / f"a{suffix}", image, progress=reported.append)
    assert len(reported) >= image.pixels.nbytes / 2**20 * 2  # no piece takes more than half a megabyte
    assert reported == sorted(reported)
    if suffix != ".jpg":
        assert max(np.diff(reported)) < 0.15
        assert reported[-1] == 1
        assert np.array_equal(load_image(tmp_path / f"a{suffix}").pixels, image.pixels)


@pytest.mark.parametrize(("suffix", "dtype"), [*FORMATS, (".webp", np.uint8)])
def test_canceled_save_image_leaves_nothing_and_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, dtype: type[np.generic]
) -> None:
    monkeypatch.setattr(png, "_STRIP_PIXELS", 1 << 15)
    monkeypatch.setattr(pillow, "_POLL_SECONDS", 0.0)
    target = tmp_path / f"a{suffix}"
    target.write_bytes(b"precious")
    calls = 0

    def cancel(_done: float) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CanceledError

    with pytest.raises(CanceledError):
        save_image(target, noise(dtype), progress=cancel)
    assert calls == 2  # no piece is begun after the cancellation
    assert target.read_bytes() == b"precious"
    assert [each.name for each in tmp_path.iterdir()] == [target.name]


def test_format_written_in_one_piece_is_canceled_while_its_encoder_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoding, release = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        encoding.set()
        release.wait(60)

    monkeypatch.setattr(pillow, "encode", hang)

    def cancel(_done: float) -> None:
        assert encoding.wait(60)
        raise CanceledError

    with pytest.raises(CanceledError):
        save_image(tmp_path / "a.webp", noise(np.uint8, 20, 30), progress=cancel)
    release.set()
    assert list(tmp_path.iterdir()) == []
