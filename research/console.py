# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared command-line behavior: an error is one sentence, and Ctrl-C loses nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable

from s2am_common.errors import EngineError


def run(work: Callable[[], None], stopped: str = "Stopped; the same command continues.") -> int:
    """Run a command.

    Args:
        work: does everything.
        stopped: sentence to print after Ctrl-C.

    Returns:
        The exit code: 0 for success, 1 for a failure, which is explained in one line on stderr.
    """
    try:
        work()
    except (EngineError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(stopped, file=sys.stderr)
        return 1
    return 0
