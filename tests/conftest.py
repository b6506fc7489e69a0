# SPDX-License-Identifier: GPL-3.0-or-later
"""Setup of every test: one thread per process, markers, and no personal models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Before PyTorch and OpenCV are imported: small networks stall in parallel regions when other processes run.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without this, importing onnxruntime writes a device ID and a database into the user's cache folder.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import pytest

from s2am_engine.pytorch import has_torch
from tests.distribution import UnitScheduling, longest_first
from tests.left_out import MISSING_LIBRARIES, find_left_out, report
from tests.shared import SHARED

if TYPE_CHECKING:
    from s2am_engine.training.photo_cache import Photograph

GIMP_TESTS = Path(__file__).parent / "gimp"


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out tests by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that drive GIMP, and skip those whose prerequisites this machine lacks; the longest come first."""
    for item in items:
        if item.path.is_relative_to(GIMP_TESTS):
            item.add_marker(pytest.mark.gimp)
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason="the image collections of ../shared are not on this machine"))
        if item.get_closest_marker("gpu") and not has_gpu():
            item.add_marker(pytest.mark.skip(reason="this machine has no CUDA GPU"))
    items[:] = longest_first(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> UnitScheduling:
    """Distribute the tests over the workers of `pytest -n`."""
    config.option.loadscopereorder = False  # by their number of tests
    return UnitScheduling(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Repeat what this computer cannot test."""
    missing = os.environ.get(MISSING_LIBRARIES, "").split()
    terminalreporter.write_line(report(find_left_out(missing)))


def has_gpu() -> bool:
    """Return whether PyTorch can use a CUDA GPU here."""
    if not has_torch():
        return False
    import torch

    return torch.cuda.is_available()


@pytest.fixture(autouse=True)
def no_personal_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the user's personal models by an empty folder."""
    folder = tmp_path / "personal models"
    monkeypatch.setattr("s2am_engine.models.model_store.personal_folder", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def no_user_files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the user's log and settings file by others that do not exist yet."""
    folder = tmp_path_factory.mktemp("user")
    monkeypatch.setattr("s2am_common.log.log_path", lambda: folder / "s2am.log")
    monkeypatch.setattr("s2am_common.settings.settings_path", lambda: folder / "settings.ini")


@pytest.fixture
def photographs() -> list[Photograph]:
    """Return three free photographs, each with a rectangular region, for tests of training and research."""
    from skimage import data

    from s2am_engine.training.photo_cache import Photograph

    found = []
    for name in ("astronaut", "chelsea", "coffee"):
        image = np.ascontiguousarray(getattr(data, name)()[::4, ::4])
        region = np.zeros(image.shape[:2], np.bool_)
        region[20:60, 30:80] = True
        found.append(Photograph(name, image, [region]))
    return found
