# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a recovery copy, released without deleting the copy."""

from __future__ import annotations

from s2am_editor.files.recovery import Recovery


def release_lock(recovery: Recovery) -> None:
    """Release the lock as the end of a crashed editor does."""
    assert recovery._lock is not None
    recovery._lock.release()
