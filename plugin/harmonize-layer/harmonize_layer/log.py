# SPDX-License-Identifier: GPL-3.0-or-later
"""The log file that error messages name; it is opened before anything else of the plug-in is imported."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

NAME = "harmonize-layer.log"
_LARGEST = 1 << 18  # bytes; a longer log begins anew


def path() -> Path:
    """Where the log is: beside the plug-in, or among the temporary files where that folder is read-only."""
    beside = Path(__file__).resolve().parents[1] / NAME
    return beside if os.access(beside.parent, os.W_OK) else Path(tempfile.gettempdir()) / NAME


def write(text: str) -> None:
    """Add a line or several. A log that can't be written stops nobody."""
    with contextlib.suppress(OSError):
        log = path()
        too_long = log.exists() and log.stat().st_size > _LARGEST
        with log.open("w" if too_long else "a", encoding="utf-8") as file:
            now = time.time()
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(now))}.{now % 1 * 1000:03.0f}  {text}\n")


def write_error() -> None:
    """Add the traceback of the exception that is being handled."""
    write(f"Python {platform.python_version()}, {sys.platform}\n{traceback.format_exc()}")


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Log what ends the program, and let it end."""
    try:
        yield
    except Exception:
        write_error()
        raise
