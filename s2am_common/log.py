# SPDX-License-Identifier: GPL-3.0-or-later
"""The log file of engine, command line, editor and plug-in.

Modules log to `logging.getLogger(__name__)`; each program calls `start_logging` once. The log contains starts,
devices and models, fallbacks, requests, file names, times and errors with their tracebacks; never image content.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

from s2am_common.paths import user_paths
from s2am_common.settings import load_settings

MAX_BYTES = 1_000_000
BACKUPS = 2
PACKAGES = ("s2am_common", "s2am_engine", "s2am_editor", "s2am_setup", "gimp_bridge", "harmonize_layer")
"""Loggers of these packages go to the file; those of libraries do not."""


def log_path() -> Path:
    """Return the path of the log file, which need not exist; older records are in `s2am.log.1` and `s2am.log.2`."""
    return user_paths().logs / "s2am.log"


class SharedFileHandler(logging.Handler):
    """Append records to a rotating file that several processes write to at the same time.

    The file is opened for each record, because a file that another process holds open can neither be renamed on
    Windows nor be followed after its renaming elsewhere. A log that cannot be written is no reason to fail.
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, backups: int = BACKUPS) -> None:
        """Log to a file.

        Args:
            path: the file; its folder is made with the first record.
            max_bytes: size beyond which the file is renamed to `NAME.1`, that one to `NAME.2`, and so on.
            backups: number of older files that are kept.
        """
        super().__init__()
        self.path = path
        self._max_bytes, self._backups = max_bytes, backups

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record."""
        with contextlib.suppress(OSError, ValueError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size > self._max_bytes:
                self._rotate()
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(self.format(record) + "\n")

    def _rotate(self) -> None:
        for number in range(self._backups, 0, -1):
            newer = self._backup(number - 1)
            if newer.exists():
                newer.replace(self._backup(number))

    def _backup(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path


def start_logging(program: str, version: str = "") -> Path:
    """Send the records of this program to the log file, from level `info` or that of the settings on.

    Args:
        program: short name, at the start of each line.
        version: version of the program.

    Returns:
        The path of the log.
    """
    path = log_path()
    handler = SharedFileHandler(path)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {program}[%(process)d] %(levelname)s %(name)s: %(message)s"))
    for package in PACKAGES:
        logger = logging.getLogger(package)
        for old in [old for old in logger.handlers if isinstance(old, SharedFileHandler)]:
            logger.removeHandler(old)
        logger.addHandler(handler)
    level = load_settings().log_level.upper()  # logs the settings that cannot be used, once
    for package in PACKAGES:
        logging.getLogger(package).setLevel(level)
    python = ".".join(map(str, sys.version_info[:3]))
    logging.getLogger(__name__).info("%s %s started with Python %s on %s", program, version, python, sys.platform)
    return path
